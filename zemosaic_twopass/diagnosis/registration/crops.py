"""What all tiles have in common in their places: a crop that moved each WCS twice, or a distortion of the lens.

By a crop what tile i shows lies by R_i a beside its place, with a in pixels of the tile and R_i the axes of its pixels
in the mosaic. By a distortion, of which tiles that overlap along their sides see the scale there, tiles seem to lie by
B c_i beside their places, with c_i the middle of each. A common b of all tiles no star tells. Either and b are fitted
to the shifts of all, robustly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...measure.robust import HUBER
from .adjustment import information
from .shifts import SHIFT_FLOOR

_ITERATIONS = 20
_FEWEST_OF_GROUP, _FEWEST_SEEN = 3, 2
_FEWEST_DISTORTED = 4
# Share of the tiles whose shift it must explain.
_MOST_OF_TILES = 0.75
# In errors, and in pixels: a crop is of whole ones, and a distortion shows from there on.
_SURE, _LEAST, _LEAST_DISTORTION = 5.0, 0.9, 0.2
# Share of a shift that a distortion may leave, for it is no straight line.
_LEFT = 0.3


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
        return float(np.sqrt(self.pixels @ information(self.covariance) @ self.pixels))


@dataclass(frozen=True, eq=False)
class Distortion:
    """Tiles that lie beside their places by as much as they lie from one another's middle.

    Attributes
    ----------
    significance : float
        In standard errors.
    sizes : ndarray
        Lengths of the shifts that it explains, in pixels of the mosaic.
    tested : int
        How many tiles there are that could have it.
    """

    significance: float
    sizes: np.ndarray
    tested: int


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
        fitted = _explain([shifts[index] for index in group], [axes[index] for index in group], 0.0)
        if fitted is None or len(group) < _FEWEST_OF_GROUP or not np.hypot(*fitted.values) > _LEAST:
            continue
        crops.append(Crop(fitted.values, fitted.covariance, fitted.sizes, len(group)))
        for index, shift in zip(group, fitted.left, strict=True):
            left[index] = shift
    return crops, left


def take_out_distortions(shifts, middles):
    """Explain the shifts of tiles by a distortion, where most of them have it in common.

    Parameters
    ----------
    shifts : sequence of (Shift or None)
        What crops leave.
    middles : sequence of ndarray, shape (2,)
        Middle of each tile in pixels of the mosaic.

    Returns
    -------
    distortions : list of Distortion
        One for each set of tiles that stars join, where there is one.
    left : list of (Shift or None)
        The shifts less what these explain; None for one of which they leave but a part.
    """
    found, left = [], list(shifts)
    for group in {shift.group for shift in shifts if shift is not None}:
        own = [shifts[index] for index in group]
        fitted = _explain(own, [np.kron(np.eye(2), middles[index]) for index in group], _LEFT)
        if fitted is None or len(group) < _FEWEST_DISTORTED or not fitted.sizes.max() > _LEAST_DISTORTION:
            continue
        # A row that lies aside would be one as well, but a lens leaves none but the middle in its place.
        if len(fitted.sizes) < _MOST_OF_TILES * len(group):
            continue
        found.append(Distortion(fitted.significance, fitted.sizes, len(group)))
        for index, shift, gone in zip(group, fitted.left, fitted.explained, strict=True):
            left[index] = None if gone and shift.matters and shift.stretch is None else shift
    return found, left


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What tiles have in common: its values and their covariance, what it leaves of each shift, whose it explains."""

    values: np.ndarray
    covariance: np.ndarray
    left: list
    explained: list
    sizes: np.ndarray

    @property
    def significance(self):
        """In standard errors."""
        return float(np.sqrt(self.values @ information(self.covariance) @ self.values))


def _explain(shifts, patterns, part):
    """What most of the shifts of a group have in common, of patterns of shape (2, k); None where that is nothing.

    A shift is explained of which nothing is left that matters, or less than a part.
    """
    seen = [shift.matters for shift in shifts]
    # A tile that misses the mosaic has no known axes there.
    if np.count_nonzero(seen) < _FEWEST_SEEN or not all(np.isfinite(own).all() for own in patterns):
        return None
    values, covariance, rest = _fit_shifts(shifts, patterns)
    left = [replace(shift, pixels=pixels) for shift, pixels in zip(shifts, rest, strict=True)]
    gone = [
        not after.matters or bool(np.hypot(*after.pixels) < part * np.hypot(*before.pixels))
        for before, after in zip(shifts, left, strict=True)
    ]
    explained = [before and after for before, after in zip(seen, gone, strict=True)]
    most = np.mean(gone) >= _MOST_OF_TILES and sum(explained) >= _MOST_OF_TILES * sum(seen)
    if not (most and sum(explained) >= _FEWEST_SEEN):
        return None
    sizes = np.array([np.hypot(*shift.pixels) for shift, one in zip(shifts, explained, strict=True) if one])
    found = _Fitted(values, covariance, left, explained, sizes)
    return found if found.significance > _SURE else None


def _fit_shifts(shifts, patterns):
    """Values of patterns that the shifts have in common, their covariance, and what is left of each, shape (n, 2)."""
    design = np.concatenate([np.hstack([own, -np.eye(2)]) for own in patterns])
    # Places are counted from afar.
    unit = np.abs(design).max(axis=0)
    unit[unit == 0] = 1.0
    design = design / unit
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
    count = patterns[0].shape[1]
    found, covariance = found / unit, covariance / np.outer(unit, unit)
    return found[:count], covariance[:count, :count], left.reshape(-1, 2)
