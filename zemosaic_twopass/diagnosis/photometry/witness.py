"""What the stars that tiles share say of their gains: a second witness beside the sky, in one channel.

Where the sky is flat nothing in it tells a gain from an offset, and where light lies on it that is in no term of the
model a gain explains that light best. Stars see neither: their logarithm of a scale is one more observation of each
gain, and what the sky says of a gain counts as long as they agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from .normal_equations import Equations, solve_symmetric
from .tile_fit import STRUCTURE

# In errors of the stars, and as a part of a scale: where sky and stars are further apart, the sky's gain is none.
_CONTRADICTED = 3.0
_LEAST_APART = 0.03
# A gain as far from 1 is an exposure or unit of its own: how sharp structure is, is measured in that.
_OWN_UNIT = 2.0
_LEAST_FACTOR = 1e-9
# Level and noise that are both so far off, and off alike, are those of other units; how well they tell the logarithm.
_OTHER_UNITS, _SAME_FACTOR = 20.0, 4.0
_UNIT_ERROR = 0.3
# Errors of a gain below this change nothing.
_LEAST_ERROR = 1e-4
# An offset of so much of the level, and of the noise of a block, may be a gain; what then tells it without stars.
_LARGE_PART = 0.1
_LARGE_OFFSET = 80.0
_LESS_STRUCTURE = 0.5


@dataclass(frozen=True, eq=False)
class Witness:
    """Scales by stars in one channel.

    Attributes
    ----------
    logarithm : ndarray, shape (N,)
        Natural, of the scale of each tile over the usual one of those that stars join; NaN where they are silent.
    error : ndarray, shape (N,)
        Standard error of a tile's against the others.
    information : ndarray, shape (N, N)
        Information on the logarithms: inverse of their covariance, with a scale that joined tiles have in common left
        free. 0 where the stars are silent.
    groups : tuple of ndarray of int
        Tiles that stars join.
    """

    logarithm: np.ndarray
    error: np.ndarray
    information: np.ndarray
    groups: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, stars, channel, there, units):
        """What `StarScales` say in a channel of the tiles that are there, shape (N,): others are no part of it.

        Where they are silent of a tile in units of its own, these stand in: `units`, shape (N,), from `own_units`. One
        that the sky is not asked of would keep a scale of 1, and its stars would give theirs to the others.
        """
        logarithm, number = np.where(there, stars.logarithm[:, channel], np.nan), stars.groups[:, channel]
        told = np.isfinite(logarithm)
        groups = [np.flatnonzero(told & (number == own)) for own in np.unique(number[told])]
        information = np.zeros((len(logarithm),) * 2)
        for group in groups:
            inner = np.ix_(group, group)
            inverse = np.linalg.inv(stars.covariance[channel][inner])
            along = inverse.sum(axis=1)
            information[inner] = inverse - np.outer(along, along) / along.sum()
            logarithm[group] -= np.median(logarithm[group])
        error = stars.against_others(1.0)[1][:, channel]
        for index in np.flatnonzero(there & ~told & np.isfinite(units)):
            logarithm[index], error[index], information[index, index] = units[index], _UNIT_ERROR, _UNIT_ERROR**-2
            groups.append(np.array([index]))
        return cls(logarithm, error, information, tuple(groups))

    @property
    def told(self):
        """Whether the stars say something of each tile, shape (N,)."""
        return np.isfinite(self.logarithm)

    def gains(self):
        """Gains that the stars say, as factors less 1; 0 where they are silent."""
        return np.expm1(np.where(self.told, self.logarithm, 0.0))

    def units(self):
        """What the structure of each tile is measured in, as a factor; 1 but for a tile of a scale of its own."""
        own = self.told & (np.abs(self.logarithm) > np.log(_OWN_UNIT))
        return np.where(own, 1 + self.gains(), 1.0)

    def enter(self, matrix, score, gains, variance):
        """Add what the stars say to normal equations of all terms, to first order about gains.

        Parameters
        ----------
        matrix : ndarray, shape (N, K, N, K)
            Changed; a tile's gain is its term 1.
        score : ndarray, shape (N, K)
            Changed.
        gains : ndarray, shape (N,)
        variance : float
            The unit of the equations: what they are divided by afterwards.
        """
        factor = np.maximum(1 + gains, _LEAST_FACTOR)
        left = np.where(self.told, self.logarithm - np.log(factor), 0.0)
        matrix[:, 1, :, 1] += variance * self.information / np.outer(factor, factor)
        score[:, 1] += variance * (self.information @ left) / factor

    def find_contradicted(self, gains):
        """By how much gains are further from the stars' than they may be, shape (N,): over 1 they are contradicted.

        Parameters
        ----------
        gains : ndarray, shape (N,)
        """
        found = np.zeros(len(gains))
        left = self.logarithm - np.log(np.maximum(1 + gains, _LEAST_FACTOR))
        for group in self.groups:
            away = np.abs(left[group] - np.median(left[group]))
            found[group] = away / np.maximum(_CONTRADICTED * self.error[group], _LEAST_APART)
        return np.nan_to_num(found)


def own_units(tiles, noise):
    """Logarithms of the units of tiles, NaN for one that is in those of the others; shape (C, N).

    A tile has units of its own where its level and noise are both more than twenty times too large or too small, by
    about as much.

    Parameters
    ----------
    tiles : sequence of (CoarseTile or None)
    noise : ndarray, shape (N, C)
        Noise of a pixel, in what the tile is in.
    """
    level = np.full(noise.shape, np.nan)
    for index, tile in enumerate(tiles):
        for channel, own in enumerate(() if tile is None else tile.value):
            known = np.isfinite(own)
            level[index, channel] = np.median(own[known]) if known.any() else np.nan
    found = np.full(level.T.shape, np.nan)
    for channel, pair in enumerate(zip(level.T, noise.T, strict=True)):
        known = (pair[0] > 0) & (pair[1] > 0)
        if known.any():
            first, second = (np.log(np.where(known, own, 1.0) / np.median(own[known])) for own in pair)
            far = np.minimum(np.abs(first), np.abs(second)) > np.log(_OTHER_UNITS)
            found[channel] = np.where(known & far & (np.abs(first - second) < np.log(_SAME_FACTOR)), first, np.nan)
    return found


@dataclass(eq=False)
class Witnessed:
    """Normal equations with what the stars say in them.

    Attributes
    ----------
    equations : Equations
    change : ndarray, shape (N, 7)
        That solves them with all terms free that are told.
    told : ndarray of bool, shape (N,)
        Tiles whose gain sky or stars tell.
    flat : ndarray, shape (N,)
        What noise in the sky says of the gains; 0 where the sky is not asked.
    asked : ndarray of bool, shape (N,)
        Tiles whose gain the sky is asked of.
    matrix, score : ndarray, shapes (N, 7, N, 7) and (N, 7)
        What the sky alone says.
    """

    equations: Equations
    change: np.ndarray
    told: np.ndarray
    flat: np.ndarray
    asked: np.ndarray
    matrix: np.ndarray
    score: np.ndarray


def find_witnessed(channel, skies=True):
    """Equations in which the sky speaks of a gain where it has structure and the stars do not contradict it."""
    matrix, score, flat = channel.normal()
    asked = np.zeros(channel.count, dtype=bool)
    if skies:
        asked = _find_structured(channel, matrix, flat) & ~channel.contradicted
    # The halves that a finding is tried on are made of what is not lessened by these errors, for that is of all blocks.
    unsure = with_gain_errors(matrix, score, channel.bound_blur(), channel.variance)
    while True:
        own, right = with_stars(channel, *unsure, asked)
        equations, told = Equations(own, right, channel.terms, channel.level), asked | channel.witness.told
        change = equations.full(told, channel.witness.gains())
        apart = channel.witness.find_contradicted(channel.terms[:, 1] + change[:, 1]) * asked
        worst = int(np.argmax(apart))
        if apart[worst] <= 1:
            return Witnessed(equations, change, told, np.where(asked, flat, 0.0), asked, matrix, score)
        # One by one: a tile that is not what it seems draws its neighbours along.
        asked[worst], channel.contradicted[worst] = False, True


def with_gain_errors(matrix, score, error, variance):
    """Equations of the sky in which each gain has an error of its own, shape (N,), beside what the noise makes.

    As if each tile had one more gain, of that error and of nothing that the stars see, solved for and left out.
    """
    unsure = np.flatnonzero(error > _LEAST_ERROR)
    if not unsure.size:
        return matrix, score
    across = matrix[unsure, 1].reshape(len(unsure), score.size)
    inner = matrix[unsure, 1][:, unsure, 1] + np.diag(variance / error[unsure] ** 2)
    known = solve_symmetric(inner, np.column_stack([across, score[unsure, 1]]))
    # Most tiles do not meet; and BLAS would wake threads.
    across = csr_array(across.T)
    return (
        matrix - (across @ known[:, :-1]).reshape(matrix.shape),
        score - (across @ known[:, -1]).reshape(score.shape),
    )


def with_stars(channel, matrix, score, asked):
    """Normal equations of some or all blocks, the sky asked of the gains of some tiles, and what all stars say."""
    own, right = matrix.copy(), score.copy()
    own[~asked, 1], own[:, :, ~asked, 1], right[~asked, 1] = 0.0, 0.0, 0.0
    channel.witness.enter(own, right, channel.terms[:, 1], channel.variance)
    return own, right


def _find_structured(channel, matrix, flat):
    """Tiles in which the sky has enough structure above its noise to tell a gain from an offset."""
    found = np.zeros(len(flat), dtype=bool)
    off, level = np.abs(channel.terms[:, 0]), np.abs(channel.level)
    # What is off by a good part of its level may be scaled: so large a gain is told by less.
    large = (off > _LARGE_PART * level) & (off > _LARGE_OFFSET * channel.noise)
    enough = np.where(large & ~channel.witness.told, _LESS_STRUCTURE, STRUCTURE)
    tiles = np.flatnonzero(flat > 0)
    blocks = matrix[tiles, :, tiles]
    told = np.isfinite(blocks).all(axis=(1, 2))
    tiles, blocks = tiles[told], blocks[told]
    rest = np.delete(np.arange(matrix.shape[1]), 1)
    across, own = blocks[:, rest, 1], blocks[:, rest[:, np.newaxis], rest]
    # All at once; what the other terms do not tell stays out of it.
    known = np.linalg.pinv(own, np.finfo(float).eps * len(rest), hermitian=True) @ across[..., np.newaxis]
    found[tiles] = flat[tiles] < enough[tiles] * (blocks[:, 1, 1] - np.sum(across * known[..., 0], axis=1))
    return found
