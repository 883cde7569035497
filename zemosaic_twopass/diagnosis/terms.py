"""What one tile has: the one form in which it is solved for, named, drawn and taken out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

_OFFSET, _GAIN, _SLOPES = 0, 1, slice(2, 4)


@dataclass(frozen=True, eq=False)
class TileTerms:
    """A tile shows offset + (1 + gain) S + slope_x u + slope_y v of a sky S, and shows it beside its place.

    The offset is that at a sky of 0: beside a gain it is not what is seen. What is seen is the offset at a level m of
    the sky, offset + gain m, and terms are solved for, and reported by `TileFit`, in that form; `at_level` leads there
    and `at_zero` back, and nothing else does. `Solution.of` gives what was found in a tile, `with_seen` what
    would be if one more thing were there, `Correction` what takes it out again.

    Attributes
    ----------
    value : ndarray, shape (C, 4)
        Offset in adu at a sky of 0, gain as the factor less 1, and rise in adu from end to end of what the tile knows,
        along columns and rows of the mosaic: there u and v run from −½ to ½. What is not there is 0.
    covariance : ndarray, shape (C, 4, 4)
        NaN for what is not there.
    shift : ndarray, shape (2,)
        How far the sky is seen to the right of and above its place, in mosaic pixels; 0 where it is not.
    shift_covariance : ndarray, shape (2, 2)
    """

    value: np.ndarray
    covariance: np.ndarray
    shift: np.ndarray = field(default_factory=lambda: np.zeros(2))
    shift_covariance: np.ndarray = field(default_factory=lambda: np.full((2, 2), np.nan))

    @property
    def errors(self):
        """Standard errors of `value`, shape (C, 4)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))

    @property
    def offset(self):
        """In adu, at a sky of 0; shape (C,)."""
        return self.value[:, _OFFSET]

    @property
    def offset_error(self):
        return self.errors[:, _OFFSET]

    @property
    def factor(self):
        """Factor of everything, the sky's own level too; shape (C,)."""
        return 1 + self.value[:, _GAIN]

    @property
    def factor_error(self):
        return self.errors[:, _GAIN]

    @property
    def slope(self):
        """In adu from end to end of what the tile knows, along columns and rows; shape (C, 2)."""
        return self.value[:, _SLOPES]

    @property
    def slope_error(self):
        return self.errors[:, _SLOPES]

    @property
    def shift_error(self):
        return np.sqrt(np.diag(self.shift_covariance))

    def with_seen(self, columns, values, level):
        """With other values, shape (C, 4), in some columns; all else looks as it did at a level, shape (C,)."""
        seen = at_level(self.value, level)
        seen[:, columns] = values[:, columns]
        return replace(self, value=at_zero(seen, level))

    def multiplier(self):
        """What takes offset and factor out, as pixel × gain + offset; slopes and shift left aside.

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


def at_level(terms, level):
    """Terms, shape (n, 4), their offsets at levels of the sky, shape (n,), in the place of 0: what is seen there."""
    seen = terms.copy()
    seen[:, _OFFSET] += level * terms[:, _GAIN]
    return seen


def at_zero(terms, level):
    """Terms, shape (n, 4), their offsets at a sky of 0 in the place of levels, shape (n,): `at_level` undone."""
    own = terms.copy()
    own[:, _OFFSET] -= level * terms[:, _GAIN]
    return own


def size_of(values, errors, columns):
    """One term in each channel, or the length of two, and its standard error.

    Parameters
    ----------
    values, errors : ndarray, shape (C, n)
    columns : tuple of int
        One or two.

    Returns
    -------
    size, error : ndarray, shape (C,)
        One term keeps its sign.
    """
    if len(columns) == 1:
        return values[:, columns[0]], errors[:, columns[0]]
    own = values[:, columns]
    size = np.hypot(*own.T)
    along = np.divide(own, size[:, np.newaxis], out=np.ones_like(own), where=size[:, np.newaxis] > 0)
    return size, np.hypot(*(along * errors[:, columns]).T)
