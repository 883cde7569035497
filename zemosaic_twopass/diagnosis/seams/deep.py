"""Deep strips on both sides of edges, by pixels: what lies at the edge, and beside it, where no edge is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD
from .strips import BLOCK, COLUMNS, Strips, beyond_slivers, lattice, middle_half, nearest_pixels, spread_ahead, widen

# Cells of so many pixels; that in which the edge lies is left out. So many are looked at on either side, and held.
_DEEP = 2
NEAR, _FAR = 10, 40
_NEAR_CELLS = np.concatenate([np.arange(-NEAR, 0), np.arange(1, NEAR + 1)])
_WHOLE_CELLS = np.concatenate([np.arange(-18, -5, 2), np.arange(6, 19, 2)])
# Places beside the edge that are looked at in its place.
_EVERY = 5
_ALONG = 8
# Profiles this far off others are left out.
_ROUNDS, _CLIP = 3, 5.0
# Stretches at a time, so that their pixels lie in the cache.
_AT_A_TIME = 8


@dataclass(frozen=True, eq=False)
class DeepStrips:
    """What an image holds across n edges.

    Attributes
    ----------
    near : Strips
        Strips of the cells at the edge.
    whole : Strips
        Strips of some cells that lie so far from it that the edge is in no block of theirs.
    values : ndarray, shape (n, C, columns, m)
        In adu, means of the middle half of each cell, which stars do not draw along; NaN where less than half of it
        is known, or it belongs to another region.
    """

    near: Strips
    whole: Strips
    values: np.ndarray

    @classmethod
    def of(cls, stretches, regions, pixels):
        """Read them off.

        Parameters
        ----------
        stretches : Stretches
        regions : Regions
        pixels : array_like, shape (H, W, C)
        """
        cells = 2 * _FAR + 1
        depth = np.arange(cells * _DEEP) - (cells * _DEEP - 1) / 2
        ahead, channels = spread_ahead(stretches, _ALONG), pixels.shape[2]
        values = np.full((len(stretches), channels, COLUMNS, cells), np.nan, dtype=np.float32)
        for first in range(0, len(stretches), _AT_A_TIME):
            part = slice(first, first + _AT_A_TIME)
            rows, columns, good = nearest_pixels(*lattice(stretches, ahead, depth, part), pixels.shape)
            labels = np.where(good, regions.labels[rows // regions.step, columns // regions.step], 0)
            ends = beyond_slivers(labels, depth, [own[part] for own in (stretches.inside, stretches.outside)])
            good = (labels > 0) & (labels == np.where(depth < 0, *map(widen, ends)))
            taken = np.where(good[..., np.newaxis], pixels[rows, columns], np.nan).astype(np.float32)
            taken = taken.reshape(-1, COLUMNS, _ALONG, cells, _DEEP, channels).transpose(0, 5, 1, 3, 2, 4)
            values[part] = middle_half(taken.reshape(*taken.shape[:4], -1))
        near, whole = (_strips(stretches, values, cells, pixels.shape) for cells in (_NEAR_CELLS, _WHOLE_CELLS))
        return cls(near, whole, values)

    def at_edge(self):
        """Values of the cells of `near`."""
        return _window(self.values, 0)

    def beside(self):
        """The same as far as possible from the edge to either side, a few times: there no edge is."""
        distances = range(NEAR + 1, _FAR - NEAR + 1, _EVERY)
        return [_window(self.values, sign * away) for away in distances for sign in (-1, 1)]


def _strips(stretches, values, cells, shape):
    """The `Strips` of some cells, counted from the edge."""
    distance = _DEEP * cells
    rows, columns, _ = nearest_pixels(*lattice(stretches, spread_ahead(stretches, 1), distance), shape)
    known = np.isfinite(values[..., _FAR + cells]).all(axis=1)
    blocks = tuple(n // BLOCK for n in shape[:2])
    # Beyond the last whole block are some pixels.
    rows, columns = (np.minimum(at // BLOCK, n - 1) for at, n in zip((rows, columns), blocks, strict=True))
    return Strips(np.broadcast_to(distance, known.shape), known, rows, columns, blocks)


def _window(values, away):
    """Cells on both sides of one, so many from the edge."""
    middle_cell = _FAR + away
    sides = values[..., middle_cell - NEAR : middle_cell], values[..., middle_cell + 1 : middle_cell + NEAR + 1]
    return np.concatenate(sides, axis=-1)


def likeness(profiles):
    """How profiles that hold no edge scatter, each about its own level: a covariance, shape (m, m).

    Parameters
    ----------
    profiles : ndarray, shape (n, m)
        Those that are not all known, and those far from all others, are left out.
    """
    profiles = profiles[np.isfinite(profiles).all(axis=1)].astype(float)
    profiles = profiles - profiles.mean(axis=1, keepdims=True)
    for _ in range(_ROUNDS):
        spread = GAUSSIAN_MAD * median_of_known(np.abs(profiles).T)
        profiles = profiles[(np.abs(profiles) <= _CLIP * spread).all(axis=1)]
    cells = profiles.shape[1]
    # What neighbours differ by stands in where there are few; all cells are alike where there is none, or one value.
    usual = (np.mean(np.diff(profiles, axis=1) ** 2) / 2 if len(profiles) else 0.0) or 1.0
    found = profiles.T @ profiles + cells * usual * np.eye(cells)
    return found / (len(profiles) + cells)
