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
        Middle of its image, (x, y) in mosaic pixels.
    bend, bend_error : ndarray, shape (C, 3)
        What light that is no plane adds, u², uv and v² times these, in adu; 0 and NaN where there is none.
    """

    extent: np.ndarray
    curvature: Curvature | None
    middle: np.ndarray
    bend: np.ndarray
    bend_error: np.ndarray

    @classmethod
    def nothing(cls, count):
        """That of a tile that was not compared, of so many channels."""
        value, covariance = np.zeros((count, 4)), np.full((count, 4, 4), np.nan)
        unknown = np.full((2, 2), np.nan)
        frame = {"extent": unknown, "curvature": None, "middle": unknown[0]}
        return cls(value, covariance, **frame, **_no_bend(count))

    @property
    def empty(self):
        """Whether there is nothing to take out."""
        return not (self.changes_pixels or self.shift.any())

    @property
    def changes_pixels(self):
        """Whether there is anything to take out but a shift, which goes into the WCS."""
        level = self.offset.any() or (self.factor != 1).any() or self.slope.any()
        return bool(level or self.bends or self.curvature is not None)

    @property
    def bends(self):
        """Whether light that is no plane goes out of it."""
        return bool(self.bend.any())

    def take_out(self, values, x, y):
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
        left = values - self.offset[more]
        for term, layer in zip((*self.slope.T, *self.bend.T), (u, v, u * u, u * v, v * v), strict=True):
            # A term of nothing may stand beside a place that is not known.
            left = left - term[more] * layer if term.any() else left
        return left / self.factor[more]

    def uv(self, x, y):
        """Where places of the mosaic lie in what the tile knows: (u, v), from −½ to ½ along columns and rows."""
        first, last = self.extent
        return tuple((axis - low) / (high - low) - 0.5 for axis, low, high in zip((x, y), first, last, strict=True))

    def of_blocks(self, blocks):
        """`taken_out` of the block means of a `CoarseTile` without the curvature, shape (C, h, w)."""
        x, y = blocks.centres()
        return self.take_out(blocks.value, x, y[:, np.newaxis])


def correction_of(solution, index, look, curvature):
    """What takes the levels that were found in a tile out of it.

    Parameters
    ----------
    solution : Solution
    index : int
        Index of the tile; nothing is found in one that is not in the solution.
    look : TileMeasurement
        Measurement of the tile, which has blocks.
    curvature : Curvature or None

    Returns
    -------
    Correction
    """
    frame = {"extent": look.blocks.extent(), "curvature": curvature, "middle": look.middle}
    return Correction(**vars(solution.of(index)), **frame, **_no_bend(len(solution.level)))


def correction_of_light(uneven, look, curvature):
    """What takes light that is uneven out of a tile, its level, slope and scale with it; None where nothing does.

    Parameters
    ----------
    uneven : Unevenness
        Unevenness of one tile.
    look : TileMeasurement
        Measurement of that tile.
    curvature : Curvature or None

    Returns
    -------
    Correction or None
    """
    if uneven.surface is None:
        return None
    terms, covariance = uneven.surface
    value = np.column_stack([terms[:, 0], uneven.factor - 1, terms[:, 1:3]])
    errors = np.full((len(terms), 4, 4), np.nan)
    errors[np.ix_(range(len(terms)), (0, 2, 3), (0, 2, 3))] = covariance[:, :3, :3]
    frame = {"extent": look.blocks.extent(), "curvature": curvature, "middle": look.middle}
    bend_error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)[:, 3:])
    return Correction(value, errors, **frame, bend=terms[:, 3:], bend_error=bend_error)


def _no_bend(count):
    return {"bend": np.zeros((count, 3)), "bend_error": np.full((count, 3), np.nan)}
