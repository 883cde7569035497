"""Where an image lies on a grid: worked out once, for all that has to know it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.wcs import WCS

from .grid import pixel_box, pixels_between

# Pixels of the grid between knots of the spline.
_LATTICE_STEP = 16
# Around the box: what is averaged over blocks of the grid reaches beyond it.
_MARGIN = 8
# A cubic spline needs as many a side.
_FEWEST_KNOTS = 4
# A position that is in no mosaic, in place of NaN, which a spline spreads.
_NOWHERE = -1e6


@dataclass(frozen=True, eq=False)
class Place:
    """Where an image lies on a grid.

    Attributes
    ----------
    shape, shape_out : tuple of int
        (H, W) of the image and of the grid.
    wcs, wcs_out : astropy.wcs.WCS
        Celestial, of the image and of the grid.
    box : tuple of slice
        (rows, columns) of the grid that the image can reach.
    knots : tuple of ndarray
        Rows and columns of the grid where `lattice` holds; ascending.
    lattice : ndarray, shape (2, rows, columns), or None
        Row and column in the image at the knots; None where it has no position at one of them, or where there are too
        few.
    """

    shape: tuple[int, int]
    wcs: WCS
    shape_out: tuple[int, int]
    wcs_out: WCS
    box: tuple[slice, slice]
    knots: tuple[np.ndarray, np.ndarray]
    lattice: np.ndarray | None

    @classmethod
    def of(cls, shape, wcs, shape_out, wcs_out):
        """Place of an image of a shape and a WCS on a grid of a shape and a WCS; None where it misses the grid."""
        box = pixel_box(shape, wcs, wcs_out, shape_out)
        if box is None:
            return None
        knots = tuple(
            np.unique(np.r_[part.start - _MARGIN : part.stop + _MARGIN : _LATTICE_STEP, part.stop + _MARGIN])
            for part in box
        )
        lattice = None
        if all(len(axis) >= _FEWEST_KNOTS for axis in knots):
            lattice = _positions(wcs, wcs_out, *knots)
        if lattice is not None and not np.isfinite(lattice).all():
            lattice = None
        return cls(tuple(shape), wcs, tuple(shape_out), wcs_out, box, knots, lattice)

    def positions(self, rows, columns):
        """Where pixels of the grid lie in the image, a few rows at a time.

        From a cubic spline through the lattice: where a WCS is smooth over sixteen pixels that is within 1e-9 px of the
        WCS's own answer, at a hundredth of its cost.

        Parameters
        ----------
        rows, columns : ndarray
            Places on the grid, not necessarily whole; inside the box and 8 px around it. Further out they are only
            near: what lies beyond the grid by the shift of a tile is within 1e-6 px.

        Returns
        -------
        callable
            From a slice of `rows` to their positions, ndarray of shape (2, n, len(columns)): row and column in the
            image; far outside of it where there is none.
        """
        if self.lattice is None:
            exact = np.nan_to_num(_positions(self.wcs, self.wcs_out, rows, columns), nan=_NOWHERE)
            return lambda part: exact[:, part]
        down, across = self._splines
        lines = _weights(across, columns) @ across.c.reshape(len(across.c), -1)
        lines = np.ascontiguousarray(lines.reshape(len(columns), -1, 2).T)
        weights = _weights(down, rows).toarray()

        def positions(part):
            # A few rows have all but a handful of weights 0: BLAS makes so small a product in the thread that asks.
            known = np.flatnonzero(weights[part].any(axis=0))
            near = slice(known[0], known[-1] + 1)
            return weights[part, near] @ lines[:, near]

        return positions

    @cached_property
    def _splines(self):
        """Splines through the lattice along its rows, and through their coefficients along the columns."""
        # Only now: a worker imports this module, and never asks.
        from scipy.interpolate import make_interp_spline

        down = make_interp_spline(self.knots[0], self.lattice, axis=1)
        return down, make_interp_spline(self.knots[1], down.c, axis=2)

    def exactly(self, x, y):
        """Where pixels of the grid lie in the image by the WCS themselves: (x, y), NaN where there is nothing."""
        return pixels_between(self.wcs_out, self.wcs, x, y)


def _weights(spline, at):
    """Weigh each coefficient of a spline at points: a sparse array of shape (points, coefficients)."""
    return spline.design_matrix(at, spline.t, spline.k, extrapolate=True)


def _positions(wcs, wcs_out, rows, columns):
    """(row, column) in an image of every pixel of rows × columns of a grid, shape (2, rows, columns)."""
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return np.stack(pixels_between(wcs_out, wcs, x, y)[::-1])
