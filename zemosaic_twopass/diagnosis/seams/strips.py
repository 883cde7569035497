"""The strips on both sides of edges, as columns across them: where they lie, and what a picture holds there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLUMNS = 20
# A side of a cell of a strip by block means, and how many to either side.
BLOCK = 8
BLOCKS_DEEP = 8
# Of a strip by pixels: left out at the edge, depth of a cell, and how many to either side.
_GAP = 1.5
_DEEP = 4
PIXELS_DEEP = 6
_ALONG = 8
# Columns nearer to each other than this hold the same noise.
_APART = 7.5
_NOWHERE = 1e6
# A region that is seen along less than half of an edge is passed over for one as near as this.
_SLIVER = 40.0
# Stretches at a time, so that their pixels lie in the cache.
_AT_A_TIME = 16


@dataclass(frozen=True, eq=False)
class Strips:
    """Strips of n stretches in columns across the edge, each of m cells from inside to outside.

    Attributes
    ----------
    distance : ndarray, shape (n, columns, m)
        Of each cell from the edge in pixels, negative inside.
    known : ndarray, shape (n, columns, m), bool
        Whether it lies in the region that it belongs to.
    rows, columns : ndarray, shape (n, columns, m)
        Of the block of `BLOCK` pixels that it is, or lies in.
    """

    distance: np.ndarray
    known: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def of_blocks(cls, stretches, regions):
        """Strips whose cells are those of `regions`, blocks of `BLOCK` pixels."""
        depth = BLOCK * (np.arange(-BLOCKS_DEEP, BLOCKS_DEEP) + 0.5)
        x, y = _lattice(stretches, spread_ahead(stretches, 1), depth)
        height, width = regions.labels.shape
        rows, columns = (np.rint((place + 0.5) / BLOCK - 0.5).astype(int) for place in (y, x))
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
        x, y = (BLOCK * (cells + 0.5) - 0.5 for cells in (columns, rows))
        distance = _wide(stretches.normal[:, 0]) * (x - _wide(stretches.x))
        distance += _wide(stretches.normal[:, 1]) * (y - _wide(stretches.y))
        labels = np.where(inside & regions.pure[rows, columns], regions.labels[rows, columns], 0)
        ends = _beyond_slivers(labels, distance, (stretches.inside, stretches.outside))
        known = (labels > 0) & (labels == np.where(distance < 0, *map(_wide, ends)))
        return cls(distance, known, rows, columns)

    def at(self, chosen):
        """The strips of some of the stretches."""
        return Strips(self.distance[chosen], self.known[chosen], self.rows[chosen], self.columns[chosen])

    def of(self, blocks, every=1):
        """Values of block maps, shape (C, h, w), in the strips: (n, C, columns, m), NaN where not known.

        Only every second, third, … column, where that is enough.
        """
        rows = np.minimum(self.rows[:, ::every], blocks.shape[1] - 1)
        columns = np.minimum(self.columns[:, ::every], blocks.shape[2] - 1)
        values = np.moveaxis(blocks[:, rows, columns], 0, 1)
        return np.where(self.known[:, np.newaxis, ::every], values, np.nan)


def pixel_strips(stretches, regions, pixels, shift=0.0):
    """Strips whose cells are a few pixels, and what an image holds there.

    Parameters
    ----------
    stretches : Stretches
    regions : Regions
    pixels : array_like, shape (H, W, C)
    shift : float, optional
        How far the strips lie from the edge, in pixels along its normal: then all of it belongs to one region.

    Returns
    -------
    strips : Strips
    values : ndarray, shape (n, C, columns, m)
        In adu, the mean of the middle half of each cell, which stars do not draw along; NaN where less than half of
        it is known.
    """
    side = _GAP + 0.5 + np.arange(PIXELS_DEEP * _DEEP)
    depth = np.concatenate([-side[::-1], side])
    ahead = spread_ahead(stretches, _ALONG)
    cells = len(depth) // _DEEP
    shape = len(stretches), COLUMNS, cells
    values = np.full((len(stretches), pixels.shape[2], *shape[1:]), np.nan)
    known = np.zeros(shape, dtype=bool)
    for first in range(0, len(stretches), _AT_A_TIME):
        part = slice(first, first + _AT_A_TIME)
        x, y = _lattice(stretches, ahead, depth + shift, part)
        rows, columns, good = _nearest(x, y, pixels.shape)
        labels = np.where(good, regions.labels[rows // regions.step, columns // regions.step], 0)
        ends = [own[part] for own in (stretches.inside, stretches.outside)]
        ends = _beyond_slivers(labels, depth, ends) if shift == 0 else [ends[int(shift > 0)]] * 2
        good = (labels > 0) & (labels == np.where(depth < 0, *map(_wide, ends)))
        values[part], known[part] = _middles(pixels, rows, columns, good, cells)
    middle = depth.reshape(cells, _DEEP).mean(axis=1)
    x, y = _lattice(stretches, spread_ahead(stretches, 1), middle + shift)
    rows, columns, _ = _nearest(x, y, pixels.shape)
    distance = np.broadcast_to(middle, shape)
    return Strips(distance, known, rows // BLOCK, columns // BLOCK), values


def _beyond_slivers(labels, distance, ends):
    """The regions inside and outside of each edge; where one is but a sliver, what lies behind it.

    Parameters
    ----------
    labels : ndarray, shape (n, along, depth)
        0 where a cell is not to be used.
    distance : ndarray
        That goes with it; negative inside.
    ends : (ndarray, ndarray), shape (n,)
        Regions that meet at the edge.
    """
    found = []
    for inside, own in zip((True, False), ends, strict=True):
        side = np.broadcast_to((distance < 0) == inside, labels.shape)
        seen = (side & (labels == _wide(own))).any(axis=2).mean(axis=1)
        own, near = own.copy(), side & (labels > 0) & (np.abs(distance) <= _SLIVER)
        for index in np.flatnonzero(seen < 0.5):
            behind, count = np.unique(labels[index][near[index]], return_counts=True)
            if len(behind):
                own[index] = behind[np.argmax(count)]
        found.append(own)
    return found


def spread_ahead(stretches, each):
    """How far from its middle points of the columns of each stretch lie along it, shape (n, columns × each)."""
    columns = np.clip(stretches.length // _APART, 1, COLUMNS)[:, np.newaxis] * each
    number = np.arange(COLUMNS * each)
    return np.where(number < columns, ((number + 0.5) / columns - 0.5) * stretches.length[:, np.newaxis], _NOWHERE)


def _lattice(stretches, ahead, depth, part=slice(None)):
    """(x, y) of points as far along and across each stretch, shape (n, along, depth) each."""
    right, down = map(_wide, stretches.normal[part].T)
    ahead = ahead[part][..., np.newaxis]
    x = _wide(stretches.x[part]) + right * depth - down * ahead
    y = _wide(stretches.y[part]) + down * depth + right * ahead
    return x, y


def _wide(values):
    """One value a stretch, to go with arrays of shape (n, along, depth)."""
    return values[:, np.newaxis, np.newaxis]


def _nearest(x, y, shape):
    rows, columns = np.rint(y).astype(int), np.rint(x).astype(int)
    good = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return np.clip(rows, 0, shape[0] - 1), np.clip(columns, 0, shape[1] - 1), good


def near_pixels(stretches, regions, pixels, places, coverage=None):
    """Pixels of an image along and across edges, shape (n, along, depth, C), NaN where there are none.

    Parameters
    ----------
    stretches : Stretches
    regions : Regions
    pixels : ndarray, shape (H, W, C)
    places : (ndarray, ndarray, slice)
        How far along, as `spread_ahead` gives it, and across; and of which stretches.
    coverage : ndarray, shape (H, W), optional
        Where it is not positive there is nothing.
    """
    rows, columns, good = _nearest(*_lattice(stretches, *places), pixels.shape)
    cells = [np.minimum(at // regions.step, n - 1) for at, n in zip((rows, columns), regions.labels.shape, strict=True)]
    good &= regions.labels[tuple(cells)] > 0
    if coverage is not None:
        good &= coverage[rows, columns] > 0
    if pixels.flags.c_contiguous:
        # Several times as quick.
        flat = rows * pixels.shape[1] + columns
        found = pixels.reshape(-1, pixels.shape[2]).take(flat, axis=0).astype(np.float32, copy=False)
    else:
        found = pixels[rows, columns].astype(np.float32)
    found[~good] = np.nan
    return found


def middle_half(values):
    """Means of the middle half of the values along the last axis; NaN where less than half of them are known."""
    values = np.sort(values, axis=-1)
    count = np.isfinite(values).sum(axis=-1, keepdims=True)
    rank = np.arange(values.shape[-1])
    half = (rank >= count // 4) & (rank < count - count // 4)
    with np.errstate(invalid="ignore"):
        means = np.where(half, values, 0).sum(axis=-1) / half.sum(axis=-1)
    return np.where(2 * count[..., 0] >= values.shape[-1], means, np.nan)


def _middles(pixels, rows, columns, good, cells):
    """Means of the middle half of the pixels of each cell, (n, C, columns, cells), and which are known."""
    n, channels = len(rows), pixels.shape[2]
    taken = np.where(good[..., np.newaxis], pixels[rows, columns], np.nan).astype(np.float32)
    taken = taken.reshape(n, COLUMNS, _ALONG, cells, _DEEP, channels)
    means = middle_half(taken.transpose(0, 5, 1, 3, 2, 4).reshape(n, channels, COLUMNS, cells, -1))
    return means, np.isfinite(means).all(axis=1)
