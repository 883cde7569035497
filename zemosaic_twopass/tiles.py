"""Master tiles on disk and in memory: read one from FITS, and check that a set fits together."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from .images import TileError, celestial_wcs, open_image
from .settings import LOGGER_NAME


@dataclass(frozen=True, eq=False)
class MasterTile:
    """One stacked tile.

    Attributes
    ----------
    data : ndarray, shape (H, W) or (H, W, C), float32
        Pixel values in adu, NaN where there are none.
    wcs : astropy.wcs.WCS
        Two-dimensional celestial WCS.
    coverage : ndarray, shape (H, W), float32, or None
        From the ALPHA extension: positive where the tile is good.
    name : str
        File name without its folder.
    """

    data: np.ndarray
    wcs: WCS
    coverage: np.ndarray | None
    name: str


def read_master_tile(path):
    """Read one master tile from a FITS file.

    The image is the first HDU that holds one; HW, HWC and CHW are told apart by the length of the
    axes (a channel axis has at most 4 entries). An extension named ALPHA is the coverage.

    Parameters
    ----------
    path : path-like
        FITS file, possibly compressed.

    Returns
    -------
    MasterTile

    Raises
    ------
    TileError
        If the file cannot be read, is absurdly large or claims to be, holds no image, has no celestial WCS, has
        an axis order that cannot be told, or an ALPHA of another shape than the image. The message names the file.
    """
    path = Path(path)
    with open_image(path) as (data, header, coverage):
        wcs = celestial_wcs(header, data.shape[:2])
        coverage = None if coverage is None else _native_float32(coverage)
        return MasterTile(_native_float32(data), wcs, coverage, path.name)


def load_master_tiles(paths):
    """Read master tiles and check that they fit together.

    Parameters
    ----------
    paths : sequence of path-like
        FITS files; see `read_master_tile` for what they may hold.

    Returns
    -------
    tiles : list of ndarray, shape (H, W) or (H, W, C), float32
    tiles_wcs : list of astropy.wcs.WCS
    tiles_coverage : list of (ndarray, shape (H, W), float32, or None)

    Raises
    ------
    TileError
        If there are no files, one cannot be used, or their channel counts differ.
    """
    if not len(paths):
        raise TileError("no tiles: 0 files were given, at least 1 is needed")
    logger = logging.getLogger(LOGGER_NAME)
    masters = []
    for number, path in enumerate(paths, start=1):
        masters.append(read_master_tile(path))
        logger.info("[TwoPass] loaded tile=%d/%d shape=%s file=%s", number, len(paths), masters[-1].data.shape, path)
    columns = [[getattr(m, field) for m in masters] for field in ("data", "wcs", "coverage")]
    check_tiles(*columns, names=[str(path) for path in paths])
    return tuple(columns)


def write_master_tile(path, tile):
    """Write a `MasterTile` as FITS, channels first, its coverage as the ALPHA extension.

    Parameters
    ----------
    path : path-like
        Overwritten if it exists.
    tile : MasterTile
    """
    data = tile.data if tile.data.ndim == 2 else np.moveaxis(tile.data, 2, 0)
    hdus = fits.HDUList([fits.PrimaryHDU(data, header=tile.wcs.to_header(relax=True))])
    if tile.coverage is not None:
        hdus.append(fits.ImageHDU(tile.coverage, name="ALPHA"))
    hdus.writeto(path, overwrite=True)


def check_tiles(tiles, tiles_wcs, tiles_coverage=None, names=None):
    """Hold a set of tiles to what a second pass needs of them.

    Parameters
    ----------
    tiles : sequence of ndarray, shape (H, W) or (H, W, C)
    tiles_wcs : sequence
        One WCS a tile.
    tiles_coverage : sequence of (ndarray, shape (H, W), or None), optional
    names : sequence of str, optional
        What to call the tiles in a message; "tile 0", "tile 1", … by default.

    Returns
    -------
    int
        The number of channels that all tiles have; 0 for no tiles.

    Raises
    ------
    TileError
        At the first thing that does not fit, naming the tile and both values.
    """
    if len(tiles) != len(tiles_wcs):
        raise TileError(f"{len(tiles)} tiles != {len(tiles_wcs)} WCS")
    if tiles_coverage is not None and len(tiles_coverage) != len(tiles):
        raise TileError(f"{len(tiles_coverage)} tile coverages != {len(tiles)} tiles")
    names = names or [f"tile {index}" for index in range(len(tiles))]
    channels = 0
    for index, tile in enumerate(tiles):
        shape = np.shape(tile)
        if len(shape) not in (2, 3):
            raise TileError(f"{names[index]}: shape {shape} has {len(shape)} axes, 2 or 3 are needed")
        own = shape[2] if len(shape) == 3 else 1
        if not own:
            raise TileError(f"{names[index]}: shape {shape} has no channel")
        if index and own != channels:
            raise TileError(f"{names[index]}: {own} channels != {channels} of {names[0]}")
        channels = own
        coverage = None if tiles_coverage is None else tiles_coverage[index]
        if coverage is not None and np.shape(coverage) != shape[:2]:
            raise TileError(f"{names[index]}: coverage shape {np.shape(coverage)} != tile shape {shape[:2]}")
    return channels


def _native_float32(array):
    return np.ascontiguousarray(array, dtype=np.float32)
