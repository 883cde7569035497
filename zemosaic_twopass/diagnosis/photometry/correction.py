"""What takes the faults of a tile out of it again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .illumination import Curvature

_OFFSET, _GAIN, _SLOPES = 0, 1, slice(2, 4)


@dataclass(frozen=True, eq=False)
class Correction:
    """What was found in one tile: it shows offset + factor × S + slope · (u, v) of the sky S, with a curvature.

    What is not there is 0, a factor 1, and has the error NaN.

    Attributes
    ----------
    offset, offset_error : ndarray, shape (C,)
        In adu, at a sky of 0.
    factor, factor_error : ndarray, shape (C,)
    slope, slope_error : ndarray, shape (C, 2)
        In adu from end to end of what the tile knows, along columns and rows of the mosaic.
    shift, shift_error : ndarray, shape (2,)
        How far the sky is seen to the right of and above its place, in mosaic pixels.
    extent : ndarray, shape (2, 2)
        Outer edges, (x, y) each, of the blocks of which the tile knows something, in mosaic pixels: there (u, v) are
        −½ and ½.
    curvature : Curvature or None
        What it has in common with all tiles.
    middle : ndarray, shape (2,)
        Of its image, (x, y) in mosaic pixels.
    """

    offset: np.ndarray
    offset_error: np.ndarray
    factor: np.ndarray
    factor_error: np.ndarray
    slope: np.ndarray
    slope_error: np.ndarray
    shift: np.ndarray
    shift_error: np.ndarray
    extent: np.ndarray
    curvature: Curvature | None
    middle: np.ndarray

    @classmethod
    def none(cls, channels):
        """Nothing to take out of a tile of so many channels."""
        zero, unknown, pair = np.zeros((channels, 2)), np.full((channels, 2), np.nan), np.full((2, 2), np.nan)
        levels = zero[:, 0], unknown[:, 0], np.ones(channels), unknown[:, 0], zero, unknown
        return cls(*levels, np.zeros(2), pair[0], pair, None, pair[0])

    @property
    def empty(self):
        """Whether there is nothing to take out."""
        return not (self.changes_pixels or self.shift.any())

    @property
    def changes_pixels(self):
        """Whether there is anything to take out but a shift, which goes into the WCS."""
        level = self.offset.any() or (self.factor != 1).any() or self.slope.any()
        return bool(level or self.curvature is not None)

    def multiplier(self):
        """The correction as pixel × gain + offset; slopes, curvature and shift left aside.

        Returns
        -------
        gain, gain_error, offset, offset_error : ndarray, shape (C,)
            Offset in adu. Errors are carried over to first order, offset and factor taken as independent; NaN where
            neither is there.
        """
        gain, known = 1 / self.factor, np.isfinite([self.offset_error, self.factor_error])
        off, scale = np.where(known, [self.offset_error, self.factor_error], 0.0)
        error = np.hypot(off * gain, self.offset * scale * gain**2)
        return gain, self.factor_error * gain**2, 0.0 - self.offset * gain, np.where(known.any(axis=0), error, np.nan)

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


def corrections(surveyed, everything=False):
    """What takes the faults of every tile out of it.

    Parameters
    ----------
    surveyed : Survey
    everything : bool, optional
        Take out all that was fitted, be it significant or not, where the data tell it.

    Returns
    -------
    list of (Correction or None)
        None for a tile that could not be compared.
    """
    found = []
    for index, (fit, shift, look) in enumerate(
        zip(surveyed.solution.fits, surveyed.shifts, surveyed.looks, strict=True)
    ):
        if fit is None:
            found.append(None)
            continue
        terms, moved = _terms(surveyed.solution, index, fit, everything), _shift(shift, everything)
        found.append(Correction(*terms, *moved, look.blocks.extent(), surveyed.curvature, look.middle))
    return found


def _terms(solution, index, fit, everything):
    """Offset, factor and slope with their errors, as `Correction` has them."""
    terms, errors = solution.terms[:, index], solution.errors[:, index]
    if everything:
        gain, level = np.nan_to_num(fit.gain), solution.level[:, index]
        terms = np.stack([fit.offset - gain * level, gain, fit.slope_x, fit.slope_y], axis=1)
        errors = np.stack([fit.offset_error, fit.gain_error, fit.slope_x_error, fit.slope_y_error], axis=1)
        terms = np.nan_to_num(terms)
    return (
        terms[:, _OFFSET],
        errors[:, _OFFSET],
        1 + terms[:, _GAIN],
        errors[:, _GAIN],
        terms[:, _SLOPES],
        errors[:, _SLOPES],
    )


def _shift(shift, everything):
    if shift is None or not (shift.matters or everything):
        return np.zeros(2), np.full(2, np.nan)
    return shift.pixels, np.sqrt(np.diag(shift.covariance))
