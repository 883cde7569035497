"""Noise of a block of each tile, by what neighbouring blocks differ by once the terms are out."""

from __future__ import annotations

import numpy as np

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD

# Least part of the noise that the pixels let expect: tiles may be equal to the bit.
_LEAST_NOISE = 1e-3
# From a median, n values tell as much of their standard deviation as so many fewer from a mean square.
_SPREAD_COST = 2.7
_FEWEST_STEPS = 10
# By so much at least, relatively, the noise of a tile may be its own.
_LEAST_OWN = 0.03
# What lies between neighbouring blocks beyond so many times the usual noise is light that no term explains. The usual
# is a mean of logarithms, of few tiles not far from the odd one.
_MOST_OWN = 3.0


def estimate_noise(layout, size, common, noise, scale, told):
    """Estimate the noise of a block of each tile: what is smooth over a tile is not taken for its noise.

    How it differs from what the noise of a pixel lets expect is much the same in all tiles; what a tile tells of
    its own counts by how many blocks it has (Efron & Morris 1975, J. Am. Stat. Assoc. 70, 311).

    Parameters
    ----------
    layout : Layout
    size : ndarray, shape (E,)
        What is left of each block, in units of its present error.
    common : ndarray, shape (E,)
        What part of its noise a block does not share with all that it meets, from `noise_in_common`.
    noise, scale : ndarray, shape (N,)
        Noise of a block in adu, were its pixels independent, and as it is taken at present.
    told : ndarray, shape (N,)
        How many blocks of each tile tell of its noise.

    Returns
    -------
    scale, freedom : ndarray, shape (N,), or None
        Noise of a block in adu, and the degrees of freedom that it is known with, 0 where it is not; None where no tile
        has blocks enough.
    """
    follow = (np.diff(layout.cell) == 1) & (np.diff(layout.tile) == 0) & (common[1:] == 1)
    steps, tile = np.abs(np.diff(size))[follow], layout.tile[1:][follow]
    # A tile that makes the sky alone leaves nothing of it, however many blocks it has.
    tiles = np.flatnonzero((np.bincount(tile, minlength=layout.count) >= _FEWEST_STEPS) & (told > 0))
    if not tiles.size:
        return None
    ends = np.searchsorted(tile, [tiles, tiles + 1])
    seen = np.array([median_of_known(steps[first:end]) for first, end in ends.T]) * GAUSSIAN_MAD / np.sqrt(2)
    seen = np.log(np.maximum(seen * scale[tiles] / noise[tiles], _LEAST_NOISE))
    # Variance of the logarithm of a standard deviation from a median of so many.
    variance = _SPREAD_COST / 2 / told[tiles]
    usual = np.average(seen, weights=1 / variance)
    own = max(np.average((seen - usual) ** 2 - variance, weights=1 / variance), _LEAST_OWN**2)
    scale = noise * np.exp(usual)
    scale[tiles] *= np.minimum(np.exp((seen - usual) * own / (own + variance)), _MOST_OWN)
    freedom = np.zeros(layout.count)
    freedom[tiles] = (own + variance) / (2 * own * variance)
    # Nothing but what is usual is known of tiles that share all that they meet others in.
    blocks = np.diff(layout.starts)
    only = np.bincount(layout.tile, common < 1, minlength=layout.count) == blocks
    freedom[only & (blocks > 0)] = np.median(freedom[tiles])
    return scale, freedom
