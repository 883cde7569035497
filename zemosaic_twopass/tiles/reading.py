"""Master tiles on disk: read from FITS, and written."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from astropy.io import fits

from ..settings import LOGGER_NAME, in_ascii
from .images import TileError, celestial_wcs, open_image
from .records import Tile, check_tiles


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
    Tile

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
        return Tile(_native_float32(data), wcs, coverage, name=path.name)


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
        shape = masters[-1].pixels.shape
        logger.info("[TwoPass] loaded tile=%d/%d shape=%s file=%s", number, len(paths), shape, in_ascii(str(path)))
    columns = [[getattr(m, field) for m in masters] for field in ("pixels", "wcs", "coverage")]
    check_tiles(*columns, names=[str(path) for path in paths])
    return tuple(columns)


def write_master_tile(path, tile):
    """Write a `Tile` as FITS, channels first, its coverage as the ALPHA extension.

    Parameters
    ----------
    path : path-like
        Overwritten if it exists.
    tile : Tile
    """
    data = tile.pixels if tile.pixels.ndim == 2 else np.moveaxis(tile.pixels, 2, 0)
    hdus = fits.HDUList([fits.PrimaryHDU(data, header=tile.wcs.to_header(relax=True))])
    if tile.coverage is not None:
        hdus.append(fits.ImageHDU(tile.coverage, name="ALPHA"))
    hdus.writeto(path, overwrite=True)


def _native_float32(array):
    return np.ascontiguousarray(array, dtype=np.float32)
