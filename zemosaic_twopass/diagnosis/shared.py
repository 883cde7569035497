"""The blocks that tiles share, one channel, as one long list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tiles.grid import common_part

_FEWEST_BLOCKS = 20


@dataclass(frozen=True, eq=False)
class SharedBlocks:
    """Every block of every tile that another tile knows too: entries, tile after tile, row after row.

    Attributes
    ----------
    shape : tuple of int
        Of the coarse grid.
    tile, place : ndarray of int, shape (E,)
        Whose entry it is, and where in the flattened grid.
    value : ndarray, shape (E,)
        Block mean in adu.
    uv : ndarray, shape (2, E)
        Where it lies in what its tile knows, along columns and rows, from −½ to ½.
    missing : ndarray, shape (E,)
        How much of the block the tile does not know, from 0 to 1.
    edges : ndarray, shape (3, E)
        −∂S/∂x, −∂S/∂y and ∇²S of the mean of the tiles there, in adu per pixel and pixel².
    pairs : list of (int, int, ndarray, ndarray)
        Every two tiles that share blocks, and the entries that each has of them.
    """

    shape: tuple[int, int]
    tile: np.ndarray
    place: np.ndarray
    value: np.ndarray
    uv: np.ndarray
    missing: np.ndarray
    edges: np.ndarray
    pairs: list

    @property
    def size(self):
        """How many blocks the grid has."""
        return self.shape[0] * self.shape[1]

    @property
    def keys(self):
        """A number that an entry has in every channel, ascending."""
        return self.tile * self.size + self.place

    def own(self, index):
        """Entries of a tile."""
        return slice(*np.searchsorted(self.tile, (index, index + 1)))

    def square(self, side):
        """A number for the square of sky, so many blocks wide and each tile's own, that each entry lies in."""
        rows, columns = np.divmod(self.place, self.shape[1])
        return (self.tile * self.shape[0] + rows // side) * self.shape[1] + columns // side


def shared_blocks(tiles, shape, channel):
    """What tiles share in one channel.

    Parameters
    ----------
    tiles : sequence of (CoarseTile or None)
    shape : tuple of int
        (h, w) of the coarse grid.
    channel : int

    Returns
    -------
    SharedBlocks
        Without the tiles that share fewer than 20 blocks: nothing could be said of them, and their faults would be
        taken for those of their neighbours.
    """
    known = _known(tiles, shape, channel)
    nothing = np.zeros(0)

    def layer(name):
        own = (getattr(t, name)[channel][k] for t, k in zip(tiles, known, strict=True) if t is not None)
        return np.concatenate([nothing, *own])

    corners = [_corner(tile, mask, shape) for tile, mask in zip(tiles, known, strict=True)]
    places, u, v = (np.concatenate([own[part] for own in corners]) for part in range(3))
    tile = np.repeat(np.arange(len(tiles)), [len(own[0]) for own in corners])
    size = shape[0] * shape[1]
    number = np.bincount(places, minlength=size)[places]
    edges = [
        sign * np.bincount(places, layer(name), minlength=size)[places] / number
        for name, sign in (("dx", -1), ("dy", -1), ("curvature", 1))
    ]
    pairs = _pairs(tiles, [own[0] for own in corners], size)
    return SharedBlocks(
        tuple(shape), tile, places, layer("value"), np.stack([u, v]), 1 - layer("share"), np.stack(edges), pairs
    )


def _corner(tile, mask, shape):
    """Places, u and v of the blocks of a mask in a tile."""
    if tile is None or not mask.any():
        return np.zeros(0, dtype=int), np.zeros(0), np.zeros(0)
    rows, columns = np.nonzero(mask)
    filled = np.isfinite(tile.value).any(axis=0)
    found = [(rows + tile.box[0].start) * shape[1] + columns + tile.box[1].start]
    for numbers, along in ((columns, 0), (rows, 1)):
        first, last = np.flatnonzero(filled.any(axis=along))[[0, -1]]
        found.append((numbers - first + 0.5) / (last - first + 1) - 0.5)
    return tuple(found)


def _known(tiles, shape, channel):
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


def _pairs(tiles, places, size):
    starts = np.concatenate([[0], np.cumsum([len(own) for own in places])])
    pairs, number = [], np.full(size, -1)
    for i, tile in enumerate(tiles):
        number[places[i]] = np.arange(starts[i], starts[i + 1])
        for j in range(i + 1, len(tiles)):
            if tile is None or tiles[j] is None or common_part(tile.box, tiles[j].box) is None:
                continue
            first = number[places[j]]
            common = np.flatnonzero(first >= 0)
            if common.size:
                pairs.append((i, j, first[common], starts[j] + common))
        number[places[i]] = -1
    return pairs
