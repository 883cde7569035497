"""The grid of a mosaic that is not there yet: the smallest celestial one that holds all tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reproject.mosaicking import find_optimal_celestial_wcs

from .headers import celestial_wcs
from .images import TileError

# A mosaic larger than both, in pixels and in areas of all its tiles, has a tile where none should be.
_LARGE_MOSAIC = 1 << 22
_MOST_TILE_AREAS = 64


@dataclass(frozen=True)
class MosaicGrid:
    """A grid in a form that gives the same one to the bit in every process.

    Attributes
    ----------
    header : str
        FITS header of a mosaic on it.
    shape : tuple of int
        (H, W).
    """

    header: str
    shape: tuple[int, int]

    @classmethod
    def make(cls, shapes, tiles_wcs):
        """The smallest grid that holds all tiles; parameters and errors as for `find_smallest_grid`."""
        wcs, shape = find_smallest_grid(shapes, tiles_wcs)
        return cls(wcs.to_header(relax=True).tostring(), shape)

    def wcs(self):
        """The WCS; raises as `headers.celestial_wcs` does."""
        return celestial_wcs(self.header, self.shape)


def find_smallest_grid(shapes, tiles_wcs):
    """The smallest celestial grid that holds all tiles.

    Parameters
    ----------
    shapes : sequence of tuple of int
        (H, W) of each tile, at least one.
    tiles_wcs : sequence of astropy.wcs.WCS

    Returns
    -------
    wcs : astropy.wcs.WCS
    shape : tuple of int
        (H, W).

    Raises
    ------
    TileError
        If they have none, or lie so far apart that the mosaic would be all but empty.
    """
    try:
        wcs, shape = find_optimal_celestial_wcs(list(zip(shapes, tiles_wcs, strict=True)))
    except Exception as error:  # so do astropy and wcslib
        raise TileError(f"the tiles have no common grid: {error}") from error
    area = sum(math.prod(shape) for shape in shapes)
    if math.prod(shape) > max(_LARGE_MOSAIC, _MOST_TILE_AREAS * area):
        raise TileError(f"mosaic of shape {shape} for tiles of {area} pixels in all: a tile has the wrong WCS")
    return wcs, tuple(int(n) for n in shape)
