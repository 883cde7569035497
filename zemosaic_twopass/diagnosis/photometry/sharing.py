"""Tiles that are one exposure: where they meet they share their pixels, and their noise, as crops of one stack do."""

from __future__ import annotations

import numpy as np

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD

# Tiles whose difference scatters by less than this part of what their noise lets expect share their pixels, as crops of
# one stack do: then the scatter that is seen counts, but never less than so much of the noise.
_SHARED = 0.3
_LEAST_SHARED = 0.05
_FEWEST_STEPS = 10
_TINY = np.finfo(float).tiny


def noise_in_common(layout, value, noise):
    """What part of its noise each block does not have in common with all that it meets, and which tiles have it.

    Parameters
    ----------
    layout : Layout
    value : ndarray, shape (E,)
        In adu.
    noise : ndarray, shape (N,)
        Noise of a block of each tile in adu, were its pixels independent.

    Returns
    -------
    part : ndarray, shape (E,)
        1 but where all tiles there share their pixels.
    sharing : ndarray of bool, shape (N, N)
        Which tile shares its pixels with which, [i, j] for i below j.
    """
    meet, count = layout.overlaps, layout.count
    sharing, alike = np.zeros((count, count), dtype=bool), np.ones(len(meet.tiles.T))
    for number, (begin, end) in enumerate(zip(meet.starts, meet.starts[1:], strict=False)):
        first = meet.first[begin:end]
        step = np.diff(value[first] - value[meet.second[begin:end]])[np.diff(layout.cell[first]) == 1]
        if len(step) >= _FEWEST_STEPS:
            expected = np.sqrt(2) * np.hypot(*noise[meet.tiles[:, number]])
            alike[number] = GAUSSIAN_MAD * median_of_known(np.abs(step)) / max(expected, _TINY)
    sharing[tuple(meet.tiles[:, alike < _SHARED])] = True
    if not sharing.any():
        return np.ones(len(value)), sharing
    # Where a third tile is another exposure, no weight of a block says what two of the three have in common.
    own = np.repeat(np.where(alike < _SHARED, np.maximum(alike, _LEAST_SHARED), 1.0), np.diff(meet.starts))
    largest = np.zeros(len(layout.seen))
    np.maximum.at(largest, layout.block_index[meet.first], own)
    # Where all are one exposure there is nothing else to measure noise by.
    return (largest if (largest == 1).any() else np.ones_like(largest))[layout.block_index], sharing
