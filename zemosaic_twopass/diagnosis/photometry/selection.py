"""Which tiles have which fault: the fewest terms that explain what all channels show.

All here is linear algebra on the normal equations of all tiles. What no data can tell, a constant, a plane or a gain
common to all tiles, never brings anything: it stays where most tiles have none of it.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .normal_equations import COLUMNS, KINDS, RIDGE

_SUBSETS = tuple(subset for size in range(len(KINDS) + 1) for subset in combinations(range(len(KINDS)), size))
_EVERYWHERE = (0,), (1,), (0, 1), (0, 1, 2)
_MOVES_PER_TILE = 8
_CROWD = 3


def search(equations, active, threshold, groups):
    """`choose`; where many tiles have something, from other beginnings too.

    One move at a time may end with slopes that lean on what should be the levels of all, or with an offset that all but
    a few tiles have, where these have it.
    """
    found = [choose(equations, active, threshold, groups)]
    if _CROWD * np.count_nonzero(found[0].any(axis=1)) > len(active):
        if active.any():
            found.append(choose(equations, np.zeros_like(active), threshold, groups))
        for kinds in () if active.any() else _EVERYWHERE:
            everywhere = np.zeros_like(active)
            for group in groups:
                everywhere[np.ix_(group[1:], kinds)] = True
            found.append(choose(equations, fix_gauge(equations, everywhere, threshold, groups)[0], threshold, groups))
    worth = []
    for own in found:
        _enter(equations, own)
        worth.append(sum(one.sum_deviance() for one in equations) - threshold[own].sum())
    best = found[int(np.argmax(worth))]
    _enter(equations, best)
    return best


def choose(equations, active, threshold, groups):
    """Look for the fewest terms: each move gives one tile another set of kinds, the best of all moves first.

    Parameters
    ----------
    equations : sequence of Equations
        One a channel; a kind is in or out in all of them. Left with what was chosen in.
    active : ndarray of bool, shape (N, 3)
        Which tile has which kind, to begin with.
    threshold : ndarray, shape (N, 3)
        By how much a kind must lower the deviance of all channels together to be there.
    groups : sequence of ndarray of int
        Tiles that hang together. In each, one at least has none of a kind: the others are measured from it.

    Returns
    -------
    ndarray of bool, shape (N, 3)
    """
    active, tiles = active & np.isfinite(threshold), np.arange(len(active))
    _enter(equations, active)
    for _ in range(_MOVES_PER_TILE * len(active)):
        asked = np.where(_last(active, groups), np.inf, threshold)
        worth = deviance_drop(equations) - np.stack([asked[:, list(subset)].sum(axis=1) for subset in _SUBSETS], axis=1)
        now = [_SUBSETS.index(tuple(np.flatnonzero(own))) for own in active]
        better = worth - worth[tiles, now][:, np.newaxis]
        tile, subset = np.unravel_index(np.argmax(better), better.shape)
        if better[tile, subset] <= RIDGE * abs(worth[tile, subset]):
            break
        active[tile] = np.isin(range(len(KINDS)), _SUBSETS[subset])
        _enter(equations, active)
    return active


def _last(active, groups):
    """Which tile is the only one of its group without a kind, shape (N, 3)."""
    last = np.zeros_like(active)
    for group in groups:
        last[group] = ~active[group] & (np.count_nonzero(~active[group], axis=0) == 1)
    return last


def fix_gauge(equations, active, threshold, groups):
    """Where nearly all tiles of a group have a kind, let each have its own, and the median tile none.

    A tile that happens to be near another's level must not be forced to the same: the level of all would lean on it.

    Parameters
    ----------
    equations, active, threshold, groups
        As for `choose`.

    Returns
    -------
    active : ndarray of bool, shape (N, 3)
        As given, but for groups of three and more in which fewer than a third of the tiles, or only one, lack a kind.
    crowded : ndarray of bool, shape (N, 3)
        The kinds that nearly all tiles of the group of a tile have.
    """
    crowded = np.zeros_like(active)
    for group in groups:
        has = active[group].copy()
        # Without structure in the sky one is often taken for the other: that of the more tiles stands for both.
        has[:, int(np.count_nonzero(has[:, 1]) > np.count_nonzero(has[:, 0]))] |= has[:, :2].any(axis=1)
        lack = np.count_nonzero(~has, axis=0)
        crowded[group] = (len(group) >= _CROWD) & ((lack < 2) | (_CROWD * lack < len(group)))
    for group in groups:
        for kind in np.flatnonzero(crowded[group[0]]):
            _enter(equations, active)
            before = sum(own.sum_deviance() for own in equations)
            distance = np.zeros(len(group))
            for own in equations:
                values = own.by_kind()[group][:, COLUMNS[kind]]
                away = np.abs(values - np.median(values, axis=0))
                distance += np.sum(away / np.maximum(np.median(away, axis=0), RIDGE), axis=1)
            other = active.copy()
            other[group, kind] = True
            other[group[np.argmin(distance)], kind] = False
            _enter(equations, other)
            if sum(own.sum_deviance() for own in equations) > before - threshold[group, kind].min():
                active = other
    _enter(equations, active)
    return active, crowded


def deviance_drop(equations):
    """Fall of the deviance by each set of kinds in each tile, the others as they are; shape (N, 8)."""
    total = 0.0
    for own in equations:
        block, right = own.blocks()
        sets = [[column for kind in subset for column in COLUMNS[kind]] for subset in _SUBSETS]
        total = total + np.stack([_fall(block, right, own.least, columns) for columns in sets], axis=1)
    return total


def subset_number(kinds):
    """Where `deviance_drop` has a set of kinds, given as numbers in `KINDS`."""
    return _SUBSETS.index(tuple(sorted(kinds)))


def _enter(equations, active):
    for own in equations:
        own.enter(active)


def _fall(block, right, least, columns):
    """Fall of the deviance when columns enter, tile by tile."""
    block, right, total = block.copy(), right.copy(), np.zeros(len(right))
    for column in columns:
        pivot = block[:, column, column]
        known = pivot > least[:, column]
        inverse = np.divide(1.0, pivot, out=np.zeros(len(pivot)), where=known)
        total += right[:, column] ** 2 * inverse
        factor = block[:, :, column] * inverse[:, np.newaxis]
        row, value = block[:, column].copy(), right[:, column].copy()
        block -= factor[:, :, np.newaxis] * row[:, np.newaxis]
        right -= factor * value[:, np.newaxis]
    return total
