"""A Gaussian blur that computes only what changes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

# Standard deviations at which the kernel ends, as scipy has it by itself: the result is to be the same.
_TRUNCATE = 4.0
# Rows that are blurred at a time: what is in work stays in the cache.
_LINES = 32
# As scipy has it: below this there is nothing to blur.
_SMALLEST_SIGMA = 1e-15


def blur_by_gaussian(image, sigma_px):
    """Gaussian blur, cut at 4 sigma and mirrored at the edges: `scipy.ndimage.gaussian_filter` to the bit.

    Along a line each value is a sum over 4 sigma to both sides, always in the same order. Where nothing changes that
    far, as in the covered area of a mosaic and around it, it is a constant's, which is computed once.

    Parameters
    ----------
    image : ndarray, shape (H, W), of float32 or bool
        No NaN and no negative zero.
    sigma_px : float
        Sigma in pixels; 0 leaves the image as it is.

    Returns
    -------
    ndarray, shape (H, W), float32
    """
    if not sigma_px > _SMALLEST_SIGMA:
        return image.astype(np.float32)
    blurred = np.empty(image.shape, dtype=np.float32)
    _blur_lines(image.T, blurred.T, sigma_px)
    _blur_lines(blurred, blurred, sigma_px)
    return blurred


def _blur_lines(lines, out, sigma_px):
    """Blur every line of an array, shape (n, length), into another or itself: each part is made of itself alone."""
    radius = int(_TRUNCATE * sigma_px + 0.5)
    length = lines.shape[1]
    for top in range(0, len(lines), _LINES):
        band = lines[top : top + _LINES]
        blurred = out[top : top + _LINES]
        still = 0
        for start, stop in (*_find_moving_parts(band, radius), (length, length)):
            if still < start:
                blurred[:, still:start] = _blur_part(band[:, still : still + 1], sigma_px)
            if start < stop:
                # Beyond the part as many pixels as the blur sees are as its last one: so is their mirror image.
                blurred[:, start:stop] = _blur_part(band[:, start:stop], sigma_px)
            still = stop


def _blur_part(part, sigma_px):
    return gaussian_filter1d(part, sigma_px, axis=1, truncate=_TRUNCATE, output=np.float32)


def _find_moving_parts(band, radius):
    """(start, stop) of all parts of lines with a change of any line within a radius, ascending."""
    changes = np.flatnonzero((band[:, 1:] != band[:, :-1]).any(axis=0))
    if not len(changes):
        return []
    last = np.flatnonzero(np.append(np.diff(changes) > 2 * radius, True))
    first = np.append(0, last[:-1] + 1)
    starts = np.maximum(changes[first] + 1 - radius, 0)
    stops = np.minimum(changes[last] + 1 + radius, band.shape[1])
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
