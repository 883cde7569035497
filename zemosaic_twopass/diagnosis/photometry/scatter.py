"""How what the terms leave scatters over larger pieces of sky: how sure terms are, and which tiles they do not fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri

from .overlaps import Layout

# Squares in blocks, the one that spans what interpolation correlates, and how many pieces there must be of a larger.
_SIDES = (1, 2, 4, 8, 16)
_USUAL_SIDE = 4
_MIN_PIECES = 30
_LEAST_VARIANCE = 1e-9
# Squares over which smooth light adds up and noise does not, and from where more is left than of any sound tile seen.
_SMOOTH_SIDE = 8
_MUCH = 3.4
_FEWEST_PIECES = 4.0
# How often noise alone would leave that much of a tile that shares fewer, or where fewer than four tiles share so many;
# stars do so more often: of 120 sound tiles of 128 x 128 pixels one was over the limit of 1e-4.
_RARE, _LEAST_PIECES = 1e-6, 0.1
_MOST_OF_ONE = 100.0
_FAR = 4.0
# Tiles of which one can be told from the usual one.
FEWEST_TILES = 4


@dataclass(frozen=True, eq=False)
class Residuals:
    """What the terms of all tiles leave in one channel, entry by entry.

    Attributes
    ----------
    layout : Layout
    left : ndarray, shape (E,)
        In adu.
    weight : ndarray, shape (E,)
        In 1 / adu²; 0 for what says nothing of the scatter.
    share : ndarray, shape (E,)
        Share of the tile in the sky that it is held against.
    inner : ndarray of bool, shape (E,)
        Which are no outliers.
    error : ndarray, shape (E,)
        Error of a block by itself, in adu, outlier or not.
    """

    layout: Layout
    left: np.ndarray
    weight: np.ndarray
    share: np.ndarray
    inner: np.ndarray
    error: np.ndarray

    def clip(self):
        """The same with no outlier weighed down, but none further off than a few errors."""
        left = np.clip(self.left, -_FAR * self.error, _FAR * self.error)
        return replace(self, left=left, weight=np.where(self.weight > 0, self.error**-2.0, 0.0))

    def over_squares(self, side):
        """Sums over squares of sky, each tile by itself, their variance were blocks independent, and their weight."""
        square = self.layout.square(side)
        layers = self.weight * self.left, self.weight * (1 - self.share), self.weight
        return tuple(np.bincount(square, layer) for layer in layers)


def spread(residuals, free):
    """How the residuals scatter on scales that matter for the terms.

    Parameters
    ----------
    residuals : Residuals
    free : int
        How many terms they were fitted with.

    Returns
    -------
    variance : float
        Variance of a term, in units of that from the inverse of the normal equations: neighbours are correlated, by
        interpolation and by all that the model does not know. The variance of sums over squares of sky, each tile by
        itself, over that of independent blocks; squares as large as it goes on growing with them. With Huber's factor
        for the slope of the score (Huber 1981, Robust Statistics, 7.6).
    freedom : float
        Degrees of freedom of the variance.
    """
    if not residuals.weight.any():
        return 1.0, np.inf
    slope = np.sum(residuals.weight * residuals.inner) / np.sum(residuals.weight)
    best = None
    for side in _SIDES:
        sums, variance, weight = residuals.over_squares(side)
        pieces = float(np.sum(_parts(variance, weight)))
        freedom = pieces - free
        if best is not None and freedom < _MIN_PIECES:
            break
        ratio = np.sum(sums**2) / np.sum(variance) * pieces / max(freedom, 1.0)
        if best is None or side <= _USUAL_SIDE or ratio > best[0] * (1 + np.sqrt(2 / freedom)):
            # What reaches across the edges of the squares falls with their side: as much again is still to come.
            whole = ratio if best is None else max(2 * ratio - best[0], ratio)
            best = ratio, whole, max(freedom, 1.0)
    return max(best[1] / slope**2, _LEAST_VARIANCE), best[2]


def _parts(variance, weight):
    """How many pieces each square counts as: less than one as far as its own tile made the sky there."""
    return np.divide(variance, weight, out=np.zeros(len(variance)), where=weight > 0)


@dataclass(frozen=True, eq=False)
class Misfit:
    """How much that is smooth over many blocks the terms leave: over 1 no term explains it.

    Attributes
    ----------
    each : ndarray, shape (N,)
        Mean square of sums over squares of sky over that of independent blocks, the mean of the channels, over a limit:
        what sound tiles have or, of one that is not judged, what chance rarely makes of the little that it shares.
    judged : ndarray of bool, shape (N,)
        Which share enough to be held against the usual one; none where fewer than four do.
    together : float
        That of all tiles as if they were one; 0 where they share too little.
    """

    each: np.ndarray
    judged: np.ndarray
    together: float

    @property
    def usual(self):
        """That of the usual tile, but at least that from which on no term explains one."""
        known = self.each[self.judged]
        return max(float(np.median(known[known > 0])), 1.0) if known.any() else 1.0

    @property
    def largest(self):
        """That of a tile that is judged, or of any where none is, or of all together."""
        own = self.each[self.judged] if self.judged.any() else self.each
        return max(float(np.max(own, initial=0.0)), self.together)

    @property
    def fits(self):
        """Whether no tile has much that is smooth left."""
        return self.largest <= self.usual

    @property
    def whose(self):
        """That by which a tile may be told from the others: of those judged, or of any where it is none of these."""
        own = np.where(self.judged, self.each, 0.0)
        return own if own.max(initial=0.0) > self.usual else self.each


def misfit(channels):
    """How much that is smooth the terms of all channels leave.

    Parameters
    ----------
    channels : sequence of Residuals

    Returns
    -------
    Misfit
    """
    count = channels[0].layout.count
    ratios, pieces = np.zeros((2, len(channels), count))
    together = np.zeros(len(channels))
    for channel, own in enumerate(channels):
        square, tile = own.layout.square(_SMOOTH_SIDE), own.layout.tile
        # Weighed as outliers, blocks under strong light would not count; a star is in few of a square.
        sums, variance, weight = own.clip().over_squares(_SMOOTH_SIDE)
        whose = np.zeros(len(sums), dtype=int)
        whose[square] = tile
        layers = np.minimum(sums**2, _MOST_OF_ONE * variance), variance, _parts(variance, weight)
        seen, expected, pieces[channel] = (np.bincount(whose, layer, minlength=count) for layer in layers)
        np.divide(seen, expected, out=ratios[channel], where=expected > 0)
        together[channel] = seen.sum() / expected.sum() if pieces[channel].sum() > _FEWEST_PIECES else 0.0
    fewest = np.maximum(pieces.min(axis=0), _LEAST_PIECES)
    judged = fewest > _FEWEST_PIECES
    judged &= np.count_nonzero(judged) >= FEWEST_TILES
    limit = np.where(judged, _MUCH, np.maximum(chdtri(fewest, _RARE) / fewest, _MUCH))
    return Misfit(ratios.mean(axis=0) / limit, judged, float(together.mean()) / _MUCH)
