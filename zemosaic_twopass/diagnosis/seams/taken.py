"""What background matching takes of tiles: what it would take of fields, and what it took, read off a mosaic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD, HUBER
from ...tiles.grid import common_part

# Less of a block than this is nothing of it.
NOTHING = 0.02
# So much of what matching would take must be gone for it to have been there.
_MATCHED = 0.5
# Blocks from which what matching took is read: enough for some hundred tiles.
_MOST_BLOCKS = 5_000
_GOLDEN = (5**0.5 - 1) / 2
_ROUNDS = 5
_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Matching:
    """The tiles that meet, and so are matched.

    Attributes
    ----------
    pairs : sequence of (int, int, tuple of slice, tuple of slice, ndarray of bool)
        i, j, parts of the boxes of i and j, and the blocks of these that both fill.
    count : int
        Of all tiles.
    levels : ndarray, shape (pairs, 2, C)
        Means of both tiles of each pair as given, where they meet; 0 where nothing is known.
    """

    pairs: tuple
    count: int
    levels: np.ndarray

    @classmethod
    def of(cls, footprints, given):
        """What matching took of the tiles that `Makings` has."""
        pairs = []
        for i, one in enumerate(footprints):
            for j in range(i + 1, len(footprints)):
                other = footprints[j]
                parts = None if one is None or other is None else common_part(one[0], other[0])
                if parts and given[i] is not None and given[j] is not None:
                    both = (one[1][parts[0]] > 1 - NOTHING) & (other[1][parts[1]] > 1 - NOTHING)
                    if both.any():
                        pairs.append((i, j, *parts, both))
        channels = len(next(own for own in given if own is not None))
        levels = np.zeros((len(pairs), 2, channels))
        for own, pair in zip(levels, pairs, strict=True):
            own[:] = [_level(given[pair[side]], pair[2 + side], pair[4]) for side in (0, 1)]
        return cls(tuple(pairs), len(footprints), levels)

    def steps_of(self, fields):
        """The mean steps of all pairs, shape (pairs, C), in fields of shape (C, h, w) by tile, in its box, or none."""
        steps = np.zeros((len(self.pairs), self.levels.shape[2]))
        for own, (i, j, here, there, both) in zip(steps, self.pairs, strict=True):
            for sign, tile, part in ((1, i, here), (-1, j, there)):
                if tile in fields:
                    own += sign * _level(fields[tile], part, both)
        return steps

    def steps_of_gains(self, gains):
        """The same in the tiles as given times gains, shape (N,)."""
        i, j = self._ends
        return gains[i, np.newaxis] * self.levels[:, 0] - gains[j, np.newaxis] * self.levels[:, 1]

    @property
    def _ends(self):
        return np.array([pair[:2] for pair in self.pairs], dtype=int).reshape(-1, 2).T

    def balance(self, steps, known=None):
        """What matching takes: the offsets that leave least of the mean steps of all pairs.

        Parameters
        ----------
        steps : ndarray, shape (pairs, C)
        known : ndarray, shape (N, C), optional
            Offsets that are known, NaN for the others, which are looked for beside these.

        Returns
        -------
        ndarray, shape (N, C)
        """
        found = np.full((self.count, steps.shape[1]), np.nan) if known is None else known.copy()
        free = ~np.isfinite(found).all(axis=1)
        if not self.pairs:
            found[free] = 0.0
            return found
        design = np.zeros((len(self.pairs), self.count))
        design[np.arange(len(self.pairs)), self._ends] = np.array([[1.0], [-1.0]])
        left = steps - design[:, ~free] @ found[~free]
        found[free] = np.linalg.lstsq(design[:, free], left, rcond=None)[0]
        return found

    def would_take(self, steps, taken):
        """Whether what was taken is what matching would have taken; None where nothing tells.

        Parameters
        ----------
        steps : ndarray, shape (pairs, C)
        taken : ndarray, shape (N, C)
            NaN where it is not known.

        Returns
        -------
        bool or None
        """
        right, (i, j) = self.balance(steps), self._ends
        wanted, found = right[i] - right[j], taken[i] - taken[j]
        known = np.isfinite(found)
        if not known.any():
            return None
        return bool(np.sum((wanted * found)[known]) > _MATCHED * np.sum(wanted[known] ** 2))


def _level(field, part, both):
    """The mean of a field in some blocks of a part of it, shape (C,); 0 where nothing is known."""
    values = field[(slice(None), *part)]
    level = np.add.reduce(values, axis=(1, 2), where=both) / np.count_nonzero(both)
    if np.isfinite(level).all():
        return level
    known = np.isfinite(values) & both
    return np.nan_to_num(np.add.reduce(values, axis=(1, 2), where=known) / np.count_nonzero(known, axis=(1, 2)))


def fit_matching(left, shares):
    """What matching took of each tile, of what a mosaic holds less than its tiles, −Σ f_i c_i.

    A Huber fit: what is wrong with part of a mosaic is not to be taken for it.

    Parameters
    ----------
    left : ndarray, shape (C, h, w)
        NaN where nothing is known.
    shares : sequence of ((tuple of slice, ndarray of shape (h, w)) or None)
        f of each tile, in its box.

    Returns
    -------
    ndarray, shape (N, C)
        NaN for a tile of which nothing is told.
    """
    usable = np.isfinite(left).any(axis=0)
    usable, thin = np.flatnonzero(usable), np.zeros_like(usable)
    if len(usable) > _MOST_BLOCKS:
        # By the golden ratio they lie everywhere as close: between the rows and columns of a lattice a tile gets lost.
        usable = usable[np.unique((np.arange(_MOST_BLOCKS) * _GOLDEN % 1.0 * len(usable)).astype(int))]
    thin.flat[usable] = True
    number = np.where(thin, np.cumsum(thin).reshape(thin.shape) - 1, -1)
    data, rows, columns = [], [], []
    for index, own in enumerate(shares):
        if own is not None:
            row, share = number[own[0]], own[1]
            inside = (row >= 0) & (share > 0)
            data.append(share[inside])
            rows.append(row[inside])
            columns.append(np.full(inside.sum(), index))
    shape = np.count_nonzero(thin), len(shares)
    design = csr_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
    return np.stack([_huber(design, -plane[thin]) for plane in left], axis=1)


def _huber(design, wanted):
    """The terms that bring a sparse design nearest to what is wanted, where that is known; NaN for one that is not."""
    known, across = np.isfinite(wanted), design.T.tocsr()
    wanted, weight = np.where(known, wanted, 0.0), known.astype(float)
    row = np.repeat(np.arange(len(wanted)), np.diff(design.indptr))
    for _ in range(_ROUNDS):
        # Not `multiply`, which takes as long as all else.
        weighed = csr_array((design.data * weight[row], design.indices, design.indptr), shape=design.shape)
        normal = (across @ weighed).toarray()
        told = np.diag(normal) > 0
        # Nothing may be known at all.
        normal += (_RIDGE * np.trace(normal) / len(normal) + np.finfo(float).tiny) * np.eye(len(normal))
        found = np.linalg.solve(normal, across @ (weight * wanted))
        off = np.abs(wanted - design @ found)
        spread = GAUSSIAN_MAD * float(median_of_known(off[known])) if known.any() else 1.0
        spread = max(spread, np.finfo(np.float32).tiny)
        weight = known * np.minimum(1.0, HUBER * spread / np.maximum(off, spread * HUBER))
    return np.where(told, found, np.nan)
