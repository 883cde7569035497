"""Which tiles have which fault: the fewest terms that explain what all channels show.

All here is linear algebra on the normal equations of all tiles. Terms are swept in and out of them (Goodnight 1979,
Am. Stat. 33, 149), so that the equations tell at any time what each term that is out would bring with everything
that is in solved anew. What no data can tell, a constant, a plane or a gain common to all tiles, never
brings anything: it stays where most tiles have none of it.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import splu

from .finding import LEVELS

KINDS = LEVELS
# Columns of a tile's equations: level, scale of everything with the pedestal, slope along u and along v.
COLUMNS = ((0,), (1,), (2, 3))
_SUBSETS = tuple(subset for size in range(len(KINDS) + 1) for subset in combinations(range(len(KINDS)), size))
_KEPT = 4
_RESOLVED = 1e-6
_RIDGE = 1e-9
_AT_A_TIME = 8
_EVERYWHERE = (0,), (1,), (0, 1), (0, 1, 2)
_MOVES_PER_TILE = 8
_FEW = 3
# Standard deviation of gains about 1 where little else is known of them.
_USUAL_GAIN = 0.3


class Equations:
    """Normal equations of one channel in terms of the kinds of a fault, none of them in.

    Parameters
    ----------
    matrix : ndarray, shape (N, 7, N, 7)
        Of offset, gain, slopes, and three terms that are always free.
    score : ndarray, shape (N, 7)
        `matrix` times the change that all terms free would ask for.
    terms : ndarray, shape (N, 7)
        Where the equations hold.
    level : ndarray, shape (N,)
        A gain γ of everything in a tile is an offset of γ times its level too.

    Attributes
    ----------
    alone : ndarray, shape (N, 4)
        Diagonal, of what is kept: what is far below it is not told by the data.
    inside : ndarray of bool, shape (N, 4)
        Columns of the tiles' kinds that are in.
    """

    def __init__(self, matrix, score, terms, level):
        self._level, self._terms, count = level, terms, len(level)
        number = np.arange(terms.size).reshape(terms.shape)
        kept, free = number[:, :_KEPT].ravel(), number[:, _KEPT:].ravel()
        matrix, score = matrix.reshape(terms.size, -1), score.ravel()
        across = matrix[np.ix_(free, kept)]
        solved = _solved(matrix[np.ix_(free, free)], np.column_stack([across, score[free]]))
        self._follow, self._ask = solved[:, :-1], solved[:, -1]
        across = csr_array(across.T)
        self._matrix = matrix[np.ix_(kept, kept)] - across @ self._follow
        self._score = score[kept] - across @ self._ask
        self._inside = np.zeros(len(kept), dtype=bool)
        self.alone = np.diag(self._matrix).reshape(count, -1).copy()

    def full(self, gains):
        """Change of all terms, shape (N, 7), that solves the equations, with the gains of some tiles free, shape (N,).

        Gains that the data hardly tell stay near 1, so that the straight line through them holds.
        """
        free = np.ones((len(self._level), _KEPT), dtype=bool)
        free[:, 1] = gains
        free = np.flatnonzero(free)
        expected = np.zeros_like(self._terms[:, :_KEPT])
        expected[:, 1] = 1 / _USUAL_GAIN**2
        score = self._score - (expected * self._terms[:, :_KEPT]).ravel()
        matrix = self._matrix + np.diag(expected.ravel())
        change = np.zeros(len(score))
        change[free] = _solved(matrix[np.ix_(free, free)], score[free])
        return self._with_the_free(change)

    def scaled(self, variance):
        """Let the inverse of the matrix, times a variance, be the covariance; then terms can go in."""
        by_kind = self._terms[:, :_KEPT].copy()
        by_kind[:, 0] -= self._level * by_kind[:, 1]
        self.alone /= variance
        matrix, score = self._matrix / variance, self._score / variance
        # A gain is an offset as well: its row and its column take along, times the level, those of the offset.
        score[1::_KEPT] += self._level * score[::_KEPT]
        matrix[1::_KEPT] += self._level[:, np.newaxis] * matrix[::_KEPT]
        matrix[:, 1::_KEPT] += self._level * matrix[:, ::_KEPT]
        self._right = score + np.einsum("ij,j->i", matrix, by_kind.ravel())
        self._swept = np.column_stack([matrix, self._right])
        return self

    def enter(self, inside):
        """Let the kinds of each tile be in, shape (N, 3), and no others."""
        wanted = np.repeat(inside, [len(own) for own in COLUMNS], axis=1).ravel()
        # Out first: two terms that the data cannot tell apart must not be in together.
        for number in [*np.flatnonzero(self._inside & ~wanted), *np.flatnonzero(wanted & ~self._inside)]:
            if self._inside[number] or self._swept[number, number] > _RESOLVED * self.alone.flat[number]:
                _sweep(self._swept, number)
                self._inside[number] = not self._inside[number]

    @property
    def inside(self):
        return self._inside.reshape(-1, _KEPT)

    def by_kind(self):
        """Terms that are in, a gain's offset not counted as one; shape (N, 4)."""
        return np.where(self._inside, self._swept[:, -1], 0.0).reshape(-1, 4)

    def terms(self):
        """All terms, shape (N, 7): offsets at the tiles' levels whatever the cause, and the free ones."""
        kept = self.by_kind()
        kept[:, 0] += self._level * kept[:, 1]
        return self._terms + self._with_the_free((kept - self._terms[:, :_KEPT]).ravel())

    def explained(self):
        """Fall of the deviance by all that is in."""
        return float(self._right[self._inside] @ self._swept[self._inside, -1])

    def blocks(self):
        """Equations of each tile, its own terms out and those of the others as they are; shapes (N, 4, 4), (N, 4)."""
        count = len(self._level)
        tiles = np.arange(count)
        block = np.empty((count, 4, 5))
        block[..., :4] = self._swept[:, :-1].reshape(count, 4, count, 4)[tiles, :, tiles]
        block[..., 4] = self._swept[:, -1].reshape(count, 4)
        for index, column in zip(*np.nonzero(self.inside), strict=True):
            _sweep(block[index], column)
        return block[..., :4], block[..., 4]

    def _with_the_free(self, change):
        free = self._ask - np.einsum("ij,j->i", self._follow, change)
        return np.concatenate([change.reshape(-1, _KEPT), free.reshape(len(self._level), -1)], axis=1)


def _solved(matrix, right):
    """Solution of symmetric equations; what they do not tell stays 0. NaN where there is none, as for no numbers."""
    # LAPACK wakes threads, which wait for each other where the cores are busy; so does SuperLU for many right sides.
    ridge = np.diag(_RIDGE * np.diag(matrix) + np.finfo(float).tiny)
    try:
        solve = splu(csc_array(matrix + ridge), permc_spec="MMD_AT_PLUS_A").solve
    except RuntimeError:
        return np.full(right.shape, np.nan)
    parts = (right[..., own : own + _AT_A_TIME] for own in range(0, right.shape[-1], _AT_A_TIME))
    return solve(right) if right.ndim == 1 else np.hstack([solve(part) for part in parts])


def _sweep(matrix, k):
    """Sweep row and column k of equations, whose last column is the right side; twice gives them back."""
    pivot, row, column = matrix[k, k], matrix[k] / matrix[k, k], matrix[:, k].copy()
    matrix -= np.outer(column, row)
    matrix[k], matrix[:, k] = row, -column / pivot
    matrix[k, k] = 1 / pivot


def search(equations, inside, price, groups):
    """`choose`; at first, where many tiles have something, from other beginnings too.

    One move at a time from nothing may end with slopes that lean on what should be the levels of all.
    """
    found = [choose(equations, inside, price, groups)]
    if not inside.any() and _FEW * np.count_nonzero(found[0].any(axis=1)) > len(inside):
        for kinds in _EVERYWHERE:
            everywhere = np.zeros_like(inside)
            for group in groups:
                everywhere[np.ix_(group[1:], kinds)] = True
            found.append(choose(equations, settle(equations, everywhere, price, groups)[0], price, groups))
    worth = []
    for own in found:
        _enter(equations, own)
        worth.append(sum(one.explained() for one in equations) - price[own].sum())
    best = found[int(np.argmax(worth))]
    _enter(equations, best)
    return best


def choose(equations, inside, price, groups):
    """Look for the fewest terms: each move gives one tile another set of kinds, the best of all moves first.

    Parameters
    ----------
    equations : sequence of Equations
        One a channel; a kind is in or out in all of them. Left with what was chosen in.
    inside : ndarray of bool, shape (N, 3)
        Which tile has which kind, to begin with.
    price : ndarray, shape (N, 3)
        By how much a kind must lower the deviance of all channels together to be there.
    groups : sequence of ndarray of int
        Tiles that hang together. In each, one at least has none of a kind: the others are measured from it.

    Returns
    -------
    ndarray of bool, shape (N, 3)
    """
    inside, tiles = inside & np.isfinite(price), np.arange(len(inside))
    _enter(equations, inside)
    for _ in range(_MOVES_PER_TILE * len(inside)):
        asked = np.where(_last(inside, groups), np.inf, price)
        worth = brought(equations) - np.stack([asked[:, list(subset)].sum(axis=1) for subset in _SUBSETS], axis=1)
        now = [_SUBSETS.index(tuple(np.flatnonzero(own))) for own in inside]
        better = worth - worth[tiles, now][:, np.newaxis]
        tile, subset = np.unravel_index(np.argmax(better), better.shape)
        if better[tile, subset] <= _RIDGE * abs(worth[tile, subset]):
            break
        inside[tile] = np.isin(range(len(KINDS)), _SUBSETS[subset])
        _enter(equations, inside)
    return inside


def _last(inside, groups):
    """Which tile is the only one of its group without a kind, shape (N, 3)."""
    last = np.zeros_like(inside)
    for group in groups:
        last[group] = ~inside[group] & (np.count_nonzero(~inside[group], axis=0) == 1)
    return last


def settle(equations, inside, price, groups):
    """Where nearly all tiles of a group have a kind, let each have its own, and the median tile none.

    A tile that happens to be near another's level must not be forced to the same: the level of all would lean on it.

    Parameters
    ----------
    equations, inside, price, groups
        As for `choose`.

    Returns
    -------
    inside : ndarray of bool, shape (N, 3)
        As given, but for groups of three and more in which fewer than a third of the tiles, or only one, lack a kind.
    crowded : ndarray of bool, shape (N, 3)
        The kinds that nearly all tiles of the group of a tile have.
    """
    crowded = np.zeros_like(inside)
    for group in groups:
        has = inside[group].copy()
        # Without structure in the sky one is often taken for the other: that of the more tiles stands for both.
        has[:, int(np.count_nonzero(has[:, 1]) > np.count_nonzero(has[:, 0]))] |= has[:, :2].any(axis=1)
        lack = np.count_nonzero(~has, axis=0)
        crowded[group] = (len(group) >= _FEW) & ((lack < 2) | (_FEW * lack < len(group)))
    for group in groups:
        for kind in np.flatnonzero(crowded[group[0]]):
            _enter(equations, inside)
            before = sum(own.explained() for own in equations)
            distance = np.zeros(len(group))
            for own in equations:
                values = own.by_kind()[group][:, COLUMNS[kind]]
                away = np.abs(values - np.median(values, axis=0))
                distance += np.sum(away / np.maximum(np.median(away, axis=0), _RIDGE), axis=1)
            other = inside.copy()
            other[group, kind] = True
            other[group[np.argmin(distance)], kind] = False
            _enter(equations, other)
            if sum(own.explained() for own in equations) > before - price[group, kind].min():
                inside = other
    _enter(equations, inside)
    return inside, crowded


def brought(equations):
    """Fall of the deviance by each set of kinds in each tile, the others as they are; shape (N, 8)."""
    total = 0.0
    for own in equations:
        block, right = own.blocks()
        sets = [[column for kind in subset for column in COLUMNS[kind]] for subset in _SUBSETS]
        total = total + np.stack([_fall(block, right, own.alone, columns) for columns in sets], axis=1)
    return total


def subset_number(kinds):
    """Where `brought` has a set of kinds, given as numbers in `KINDS`."""
    return _SUBSETS.index(tuple(sorted(kinds)))


def _enter(equations, inside):
    for own in equations:
        own.enter(inside)


def _fall(block, right, alone, columns):
    """Fall of the deviance when columns enter, tile by tile."""
    block, right, total = block.copy(), right.copy(), np.zeros(len(right))
    for column in columns:
        pivot = block[:, column, column]
        known = pivot > _RESOLVED * alone[:, column]
        inverse = np.divide(1.0, pivot, out=np.zeros(len(pivot)), where=known)
        total += right[:, column] ** 2 * inverse
        factor = block[:, :, column] * inverse[:, np.newaxis]
        row, value = block[:, column].copy(), right[:, column].copy()
        block -= factor[:, :, np.newaxis] * row[:, np.newaxis]
        right -= factor * value[:, np.newaxis]
    return total
