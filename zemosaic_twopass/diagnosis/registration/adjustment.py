"""Adjustment of the places of all tiles to the stars that they share: one least-squares solution, with errors.

Star s lies in tile i at q_s + d_i + noise. The places q of the stars and the shifts d of the tiles that fit best
together are the linear part of what SCAMP solves (Bertin 2006, ASP Conf. Ser. 351, 112), here with Huber's weights.
The stars are eliminated: what is left is one equation a tile, the same for x and y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

# Where most stars are in two tiles that share no other they all fit to the last bit: whatever does not would weigh
# nothing beside them, and its tiles not be placed at all.
_LEAST_LIMIT = 1e-3
_RAYLEIGH_LIMIT = 2.0
_RAYLEIGH_MEDIAN = 1.1774
_ITERATIONS = 30
_SETTLED = 1e-5
# Errors of one coordinate of a star in pixels: what pixels do to a sharp star, however bright; and the most that is
# looked for where bright stars lie no better than faint ones, as those that were debayered, and cut by a filter, do.
_SYSTEMATIC = 0.005
_MOST_SYSTEMATIC = 0.5
_HALVINGS = 8
# So few places do not tell bright from faint.
_FEWEST_PLACES = 20
_MOST_LEVERAGE = 0.9
# How far the errors from the pixels' noise are trusted before the stars speak for themselves.
_PRIOR_FREEDOM = 10.0


@dataclass(frozen=True, eq=False)
class Adjustment:
    """Shifts of tiles that bring the same stars together.

    Attributes
    ----------
    shifts : ndarray, shape (N, 2)
        In mosaic pixels, with mean 0 over all tiles that are joined by stars.
    counts : ndarray of int, shape (N,)
        Stars that each tile shares with others.
    inverse : ndarray, shape (N, N)
        Pseudo-inverse of the normal matrix; times `excess` the covariance of one coordinate.
    excess : float
        By how much the variance of the stars' places is more than the noise of the pixels makes it.
    scores : tuple of csr_array, shape (S, N)
        Scores of x and of y: what each star pulls at each tile where the others have put it.
    slope : ndarray, shape (m,)
        Weight of each entry in the normal matrix.
    weight : ndarray, shape (m,)
        Weight of each entry in the solution, as large or larger.
    pulls : ndarray, shape (m, 2)
        What each star pulls at its tile where the others have put it, as it is in the solution.
    """

    shifts: np.ndarray
    counts: np.ndarray
    inverse: np.ndarray
    excess: float
    scores: tuple
    slope: np.ndarray
    weight: np.ndarray
    pulls: np.ndarray

    def errors(self):
        """Standard error of one coordinate of each tile by the noise of the pixels, shape (N,)."""
        return np.sqrt(self.excess * np.diagonal(self.inverse))

    def covariance(self, contrast):
        """Covariance of a combination of shifts, and its degrees of freedom.

        That of the pixels' noise, which all stars scale, and that of the tile's own stars (a sandwich with one cluster
        a star, Liang & Zeger 1986, corrected for leverage, Bell & McCaffrey 2002, Survey Methodology 28, 169), each
        with the weight of its degrees of freedom, as in the moderated t (Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3).

        Parameters
        ----------
        contrast : ndarray, shape (N,)
            Sums to 0 over tiles that are joined by stars.

        Returns
        -------
        covariance : ndarray, shape (2, 2)
        freedom : float
        """
        influence = self.inverse @ contrast
        parts = np.stack([axis @ influence for axis in self.scores])
        own = parts @ parts.T
        share = (parts**2).sum(axis=0)
        freedom = max(share.sum() ** 2 / max(float((share**2).sum()), np.finfo(float).tiny) - 1, 0.0)
        expected = np.eye(2) * self.excess * float(contrast @ influence)
        total = freedom + _PRIOR_FREEDOM
        return (freedom * own + _PRIOR_FREEDOM * expected) / total, total


def adjust(places, errors, tiles, numbers, count):
    """Adjust the places of tiles to the stars that they share.

    Parameters
    ----------
    places : ndarray, shape (m, 2)
        Places of every star in every tile that has it, in mosaic pixels.
    errors : ndarray, shape (m,)
        Error of one coordinate, by the noise of the pixels.
    tiles, numbers : ndarray of int, shape (m,)
        Which tile, and which star from 0 up, sorted by star; each star is in at least two tiles.
    count : int
        Number of tiles.

    Returns
    -------
    Adjustment
        A tile without stars stays where it is, with no error.
    """
    stars = _SharedStars(tiles, numbers, count)
    if not len(tiles):
        nothing, left = csr_array((0, count)), np.empty((0, 2))
        zeros = np.zeros((count, count + 2))
        return Adjustment(
            zeros[:, :2], stars.counts, zeros[:, 2:], 0.0, (nothing, nothing), left[:, 0], left[:, 0], left
        )
    inherent = 1 / (errors**2 + _SYSTEMATIC**2)
    shifts, weight, left, size, limit = _fit_shifts(stars, places, inherent)
    systematic = _systematic(np.hypot(*left.T) / np.sqrt(1 - 1 / stars.total(np.ones(len(tiles)))), errors)
    if systematic > _SYSTEMATIC:
        inherent = 1 / (errors**2 + systematic**2)
        shifts, weight, left, size, limit = _fit_shifts(stars, places, inherent)
    huber = weight / inherent
    # Slope of Huber's score for a vector: 1 inside; outside 0 along it and limit/size across it.
    slope = np.where(size <= limit, 1.0, huber / 2)
    # Huber 1981, Robust Statistics, section 7.6, for one of the two coordinates.
    excess = float(np.mean(np.minimum(size, limit) ** 2) / 2 / np.mean(slope))
    # Tiles that few stars place fit them too well.
    entries = len(tiles) - len(np.unique(numbers))
    free = max(entries - np.count_nonzero(stars.counts), 0)
    excess = (entries * excess * (free > 0) + _PRIOR_FREEDOM) / (free + _PRIOR_FREEDOM)
    slope *= inherent
    inverse = stars.inverse(slope)
    # Left out, a star would lie that much further from where the others have put its tile.
    leverage = np.minimum(slope * (1 - slope / stars.total(slope)) * np.diagonal(inverse)[tiles], _MOST_LEVERAGE)
    scores = tuple(stars.table(weight * axis / np.sqrt(1 - leverage)) for axis in left.T)
    return Adjustment(shifts, stars.counts, inverse, excess, scores, slope, weight, weight[:, np.newaxis] * left)


def _fit_shifts(stars, places, inherent):
    """(shifts, weights, what is left, its size in errors, limit of Huber's weights) by errors as they are known."""
    weight, shifts = inherent, np.zeros((len(stars.counts), 2))
    for _ in range(_ITERATIONS):
        before, shifts = shifts, stars.inverse(weight) @ stars.pull(places, weight)
        left = stars.less_mean(places - shifts[stars.tiles], weight)
        size = np.hypot(*left.T) / np.sqrt(stars.own_variance(inherent, weight))
        limit = max(_RAYLEIGH_LIMIT * float(np.median(size)) / _RAYLEIGH_MEDIAN, _LEAST_LIMIT)
        weight = inherent * limit / np.maximum(size, limit)
        if np.max(np.abs(shifts - before)) < _SETTLED:
            break
    return shifts, weight, left, size, limit


def _systematic(apart, errors):
    """Error beside that of the noise, with which the brighter half of the places fits as well as the fainter half."""
    least, most = _SYSTEMATIC**2, _MOST_SYSTEMATIC**2
    bright = errors <= np.median(errors)
    if np.count_nonzero(~bright) < _FEWEST_PLACES:
        return np.sqrt(least)

    def worse(variance):
        chi2 = apart**2 / (errors**2 + variance)
        return np.median(chi2[bright]) > np.median(chi2[~bright])

    if not worse(least):
        return np.sqrt(least)
    for _ in range(_HALVINGS):
        middle = np.sqrt(least * most)
        least, most = (middle, most) if worse(middle) else (least, middle)
    return np.sqrt(least)


def information(covariance):
    """Inverse of a covariance, shape (p, p): 0 for a term of infinite variance, of which nothing is known."""
    known = np.flatnonzero(np.isfinite(np.diag(covariance)))
    known = np.ix_(known, known)
    inverse = np.zeros_like(covariance)
    # Not of the whole: with an infinity in it, NumPy 2.5 gives up where older ones gave NaN.
    inverse[known] = np.linalg.pinv(covariance[known])
    return inverse


def in_errors(values, covariance):
    """Values in units of their own standard errors; 0 where the error is 0 or infinite."""
    error = np.sqrt(np.diag(covariance))
    return np.divide(values, error, out=np.zeros(len(values)), where=(error > 0) & np.isfinite(error))


class _SharedStars:
    """Which star is in which tile, and the sums that follow from it; arrays of one value an entry."""

    def __init__(self, tiles, numbers, count):
        self.tiles, self._numbers, self._count = tiles, numbers, count
        self._starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        self.counts = np.bincount(tiles, minlength=count)
        # Made once, with other values each time; so is what does not depend on these.
        self._own = self.table(np.ones(len(tiles))), self.table(np.ones(len(tiles)))
        _, groups = connected_components(self._own[0].T @ self._own[1], directed=False)
        self._common = (groups[:, np.newaxis] == groups) / np.bincount(groups)[groups]

    def table(self, values):
        """Entries as an array of stars by tiles."""
        shape = len(self._starts), self._count
        return csr_array((values, self.tiles, np.append(self._starts, len(self.tiles))), shape=shape)

    def total(self, weight):
        """Sum over the star of each entry."""
        return np.add.reduceat(weight, self._starts)[self._numbers]

    def less_mean(self, places, weight):
        """Places less the weighted mean of their star."""
        mean = np.add.reduceat(weight[:, np.newaxis] * places, self._starts)[self._numbers]
        return places - mean / self.total(weight)[:, np.newaxis]

    def own_variance(self, inherent, weight):
        """Variance of what is left of a place when its star's mean, which it is a part of, is taken off."""
        share = weight / self.total(weight)
        others = self.total(weight**2 / inherent) / self.total(weight) ** 2
        return (1 - 2 * share) / inherent + others

    def pull(self, places, weight):
        """Right side of the normal equations, shape (N, 2)."""
        left = weight[:, np.newaxis] * self.less_mean(places, weight)
        return np.stack([np.bincount(self.tiles, axis, minlength=self._count) for axis in left.T], axis=1)

    def inverse(self, weight):
        """Pseudo-inverse of the normal matrix, shape (N, N); 0 for a shift of all tiles that are joined."""
        normal = np.diag(np.bincount(self.tiles, weight, minlength=self._count))
        first, second = self._own
        first.data, second.data = weight, weight / self.total(weight)
        normal -= (first.T @ second).toarray()
        # With what stars do not tell added to it, and taken out again, the matrix has an inverse.
        size = np.trace(normal) / self._count
        return np.linalg.inv(normal + size * self._common) - self._common / size
