"""How far each tile lies from where its WCS says, from the gradients of its stars.

To first order a tile that is shifted by δ differs from the mosaic by −δ·∇T, less what the shifts of
the other tiles did to the mosaic. The least-squares shift then comes from sums of gradient products over
blocks (Robinson & Milanfar 2004, IEEE Trans. Image Process. 13, 1185), here weighted by Huber's rule; a
difference of scale, which the second pass makes on purpose, is fitted along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..measure.coarse import coarse_shape
from .residual import in_errors, information

_HUBER = 1.345
_RAYLEIGH_MEDIAN = 1.1774
_ITERATIONS = 30
_ABOVE_NOISE = 4.0
_BRIGHT = 10.0
_MIN_OTHERS = 0.2
_CLUSTER_SIDE = 8
_MIN_CLUSTERS = 12


@dataclass(frozen=True, eq=False)
class Shift:
    """Shift of one tile.

    Attributes
    ----------
    pixels : ndarray, shape (2,)
        Along columns and rows of the mosaic; what is seen lies to the right of, or above, where it should.
    covariance : ndarray, shape (2, 2)
        Of the cluster-sandwich kind.
    """

    pixels: np.ndarray
    covariance: np.ndarray

    @property
    def z(self):
        """Each component in units of its own standard error."""
        return in_errors(self.pixels, self.covariance)

    @property
    def significance(self):
        """Length of the shift in standard errors (Mahalanobis)."""
        return float(np.sqrt(self.pixels @ information(self.covariance) @ self.pixels))


class ShiftField:
    """Shifts of all tiles, each against the others.

    Parameters
    ----------
    coarse : sequence of (CoarseTile or None)
    weights : sequence of float
        One positive weight a tile.
    shape_out : tuple of int
        (H, W) of the mosaic.
    """

    def __init__(self, coarse, weights, shape_out):
        self._coarse, self._weights = coarse, weights
        shape = coarse_shape(shape_out)
        self._total = np.zeros(shape)
        self._moved = np.zeros((2, *shape))
        self._shifts = np.zeros((len(coarse), 2))
        for tile, weight in zip(coarse, weights, strict=True):
            if tile is not None:
                self._total[tile.box] += weight * (tile.tensor[2, 2] > 0)

    def correct(self, index, pixels):
        """Let a tile be known to be shifted by (x, y) pixels, for the sake of the others."""
        tile = self._coarse[index]
        change = np.asarray(pixels) - self._shifts[index]
        known = tile.tensor[2, 2] > 0
        self._moved[(slice(None), *tile.box)] += self._weights[index] * change[:, np.newaxis, np.newaxis] * known
        self._shifts[index] = pixels

    def shift(self, index):
        """Shift of one tile against the others.

        Returns
        -------
        Shift or None
            None where fewer than 12 clusters of blocks hold anything above the noise.
        """
        tile = self._coarse[index]
        total = self._total[tile.box]
        share = np.divide(self._weights[index], total, out=np.ones_like(total), where=total > 0)
        strength = tile.tensor[0, 0] + tile.tensor[1, 1]
        use = (1 - share >= _MIN_OTHERS) & (strength > 0)
        if not use.any():
            return None
        typical = np.median(strength[use])
        use &= strength > _ABOVE_NOISE * typical
        rows, columns = np.nonzero(use)
        _, clusters = np.unique(rows // _CLUSTER_SIDE * use.shape[1] + columns // _CLUSTER_SIDE, return_inverse=True)
        if clusters.size == 0 or clusters.max() + 1 < _MIN_CLUSTERS:
            return None
        tensor = np.moveaxis(tile.tensor[:, :, use], 2, 0)
        moved = self._moved[(slice(None), *tile.box)][:, use] / total[use]
        others = moved - share[use] * self._shifts[index][:, np.newaxis]
        pull = tile.pull[:, use].T - np.einsum("nij,jn->ni", tensor[:, :, :2], others)
        pull /= (1 - share[use])[:, np.newaxis]
        return _solve(tensor, pull, 1 / (strength[use] + _BRIGHT * typical), clusters)


def _solve(tensor, pull, weight, clusters):
    """Weighted solution of −tensor · (δx, δy, scale) = pull summed over blocks."""
    scale_of = np.sqrt(np.maximum(np.diagonal(tensor, axis1=1, axis2=2).mean(axis=0), np.finfo(float).tiny))
    tensor, pull = tensor / np.outer(scale_of, scale_of), pull / scale_of
    huber = np.ones(len(weight))
    terms = np.zeros(3)
    for _ in range(_ITERATIONS):
        normal = np.einsum("n,nij->ij", weight * huber, tensor)
        before, terms = terms, -np.linalg.pinv(normal) @ ((weight * huber) @ pull)
        left = pull + tensor @ terms
        size = np.hypot(left[:, 0], left[:, 1]) * np.sqrt(weight)
        limit = max(_HUBER * np.median(size) / _RAYLEIGH_MEDIAN, np.finfo(float).tiny)
        huber = limit / np.maximum(size, limit)
        if np.max(np.abs(terms - before)) <= 1e-6 * np.max(np.abs(terms)):
            break
    score = np.zeros((clusters.max() + 1, 3))
    np.add.at(score, clusters, left * (weight * huber)[:, np.newaxis])
    # Slope of Huber's score for a vector: 1 inside; outside 0 along it and limit/size across it.
    slope = np.where(size <= limit, 1.0, huber / 2)
    bread = np.linalg.pinv(np.einsum("n,nij->ij", weight * slope, tensor))
    count = len(score)
    covariance = bread @ (score.T @ score) @ bread * count / (count - 1) / np.outer(scale_of, scale_of)
    return Shift((terms / scale_of)[:2], covariance[:2, :2])
