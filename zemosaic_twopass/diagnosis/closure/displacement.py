"""Where a coadd put a tile, from what the mosaic says that the tile holds at single points.

That holds the tile's own noise, which is like itself nowhere but in its place: the search goes over whole pixels by
correlation, and from the best of them on by the line of least absolute deviation.
"""

from __future__ import annotations

import numpy as np
from astropy.stats import mad_std
from scipy.optimize import minimize

from ...measure.sampling import bilinear

MIN_POINTS = 40
_MOST_POINTS = 1500
_FURTHEST_PX = 24
# No further than leaves points in the middle of a small tile.
_REACH_SHARE = 0.2
_CANDIDATES = 25
_CLIP = 4.0
_EXPLAINED = 0.25
_LINE_ITERATIONS = 12
_LEAST_ERROR = 1e-6


def displacement(planes, x, y, implied):
    """Shift of a tile that makes it fit what the mosaic says it holds.

    Parameters
    ----------
    planes : ndarray, shape (H, W, C)
        The tile in adu.
    x, y : ndarray, shape (n,)
        Where points of the mosaic lie in it by its WCS, in its pixels.
    implied : ndarray, shape (n, C)
        What the mosaic says that it holds there.

    Returns
    -------
    shift : ndarray, shape (2,), or None
        (x, y) in pixels of the tile, up to 24; what the tile holds at (x, y) lies in the mosaic at (x, y) + shift.
        None where no shift explains three quarters of what is left, or fewer than 40 points are known.
    error : float
        Standard error of each component; NaN where there is none.
    """
    height, width = planes.shape[:2]
    reach = min(_FURTHEST_PX, int(_REACH_SHARE * min(height, width)))
    border = reach + 2
    deep = np.flatnonzero((x > border) & (x < width - 1 - border) & (y > border) & (y < height - 1 - border))
    # Points come in the order of the mosaic's rows: every k-th of them are spread over the tile.
    deep = deep[:: -(-len(deep) // _MOST_POINTS) or 1]
    if len(deep) < MIN_POINTS:
        return None, np.nan
    x, y, target = x[deep], y[deep], implied[deep, 0]
    plane = planes[..., :1]

    def miss(shift):
        if np.max(np.abs(shift)) > reach + 1:
            # Beyond it points would lie outside of the tile.
            return np.inf
        values = bilinear(plane, x - shift[0], y - shift[1])[:, 0]
        known = np.isfinite(values)
        if np.count_nonzero(known) < MIN_POINTS:
            return np.inf
        return float(np.median(np.abs(_subtract_line(values[known], target[known]))))

    start = min(_likely_shifts(plane[..., 0], x, y, target, reach), key=miss)
    options = {"xatol": 1e-4, "fatol": 0.0, "initial_simplex": np.add(start, [(-0.4, -0.4), (0.5, 0.0), (0.0, 0.5)])}
    found = minimize(miss, start, method="Nelder-Mead", options=options)
    if not found.fun <= _EXPLAINED * miss((0.0, 0.0)):
        return None, np.nan
    noise = _subtract_line(bilinear(plane, x, y)[:, 0], bilinear(plane, x + 1, y)[:, 0])
    slope = max(float(np.median(np.abs(noise))), np.finfo(float).tiny)
    return found.x, max(found.fun, _LEAST_ERROR) / slope / np.sqrt(len(x))


def _likely_shifts(plane, x, y, target, reach):
    """Whole shifts (x, y) in the order of how well the tile, moved so, goes with the target."""
    height, width = plane.shape
    image, target = _clip(plane), _clip(target)
    # One index for the pixel of a point and one for a shift.
    pixels = np.round(y).astype(int) * width + np.round(x).astype(int)
    steps = np.arange(-reach, reach + 1)
    flat, squares = image.ravel(), (image**2).ravel()
    merits = np.empty((len(steps), len(steps)))
    for row, down in enumerate(steps):
        index = pixels - down * width - steps[:, np.newaxis]
        merits[row] = flat[index] @ target / np.sqrt(np.maximum(squares[index].sum(axis=1), 1.0))
    best = np.argsort(-merits, axis=None, kind="stable")[:_CANDIDATES]
    rows, columns = np.unravel_index(best, merits.shape)
    return np.stack([steps[columns], steps[rows]], axis=1).astype(float)


def _clip(values):
    """Values about their median in units of their scatter, float32; what stands out no further than 4 of them."""
    centre = np.nanmedian(values)
    scatter = max(float(mad_std(values, ignore_nan=True)), np.finfo(np.float32).tiny)
    return np.nan_to_num(np.clip((values - centre) / scatter, -_CLIP, _CLIP)).astype(np.float32)


def _subtract_line(values, target):
    """Residual of the straight line of least absolute deviation; it runs through most points exactly, if any does."""
    centre = np.median(values)
    design = np.stack([values - centre, np.ones(len(values))])
    weight = np.ones(len(values))
    for _ in range(_LINE_ITERATIONS):
        terms = np.linalg.lstsq((design * weight) @ design.T, (design * weight) @ target, rcond=None)[0]
        left = target - terms @ design
        weight = 1 / np.maximum(np.abs(left), 1e-6 + 1e-3 * np.median(np.abs(left)))
    return left
