"""One channel of all tiles at once: sky, level, scale and slopes together, by robust self-calibration.

On a block b of the mosaic tile i shows ::

    T_i(b) = m_i + o_i + (1 + γ_i) (S(b) − m_i) + pu_i u + pv_i v − δx_i ∂S/∂x − δy_i ∂S/∂y + κ_i ∇²S + e_i(b)

with the sky S unknown on every block, m_i the median of S where tile i meets others, and u, v running from −½ to ½
over the blocks that the tile knows. S is eliminated block by block (Padmanabhan et al. 2008, ApJ 674, 1217). Shift δ
and blur κ are in it because a star that is sharper in one tile is brighter in its block and fainter beside it.

S holds the noise of the tiles it is made from, each with its weight; at the maximum of likelihood of this functional
model a gain is not drawn towards 1 (Fuller 1987, Measurement Error Models, 1.3).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from ...measure.coarse import FACTOR
from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD, HUBER
from .block_noise import estimate_noise
from .normal_equations import FURTHEST
from .overlaps import sums_of_products
from .scatter import Residuals
from .sharing import noise_in_common

TERMS = 7
_TINY = np.finfo(float).tiny
# The blocks from which it is read how wrong structure makes a block: share of all, and number.
_STRONGEST = 0.01
_FEWEST_STRONG = 30
# So much of the structure in a block goes wrong at the least, however little of it is seen to.
_LEAST_CUT = 0.01
# So much of what a blur, were it not in the model, changes in a gain is left where it is: a block is cut out of a star.
_BLUR_UNTOLD = 0.7
# In units of the range of all values.
_FAR = 3.0
_BRIGHTEST = 99.0


class Channel:
    """Tiles of one channel on the blocks that at least two of them know.

    Parameters
    ----------
    shared : SharedBlocks
    noise : sequence of float
        Noise of one pixel of each tile in adu.
    witness : Witness
        What stars say of the gains: those to begin with, and the unit of each tile's structure.

    Attributes
    ----------
    layout : Layout
    noise : ndarray, shape (N,)
        Noise of a block in adu, were its pixels independent.
    terms : ndarray, shape (N, 7)
        o in adu, γ, pu and pv in adu from end to end, δx, δy in pixels, κ in pixels².
    level : ndarray, shape (N,)
        m in adu.
    freedom : ndarray, shape (N,)
        Degrees of freedom that the noise of each tile is estimated with.
    keys : ndarray of int
        A number that each entry has in every channel, ascending.
    pairs : ndarray of int, shape (2, P)
        Every two tiles that share blocks.
    sharing : ndarray of bool, shape (N, N)
        Which tile shares its pixels with which, as crops of one stack do, [i, j] for i below j.
    witness : Witness
    variance : float
        Variance of a term, in units of that from the inverse of `normal`; 1 until it is known.
    contradicted : ndarray of bool, shape (N,)
        Tiles whose gain the sky does not tell, for the stars contradict it.
    """

    def __init__(self, shared, noise, witness):
        self.layout, self._shared = shared.layout, shared
        self.count, self.keys = self.layout.count, self.layout.keys
        self.pairs = self.layout.overlaps.tiles
        self._tile, self._block_index = self.layout.tile, self.layout.block_index
        self.witness, self.variance, self.contradicted = witness, 1.0, np.zeros(self.count, dtype=bool)
        self._unit = witness.units()
        unit = self.layout.each(self._unit)
        self._layers = *self.layout.uv, *(shared.edges[:, self._block_index] * unit)
        self._there = np.flatnonzero(np.diff(self.layout.starts))
        strength = np.abs(shared.edges).sum(axis=0)[self._block_index] * unit
        number = min(max(int(_STRONGEST * len(strength)), _FEWEST_STRONG), len(strength))
        self._strongest = np.argpartition(strength, -number)[-number:] if number else np.zeros(0, dtype=int)
        self._strength = strength
        # This is the noise of a block of independent pixels.
        self.noise = np.array(noise, dtype=float) / FACTOR
        self._scale = self.noise.copy()
        self._error_scale, self._huber = np.ones((2, len(shared.value)))
        self._common, self.sharing = noise_in_common(self.layout, shared.value, self.noise)
        self.freedom = np.zeros(self.count)
        # Tiles whose terms were the first that were no numbers any more: soon none are.
        self._lost = ()
        self.level, terms = np.zeros(self.count), np.zeros((self.count, TERMS))
        terms[:, 1] = witness.gains()
        self.move(terms)

    def move(self, terms):
        """Take other terms, offsets at the present levels, and see the sky with them."""
        self.terms = np.column_stack([terms[:, :-3], np.clip(terms[:, -3:], -FURTHEST, FURTHEST)])
        self._lost = self._lost or tuple(np.flatnonzero(~np.isfinite(terms).all(axis=1)).tolist())
        self._observe()
        level = self.level.copy()
        for index in self._there:
            level[index] = median_of_known(self._sky[self.layout.own(index)])
        # At another level the same tile has another offset.
        self.terms[:, 0] += self.terms[:, 1] * (level - self.level)
        self.level, self._above = level, self._sky - self.layout.each(level)

    def scale_sky(self, groups):
        """Let the sky be in units in which the gain of the usual tile of each group is what its stars say.

        Nothing tells a gain that all tiles that hang together have, and all else stays as it is.
        """
        terms = self.terms.copy()
        factors = (1 + terms[:, 1]) / (1 + self.witness.gains())
        for group in (np.intersect1d(own, self._there) for own in groups):
            factor = float(np.median(factors[group])) if len(group) else 0.0
            if factor > 0:
                terms[group, 1] = (1 + terms[group, 1]) / factor - 1
                # The sky spreads by that factor about one level, and that of each tile lies elsewhere then.
                beside = self.level[group] - np.median(self.level[group])
                terms[group, 0] += (1 + terms[group, 1]) * (1 - factor) * beside
        self.move(terms)

    def astray(self):
        """The tile whose offset is furthest beyond what these values can have, as a tuple; empty where none is.

        Where no tile has a number any more, that which lost it first; (None,) where all did at once.
        """
        spread = np.ptp(self._shared.value) if self._shared.value.size else 0.0
        size = np.where(np.isfinite(self.terms).all(axis=1), np.abs(self.terms[:, 0]), np.inf)
        if np.all(size <= _FAR * spread):
            return ()
        if np.isinf(size[self._there]).all():
            return self._lost if len(self._lost) == 1 else (None,)
        return (int(np.argmax(size)),)

    def signal(self):
        """What a gain multiplies in each tile: its level, or how far the brightest that it shares rises above it."""
        found = np.abs(self.level)
        for index in self._there:
            found[index] = max(found[index], np.percentile(np.abs(self._above[self.layout.own(index)]), _BRIGHTEST))
        return found

    def in_errors(self, left):
        """Residuals in units of the error of their block."""
        return left / (self._errors() * np.sqrt(np.maximum(1 - self._share, 1e-3)))

    def normal(self, cells=None):
        """Normal equations of all terms with the sky eliminated.

        Parameters
        ----------
        cells : ndarray of bool, shape (seen,), optional
            Those that count; by default all.

        Returns
        -------
        matrix : ndarray, shape (N, 7, N, 7)
            In units of 1 / variance of a block.
        score : ndarray, shape (N, 7)
        flat : ndarray, shape (N,)
            The part of the gains' diagonal that is noise of the sky and no structure.
        """
        layout, meet = self.layout, self.layout.overlaps
        # In one cell the terms of all tiles are made of the same seven layers, so that sums over shared blocks are.
        layers, own = self._map_layers(), self._own_layers()
        weight = self._weight if cells is None else self._weight * cells[self._block_index]
        part = weight * self._gain / np.sqrt(self._total)
        alone, both = sums_of_products(
            layers,
            (weight - part**2, self._block_index, layout.starts),
            (-part[meet.first] * part[meet.second], self._block_index[meet.first], meet.starts),
        )
        (i, j), tiles = meet.tiles, np.arange(self.count)
        matrix = np.zeros((self.count, TERMS, self.count, TERMS))
        matrix[tiles, :, tiles] = own @ alone @ np.moveaxis(own, 1, 2)
        matrix[i, :, j] = own[i] @ both @ np.moveaxis(own[j], 1, 2)
        matrix[j, :, i] = np.moveaxis(matrix[i, :, j], 1, 2)
        pulls = csr_array((weight * self._residual, self._block_index, layout.starts), (self.count, len(layers.T)))
        score = (own @ (pulls @ layers.T)[..., np.newaxis])[..., 0]
        flat = np.bincount(self._tile, weight * (1 - self._share) / self._total, minlength=self.count)
        return matrix, score, flat

    def bound_blur(self):
        """How far, relatively, the gain of each tile may be off by its blur, shape (N,).

        A Laplacian tells a blur to first order, and of a star in a block that is not all of it.
        """
        weight = self._weight * self._above
        light = np.bincount(self._tile, weight * self._above, minlength=self.count)
        spread = np.bincount(self._tile, weight * self._layers[-1], minlength=self.count)
        return _BLUR_UNTOLD * np.abs(self.terms[:, -1] * spread) / np.maximum(light, _TINY)

    def subtract(self, step):
        """Residuals once the terms have changed by `step`, shape (N, 7), and the sky has followed."""
        offset, gain, *rest = map(self.layout.each, step.T)
        own = offset + gain * self._above
        for term, layer in zip(rest, self._layers, strict=True):
            own += term * layer
        followed = self._sum(self._weight * self._gain * own)[self._block_index] / self._total
        return self._residual - own + self._gain * followed

    def _map_layers(self):
        """What the terms of all tiles are made of, cell by cell; shape (7, seen)."""
        height, width = self.layout.shape
        rows, columns = np.divmod(self.layout.seen, width)
        sky = np.zeros(len(rows))
        sky[self._block_index] = self._sky - self._middle()
        return np.stack([np.ones(len(sky)), sky, columns / width, rows / height, *self._shared.edges])

    def _own_layers(self):
        """What the layers of each tile are in those of the map, shape (N, 7, 7)."""
        own = np.tile(np.eye(TERMS), (self.count, 1, 1))
        own[:, 1, 0] = self._middle() - self.level
        for term, (corner, size, whole) in enumerate(
            zip(self.layout.corner, self.layout.size, self.layout.shape[::-1], strict=True), start=2
        ):
            own[:, term, term], own[:, term, 0] = whole / size, (0.5 - corner) / size - 0.5
        edges = np.arange(4, TERMS)
        own[:, edges, edges] = self._unit[:, np.newaxis]
        return own

    def _middle(self):
        """A level that those of all tiles are near to."""
        return float(np.median(self.level))

    def weigh(self, left, without_gain):
        """Noise of the tiles, errors of rough blocks, Huber's weights; they count from the next `move` on.

        Parameters
        ----------
        left : ndarray
            What all terms of all tiles leave: a fault that is not solved yet is no outlier.
        without_gain : ndarray
            The same with the present gains: a gain that is drawn by a single star would hide how badly it fits.
        """
        if not left.size:
            return
        told = np.bincount(self._tile, 1 - self._share, minlength=self.count)
        estimated = estimate_noise(self.layout, self.in_errors(left), self._common, self.noise, self._scale, told)
        if estimated:
            self._scale, self.freedom = estimated
        self._error_scale = self._scale_errors(self.in_errors(without_gain) * self._error_scale)
        size = np.abs(self.in_errors(left))
        limit = HUBER * max(1.0, GAUSSIAN_MAD * np.median(size))
        self._huber = limit / np.maximum(size, limit)

    def residuals(self, left):
        """What terms leave, from `left`, along with what is to be expected of it."""
        # What tiles have in common does not scatter as the rest does.
        weight = np.where(self._common == 1, self._weight, 0.0)
        return Residuals(self.layout, left, weight, self._share, self._huber >= 1, self._errors())

    def _errors(self):
        """Error of each block by itself."""
        return self.layout.each(self._scale) * self._common * self._error_scale

    def _sum(self, values):
        """Sums over the tiles in each cell."""
        return np.bincount(self._block_index, values)

    def _scale_errors(self, size):
        """Error of each block in units of that of a block without structure; at least 1.

        A star on the edge of a block is cut differently in each tile. How much that matters is read from the blocks
        with most structure; without this a few bright stars would decide alone. And what is missing of a block may
        hold all that it has above the sky.
        """
        typical = max(np.median(self._strength[self._strongest]), _TINY)
        scale = self.layout.each(self._scale) * self._common
        cut = np.maximum(GAUSSIAN_MAD * np.median(np.abs(size[self._strongest])) / typical, _LEAST_CUT / scale)
        missed = self._shared.missing * np.abs(self._above) * self.layout.each(np.abs(self._unit)) / scale
        return np.sqrt(1 + (cut * self._strength) ** 2 + missed**2)

    def _observe(self):
        """Sky, residuals and each tile's part in the sky, from the present terms and weights."""
        offset, gain, *rest = map(self.layout.each, self.terms.T)
        level, self._gain = self.layout.each(self.level), 1 + gain
        self._weight = self._huber / self._errors() ** 2
        own = self._shared.value - (offset - gain * level)
        for term, layer in zip(rest, self._layers, strict=True):
            own -= term * layer
        pull = self._weight * self._gain
        self._total = np.maximum(self._sum(pull * self._gain)[self._block_index], _TINY)
        self._sky = self._sum(pull * own)[self._block_index] / self._total
        self._above = self._sky - level
        self._share = pull * self._gain / self._total
        self._residual = own - self._gain * self._sky
