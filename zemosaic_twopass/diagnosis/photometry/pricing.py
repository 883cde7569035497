"""What a kind of fault must bring so that it is taken for one: how sure one must be where so many are asked for."""

from __future__ import annotations

from functools import reduce

import numpy as np
from scipy.special import fdtri

from .normal_equations import COLUMNS, KINDS

# A mosaic without a fault would show one this often if nothing but its noise were in it.
_FALSE_ALARMS = 2e-4
# Degrees of freedom with which a tile can be tested.
_LEAST_FREEDOM = 4.0
_CLIPPED = 3.0
# What speaks for a gain must be more than this, in units of the deviance, than for an offset.
_RATHER_AN_OFFSET = 4.0
# Logarithm of a factor that is large, and as a part of what it makes of the level, of a level that stays.
_LARGE = np.log(2.0)
_SAME_LEVEL = 0.1
_LEAST_GAIN = 1e-3


def find_thresholds(channels, states, active):
    """What a kind must bring, so that a mosaic without a fault rarely has one; shape (N, 3), infinite where not told.

    The deviances of the channels are added: as many of Fisher's F as are independent, the errors being estimated. A
    gain is told where one channel tells it; the others have nothing against it. One that is `active` has been told
    already: what it takes out of the sky must not make it untold.
    """
    independent = independent_of(channels, states)
    own = np.max([channel.freedom for channel in channels], axis=0)
    pooled = min(state.freedom for state in states)
    freedom = 1 / (1 / pooled + 1 / np.maximum(own, np.finfo(float).tiny))
    tested = freedom > _LEAST_FREEDOM
    rare = _FALSE_ALARMS / max(np.count_nonzero(tested) * len(KINDS), 1)
    threshold = np.full((len(own), len(KINDS)), np.inf)
    for kind, columns in enumerate(COLUMNS):
        number = len(columns) * independent
        threshold[tested, kind] = len(columns) * len(channels) * fdtri(number, freedom[tested], 1 - rare)
    told = np.any([state.told for state in states], axis=0)
    threshold[:, 1] = np.where(told | active[:, 1], threshold[:, 1] + _RATHER_AN_OFFSET, np.inf)
    return threshold


def independent_of(channels, states):
    """How many independent channels scatter as the sum of all does (Satterthwaite 1946)."""
    keys = [channel.keys for channel in channels]
    same = all(np.array_equal(keys[0], key) for key in keys)
    common = keys[0] if same else reduce(np.intersect1d, keys)
    where = [slice(None) if same else np.searchsorted(key, common) for key in keys]
    if len(common) < 2:
        return 1.0
    sizes = [
        np.clip(channel.in_errors(state.residuals.left)[own], -_CLIPPED, _CLIPPED)
        for channel, state, own in zip(channels, states, where, strict=True)
    ]
    product = np.einsum("ie,je->ij", sizes, sizes)
    scale = np.sqrt(np.maximum(np.diag(product), np.finfo(float).tiny))
    alike = product / np.outer(scale, scale)
    np.fill_diagonal(alike, 1.0)
    return len(channels) ** 2 / float(np.sum(alike**2))


def unborne(channel, state):
    """Tiles with a large factor that leaves their level as it is and that no star bears out, shape (N,).

    It is light on another tile, which these have not got.
    """
    offset, gain = state.equations.by_kind()[:, :2].T
    # Stars that join scaled tiles only with one another know of none.
    left = np.log(np.maximum(1 + gain, _LEAST_GAIN)) - np.nan_to_num(channel.witness.logarithm)
    large = (np.abs(left) > _LARGE) & (gain != 0)
    same = np.abs(offset + gain * channel.level) < _SAME_LEVEL * np.abs(gain * channel.level)
    return large & same
