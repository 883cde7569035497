"""The strips on both sides of edges, as columns across them: where they lie, and what a picture holds there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...measure.median import median_of_known

COLUMNS = 20
# A side of a cell of a strip by block means, and how many to either side.
BLOCK = 8
BLOCKS_DEEP = 8
# Columns nearer to each other than this hold the same noise.
_SAME_NOISE_PX = 7.5
_NOWHERE = 1e6
# A region that is seen along less than half of an edge is passed over for one as near as this.
_SLIVER = 40.0


@dataclass(frozen=True, eq=False)
class Strips:
    """Strips of n stretches in columns across the edge, each of m cells from inside to outside.

    Attributes
    ----------
    distance : ndarray, shape (n, columns, m)
        Distance of each cell from the edge in pixels, negative inside.
    known : ndarray, shape (n, columns, m), bool
        Whether it lies in the region that it belongs to.
    rows, columns : ndarray, shape (n, columns, m)
        Row and column of the block of `BLOCK` pixels that it is, or lies in.
    shape : (int, int)
        Of the maps that these blocks are of.
    """

    distance: np.ndarray
    known: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of_blocks(cls, stretches, regions):
        """Strips whose cells are those of `regions`, blocks of `BLOCK` pixels."""
        depth = BLOCK * (np.arange(-BLOCKS_DEEP, BLOCKS_DEEP) + 0.5)
        x, y = lattice(stretches, spread_ahead(stretches, 1), depth)
        height, width = regions.labels.shape
        rows, columns = (np.rint((place + 0.5) / BLOCK - 0.5).astype(int) for place in (y, x))
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
        x, y = (BLOCK * (cells + 0.5) - 0.5 for cells in (columns, rows))
        distance = widen(stretches.normal[:, 0]) * (x - widen(stretches.x))
        distance += widen(stretches.normal[:, 1]) * (y - widen(stretches.y))
        labels = np.where(inside & regions.pure[rows, columns], regions.labels[rows, columns], 0)
        ends = beyond_slivers(labels, distance, (stretches.inside, stretches.outside))
        known = (labels > 0) & (labels == np.where(distance < 0, *map(widen, ends)))
        return cls(distance, known, rows, columns, (height, width))

    @cached_property
    def _flat(self):
        """Places of the blocks in a map as it lies in memory, shape (n, columns, m)."""
        # Half of the memory, in which they stay.
        return (self.rows * self.shape[1] + self.columns).astype(np.min_scalar_type(-self.shape[0] * self.shape[1]))

    @cached_property
    def middle_distance(self):
        """Median along each stretch of the distances of the cells that are known, shape (n, m); NaN where none is."""
        return median_of_known(np.moveaxis(np.where(self.known, self.distance, np.nan), 1, -1))

    def at(self, chosen):
        """The strips of some of the stretches."""
        own = (part[chosen] for part in (self.distance, self.known, self.rows, self.columns))
        return Strips(*own, self.shape)

    def of(self, blocks, every=1):
        """Values of maps of blocks, shape (C, h, w), in the strips: (n, C, columns, m), NaN where not known.

        Only every second, third, … column, where that is enough.
        """
        flat = self._flat[:, ::every]
        found = np.empty((len(flat), len(blocks), *flat.shape[1:]))
        # Channel by channel: at once it takes twice as long.
        for own, plane in zip(np.moveaxis(found, 1, 0), blocks, strict=True):
            own[:] = plane.take(flat)
        np.copyto(found, np.nan, where=~self.known[:, np.newaxis, ::every])
        return found


def beyond_slivers(labels, distance, ends):
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
        seen = (side & (labels == widen(own))).any(axis=2).mean(axis=1)
        near = side & (labels > 0) & (np.abs(distance) <= _SLIVER) & widen(seen < 0.5)
        # Edge and region as one number, those of which most is there last of their edge.
        behind, count = np.unique(
            np.nonzero(near)[0].astype(np.uint64) << np.uint64(32) | labels[near], return_counts=True
        )
        behind, own = behind[np.argsort(-count, kind="stable")[::-1]], own.copy()
        own[behind >> np.uint64(32)] = behind.astype(own.dtype)
        found.append(own)
    return found


def spread_ahead(stretches, each):
    """How far from its middle points of the columns of each stretch lie along it, shape (n, columns × each)."""
    columns = np.clip(stretches.length // _SAME_NOISE_PX, 1, COLUMNS)[:, np.newaxis] * each
    number = np.arange(COLUMNS * each)
    return np.where(number < columns, ((number + 0.5) / columns - 0.5) * stretches.length[:, np.newaxis], _NOWHERE)


def lattice(stretches, ahead, depth, part=slice(None)):
    """(x, y) of points as far along and across each stretch, shape (n, along, depth) each."""
    normal = map(widen, stretches.normal[part].T)
    return _across(widen(stretches.x[part]), widen(stretches.y[part]), normal, ahead[part][..., np.newaxis], depth)


def _across(x, y, normal, ahead, depth):
    right, down = normal
    # What is the same all across first, of which there is less.
    return right * depth + (x - down * ahead), down * depth + (y + right * ahead)


def widen(values):
    """One value a stretch, to go with arrays of shape (n, along, depth)."""
    return values[:, np.newaxis, np.newaxis]


def nearest_pixels(x, y, shape):
    rows, columns = np.rint(y).astype(int), np.rint(x).astype(int)
    good = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return np.clip(rows, 0, shape[0] - 1), np.clip(columns, 0, shape[1] - 1), good


@dataclass(frozen=True, eq=False)
class NearPixels:
    """The pixels along and across some edges that lie within regions, k lines across of so many pixels.

    Attributes
    ----------
    crossed : (ndarray, ndarray), shape (k,)
        Which edge each line crosses, and where along it.
    flat : ndarray, shape (k, depth)
        Its pixels, counted along the rows of the image.
    shape : (int, int)
        How many edges, and lines across each at most.
    """

    crossed: tuple[np.ndarray, np.ndarray]
    flat: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, stretches, regions, shape, places):
        """Find them in images of a shape (H, W).

        Parameters
        ----------
        stretches : Stretches
        regions : Regions
        shape : (int, int)
        places : (ndarray, ndarray, slice)
            How far along, as `spread_ahead` gives it, and across; and of which stretches.
        """
        ahead, depth, part = places
        # At both ends of a line across: it is shorter than any region.
        rows, columns, good = nearest_pixels(*lattice(stretches, ahead, depth[[0, -1]], part), shape)
        cells = zip((rows, columns), regions.labels.shape, strict=True)
        good &= regions.labels[tuple(np.minimum(at // regions.step, n - 1) for at, n in cells)] > 0
        number, along = np.nonzero(good.all(axis=-1))
        middles = (own[part][number][:, np.newaxis] for own in (stretches.x, stretches.y))
        normal = stretches.normal[part][number].T[..., np.newaxis]
        x, y = map(np.rint, _across(*middles, normal, ahead[part][number, along][:, np.newaxis], depth))
        y *= shape[1]
        y += x
        # Half of the memory, in which they stay for the next image.
        return cls((number, along), y.astype(np.min_scalar_type(-shape[0] * shape[1])), good.shape[:2])

    def of_image(self, pixels, coverage=None):
        """The pixels of an image, shape (n, along, depth, C), NaN where there are none.

        Parameters
        ----------
        pixels : ndarray, shape (H, W, C)
        coverage : ndarray, shape (H, W), optional
            Where it is not positive there is nothing.
        """
        (number, along), flat = self.crossed, self.flat
        if coverage is not None:
            covered = (coverage.take(flat[:, [0, -1]]) > 0).all(axis=-1)
            number, along, flat = number[covered], along[covered], flat[covered]
        found, missing = np.empty((*self.shape, flat.shape[1], pixels.shape[2]), np.float32), np.ones(self.shape, bool)
        missing[number, along] = False
        found[missing] = np.nan
        if pixels.flags.c_contiguous:
            # Several times as quick.
            found[number, along] = pixels.reshape(-1, pixels.shape[2]).take(flat, axis=0)
        else:
            found[number, along] = pixels[np.unravel_index(flat, pixels.shape[:2])]
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
