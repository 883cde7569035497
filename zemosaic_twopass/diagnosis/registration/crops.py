"""Tiles that all lie beside their places by the same amount along their own axes, as a crop leaves them that moved each
WCS twice.

What tile i shows lies by R_i a beside its place, with a in pixels of the tile and R_i the axes of its pixels in the
mosaic; a common b of all tiles no star tells. Both are fitted to the shifts of all, robustly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...measure.robust import HUBER
from .shifts import SHIFT_FLOOR

_ITERATIONS = 20
_FEWEST_OF_GROUP, _FEWEST_SEEN = 3, 2
# Share of the tiles whose shift it must explain.
_MOST_OF_TILES = 0.75
# In errors, and in pixels: a crop is of whole ones.
_SURE, _LEAST = 5.0, 0.9


@dataclass(frozen=True, eq=False)
class Crop:
    """Tiles that lie beside their places by as much in their own pixels.

    Attributes
    ----------
    pixels : ndarray, shape (2,)
        How far what is seen lies to the right of, and above, its place, in pixels of each tile.
    covariance : ndarray, shape (2, 2)
    sizes : ndarray
        Lengths of the shifts that it explains, in pixels of the mosaic.
    tested : int
        How many tiles there are that could have it.
    """

    pixels: np.ndarray
    covariance: np.ndarray
    sizes: np.ndarray
    tested: int

    @property
    def significance(self):
        """In standard errors."""
        return float(np.sqrt(self.pixels @ np.linalg.solve(self.covariance, self.pixels)))


def take_out_crops(shifts, axes):
    """Explain the shifts of tiles by a crop, where most of them have it in common.

    Parameters
    ----------
    shifts : sequence of (Shift or None)
        From `register`.
    axes : sequence of ndarray, shape (2, 2)
        What a pixel to the right (first column) and one up (second) of each tile is in pixels of the mosaic.

    Returns
    -------
    crops : list of Crop
        One for each set of tiles that stars join, where there is one.
    left : list of (Shift or None)
        The shifts less what the crops explain.
    """
    crops, left = [], list(shifts)
    for group in {shift.group for shift in shifts if shift is not None}:
        seen = [shifts[index].matters for index in group]
        # A tile that misses the mosaic has no known axes there.
        known = all(np.isfinite(axes[index]).all() for index in group)
        if not known or len(group) < _FEWEST_OF_GROUP or np.count_nonzero(seen) < _FEWEST_SEEN:
            continue
        pixels, covariance, rest = _fit_shifts([shifts[index] for index in group], [axes[index] for index in group])
        own = [replace(shifts[index], pixels=pixel) for index, pixel in zip(group, rest, strict=True)]
        explained = [before and not shift.matters for before, shift in zip(seen, own, strict=True)]
        fits = np.mean([not shift.matters for shift in own]) >= _MOST_OF_TILES and sum(
            explained
        ) >= _MOST_OF_TILES * sum(seen)
        if not (fits and sum(explained) >= _FEWEST_SEEN and np.hypot(*pixels) > _LEAST):
            continue
        sizes = [np.hypot(*shifts[index].pixels) for index, one in zip(group, explained, strict=True) if one]
        found = Crop(pixels, covariance, np.array(sizes), len(group))
        if found.significance > _SURE:
            crops.append(found)
            for index, shift in zip(group, own, strict=True):
                left[index] = shift
    return crops, left


def _fit_shifts(shifts, axes):
    """What all have in common in their own pixels, its covariance, and what is left of each shift, shape (n, 2)."""
    design = np.concatenate([np.hstack([own, -np.eye(2)]) for own in axes])
    values = np.concatenate([shift.pixels for shift in shifts])
    inherent = np.repeat([1 / (shift.error**2 + SHIFT_FLOOR**2) for shift in shifts], 2)
    weight = inherent
    for _ in range(_ITERATIONS):
        root = np.sqrt(weight)
        found = np.linalg.lstsq(root[:, np.newaxis] * design, root * values, rcond=None)[0]
        left = values - design @ found
        # Both directions of a tile together.
        size = np.repeat(np.hypot(*left.reshape(-1, 2).T), 2) * np.sqrt(inherent)
        weight = inherent * HUBER / np.maximum(size, HUBER)
    covariance = np.linalg.pinv(design.T @ (weight[:, np.newaxis] * design), hermitian=True)
    return found[:2], covariance[:2, :2], left.reshape(-1, 2)
