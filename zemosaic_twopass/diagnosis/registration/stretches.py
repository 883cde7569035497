"""Tiles that no shift brings to the others: turned, scaled or sheared against them, as a wrong solution leaves them.

What tile i shows at p lies by d_i + A_i (p − c_i) beside its place, with c_i the middle of the stars that it shares.
Of most tiles A is 0. Were it not known of one that is turned, its neighbours would seem displaced, each another way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import chdtri, fdtrc

# Stars from which four more terms are told, and how many there are with those of the shift.
_FEWEST_STARS = 5
# Tiles of which one can be told from the usual one.
_FEWEST_TILES = 4
_TERMS, _ALL_TERMS = 4, 6
# Less than this part of a term, once the shifts are solved for, is rounding: it is not told.
_RESOLVED = 1e-6
# How rare by chance what is left of a stretch without any one of its stars must be.
_STILL = 0.05
# What shows beside the stars' own width, in mosaic pixels.
_FLOOR = 0.1


@dataclass(frozen=True, eq=False)
class Stretch:
    """How a tile is turned, scaled and sheared against the others.

    Attributes
    ----------
    matrix : ndarray, shape (2, 2)
        A, in mosaic pixels a mosaic pixel: displacement along columns and rows (its rows) with place along columns and
        rows (its columns).
    reach : float
        How far from their middle its shared stars lie, root mean square, in mosaic pixels.
    error : float
        Standard error of `size`.
    significance : float
        In standard errors (Mahalanobis).
    chance : float
        Probability of so significant a one where there is none, in one of all tiles tested.
    """

    matrix: np.ndarray
    reach: float
    error: float
    significance: float
    chance: float

    @property
    def size(self):
        """By how much the stars at `reach` lie beside their places, root mean square, in mosaic pixels."""
        return float(self.reach * np.sqrt(np.sum(self.matrix**2) / 2))

    @property
    def turn(self):
        """In degrees, from columns towards rows."""
        (right, across), (along, down) = self._of_places
        return float(np.rad2deg(np.arctan2(along - across, right + down)))

    @property
    def scale(self):
        """Factor of all distances."""
        return float(np.sqrt(abs(np.linalg.det(self._of_places))))

    @property
    def _of_places(self):
        """What takes places to where the tile shows them, which A is about."""
        return np.linalg.inv(np.eye(2) - self.matrix)

    def matters(self, alarms):
        """Whether it is sure, to so small a probability, and shows."""
        return self.chance < alarms and self.size > _FLOOR


class Usual(NamedTuple):
    """What all tiles have, a distortion or frames that were rounded, and is no stretch of a single one.

    Attributes
    ----------
    place : float
        Variance of a coordinate of a place in a tile, as `Places.variance` has it, in square pixels.
    stretch : float
        Mean square of `Stretch.size` of the usual tile beyond what noise makes of it.
    told : int
        Of how many tiles it is known; 0 where they are too few to tell one from the usual one.
    """

    place: float
    stretch: float
    told: int


def usual_stretch(stretches):
    """All of `Usual` but for the places."""
    known = [own for own in stretches if own is not None]
    if len(known) < _FEWEST_TILES:
        return 0.0, 0
    size, error = (np.median(np.square([getattr(own, name) for own in known])) for name in ("size", "error"))
    return float(max(size - 2 * error, 0.0)), len(known)


def beyond_the_usual(stretch, index, fit, shared, together, usual):
    """A stretch with errors that allow for what all tiles have.

    Parameters
    ----------
    stretch : Stretch
        From `measure_stretches`.
    index : int
        Whose it is.
    fit : Adjustment
    shared : (ndarray, shape (m, 2), ndarray, shape (m,), ndarray, shape (m,))
        Places of the stars, tiles and numbers, as for that.
    together : Places
    usual : Usual

    Returns
    -------
    Stretch
    """
    places, tiles, numbers = shared
    total, own = np.bincount(numbers, fit.slope), tiles == index
    arms = np.where(own, (places - places[own].mean(axis=0)).T, 0.0)

    def less_mean(values):
        return np.array([one - (np.bincount(numbers, fit.slope * one) / total)[numbers] for one in values])

    # What an arm tells, its stars and the shifts of all tiles solved for.
    across = [np.bincount(tiles, fit.slope * one, minlength=len(fit.shifts)) for one in less_mean(arms)]
    told = fit.slope * less_mean(arms - (across @ fit.inverse)[:, tiles])
    normal = np.linalg.pinv(told @ arms.T, hermitian=True)
    covariance = fit.excess * normal + usual.place * normal @ together.felt_by(told) @ normal
    covariance += np.eye(2) * usual.stretch / (2 * stretch.reach**2)
    deviance = max(float(np.sum(stretch.matrix @ np.linalg.pinv(covariance, hermitian=True) * stretch.matrix)), 0.0)
    error = stretch.reach * float(np.sqrt(np.trace(covariance) / 2))
    return replace(stretch, error=error, significance=deviance**0.5, chance=_chance(deviance, fit.counts, index))


def leans_on_one(index, fit, shared):
    """Whether the stretch of a tile is that of one star, without which nothing is left of it that is sure.

    Parameters
    ----------
    index, fit, shared
        As for `beyond_the_usual`.

    Returns
    -------
    bool
    """
    places, tiles, numbers = shared
    own = tiles == index
    alone = (1 - fit.slope / np.bincount(numbers, fit.slope)[numbers])[own]
    # From where the other tiles have each star, and how sure that is.
    off = (fit.pulls[own] / fit.weight[own, np.newaxis]) / alone[:, np.newaxis]
    root = np.sqrt(fit.slope[own] * alone / fit.excess)[:, np.newaxis]
    arms = places[own] - places[own].mean(axis=0)
    design, values = root * np.column_stack([np.ones(len(off)), arms]), root * off
    # Of all the stars but one, for each: by how much the squares of the values become less than by their mean.
    normal = design.T @ design - design[:, :, np.newaxis] * design[:, np.newaxis]
    right = design.T @ values - design[:, :, np.newaxis] * values[:, np.newaxis]
    fall = np.sum(right * (np.linalg.pinv(normal, hermitian=True) @ right), axis=(1, 2))
    fall -= np.sum(right[:, 0] ** 2, axis=1) / normal[:, 0, 0]
    return bool(fall.min() < chdtri(_TERMS, _STILL))


def _chance(deviance, counts, index):
    """Probability of so large a fall of the deviance in any of the tiles that share enough stars."""
    tested = np.count_nonzero(counts >= _FEWEST_STARS)
    return float(tested * fdtrc(_TERMS, 2 * counts[index] - _ALL_TERMS, deviance / _TERMS))


def measure_stretches(fit, places, tiles, numbers):
    """What is left of A in each tile by itself, with the shifts of all tiles free beside it.

    Parameters
    ----------
    fit : Adjustment
    places : ndarray, shape (m, 2)
        Places of the stars in mosaic pixels, sorted by star.
    tiles, numbers : ndarray of int, shape (m,)
        As for `adjust`.

    Returns
    -------
    middles : ndarray, shape (N, 2)
        c of each tile.
    stretches : list of (Stretch or None)
        One a tile; None where it shares fewer than five stars, or they do not tell it beside the shifts.
    """
    count = len(fit.shifts)
    known = np.maximum(fit.counts, 1)

    def sums(values):
        return np.bincount(tiles, values, minlength=count)

    def table(values):
        return csr_array((values, (numbers, tiles)), shape=(int(numbers[-1]) + 1, count))

    middles = np.stack([sums(axis) / known for axis in places.T], axis=1)
    arms = (places - middles[tiles]).T
    reach = np.sqrt(sums(np.sum(arms**2, axis=0)) / known)
    # The stars are eliminated; an arm of a tile is then in the equations of all that share its stars.
    total, seen = np.bincount(numbers, fit.slope)[numbers], table(fit.slope)
    across = np.stack(
        [np.diag(sums(fit.slope * arm)) - (table(fit.slope * arm / total).T @ seen).toarray() for arm in arms]
    )
    free = fit.slope * (1 - fit.slope / total)
    alone = np.array([[sums(free * one * other) for other in arms] for one in arms])
    normal = alone - np.einsum("anj,bnj->abn", across @ fit.inverse, across)
    right = np.array([[sums(arm * pull) for arm in arms] for pull in fit.pulls.T])
    found = [None] * count
    for index in np.flatnonzero(fit.counts >= _FEWEST_STARS).tolist():
        if not np.linalg.eigvalsh(normal[..., index])[0] > _RESOLVED * np.trace(alone[..., index]):
            continue
        inverse = np.linalg.inv(normal[..., index])
        matrix = right[..., index] @ inverse
        deviance = max(float(np.sum(right[..., index] * matrix)) / fit.excess, 0.0)
        error = reach[index] * np.sqrt(fit.excess * np.trace(inverse) / 2)
        chance = _chance(deviance, fit.counts, index)
        found[index] = Stretch(matrix, float(reach[index]), float(error), deviance**0.5, chance)
    return middles, found
