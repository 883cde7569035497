"""The scale of every tile from the brightness of the stars that it shares: it does not ask what the sky looks like.

Star s is as bright as a_i F_s in tile i. Logarithms make it linear; the stars are eliminated, what is left is one
equation a tile and channel, solved with Huber's weights (as photometric solutions do: Padmanabhan et al. 2008,
ApJ 674, 1217).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ...measure.fluxes import TELLS_GROWTH
from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD, HUBER

# Fewer stars say nothing of the scale of a tile.
FEWEST_STARS = 3
# In errors.
_LEAST_SIGNAL = 7.0
_ITERATIONS = 30
_SETTLED = 1e-6
# Relative: what pixels do to a star, however bright.
_SYSTEMATIC = 0.01
# Tiles may differ by so much at least in what lies outside the apertures, as part of a star.
_SHAPES = 0.01
# Beyond the curve of growth lies so much of what it shows, as little as nothing and as much as twice that: from a
# Gaussian to a Moffat profile of β = 2.5.
_BEYOND = 0.08
# How far the errors from the pixels' noise are trusted before the stars speak for themselves.
_PRIOR_FREEDOM = 3.0
# And of how many stars is worth what those of all tiles say of the scatter of one tile's.
_OWN_FREEDOM = 10.0
_TINY = np.finfo(float).tiny
# Part of the largest eigenvalue: less is rounding.
_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class StarScales:
    """Scale of each tile from shared stars.

    Attributes
    ----------
    logarithm : ndarray, shape (N, C)
        Logarithm of the scale, natural, with mean 0 over tiles that are joined by stars; NaN for a tile that shares
        fewer than three measured stars.
    covariance : ndarray, shape (C, N, N)
        Covariance of the logarithms; of a sum of them that adds up to 0 over tiles that are joined.
    groups : ndarray of int, shape (N, C)
        Tiles with the same number are joined by stars.
    counts : ndarray of int, shape (N, C)
        Measured stars that each tile shares with others.
    excess : ndarray, shape (C,)
        By how much the variance of the stars is more than the noise of their pixels makes it, at least 1.
    """

    logarithm: np.ndarray
    covariance: np.ndarray
    groups: np.ndarray
    counts: np.ndarray
    excess: np.ndarray

    @classmethod
    def none(cls, count, channels):
        """Scales of tiles that have no star in common."""
        return cls(
            np.full((count, channels), np.nan),
            np.zeros((channels, count, count)),
            np.zeros((count, channels), dtype=int),
            np.zeros((count, channels), dtype=int),
            np.ones(channels),
        )

    def against_others(self, factor):
        """By what the stars of each tile are too bright once factors have been taken out of the tiles.

        Parameters
        ----------
        factor : ndarray, shape (N, C), or float
            Positive; 1 for a tile that stays as it is.

        Returns
        -------
        left, error : ndarray, shape (N, C)
            Logarithm of the scale of the tile less the median of the other tiles that stars join it to, and its
            standard error; NaN where there is none.
        """
        found = np.full((2, *self.logarithm.shape), np.nan)
        rest = self.logarithm - np.log(factor)
        for channel, own in enumerate(rest.T):
            for index in np.flatnonzero(np.isfinite(own)):
                same = np.isfinite(own) & (self.groups[:, channel] == self.groups[index, channel])
                same[index] = False
                if not same.any():
                    continue
                contrast = same / -np.count_nonzero(same)
                contrast[index] = 1.0
                variance = contrast @ self.covariance[channel] @ contrast
                found[:, index, channel] = own[index] - median_of_known(own[same]), np.sqrt(max(variance, 0.0))
        return found


def star_scales(fluxes, entries, tiles, numbers):
    """Compare the tiles by the brightness of the stars that they share.

    Parameters
    ----------
    fluxes : sequence of Fluxes
        One a tile.
    entries : ndarray of int, shape (m,)
        Which of the stars of all tiles, one tile after the other, are in more than one.
    tiles, numbers : ndarray of int, shape (m,)
        Whose each of them is, and which star it is, from 0 up.

    Returns
    -------
    StarScales
    """
    count, channels = len(fluxes), fluxes[0].flux.shape[1]
    flux, error, *growth = (
        np.concatenate([getattr(own, name) for own in fluxes])[entries]
        for name in ("flux", "error", "growth", "growth_error")
    )
    found = StarScales.none(count, channels)
    for channel in range(channels):
        known = _bright(flux[:, channel], error[:, channel], numbers)
        known, stars = _choose_telling(known, tiles, numbers[known], count)
        if not len(known):
            continue
        relative = error[known, channel] / flux[known, channel]
        beyond, beyond_error = _growth(*(own[:, channel] for own in growth), tiles, numbers, count)
        whole = flux[known, channel] * beyond[tiles[known]]
        shared = tiles[known], stars
        found.counts[:, channel] = np.bincount(tiles[known], minlength=count)
        scale, covariance, groups, found.excess[channel] = _solve(np.log(whole), relative, shared, count)
        there = found.counts[:, channel] > 0
        found.logarithm[there, channel], found.groups[:, channel] = scale[there], groups
        found.covariance[channel] = covariance + np.diag(beyond_error**2)
    return found


def _bright(flux, error, numbers):
    """Entries of stars that stand out far enough in the mean of their tiles.

    By what one tile has it would be asked for more where noise has made it brighter.
    """
    known = np.flatnonzero(np.isfinite(flux))
    # Where whole numbers are coarser than the noise, a background may show none.
    with np.errstate(divide="ignore"):
        signal = np.bincount(numbers[known], flux[known] / error[known]) / np.maximum(np.bincount(numbers[known]), 1)
    return known[signal[numbers[known]] > _LEAST_SIGNAL]


def _choose_telling(known, tiles, stars, count):
    """Choose of known entries those that tell something of a scale, and number their stars from 0 up, without a gap.

    A star that only one tile has measured says nothing, nor does a tile with too few of them.
    """
    while len(known):
        stars = np.unique(stars, return_inverse=True)[1]
        often = np.bincount(stars)[stars] > 1
        enough = np.bincount(tiles[known], minlength=count)[tiles[known]] >= FEWEST_STARS
        if not np.all(often & enough):
            kept = enough if np.all(often) else often
            known, stars = known[kept], stars[kept]
            continue
        # Tiles that are not joined are not held against one another, so there it is another star.
        apart = stars * count + _number_groups(tiles[known], stars, count)
        if len(np.unique(apart)) == stars.max() + 1:
            break
        stars = apart
    return known, stars


def _number_groups(tiles, numbers, count):
    """Number the groups of tiles that enough stars join, directly or through others; one an entry."""
    group, before, ones = np.arange(count), count + 1, np.ones(len(tiles))
    while (number := int(group.max()) + 1) < before:
        seen = csr_array((ones, (group[tiles], numbers)), shape=(number, int(numbers.max()) + 1))
        seen.data[:] = 1.0
        joined = connected_components((seen @ seen.T) >= FEWEST_STARS, directed=False)[1]
        before, group = number, joined[group]
    return group[tiles]


def _growth(growth, error, tiles, numbers, count):
    """What lies outside the apertures of each tile, and the relative error of what is left of it, shape (N,) each.

    By stars that tiles share, for what a star has beside it is in all of them. In apertures as wide as the stars it is
    nearly the same in all: what a tile tells of its own counts by how surely tiles differ (Efron & Morris 1975, J. Am.
    Stat. Assoc. 70, 311).
    """
    more, left = np.zeros(count), np.full(count, _SHAPES)
    known = np.flatnonzero(np.isfinite(growth))
    known, stars = _choose_telling(known, tiles, numbers[known], count)
    if not len(known):
        return np.exp(more), left
    shared, number = (tiles[known], stars), np.bincount(tiles[known], minlength=count)
    own, covariance, groups, _ = _solve(np.log(growth[known]), error[known] / growth[known], shared, count)
    # How a few stars scatter, in pixels that share their noise, is not known from them alone.
    told, enough = number > 0, np.maximum(number, 1)
    variance = (enough**2 * np.diag(covariance) + FEWEST_STARS * TELLS_GROWTH**2) / (enough + FEWEST_STARS) / enough
    weight = np.where(told, 1 / variance, 0.0)
    differ = max(np.average(own**2 - variance, weights=weight), _SHAPES**2)
    more = np.where(told, own * differ / (differ + variance), 0.0)
    # The mean of tiles that no star joins to others is not known, nor is that of one that tells nothing.
    apart = differ / np.bincount(groups)[groups] if len(np.unique(groups[told])) > 1 else 0.0
    left = np.sqrt(np.where(told, differ * variance / (differ + variance) + apart, differ))
    return np.exp((1 + _BEYOND) * more), np.hypot(left, _BEYOND * more)


def _solve(values, errors, shared, count):
    """Scales that bring the same stars together, their covariance, groups of tiles that stars join, and the excess."""
    tiles, numbers = shared
    inherent = 1 / (errors**2 + _SYSTEMATIC**2)
    weight, scale = inherent, np.zeros(count)
    for _ in range(_ITERATIONS):
        inverse = _inverse(weight, tiles, numbers, count)
        before, scale = scale, inverse @ np.bincount(tiles, weight * _less_mean(values, weight, numbers), count)
        left = _less_mean(values - scale[tiles], weight, numbers)
        share = weight / np.bincount(numbers, weight)[numbers]
        size = np.abs(left) * np.sqrt(inherent / np.maximum(1 - share, _TINY))
        limit = max(HUBER * max(1.0, GAUSSIAN_MAD * float(np.median(size))), _TINY)
        huber = limit / np.maximum(size, limit)
        weight = inherent * huber
        if np.max(np.abs(scale - before)) < _SETTLED:
            break
    # Huber 1981, Robust Statistics, section 7.6.
    slope = np.mean(size <= limit)
    free = max(len(values) - (numbers.max() + 1) - np.count_nonzero(np.bincount(tiles)) + 1, 0)
    excess = float(np.mean((huber * size) ** 2)) / slope
    # Errors of pixels that are independent are too small; what a few stars scatter by is not known.
    excess = max((free * excess + _PRIOR_FREEDOM) / (free + _PRIOR_FREEDOM), 1.0)
    inverse = _inverse(inherent * (size <= limit), tiles, numbers, count)
    pull = weight * left / np.sqrt(np.maximum(1 - share, _TINY))
    pulls = csr_array((pull, (numbers, tiles)), shape=(numbers.max() + 1, count))
    # No star is surer than the noise of its pixels lets it be.
    own = np.sqrt(np.maximum(_own_scatter(pulls, inverse, excess), 1.0))
    return scale, inverse * np.outer(own, own), _groups_of(tiles, numbers, count), excess


def _own_scatter(pulls, inverse, excess):
    """By how much the variance of each scale is more than the pixels' noise makes it, shape (N,).

    What its own stars say, a sandwich with one cluster a star (Liang & Zeger 1986, Biometrika 73, 13), counts by how
    many they are beside the excess of all: stars scatter more in one tile than in another, as where they are sharper
    than a pixel.
    """
    seen, counts = np.sum((pulls @ inverse) ** 2, axis=0), np.diff(pulls.tocsc().indptr)
    seen = np.divide(seen, np.diag(inverse), out=np.full(len(inverse), excess), where=np.diag(inverse) > 0)
    return (counts * seen + _OWN_FREEDOM * excess) / (counts + _OWN_FREEDOM)


def _less_mean(values, weight, numbers):
    """Values less the weighted mean of their star."""
    return values - (np.bincount(numbers, weight * values) / np.bincount(numbers, weight))[numbers]


def _inverse(weight, tiles, numbers, count):
    """Pseudo-inverse of the normal matrix, 0 for a scale that all tiles joined by stars have."""
    total = np.maximum(np.bincount(numbers, weight), _TINY)
    table = csr_array((weight, (numbers, tiles)), shape=(len(total), count))
    # Its rows add up to 0. The weights on the diagonal, less what is eliminated, would leave more rounding than that
    # where one tile knows the stars far better than the other.
    normal = -(table.T @ (table / total[:, np.newaxis])).toarray()
    np.fill_diagonal(normal, 0.0)
    np.fill_diagonal(normal, -normal.sum(axis=1))
    return np.linalg.pinv(normal, _NOTHING, hermitian=True)


def _groups_of(tiles, numbers, count):
    """A number for each tile, the same for those that stars join."""
    links = csr_array((np.ones(len(tiles)), (numbers, tiles)), shape=(numbers.max() + 1, count))
    return connected_components(links.T @ links, directed=False)[1]
