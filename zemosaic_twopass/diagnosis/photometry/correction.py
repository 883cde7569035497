"""What takes the faults of a tile out of it again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..terms import TileTerms
from .illumination import Curvature


@dataclass(frozen=True, eq=False, kw_only=True)
class Correction(TileTerms):
    """What was found in one tile, and where the tile is, so that it can be taken out.

    Attributes
    ----------
    extent : ndarray, shape (2, 2)
        Outer edges, (x, y) each, of the blocks of which the tile knows something, in mosaic pixels: there (u, v) are
        −½ and ½.
    curvature : Curvature or None
        What it has in common with all tiles.
    middle : ndarray, shape (2,)
        Of its image, (x, y) in mosaic pixels.
    """

    extent: np.ndarray
    curvature: Curvature | None
    middle: np.ndarray

    @classmethod
    def nothing(cls, count):
        """That of a tile that was not compared, of so many channels."""
        value, covariance = np.zeros((count, 4)), np.full((count, 4, 4), np.nan)
        unknown = np.full((2, 2), np.nan)
        return cls(value, covariance, extent=unknown, curvature=None, middle=unknown[0])

    @property
    def empty(self):
        """Whether there is nothing to take out."""
        return not (self.changes_pixels or self.shift.any())

    @property
    def changes_pixels(self):
        """Whether there is anything to take out but a shift, which goes into the WCS."""
        level = self.offset.any() or (self.factor != 1).any() or self.slope.any()
        return bool(level or self.curvature is not None)

    def taken_out(self, values, x, y):
        """Values of the tile with its faults taken out, but for the shift and, which has to go first, the curvature.

        Parameters
        ----------
        values : ndarray, shape (C, …)
            In adu; NaN stays NaN.
        x, y : ndarray, shapes that go with (…)
            Where they lie in the mosaic, in its pixels.

        Returns
        -------
        ndarray, shape (C, …)
        """
        more = (slice(None), *(np.newaxis,) * (np.ndim(values) - 1))
        u, v = self.uv(x, y)
        along_x, along_y = self.slope.T
        return (values - self.offset[more] - along_x[more] * u - along_y[more] * v) / self.factor[more]

    def uv(self, x, y):
        """Where places of the mosaic lie in what the tile knows: (u, v), from −½ to ½ along columns and rows."""
        first, last = self.extent
        return tuple((axis - low) / (high - low) - 0.5 for axis, low, high in zip((x, y), first, last, strict=True))

    def of_blocks(self, blocks):
        """`taken_out` of the block means of a `CoarseTile` without the curvature, shape (C, h, w)."""
        x, y = blocks.centres()
        return self.taken_out(blocks.value, x, y[:, np.newaxis])


def correction_of(solution, index, look, curvature):
    """What takes the levels that were found in a tile out of it.

    Parameters
    ----------
    solution : Solution
    index : int
        Of the tile; nothing is found in one that is not in the solution.
    look : TileMeasurement
        Of the tile, which has blocks.
    curvature : Curvature or None

    Returns
    -------
    Correction
    """
    place = {"extent": look.blocks.extent(), "curvature": curvature, "middle": look.middle}
    return Correction(**vars(solution.of(index)), **place)
