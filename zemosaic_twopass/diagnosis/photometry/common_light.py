"""Is light that no term explains the same in all tiles? What of each tile the others foretell.

Glow of an amplifier, or a flat field, lies at the same pixels of every tile. Where two tiles meet they differ by what
it is at the pixels of the one less what it is at those of the other; a map of it, over the pixels of a tile, that is
fitted where a tile has no part must tell how that tile differs from its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array

from ...measure.robust import GAUSSIAN_MAD, MEDIAN_COST
from ...tiles.grid import common_part

# Blocks, each way, that a step between two tiles is taken over, and of which so many must be known.
_SIDE = 2
_FEWEST_BLOCKS = 3
_FEWEST_SQUARES = 8
_FEWEST_TILES = 4
# Knots of the map from a tile's middle to its corner; how stiff it is, and how near to 0, as parts of what steps say.
_KNOTS = 10
_STIFF, _SMALL = 0.03, 3e-5
# So much of what tiles differ from their neighbours by, noise apart, is foretold. Light that the others have not got
# foretells wrongly, which is less than nothing: in 21 small mosaics with light in one tile it is -0.07 at the most; in
# 20 with banding of 2 to 15 adu in all it is 0.23 and more, 0.9 to 1 where that is strong.
_FORETOLD = 0.25


def same_in_all(looks):
    """Whether what no term explains is the same light in all tiles.

    Parameters
    ----------
    looks : sequence of TileMeasurement

    Returns
    -------
    bool
        In the channel in which tiles differ most.
    """
    return bool(foretell(looks) > _FORETOLD)


def foretell(looks):
    """What part of how tiles differ from their neighbours, noise apart, is light that the others have too.

    Parameters
    ----------
    looks : sequence of TileMeasurement

    Returns
    -------
    float
        1 where it is all of it, 0 and below where it is nothing; a tile counts by how much it differs. NaN where fewer
        than four share enough and differ by more than noise.
    """
    channels = (_pairs(looks, channel) for channel in range(len(looks[0].noise)))
    pairs = max(channels, key=lambda own: np.sum([one.excess(0.0) for one in own]))
    normal, right = sum(one.normal for one in pairs), sum(one.right for one in pairs)
    side, differ, left = 2 * _KNOTS + 1, [], []
    knots = np.eye(side**2).reshape(-1, side, side)
    bend = np.concatenate([np.diff(knots, 2, axis=axis).reshape(side**2, -1) for axis in (1, 2)], axis=1)
    stiff = _STIFF * bend @ bend.T + _SMALL * np.eye(side**2)
    for tile in {tile for one in pairs for tile in one.tiles}:
        asked = [one for one in pairs if tile in one.tiles]
        others = normal - sum(one.normal for one in asked)
        told = np.diag(others) > 0
        before = sum(one.excess(0.0) for one in asked)
        if before > 0 and told.any():
            scale = np.mean(np.diag(others)[told])
            light = np.linalg.solve(others + scale * stiff, right - sum(one.right for one in asked))
            differ.append(before)
            left.append(sum(one.excess(light) for one in asked))
    return 1 - sum(left) / sum(differ) if len(differ) >= _FEWEST_TILES else np.nan


@dataclass(frozen=True, eq=False)
class _Pair:
    """Where two tiles meet: steps in errors, planes taken out, and what the knots of a map have to do with them.

    Of many tiles there are many pairs: what is large is made when it is asked for, and the few knots at each place are
    all that is kept of the design.
    """

    tiles: tuple[int, int]
    steps: np.ndarray
    plane: np.ndarray
    knots: csr_array
    in_plane: np.ndarray

    @classmethod
    def of(cls, tiles, steps, knots, places):
        """With the plane over places, shape (2, n), taken out of both."""
        plane = np.column_stack([np.ones(len(steps)), *(places - places.mean(axis=1, keepdims=True))])
        plane = np.linalg.qr(plane)[0]
        return cls(tiles, steps - plane @ (plane.T @ steps), plane, csr_array(knots), plane.T @ knots)

    @property
    def normal(self):
        return (self.knots.T @ self.knots).toarray() - self.in_plane.T @ self.in_plane

    @property
    def right(self):
        return self.knots.T @ self.steps

    def excess(self, light):
        """Sum of the squared steps, less a light that all have, beyond what noise makes of it."""
        left = self.steps
        if np.ndim(light):
            left = left - (self.knots @ light - self.plane @ (self.in_plane @ light))
        return float(left @ left) - (len(left) - 3)


def _pairs(looks, channel):
    found = []
    for tiles in combinations(range(len(looks)), 2):
        one, other = (looks[tile].blocks for tile in tiles)
        parts = None if one is None or other is None else common_part(one.box, other.box)
        if parts is None:
            continue
        step = one.value[channel][parts[0]] - other.value[channel][parts[1]]
        x, y = (axis[part] for axis, part in zip(one.centres(), parts[0][::-1], strict=True))
        values, error, places = _over_squares(step, x, y)
        if len(values) >= _FEWEST_SQUARES and error > 0:
            first, second = (_knots(looks[tile], places) for tile in tiles)
            found.append(_Pair.of(tiles, values / error, (first - second) / error, places))
    return found


def _over_squares(step, x, y):
    """Medians of a step over squares of blocks, their error, and their middles, shape (2, n)."""
    height, width = (size // _SIDE for size in step.shape)
    squares = step[: height * _SIDE, : width * _SIDE].reshape(height, _SIDE, width, _SIDE)
    squares = np.moveaxis(squares, 2, 1).reshape(height, width, _SIDE**2)
    rows, columns = np.nonzero(np.count_nonzero(np.isfinite(squares), axis=2) >= _FEWEST_BLOCKS)
    beside = np.diff(step, axis=1)
    beside = beside[np.isfinite(beside)]
    noise = GAUSSIAN_MAD * np.median(np.abs(beside)) / np.sqrt(2) if beside.size else 0.0
    middles = [axis[: len(axis) // _SIDE * _SIDE].reshape(-1, _SIDE).mean(axis=1) for axis in (x, y)]
    places = np.stack([middles[0][columns], middles[1][rows]])
    return np.nanmedian(squares[rows, columns], axis=1), MEDIAN_COST * noise / _SIDE, places


def _knots(look, places):
    """What each knot of a map over the pixels of a tile has to do with places in the mosaic, shape (n, K²)."""
    pixels = np.linalg.solve(look.axes, places - look.middle[:, np.newaxis])
    reach = look.reach / np.sqrt(abs(np.linalg.det(look.axes)))
    along = np.clip((pixels / reach + 1) * _KNOTS, 0, 2 * _KNOTS)
    across, down = (np.maximum(1 - np.abs(own[:, np.newaxis] - np.arange(2 * _KNOTS + 1)), 0) for own in along)
    return (down[:, :, np.newaxis] * across[:, np.newaxis]).reshape(len(down), -1)
