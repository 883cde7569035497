"""Each tile as given against what the others say: one robust fit of offset, gain, plane, shift and blur.

The model of a tile T against the coadd M of all of them, on blocks of the mosaic, is ::

    (T − M) / (1 − f) = c + γ (M − m0) + pu u + pv v − δx ∂M/∂x − δy ∂M/∂y + κ ∇²M

with f the tile's share of the coadd, so that the left side is the tile against the others alone, m0
the median of M, and u, v running from −½ to ½ over the tile. M holds the tile itself on purpose: the noise
that the regressor M shares with the left side then cancels (Fuller 1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..measure.coarse import coarse_shape
from ..tiles.grid import common_part

TERMS = ("offset", "gain", "u", "v", "dx", "dy", "blur")
_HUBER = 1.345
_GAUSSIAN_MAD = 1.4826
_ITERATIONS = 30
# Of the standard error of a term in independent noise.
_CONVERGED = 0.01
_MIN_OTHERS = 0.2
_STRONGEST = 0.01
_CLIP = 3.0
_CLUSTER_SIDES = (16, 12, 8)
MIN_CLUSTERS = 30


@dataclass(frozen=True, eq=False)
class TileFit:
    """The fit of one channel of one tile.

    Attributes
    ----------
    terms : ndarray, shape (7,)
        c in adu, γ, pu and pv in adu from end to end, δx and δy in mosaic pixels, κ in pixels².
    covariance : ndarray, shape (7, 7)
    level : float
        m0 in adu.
    effect : float
        Root mean square over the tile, in adu, of what offset, gain and plane together explain.
    scatter : float
        Robust standard deviation of what is left, in adu a block.
    clusters : int
        Number of independent pieces that the errors come from.
    """

    terms: np.ndarray
    covariance: np.ndarray
    level: float
    effect: float
    scatter: float
    clusters: int

    @property
    def z(self):
        """Each term in units of its own standard error."""
        return in_errors(self.terms, self.covariance)


class Coadd:
    """Weighted mean of coarse tiles, one channel, that a tile's correction can be taken out of.

    Parameters
    ----------
    coarse : sequence of (CoarseTile or None)
    weights : sequence of float
        One positive weight a tile.
    shape_out : tuple of int
        (H, W) of the mosaic.
    channel : int
    """

    def __init__(self, coarse, weights, shape_out, channel):
        shape = coarse_shape(shape_out)
        self.weight = np.zeros(shape)
        self._sums = np.zeros((4, *shape))
        self._tiles = [None if tile is None else _layers(tile, channel) for tile in coarse]
        self._boxes = [None if tile is None else tile.box for tile in coarse]
        self._weights = weights
        self._known = [None if layers is None else np.isfinite(layers[0]) for layers in self._tiles]
        for index, layers in enumerate(self._tiles):
            if layers is not None:
                self._add(index, layers)

    def correct(self, index, model):
        """Take a model, shape of the tile's box and 0 where unknown, out of a tile."""
        self._tiles[index][0] -= model
        self._sums[0][self._boxes[index]] -= self._weights[index] * np.where(self._known[index], model, 0.0)

    def partners(self, index):
        """Indices of the other tiles that share a known block with a tile."""
        own = self._boxes[index], self._known[index]
        return tuple(
            other
            for other, known in enumerate(self._known)
            if other != index and known is not None and _share_a_block(*own, self._boxes[other], known)
        )

    def against_others(self, index):
        """What the fit of a tile is made from.

        Returns
        -------
        use : ndarray of bool, shape of the tile's box
            Known in the tile, with at least a fifth of the weight in other tiles.
        difference : ndarray, shape (n,)
            The tile minus the others in adu where `use`.
        regressors : ndarray, shape (7, h, w)
            One map a term, `TERMS` in order; the second is M, not yet M − m0.
        """
        box = self._boxes[index]
        weight = self.weight[box]
        others = 1 - np.divide(self._weights[index], weight, out=np.ones_like(weight), where=weight > 0)
        use = self._known[index] & (others >= _MIN_OTHERS)
        mean, dx, dy, curvature = np.divide(
            self._sums[(slice(None), *box)], weight, out=np.zeros((4, *weight.shape)), where=weight > 0
        )
        difference = (self._tiles[index][0][use] - mean[use]) / others[use]
        v, u = (np.linspace(-0.5, 0.5, n) for n in weight.shape)
        v, u = np.meshgrid(v, u, indexing="ij")
        return use, difference, np.stack([np.ones_like(mean), mean, u, v, -dx, -dy, curvature])

    def _add(self, index, layers):
        known = self._known[index]
        self._sums[(slice(None), *self._boxes[index])] += self._weights[index] * np.where(known, layers, 0.0)
        self.weight[self._boxes[index]] += self._weights[index] * known


def fit_tile(coadd, index, left_out=()):
    """Fit the model to one tile.

    Parameters
    ----------
    coadd : Coadd
    index : int
    left_out : sequence of int, optional
        Terms that are held at 0; their errors are infinite.

    Returns
    -------
    (TileFit, ndarray) or None
        The fit, and offset, gain and plane in adu over the tile's box; None where the tile meets the others in fewer
        than 30 clusters of blocks.
    """
    use, difference, maps = coadd.against_others(index)
    clusters = _clusters(use)
    if clusters is None:
        return None
    level = float(np.median(maps[1][use]))
    maps[1] -= level
    design = maps[:, use].T
    design[:, list(left_out)] = 0.0
    terms, scatter = huber_terms(design, difference)
    doubt = _doubt(maps[4:, use], difference - design @ terms, scatter)
    terms, covariance, scatter = huber_fit(design / doubt[:, np.newaxis], difference / doubt, clusters)
    model = np.tensordot(terms[:4], maps[:4], axes=1)
    limit = _CLIP * scatter * doubt + np.abs(model[use])
    before, after = (np.minimum(np.abs(left), limit) for left in (difference, difference - model[use]))
    effect = float(np.sqrt(max(np.mean(before**2 - after**2), 0.0)))
    return TileFit(terms, covariance, level, effect, scatter, int(clusters.max()) + 1), model


def huber_fit(design, values, clusters):
    """Linear fit with Huber's loss and errors that hold for correlated neighbours.

    Iteratively reweighted least squares, k = 1.345, scale 1.4826 MAD (Huber 1981); covariance of the
    cluster-sandwich kind, A⁻¹ B A⁻¹ with B summed over clusters (Liang & Zeger 1986).

    Parameters
    ----------
    design : ndarray, shape (n, p)
        Columns of any scale.
    values : ndarray, shape (n,)
        Finite.
    clusters : ndarray of int, shape (n,)
        From 0 up without a gap.

    Returns
    -------
    terms : ndarray, shape (p,)
        A column that is 0 throughout gets 0.
    covariance : ndarray, shape (p, p)
        Infinite on the diagonal for such a column.
    scale : float
        Of the residuals, in the unit of `values`.
    """
    x, norm = _unit_columns(design)
    terms, residual, scale, limit = _reweighted(x, values)
    weight = limit / np.maximum(np.abs(residual), limit)
    score = np.zeros((clusters.max() + 1, x.shape[1]))
    np.add.at(score, clusters, x * (weight * residual)[:, np.newaxis])
    inner = np.abs(residual) <= limit
    bread = np.linalg.pinv(x[inner].T @ x[inner])
    count = len(score)
    covariance = bread @ (score.T @ score) @ bread * count / (count - 1)
    covariance = covariance / np.outer(norm, norm)
    empty = np.isinf(norm)
    covariance[empty, empty] = np.inf
    return terms / norm, covariance, scale


def huber_terms(design, values):
    """Terms and scale of `huber_fit` without their errors."""
    x, norm = _unit_columns(design)
    terms, _, scale, _ = _reweighted(x, values)
    return terms / norm, scale


def _unit_columns(design):
    norm = np.sqrt(np.mean(design**2, axis=0))
    norm[norm == 0] = np.inf
    return design / norm, norm


def _reweighted(x, values):
    """(terms, residual, scale, limit of the inner part) by iteratively reweighted least squares."""
    weight = np.ones(len(values))
    terms = np.zeros(x.shape[1])
    for _ in range(_ITERATIONS):
        before, weighted = terms, x.T * weight
        terms = np.linalg.lstsq(weighted @ x, weighted @ values, rcond=None)[0]
        residual = values - x @ terms
        size = np.abs(residual)
        scale = _GAUSSIAN_MAD * np.median(size)
        limit = max(_HUBER * scale, np.finfo(float).tiny)
        weight = limit / np.maximum(size, limit)
        if np.max(np.abs(terms - before)) <= _CONVERGED * scale / np.sqrt(len(values)):
            break
    return terms, residual, scale, limit


def information(covariance):
    """Inverse of a covariance, shape (p, p): 0 for a term of infinite variance, of which nothing is known."""
    known = np.flatnonzero(np.isfinite(np.diag(covariance)))
    known = np.ix_(known, known)
    inverse = np.zeros_like(covariance)
    # Not of the whole: with an infinity in it, NumPy 2.5 gives up where older ones gave NaN.
    inverse[known] = np.linalg.pinv(covariance[known])
    return inverse


def in_errors(values, covariance):
    """Values in units of their own standard errors; 0 where the error is 0 or infinite."""
    error = np.sqrt(np.diag(covariance))
    return np.divide(values, error, out=np.zeros(len(values)), where=(error > 0) & np.isfinite(error))


def _doubt(structure, residual, scatter):
    """Error of each block in units of that of a block without structure; at least 1.

    A star on the edge of a block is cut differently in each tile. How much that matters is read
    from the hundredth of the blocks with most structure; without this a few bright stars would decide alone.
    """
    strength = np.abs(structure).sum(axis=0)
    strongest = strength >= np.quantile(strength, 1 - _STRONGEST)
    typical = np.median(strength[strongest])
    if not (typical > 0 and scatter > 0):
        return np.ones(len(residual))
    slope = _GAUSSIAN_MAD * np.median(np.abs(residual[strongest])) / typical
    return np.hypot(1.0, slope * strength / scatter)


def _clusters(use):
    """Number of the square piece of the grid that each used block lies in; None for too few pieces.

    As large as leaves enough of them: neighbouring blocks share structure and interpolated noise.
    """
    rows, columns = np.nonzero(use)
    for side in _CLUSTER_SIDES:
        _, numbers = np.unique(rows // side * use.shape[1] + columns // side, return_inverse=True)
        if numbers.size and numbers.max() + 1 >= MIN_CLUSTERS:
            return numbers
    return None


def _share_a_block(box, known, other_box, other_known):
    parts = common_part(box, other_box)
    return parts is not None and bool((known[parts[0]] & other_known[parts[1]]).any())


def _layers(tile, channel):
    return np.stack([tile.value[channel], tile.dx[channel], tile.dy[channel], tile.curvature[channel]])
