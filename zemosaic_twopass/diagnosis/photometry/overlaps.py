"""The blocks that tiles share as one long list, and what a sum over every two tiles that meet is made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

_FEWEST_BLOCKS = 20
# Blocks each way.
_LEAST_CELL = 3
_CELLS_AT_A_TIME, _PARTS = 2048, 4


@dataclass(frozen=True, eq=False)
class Layout:
    """Every block of every tile that another tile knows too: entries, tile after tile, row after row.

    Attributes
    ----------
    shape : tuple of int
        Shape of the coarse grid.
    starts : ndarray of int, shape (N + 1,)
        Where the entries of each tile begin, and where the last end.
    cell : ndarray of int, shape (E,)
        Where each entry is in the flattened grid.
    corner, size : ndarray, shape (2, N)
        First column and row of what each tile knows, and how many there are.
    """

    shape: tuple[int, int]
    starts: np.ndarray
    cell: np.ndarray
    corner: np.ndarray
    size: np.ndarray
    _squares: dict = field(default_factory=dict)

    @cached_property
    def seen(self):
        """Cells that tiles share, ascending."""
        return np.flatnonzero(np.bincount(self.cell))

    @cached_property
    def block_index(self):
        """Where each entry is among those that are `seen`, shape (E,)."""
        number = np.zeros(self.shape[0] * self.shape[1], dtype=np.int32)
        number[self.seen] = np.arange(len(self.seen))
        return number[self.cell]

    @property
    def count(self):
        """How many tiles there are."""
        return len(self.starts) - 1

    @cached_property
    def tile(self):
        """Whose entry each is, shape (E,)."""
        return np.repeat(np.arange(self.count), np.diff(self.starts))

    @cached_property
    def uv(self):
        """Where each entry lies in what its tile knows, along columns and rows, from −½ to ½; shape (2, E)."""
        rows, columns = np.divmod(self.cell, self.shape[1])
        corner, size = self.each(self.corner), self.each(self.size)
        return (np.stack([columns, rows]) - corner + 0.5) / size - 0.5

    @property
    def keys(self):
        """A number that an entry has in every channel, ascending."""
        return self.tile * (self.shape[0] * self.shape[1]) + self.cell

    def checkerboard(self):
        """Which cells are of one of two colours, in squares of half of what a tile usually knows; shape (seen,)."""
        there = np.diff(self.starts) > 0
        if not there.any():
            return np.zeros(0, dtype=bool)
        side = np.maximum(np.rint(np.median(self.size[:, there], axis=1) / 2), _LEAST_CELL)
        rows, columns = np.divmod(self.seen, self.shape[1])
        return (columns // side[0] + rows // side[1]) % 2 == 0

    def each(self, values):
        """What tiles have, shape (…, N), given to each of their entries."""
        return np.repeat(values, np.diff(self.starts), axis=-1)

    def own(self, index):
        """Entries of a tile."""
        return slice(self.starts[index], self.starts[index + 1])

    def square(self, side):
        """Number from 0 up, without a gap, of the square of sky, so wide and each tile's own, that an entry lies in."""
        if side not in self._squares:
            self._squares[side] = self._number(side)
        return self._squares[side]

    def _number(self, side):
        rows, columns = np.divmod(self.cell, self.shape[1])
        rows, columns = rows // side, columns // side
        first = self.corner // side
        tall, wide = (self.corner + self.size - 1)[::-1] // side - first[::-1] + 1
        # Its cell in its tile's own rectangle of squares, and then without those that hold nothing.
        begin = np.concatenate([[0], np.cumsum(tall * wide)])
        left, top = self.each(first)
        number = self.each(begin[:-1]) + (rows - top) * self.each(wide) + columns - left
        held = np.zeros(begin[-1], dtype=bool)
        held[number] = True
        return (np.cumsum(held) - 1)[number]

    @cached_property
    def overlaps(self):
        """Every two entries in one cell: a `Meetings`."""
        order = np.argsort(self.cell, kind="stable")
        cell = self.cell[order]
        first, second = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int32)]
        order = order.astype(np.int32)
        for ahead in range(1, int(np.bincount(cell, minlength=1).max())):
            same = cell[ahead:] == cell[:-ahead]
            first.append(order[:-ahead][same])
            second.append(order[ahead:][same])
        first, second = np.concatenate(first), np.concatenate(second)
        pair = self.tile[first] * self.count + self.tile[second]
        often = np.bincount(pair, minlength=self.count**2)
        tiles = np.flatnonzero(often)
        number = np.cumsum(often > 0)[pair] - 1
        # Sorts by counting where the numbers are short.
        order = np.argsort(number.astype(np.min_scalar_type(len(tiles))), kind="stable")
        first, second = first[order], second[order]
        starts = np.concatenate([[0], np.cumsum(often[tiles])])
        return Meetings(np.stack(np.divmod(tiles, self.count)), starts, first, second)


@dataclass(frozen=True, eq=False)
class Meetings:
    """Every two tiles that share blocks, and the entries that each has of them.

    Attributes
    ----------
    tiles : ndarray of int, shape (2, P)
        The first of two is the lower.
    starts : ndarray of int, shape (P + 1,)
        Where the entries of each two begin.
    first, second : ndarray of int
        Entry of every shared block in the one tile and in the other.
    """

    tiles: np.ndarray
    starts: np.ndarray
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True, eq=False)
class SharedBlocks:
    """What tiles share in one channel.

    Attributes
    ----------
    layout : Layout
    value : ndarray, shape (E,)
        Block mean in adu.
    missing : ndarray, shape (E,)
        How much of the block the tile does not know, from 0 to 1.
    edges : ndarray, shape (3, seen)
        −∂S/∂x, −∂S/∂y and ∇²S of the mean of the tiles, each in its own unit, at each cell that they share, in adu per
        pixel and pixel².
    """

    layout: Layout
    value: np.ndarray
    missing: np.ndarray
    edges: np.ndarray


def find_shared_blocks(tiles, shape, units):
    """What tiles share, channel by channel.

    Parameters
    ----------
    tiles : sequence of (CoarseTile or None)
    shape : tuple of int
        (h, w) of the coarse grid.
    units : sequence of ndarray, shape (N,)
        One a channel: what the structure of each tile is divided by before that of several is averaged.

    Returns
    -------
    list of SharedBlocks
        One a channel; without the tiles that share fewer than 20 blocks: nothing could be said of them, and their
        faults would be taken for those of their neighbours. Channels that know the same blocks have one layout.
    """
    found, before, layout = [], None, None
    for channel, unit in enumerate(units):
        known = _find_known(tiles, shape, channel)
        if before is None or not all(map(np.array_equal, known, before)):
            layout, before = _layout(tiles, known, shape), known
        found.append(_channel(tiles, known, layout, channel, unit))
    return found


def sums_of_products(layers, *lists):
    """Sums of values times products of two layers over pieces of lists of cells.

    Parameters
    ----------
    layers : ndarray, shape (K, cells)
    *lists : (ndarray, ndarray of int, ndarray of int)
        Values, their cells, and where each piece begins and the last one ends.

    Returns
    -------
    list of ndarray, shape (pieces, K, K)
        One a list.
    """
    count, cells = layers.shape
    pairs = np.triu_indices(count)
    lists = [csr_array(own, (len(own[2]) - 1, cells)) for own in lists]
    sums = [np.empty((own.shape[0], count, count)) for own in lists]
    # All at once would be the largest array of the comparison.
    for part in np.array_split(np.transpose(pairs), _PARTS):
        products = np.empty((cells, len(part)))
        # A few cells at a time: what is multiplied stays in the cache, though it is written side by side.
        for some in (slice(first, first + _CELLS_AT_A_TIME) for first in range(0, cells, _CELLS_AT_A_TIME)):
            for column, (one, other) in enumerate(part):
                np.multiply(layers[one, some], layers[other, some], out=products[some, column])
        first, second = part.T
        for own, total in zip(lists, sums, strict=True):
            total[:, first, second] = own @ products
            total[:, second, first] = total[:, first, second]
    return sums


def _channel(tiles, known, layout, channel, unit):
    nothing, unit = np.zeros(0), layout.each(unit)

    def layer(name):
        own = (getattr(t, name)[channel][k] for t, k in zip(tiles, known, strict=True) if t is not None)
        return np.concatenate([nothing, *own])

    number = np.bincount(layout.block_index)
    edges = [
        sign * np.bincount(layout.block_index, layer(name) / unit) / number
        for name, sign in (("dx", -1), ("dy", -1), ("curvature", 1))
    ]
    return SharedBlocks(layout, layer("value"), 1 - layer("share"), np.stack(edges))


def _layout(tiles, known, shape):
    cells, corner, size = [], np.zeros((2, len(tiles)), dtype=int), np.ones((2, len(tiles)), dtype=int)
    for index, (tile, mask) in enumerate(zip(tiles, known, strict=True)):
        if tile is None or not mask.any():
            cells.append(np.zeros(0, dtype=int))
            continue
        rows, columns = np.nonzero(mask)
        start = [part.start for part in tile.box]
        cells.append((rows + start[0]) * shape[1] + columns + start[1])
        filled = np.isfinite(tile.value).any(axis=0)
        for axis in (0, 1):
            first, last = np.flatnonzero(filled.any(axis=axis))[[0, -1]]
            corner[axis, index], size[axis, index] = first + start[1 - axis], last - first + 1
    starts = np.concatenate([[0], np.cumsum([len(own) for own in cells])])
    return Layout(tuple(shape), starts, np.concatenate(cells), corner, size)


def _find_known(tiles, shape, channel):
    """Masks of the blocks of each tile that another one knows too; None for a tile that is not there."""
    masks = [None if tile is None else np.isfinite(tile.value[channel]) for tile in tiles]
    while True:
        count = np.zeros(shape, dtype=np.int32)
        for tile, mask in zip(tiles, masks, strict=True):
            if tile is not None:
                count[tile.box] += mask
        shared = [None if t is None else m & (count[t.box] > 1) for t, m in zip(tiles, masks, strict=True)]
        few = [m is not None and 0 < np.count_nonzero(m) < _FEWEST_BLOCKS for m in shared]
        if not any(few):
            return shared
        masks = [np.zeros_like(m) if drop else m for m, drop in zip(masks, few, strict=True)]
