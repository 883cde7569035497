"""Moments of stars under a Gaussian window: how far from a place a star lies, how wide it is, where its colours lie."""

from __future__ import annotations

import numpy as np

from .median import median_of_known
from .robust import GAUSSIAN_MAD

# Standard deviation of the window in pixels.
WINDOW = 1.6
_SPREADS = 0.1, 0.75
# So many of the surest stars, and so many at the least, tell how the colours lie; what of a star is looked at for it.
_COLOURED, _FEWEST_COLOURED = 40, 8
_NEAR = np.arange(-5, 6)
_RIM = np.maximum(np.abs(_NEAR[:, np.newaxis]), np.abs(_NEAR)) == _NEAR[-1]


def steps(stamps, x, y):
    """From places in stamps to the centroids in the window there.

    Parameters
    ----------
    stamps : ndarray, shape (n, 15, 15)
        Around pixels, background taken off.
    x, y : ndarray, shape (n,)
        Places in these, from their middles.

    Returns
    -------
    x, y, flux, hidden, wide : ndarray, shape (n,)
        Steps; light in the window; factor of what the window hides of a step, the same for all; and how wide each
        looks in it, as a mean square over that of the window.
    """
    span = np.arange(stamps.shape[1]) - stamps.shape[1] // 2
    dx, dy = span - x[:, np.newaxis], span - y[:, np.newaxis]
    wx, wy = (np.exp(-(d**2) / (2 * WINDOW**2)) for d in (dx, dy))
    across, down = wx * np.einsum("nij,ni->nj", stamps, wy), wy * np.einsum("nij,nj->ni", stamps, wx)
    flux = across.sum(axis=1)
    flux = np.where(flux > 0, flux, np.nan)
    wide = ((across * dx**2).sum(axis=1) + (down * dy**2).sum(axis=1)) / (2 * flux * WINDOW**2)
    hidden = _find_hidden(wide)
    return *(hidden * (part * d).sum(axis=1) / flux for part, d in ((across, dx), (down, dy))), flux, hidden, wide


def _find_hidden(spread):
    """How much of a step the window hides, from how wide the stars look in it; 2 for stars as wide as the window."""
    known = spread[np.isfinite(spread)]
    return 1 / (1 - np.clip(median_of_known(known), *_SPREADS)) if known.size else 2.0


def colours_beside(planes, x, y):
    """How far the mean of the places of stars in the single channels lies beside them, in pixels, and its error.

    One step of the iteration towards centroids in each channel: what is left of it is small, like the distance itself.
    """
    rows, columns = (np.rint(axis[:_COLOURED]).astype(int) for axis in (y, x))
    reach, (height, width, channels) = len(_NEAR) // 2, planes.shape
    inside = (np.minimum(rows, columns) >= reach) & (rows < height - reach) & (columns < width - reach)
    if channels < 2 or np.count_nonzero(inside) < _FEWEST_COLOURED:
        return np.zeros(2), 0.0
    rows, columns, x, y = (axis[: len(inside)][inside] for axis in (rows, columns, x, y))
    stamps = planes[rows[:, np.newaxis, np.newaxis] + _NEAR[:, np.newaxis], columns[:, np.newaxis, np.newaxis] + _NEAR]
    stamps = stamps - stamps[:, _RIM].mean(axis=1)[:, np.newaxis, np.newaxis]
    apart = np.mean(_moments(stamps, _NEAR - (x - columns)[:, np.newaxis], _NEAR - (y - rows)[:, np.newaxis]), axis=2)
    apart = apart[:, np.isfinite(apart).all(axis=0)]
    if apart.shape[1] < _FEWEST_COLOURED:
        return np.zeros(2), 0.0
    middle = np.median(apart, axis=1)
    scatter = GAUSSIAN_MAD * np.sqrt(np.mean(np.median(np.abs(apart - middle[:, np.newaxis]), axis=1) ** 2))
    # The error is that of a median of Gaussian values.
    return middle, float(scatter * np.sqrt(np.pi / 2 / apart.shape[1]))


def _moments(stamps, dx, dy):
    """Centroids of stars in the window, each channel by itself: (x, y), stars by channels; NaN where there is none."""
    wx, wy = (np.exp(-(d**2) / (2 * WINDOW**2)).astype(stamps.dtype) for d in (dx, dy))
    across, down = np.einsum("nijc,ni->njc", stamps, wy), np.einsum("nijc,nj->nic", stamps, wx)
    flux = np.einsum("njc,nj->nc", across, wx)
    flux = np.where(flux > 0, flux, np.nan)
    parts = ((across, wx, dx), (down, wy, dy))
    spread = sum(np.einsum("njc,nj->nc", part, w * d**2) for part, w, d in parts) / (2 * flux * WINDOW**2)
    hidden = _find_hidden(spread)
    return np.array([hidden * np.einsum("njc,nj->nc", part, w * d) / flux for part, w, d in parts])
