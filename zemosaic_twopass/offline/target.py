"""The mosaic that tiles on disk are held against."""

from __future__ import annotations

from dataclasses import dataclass

from ..measure.delta import CoarseGrid
from ..tiles.headers import celestial_wcs


@dataclass(frozen=True)
class Target:
    """A mosaic and its coarse grid, in a form that gives the same grid to the bit in every process.

    Attributes
    ----------
    mosaic : str
        Absolute path.
    header : str
        FITS header of the mosaic.
    shape : tuple of int
        (H, W) of the mosaic.
    downsample : int
    """

    mosaic: str
    header: str
    shape: tuple[int, int]
    downsample: int

    def wcs(self):
        """The WCS of the mosaic; raises as `headers.celestial_wcs` does."""
        return celestial_wcs(self.header, self.shape)

    def grid(self):
        """The `CoarseGrid`; raises as `CoarseGrid.of` and `headers.celestial_wcs` do."""
        return CoarseGrid.of(self.wcs(), self.shape, self.downsample)
