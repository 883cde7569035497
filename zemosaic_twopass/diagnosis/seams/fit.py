"""The step at an edge, read off each column across it and put together along the edge.

Each column by itself is fitted by least squares: a smooth run on both sides and a step between them. A column in which
there is a star is one outlier among twenty, and the scatter of the columns is the error, whatever is in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD, HUBER

_NONE = 1e-6
_EXACT = 1e-4
_ROUNDS = 6
# A side has a slope of its own from as many cells on.
_SLOPED = 4
_FEWEST_COLUMNS = 5
# By so many columns is the scatter of a stretch taken for at least what is usual.
_PRIOR = 3
# Where a ramp in place of a step begins and ends, in pixels from the edge, negative inside.
RAMPS = (0.0, 0.0), (-10.0, 0.0), (-20.0, 0.0), (-30.0, 0.0), (-6.0, 6.0), (-15.0, 15.0)
# A ramp must be better than a step by so much of the deviance.
_BETTER = 30.0


@dataclass(frozen=True, eq=False)
class Filters:
    """What a column is multiplied by to read off it a step.

    Attributes
    ----------
    step : ndarray, shape (n, columns, m)
        Inside − outside at the edge.
    gain : ndarray, shape (n, columns)
        How much of the variance of a cell is in the step; infinite where it cannot be read.
    """

    step: np.ndarray
    gain: np.ndarray

    @classmethod
    def of(cls, strips, ramp=RAMPS[0]):
        """Filters by the cells that are known, all alike: both sides have a slope each, beside a ramp one slope.

        Parameters
        ----------
        strips : Strips
        ramp : (float, float), optional
            Where the step begins and ends.
        """
        known, distance = strips.known, strips.distance / 32.0
        inside = strips.distance < 0
        sides = np.stack([known & inside, known & ~inside])
        # A straight line from two cells to an edge is longer than they are.
        sloped = (sides.sum(axis=-1) >= _SLOPED)[..., np.newaxis]
        if ramp != RAMPS[0]:
            # A slope of its own would take part of the ramp.
            smooth = [distance, np.zeros_like(distance)]
        else:
            smooth = [distance * inside * sloped[0], distance * ~inside * sloped[1]]
        design = np.stack([rise(strips.distance, ramp), np.ones_like(distance), *smooth], axis=-1) * known[..., None]
        gram = np.swapaxes(design, -1, -2) @ design
        # What the cells do not tell of the surface is 0, and the step what is left.
        gram += np.diag([0.0, 0.0, _NONE, _NONE])
        enough = sides.any(axis=-1).all(axis=0)
        gram = np.where(enough[..., None, None], gram, np.eye(design.shape[-1]))
        unit = np.zeros(design.shape[-1])
        unit[0] = 1.0
        inverse = np.linalg.solve(gram, np.broadcast_to(unit, gram.shape[:-1])[..., np.newaxis])
        step = (design @ inverse)[..., 0]
        return cls(step, np.where(enough, np.sum(step**2, axis=-1), np.inf))

    @classmethod
    def by_scatter(cls, distance, known, scatter):
        """Filters by the cells that are known, weighed by how they scatter where no edge is.

        Parameters
        ----------
        distance : ndarray, shape (n, columns, m)
            The same for all.
        known : ndarray, shape (n, columns, m), bool
        scatter : ndarray, shape (m, m)
            Covariance.
        """
        ahead = distance.reshape(-1, distance.shape[-1])[0]
        patterns, pattern = np.unique(known.reshape(-1, len(ahead)), axis=0, return_inverse=True)
        design = np.stack([ahead < 0, np.ones_like(ahead), ahead / 32.0], axis=-1) * patterns[..., np.newaxis]
        # What is not known is left out.
        own = np.where(patterns[:, np.newaxis] & patterns[..., np.newaxis], scatter, 0.0)
        own += np.where(patterns, 0.0, 1.0)[:, np.newaxis] * np.eye(len(ahead))
        weighed = np.linalg.solve(own, design)
        enough = (patterns & (ahead < 0)).any(axis=-1) & (patterns & (ahead > 0)).any(axis=-1)
        gram = np.swapaxes(design, -1, -2) @ weighed + np.diag([0.0, 0.0, _NONE])
        gram = np.where(enough[:, np.newaxis, np.newaxis], gram, np.eye(3))
        step = (weighed @ np.linalg.inv(gram)[..., :1])[..., 0]
        gain = np.where(enough, np.sum(step * (step @ scatter), axis=-1), np.inf)
        shape = known.shape
        return cls(step[pattern.ravel()].reshape(shape), gain[pattern.ravel()].reshape(shape[:-1]))

    def read(self, values):
        """Steps of every column of values of shape (n, C, columns, m): (n, C, columns), NaN where there is none."""
        # What counts for nothing need not be known.
        values = np.where((self.step != 0)[:, np.newaxis], values, 0.0)
        found = np.einsum("ncjm,njm->ncj", values, self.step)
        return np.where(np.isfinite(self.gain)[:, np.newaxis], found, np.nan)


def rise(distance, ramp):
    """1 inside, 0 outside, and a straight line from the one to the other where a ramp begins and ends."""
    first, last = ramp
    if first == last:
        return (distance < first).astype(float)
    return np.clip((last - distance) / (last - first), 0.0, 1.0)


def along(steps, gain):
    """The steps of the columns of each stretch as one, with its error.

    Parameters
    ----------
    steps : ndarray, shape (n, C, columns)
    gain : ndarray, shape (n, columns)
        Variance of a column relative to others.

    Returns
    -------
    step, error : ndarray, shape (n, C)
        A Huber mean, and its error by the scatter of the columns and, where that is small by chance, of the other
        stretches; NaN where fewer than five columns can be read.
    """
    known = np.isfinite(steps)
    weight = np.where(known, 1 / gain[:, np.newaxis], 0.0)
    steps = np.where(known, steps, 0.0)
    mean, root = median_of_known(np.where(known, steps, np.nan)), np.sqrt(weight)
    for _ in range(_ROUNDS):
        far = np.abs(steps - mean[..., np.newaxis]) * root
        spread = GAUSSIAN_MAD * median_of_known(np.where(known, far, np.nan))[..., np.newaxis]
        far /= np.maximum(spread, np.finfo(float).tiny)
        robust = weight * np.minimum(1.0, HUBER / np.maximum(far, HUBER))
        mean = np.sum(robust * steps, axis=-1) / np.maximum(robust.sum(axis=-1), np.finfo(float).tiny)
    influence = robust * (steps - mean[..., np.newaxis])
    square = np.sum(influence**2, axis=-1)
    count, total = known.sum(axis=-1), weight.sum(axis=-1)
    inner = np.maximum(np.sum(weight * (far <= HUBER), axis=-1), 0.3 * total)
    enough = count >= _FEWEST_COLUMNS
    with np.errstate(invalid="ignore", divide="ignore"):
        # In units of what the columns' weights say.
        unit = np.where(enough, square * count / (count - 1) / inner**2 * total, np.nan)
        usual = median_of_known(unit.T)
        unit = np.maximum(unit, ((count - 1) * unit + _PRIOR * usual) / (count - 1 + _PRIOR))
        return np.where(enough, mean, np.nan), np.sqrt(unit / total)


def profiles(values):
    """Medians along edges of values of shape (n, C, columns, m), and their errors: (n, C, m) each."""
    columns = np.moveaxis(values, 2, -1)
    level = median_of_known(columns)
    spread = GAUSSIAN_MAD * median_of_known(np.abs(columns - level[..., np.newaxis]))
    count = np.isfinite(columns).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 2, level, np.nan), np.where(count > 2, 1.25 * spread / np.sqrt(count), np.nan)


def ramps_of(level, error, strips):
    """Which of `RAMPS` the values across each edge show: index, shape (n,); 0, a step, unless another is much better.

    Parameters
    ----------
    level, error : ndarray, shape (n, C, m)
        As `profiles` gives them.
    strips : Strips
    """
    distance = strips.middle_distance
    known = np.isfinite(level).all(axis=1) & np.isfinite(distance)
    distance = np.nan_to_num(distance)
    # One unit for all cells of an edge, for of few columns the scatter is itself uncertain.
    unit = median_of_known(np.where(np.isfinite(level), error, np.nan))
    # A mean of the very tiles leaves no noise.
    exact = _EXACT * np.max(np.abs(np.nan_to_num(level)), axis=-1, initial=0.0)
    unit = np.maximum(unit, exact + np.finfo(np.float32).tiny)
    level = np.where(known[:, np.newaxis], level / unit[..., np.newaxis], 0.0)
    inside, smooth = distance < 0, []
    for term in (np.ones_like(distance), distance):
        smooth.append(_beside(term * known, smooth))
    level = level - sum((level @ own[..., np.newaxis]) * own[:, np.newaxis] for own in smooth)
    left = [np.sum(level**2, axis=(1, 2))] * len(RAMPS)
    for index, ramp in enumerate(RAMPS):
        # A step has a slope on either side, a ramp the same all across.
        basis = list(smooth)
        for term in (rise(distance, ramp), distance * inside)[: 2 if ramp == RAMPS[0] else 1]:
            basis.append(_beside(term * known, basis))
            left[index] = left[index] - np.sum((level @ basis[-1][..., np.newaxis]) ** 2, axis=(1, 2))
    least = np.min(left, axis=0)
    # Where even the best is not good, the unit is too small.
    usual = np.maximum(least / np.maximum(known.sum(axis=-1) * level.shape[1], 1), 1.0)
    return np.where(left[0] - least > _BETTER * usual, np.argmin(left, axis=0), 0)


def _beside(term, basis):
    """What a term, shape (n, m), has beside an orthonormal basis, of length 1; 0 where that is nothing."""
    own = term
    for other in basis:
        own = own - np.sum(own * other, axis=-1, keepdims=True) * other
    square = np.sum(own**2, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(square > _NONE**2 * np.sum(term**2, axis=-1, keepdims=True), own / np.sqrt(square), 0.0)
