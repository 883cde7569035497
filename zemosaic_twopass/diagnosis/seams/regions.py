"""A mosaic cut into regions that are covered alike: by the same tiles, or as often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, label, maximum_filter, minimum_filter

from ...tiles.blocks import block_mean

# A share this near to none or all of a cell is taken for none or all of it.
_WHOLE = 0.02
_SEED = 28
# Coverage that changes by less than this share of its median from cell to cell does not change.
_FLAT = 0.02
_SMALLEST_PX = 400
_MOST_CELLS = 1 << 24


@dataclass(frozen=True, eq=False)
class Regions:
    """A mosaic in cells, each of which belongs to a region.

    Attributes
    ----------
    labels : ndarray, shape (h, w), uint32
        The same number where the same footprints cover most of a cell; 0 where none does.
    pure : ndarray, shape (h, w), bool
        Where no footprint ends in the cell.
    level : ndarray, shape (h, w)
        How many tiles cover a cell, and half a one more for the second pass's part; or its coverage.
    step : int
        Side of a cell in pixels of the mosaic.
    footprints : tuple of ((tuple of slice, ndarray) or None)
        Box and covered share of each tile; then that of the second pass's part, if it is given.
    tiles : int
        How many of the footprints are tiles'.
    """

    labels: np.ndarray
    pure: np.ndarray
    level: np.ndarray
    step: int
    footprints: tuple
    tiles: int

    @classmethod
    def of_footprints(cls, footprints, shape, step, part=None):
        """Regions by the footprints of tiles.

        Parameters
        ----------
        footprints : sequence of ((tuple of slice, ndarray of shape (h, w)) or None)
            One a tile: (rows, columns) of the cells and how much of each is covered, from 0 to 1; None for a tile
            that misses the mosaic.
        shape : tuple of int
            (h, w) of the mosaic in cells.
        step : int
            Side of a cell in pixels.
        part : ndarray, shape (h, w), optional
            How much of each cell the second pass has in a merged mosaic.

        Returns
        -------
        Regions
        """
        tiles, footprints = len(footprints), tuple(footprints)
        if part is not None:
            footprints += (((slice(0, shape[0]), slice(0, shape[1])), part),)
        labels, level = np.zeros(shape, dtype=np.uint32), np.zeros(shape, dtype=np.float32)
        pure = np.ones(shape, dtype=bool)
        keys = np.random.default_rng(_SEED).integers(1, 1 << 32, len(footprints), dtype=np.uint32)
        for index, (footprint, key) in enumerate(zip(footprints, keys, strict=True)):
            if footprint is None:
                continue
            box, share = footprint
            covers = share > 0.5
            labels[box] ^= np.where(covers, key, np.uint32(0))
            pure[box] &= (share <= _WHOLE) | (share >= 1 - _WHOLE)
            # The second pass's part is the inside of two that as many tiles cover.
            level[box] += covers * np.float32(1 if index < tiles else 0.5)
        labels[level < 1] = 0
        return cls(labels, pure, level, step, footprints, tiles)

    @classmethod
    def of_coverage(cls, coverage):
        """Regions by a coverage map: where it is level, and to them what lies nearest.

        Parameters
        ----------
        coverage : ndarray, shape (H, W)
            Count or sum of weights; NaN and what is not positive cover nothing. One that changes everywhere, as
            feathered weights make it, has no regions.

        Returns
        -------
        Regions
        """
        step = int(np.ceil(np.sqrt(max(coverage.size / _MOST_CELLS, 1.0))))
        with np.errstate(invalid="ignore"):
            level = np.where(coverage > 0, coverage, 0).astype(np.float32)
        if step > 1:
            level = block_mean(level, step).astype(np.float32)
        covered = level > 0
        tolerance = _FLAT * float(np.median(level[covered])) if covered.any() else 0.0
        flat = covered & (maximum_filter(level, 3) - minimum_filter(level, 3) <= tolerance)
        labels, count = label(flat)
        size = np.bincount(labels.ravel(), minlength=count + 1)
        flat &= size[labels] >= _SMALLEST_PX / step**2
        labels[~flat] = 0
        if flat.any():
            nearest = distance_transform_edt(~flat, return_distances=False, return_indices=True)
            labels = np.where(covered, labels[tuple(nearest)], 0)
            level = np.where(covered, level[tuple(nearest)], 0)
        return cls(labels.astype(np.uint32), flat, level, step, (), 0)

    def owners(self, rows, columns):
        """Whose footprints cover cells: bool, shape (n, footprints)."""
        found = np.zeros((len(rows), len(self.footprints)), dtype=bool)
        for index, footprint in enumerate(self.footprints):
            if footprint is not None:
                found[:, index] = shares_at(footprint, rows, columns) > 0.5
        return found


def shares_at(footprint, rows, columns):
    """How much of cells a footprint covers, shape (n,); 0 beyond its box."""
    (down, across), share = footprint
    inside = (rows >= down.start) & (rows < down.stop) & (columns >= across.start) & (columns < across.stop)
    found = np.zeros(len(rows))
    found[inside] = share[rows[inside] - down.start, columns[inside] - across.start]
    return found
