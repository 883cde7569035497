"""Does a fault help where it was not fitted? What the terms of one half of the blocks make of the other half.

The mosaic is cut into cells of half a tile, as a checkerboard. All terms are fitted on the cells of one colour, with a
kind of fault in a tile and without it, all else solved anew each time, and judged on the cells of the other: stretches
of an overlap that are too far away to share its noise, or a structure that happens to look like a fault. The sky is
eliminated block by block, so that the normal equations of the halves add up to those of all, and the deviance of one
half is a quadratic form of the terms of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .normal_equations import KINDS, Equations
from .witness import with_stars


@dataclass(frozen=True, eq=False)
class Helps:
    """What kinds of fault bring where they were not fitted.

    Attributes
    ----------
    fall, error : ndarray, shape (N, 4)
        Fall of the sum of the squared steps, in units of their variance, all channels together, and its standard error;
        of `KINDS` and, last, of all that the tile has. 0 where the tile has not got the kind, or no half of the blocks
        tells it to the other.
    """

    fall: np.ndarray
    error: np.ndarray

    @property
    def judged(self):
        """Where the blocks tell, shape (N, 4)."""
        return self.error > 0

    @property
    def refuted(self):
        """Where steps do not become smaller by more than the error, shape (N, 4); not where the blocks do not tell."""
        return self.judged & ~(self.fall > self.error)


class Halves:
    """Both halves of one channel at its solution.

    Parameters
    ----------
    channel : Channel
    found : Witnessed
        At its present terms.
    """

    def __init__(self, channel, found):
        one, right, _ = channel.normal(channel.layout.checkerboard())
        # Stars are a witness of their own: each half is held against all of them.
        first = with_stars(channel, one, right, found.asked)
        second = with_stars(channel, found.matrix - one, found.score - right, found.asked)
        self._variance, self._terms, size = channel.variance, channel.terms, channel.terms.size
        self._trained = [
            Equations(*own, channel.terms, channel.level).scale_by(channel.variance) for own in (first, second)
        ]
        self._tests = [(matrix.reshape(size, size), score.ravel()) for matrix, score in (second, first)]

    def enter(self, active):
        """Let the kinds of each tile be in, shape (N, 3), and no others."""
        for own in self._trained:
            own.enter(active)

    def changes(self):
        """How far the terms of each half, its kinds and no others in, lie from those of all; two, shape (7 N,)."""
        return [(own.terms() - self._terms).ravel() for own in self._trained]

    def fall(self, without, having):
        """By how much the deviance of each half falls with the other's terms, both as `changes`, and its variance."""
        fall = variance = 0.0
        for (matrix, score), before, after in zip(self._tests, without, having, strict=True):
            step = before - after
            fall += (step @ (matrix @ (before + after)) - 2 * score @ step) / self._variance
            variance += 4 * max(step @ (matrix @ step), 0.0) / self._variance
        return fall, variance


def helps(halves, active, independent):
    """What each kind that a tile has brings on the half that it was not fitted on.

    Parameters
    ----------
    halves : sequence of Halves
        One a channel.
    active : ndarray of bool, shape (N, 3)
    independent : float
        How many channels there would be if they were independent.

    Returns
    -------
    Helps
    """
    fall, error = np.zeros((2, len(active), len(KINDS) + 1))
    _enter(halves, active)
    having = [own.changes() for own in halves]
    there = np.column_stack([active, active.any(axis=1)])
    for tile, kind in np.argwhere(there).tolist():
        other = active.copy()
        other[tile, kind if kind < len(KINDS) else slice(None)] = False
        _enter(halves, other)
        falls = [own.fall(own.changes(), before) for own, before in zip(halves, having, strict=True)]
        fall[tile, kind], variance = np.sum(falls, axis=0)
        # Deviances of channels that say the same scatter together.
        error[tile, kind] = np.sqrt(variance * len(halves) / independent)
        _enter(halves, active)
    return Helps(fall, error)


def _enter(halves, active):
    for own in halves:
        own.enter(active)


def without_the_refuted(halves, active, independent, spared):
    """Drop the worst kind that does not help, and ask the others again, until all that are left do.

    Parameters
    ----------
    halves, active, independent
        As for `helps`.
    spared : ndarray of bool, shape (N, 3)
        What is not dropped.

    Returns
    -------
    ndarray of bool, shape (N, 3)
    """
    active = active.copy()
    while True:
        own = helps(halves, active, independent)
        refuted = own.refuted[:, : len(KINDS)] & ~spared
        if not refuted.any():
            return active
        sure = np.divide(own.fall, own.error, out=np.zeros_like(own.fall), where=own.judged)[:, : len(KINDS)]
        sure[~refuted] = np.inf
        active[np.unravel_index(np.argmin(sure), sure.shape)] = False
