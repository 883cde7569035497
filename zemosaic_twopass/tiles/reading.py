"""Master tiles on disk: read from FITS, and written."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from ..files import by_reason
from ..settings import LOGGER_NAME, in_ascii
from .headers import celestial_wcs, wcs_remarks
from .images import TileError, open_image
from .records import Tile, check_tiles


def read_master_tile(path):
    """Read one master tile from a FITS file.

    The image is the first HDU that holds one and is not named ALPHA, which is the coverage; HW, HWC and CHW are told
    apart by the length of the axes (a channel axis has 1 or 3 entries), further axes of length 1 are passed over.

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
        If the file cannot be read, is absurdly large or claims to be, holds no image, has no celestial WCS or a card
        of it that is no number, has an axis order that cannot be told, a plane that may be alpha, or an ALPHA of
        another shape than the image. The message names the file.
    """
    return read_with_remarks(path)[0]


def read_with_remarks(path):
    """`read_master_tile`, and what of the WCS was passed over, as `headers.wcs_remarks` has it."""
    path = Path(path)
    with open_image(path) as (data, header, coverage):
        wcs = celestial_wcs(header, data.shape[:2])
        coverage = None if coverage is None else _native_float32(coverage)
        return Tile(_native_float32(data), wcs, coverage, name=path.name), wcs_remarks(header, data.shape[:2])


@dataclass(frozen=True)
class Head:
    """What is known of a tile without its pixels.

    Attributes
    ----------
    shape : tuple of int
        (H, W).
    channels : int
    header : str
        As `images.open_image` gives it: a WCS loses its last bits on the way from another process.
    """

    shape: tuple[int, int]
    channels: int
    header: str

    def wcs(self):
        """The WCS, as `headers.celestial_wcs` has it."""
        return celestial_wcs(self.header, self.shape)

    def remarks(self):
        """As `headers.wcs_remarks`."""
        return wcs_remarks(self.header, self.shape)


def try_head(path):
    """`Head` of a tile, or a TileError where it cannot be used."""
    try:
        with open_image(path) as (data, header, _):
            celestial_wcs(header, data.shape[:2])
            return Head(data.shape[:2], data.shape[2] if data.ndim == 3 else 1, header)
    except TileError as error:
        return error


def require_usable(paths, results):
    """What came of the work on each tile.

    Parameters
    ----------
    paths : sequence of path-like
    results : sequence
        A TileError says why there is no other.

    Returns
    -------
    list
        The results.

    Raises
    ------
    TileError
        If there is one among them; the message names all such tiles.
    """
    results = list(results)
    refuse((path, str(result)) for path, result in zip(paths, results, strict=True) if isinstance(result, TileError))
    return results


def require_usable_heads(paths, heads):
    """`require_usable` heads, of which all must have the number of channels that most have."""
    heads = list(heads)
    found = [(head.channels, path) for path, head in zip(paths, heads, strict=True) if isinstance(head, Head)]
    if found:
        most = Counter(channels for channels, _ in found).most_common(1)[0][0]
        of = next(path for channels, path in found if channels == most)
        for index, head in enumerate(heads):
            if isinstance(head, Head) and head.channels != most:
                heads[index] = TileError(f"{head.channels} channels != {most} of {of}")
    return require_usable(paths, heads)


def refuse(pairs):
    """Raise one TileError that names all tiles of (path, reason), if there are any."""
    bare = ((path, _without_name(path, reason)) for path, reason in pairs)
    reasons = by_reason(bare)
    if reasons:
        raise TileError("; ".join(reasons))


def _without_name(path, reason):
    # A Dask worker knows a tile by its absolute path.
    return reason.removeprefix(f"{path}: ").removeprefix(f"{os.path.abspath(path)}: ")


def warn_about(pairs):
    """Log what of the WCS of tiles was passed over, as (path, remark): one WARNING for each remark."""
    for line in by_reason(pairs):
        logging.getLogger(LOGGER_NAME).warning("[TwoPassInput] %s", in_ascii(line))


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
        If there are no files, some cannot be used (all of these are named), or their channel counts differ.
    """
    if not len(paths):
        raise TileError("no tiles: 0 files were given, at least 1 is needed")
    logger = logging.getLogger(LOGGER_NAME)
    masters, bad, remarks = [], [], []
    for number, path in enumerate(paths, start=1):
        try:
            master, passed_over = read_with_remarks(path)
        except TileError as error:
            bad.append((path, str(error)))
            continue
        masters.append(master)
        remarks += [(path, remark) for remark in passed_over]
        shape = master.pixels.shape
        logger.info("[TwoPass] loaded tile=%d/%d shape=%s file=%s", number, len(paths), shape, in_ascii(str(path)))
    refuse(bad)
    warn_about(remarks)
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
