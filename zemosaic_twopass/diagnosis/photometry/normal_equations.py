"""Normal equations of all tiles in one channel: terms are swept in and out of them.

Swept (Goodnight 1979, Am. Stat. 33, 149) the equations tell at any time what each term that is out would bring with
everything that is in solved anew.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import splu

from ..terms import at_level, at_zero

# How bright a tile is as given; each name is that of a kind of finding.
KINDS = ("offset", "gain_residual", "gradient")
# Columns of a tile's equations: level, scale of everything with the pedestal, slope along u and along v.
COLUMNS = ((0,), (1,), (2, 3))
RESOLVED = 1e-6
RIDGE = 1e-9
_KEPT = 4
_AT_A_TIME = 8
# Standard deviation of gains about the usual ones where little else is known of them.
_USUAL_GAIN = 0.3
# Damping of shifts and blurs, in pixels and squares of them, in units of 1 / variance of a block.
_DAMPING = 1.0
# So far the straight lines hold, in the same, and no further are they drawn: beyond lies light that leans on them, for
# where a tile lies to a part of a block is known before.
FURTHEST = np.array([8.0, 8.0, 16.0])


class Equations:
    """Normal equations of one channel in terms of the kinds of a fault, none of them in.

    Parameters
    ----------
    matrix : ndarray, shape (N, 7, N, 7)
        Normal matrix of offset, gain, slopes, and three terms that are always free.
    score : ndarray, shape (N, 7)
        `matrix` times the change that all terms free would ask for.
    terms : ndarray, shape (N, 7)
        Where the equations hold.
    level : ndarray, shape (N,)
        A gain γ of everything in a tile is an offset of γ times its level too.

    Attributes
    ----------
    alone : ndarray, shape (N, 4)
        Diagonal, of what is kept.
    least : ndarray, shape (N, 4)
        Pivots that are not above it are not told by the data; known once they are `scaled`.
    active : ndarray of bool, shape (N, 4)
        Columns of the tiles' kinds that are in.
    """

    def __init__(self, matrix, score, terms, level):
        self._level, self._terms, count = level, terms, len(level)
        number = np.arange(terms.size).reshape(terms.shape)
        held = (np.abs(terms[:, _KEPT:]) >= FURTHEST) & (terms[:, _KEPT:] * score[:, _KEPT:] > 0)
        kept, free = number[:, :_KEPT].ravel(), number[:, _KEPT:][~held]
        matrix, score = matrix.reshape(terms.size, -1), score.ravel()
        across = matrix[np.ix_(free, kept)]
        # What all tiles have of these is told by nothing, and without a star next to nothing is: no step is of more
        # than a pixel or so (Levenberg 1944, Q. Appl. Math. 2, 164), for the other terms would lean on it.
        damped = matrix[np.ix_(free, free)] + _DAMPING * np.eye(len(free))
        follow = solve_symmetric(damped, np.column_stack([across, score[free]]))
        self._follow, self._ask, self._free = follow[:, :-1], follow[:, -1], ~held
        across = csr_array(across.T)
        self._matrix = matrix[np.ix_(kept, kept)] - across @ self._follow
        self._score = score[kept] - across @ self._ask
        self._inside = np.zeros(len(kept), dtype=bool)
        self.alone = np.diag(self._matrix).reshape(count, -1).copy()

    def full(self, gains, usual):
        """Change of all terms, shape (N, 7), that solves the equations, with the gains of some tiles free, shape (N,).

        Gains that the data hardly tell stay near the `usual` ones, shape (N,), so that the straight line through them
        holds.
        """
        free = np.ones((len(self._level), _KEPT), dtype=bool)
        free[:, 1] = gains
        free = np.flatnonzero(free)
        expected = np.zeros_like(self._terms[:, :_KEPT])
        expected[:, 1] = 1 / _USUAL_GAIN**2
        score = self._score.reshape(-1, _KEPT).copy()
        score[:, 1] -= expected[:, 1] * (self._terms[:, 1] - usual)
        score = score.ravel()
        matrix = self._matrix + np.diag(expected.ravel())
        change = np.zeros(len(score))
        change[free] = solve_symmetric(matrix[np.ix_(free, free)], score[free])
        return self._with_the_free(change)

    def scale_by(self, variance):
        """Let the inverse of the matrix, times a variance, be the covariance; then terms can go in."""
        by_kind = at_zero(self._terms[:, :_KEPT], self._level)
        self.alone /= variance
        matrix, score = self._matrix / variance, self._score / variance
        # A gain is an offset as well: its row and its column take along, times the level, those of the offset.
        score[1::_KEPT] += self._level * score[::_KEPT]
        matrix[1::_KEPT] += self._level[:, np.newaxis] * matrix[::_KEPT]
        matrix[:, 1::_KEPT] += self._level * matrix[:, ::_KEPT]
        # Where nothing tells a gain it is an offset and no more: what rounding leaves of it beside that is nothing.
        whole = np.diag(matrix).reshape(self.alone.shape)
        self.least = RESOLVED * np.where(self.alone > 0, self.alone, whole)
        self._right = score + np.einsum("ij,j->i", matrix, by_kind.ravel())
        self._swept = np.column_stack([matrix, self._right])
        return self

    def enter(self, active):
        """Let the kinds of each tile be in, shape (N, 3), and no others."""
        wanted = np.repeat(active, [len(own) for own in COLUMNS], axis=1).ravel()
        # Out first: two terms that the data cannot tell apart must not be in together.
        for number in [*np.flatnonzero(self._inside & ~wanted), *np.flatnonzero(wanted & ~self._inside)]:
            if self._inside[number] or self._swept[number, number] > self.least.flat[number]:
                _sweep(self._swept, number)
                self._inside[number] = not self._inside[number]

    @property
    def active(self):
        return self._inside.reshape(-1, _KEPT)

    def by_kind(self):
        """Terms that are in, a gain's offset not counted as one; shape (N, 4)."""
        return np.where(self._inside, self._swept[:, -1], 0.0).reshape(-1, 4)

    def terms(self):
        """All terms, shape (N, 7): offsets at the tiles' levels whatever the cause, and the free ones."""
        kept = at_level(self.by_kind(), self._level)
        return self._terms + self._with_the_free((kept - self._terms[:, :_KEPT]).ravel())

    def sum_deviance(self):
        """Fall of the deviance by all that is in."""
        return float(self._right[self._inside] @ self._swept[self._inside, -1])

    def along(self, pattern):
        """How much of a pattern, one number a term by kind, shape (N, 4), fits best, and its standard error.

        Beside what is in; NaN where the data do not tell.
        """
        out = np.flatnonzero(~self._inside)
        pattern = pattern.ravel()[out]
        known = float(pattern @ self._swept[np.ix_(out, out)] @ pattern)
        if not known > 0:
            return np.nan, np.nan
        return float(pattern @ self._swept[out, -1]) / known, known**-0.5

    def blocks(self):
        """Equations of each tile, its own terms out and those of the others as they are; shapes (N, 4, 4), (N, 4)."""
        count = len(self._level)
        tiles = np.arange(count)
        block = np.empty((count, 4, 5))
        block[..., :4] = self._swept[:, :-1].reshape(count, 4, count, 4)[tiles, :, tiles]
        block[..., 4] = self._swept[:, -1].reshape(count, 4)
        for index, column in zip(*np.nonzero(self.active), strict=True):
            _sweep(block[index], column)
        return block[..., :4], block[..., 4]

    def _with_the_free(self, change):
        free = np.zeros(self._free.shape)
        free[self._free] = self._ask - np.einsum("ij,j->i", self._follow, change)
        return np.concatenate([change.reshape(-1, _KEPT), free], axis=1)


def solve_symmetric(matrix, right):
    """Solution of symmetric equations; what they do not tell stays 0. NaN where there is none, as for no numbers."""
    # LAPACK wakes threads, which wait for each other where the cores are busy; so does SuperLU for many right sides.
    ridge = np.diag(RIDGE * np.diag(matrix) + np.finfo(float).tiny)
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
