"""What fades out along a side of an image: light, or its noise and its stars alone where the sky's level is 0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter

# So many times the noise is far off.
FAR = 10.0
# A feather begins below this part of what it rises to, and has arrived where what lies behind is this much the same.
# From so many times the noise on a level is no nebula's.
_BEGINS, _ARRIVED, _PEDESTAL = 0.7, 0.97, 50.0
_MARGIN, _LEAST_MARGIN = 0.15, 2
# Noise that fades: what it begins with, where it has arrived, and the share of neighbours that may be equal.
_DIM, _DIM_BEGINS, _DIM_ARRIVED, _EQUAL = 0.5, 0.45, 0.85, 0.02
_DIM_SMOOTH = 5
_LEAST_DIM_MARGIN = 4
# Noise scatters more from one pixel to the fourth next of it than to the next, what is smooth far less.
_ROUGH = 1.0


class Zone(NamedTuple):
    """What runs along one side: so many pixels wide, so many more to be safe, from a level up or down to the sky's."""

    how: str
    width: int
    margin: int
    level: float
    sky: float


def may_be_dimmed(lines):
    """Whether noise may fade along a side: a cheap look; shape (C,), from values of shape (lines, depths, C)."""
    scatter = medians(np.abs(np.diff(lines, axis=0)))
    # Three at the edge, one where a feather of any width may be.
    if len(scatter) < 5:
        return np.zeros(lines.shape[2], dtype=bool)
    return scatter[0] < _DIM * scatter[4:].min(axis=0)


def find_fading(values, profile, noise, level):
    """A `Zone` that rises from a level, 0 for None, to the sky; None where there is none.

    Parameters
    ----------
    values : ndarray, shape (lines, depths)
    profile : ndarray, shape (D,)
        Medians of these, as deep as they are known.
    noise : float
        Noise of a pixel, in adu.
    level : float or None
        Level of what is filled at this edge.
    """
    filled, level = level is not None, level or 0.0
    above = profile - level
    for width in range(3, len(profile) - max(10, len(profile) // 8)):
        behind = np.median(above[width + 1 : width + 1 + max(10, width // 2)])
        if behind and above[width] / behind >= _ARRIVED:
            break
    else:
        return None
    begins = float(np.median(above[:3]) / behind)
    if width <= 3 or not (begins < _BEGINS and abs(behind - above[:3].max()) > FAR * noise):
        return None
    # Where there is less light there is hardly less noise; where both were multiplied, as much less. Along a side that
    # is slanted its steps are scatter too; inward a ramp is not, unless it is steep and bent.
    if not (filled and abs(behind) > _PEDESTAL * noise):
        inside = values[:, width : width + max(10, width // 2)]
        first, third = (np.median(medians(np.abs(np.diff(inside, order, axis=1)))) for order in (1, 3))
        # A picture without noise has nothing that could be less: what scatters in it is its nebula.
        if not third > _ROUGH * first:
            return None
        scatter = (medians(np.abs(steps)) for steps in (np.diff(values, axis=0), np.diff(values, 3, axis=1)))
        dimmed = min(own[0] / np.median(own[width : width + max(10, width // 2)]) for own in scatter)
        if dimmed > (begins + np.sqrt(np.abs(begins))) / 2:
            return None
    margin = max(_LEAST_MARGIN, round(_MARGIN * width))
    return Zone("feathered", width, margin, float(profile[0]), float(behind + level))


def find_dimming(values, profile, noise):
    """A `Zone` along which noise and stars fade though the level does not; None where there is none.

    Parameters
    ----------
    values : ndarray, shape (lines, depths)
    profile : ndarray, shape (D,)
        Medians of these, as deep as they are known.
    noise : float
        Noise of a pixel, in adu.
    """
    # Along the side: across it a feather itself is a slope. Where all was cut off at a level many are the same.
    steps, thirds = (np.abs(np.diff(values[:, : len(profile)], order, axis=0)) for order in (1, 3))
    scatter, smooth = medians(thirds), medians(steps)
    if are_equal(values[:, :3]):
        return None
    behind = float(np.median(scatter[len(scatter) // 2 :]))
    if not behind > 0:
        return None
    arrived = np.flatnonzero(median_filter(scatter, _DIM_SMOOTH, mode="nearest") >= _DIM_ARRIVED * behind)
    width = int(arrived[0]) if arrived.size else 0
    if not 4 <= width <= len(scatter) // 2:
        return None
    parts = [float(np.median(part)) / behind for part in np.array_split(scatter[:width], 3)]
    rises = parts[0] < parts[1] < parts[2] < 1 and np.median(scatter[:3]) < _DIM_BEGINS * behind
    flat = np.abs(profile[:width] - np.median(profile[width:])).max() < FAR * noise
    if not (rises and flat and behind > _ROUGH * np.median(smooth[width:])):
        return None
    margin = max(_LEAST_DIM_MARGIN, round(2 * _MARGIN * width))
    return Zone("feathered", width, margin, float(profile[0]), float(np.median(profile[width:])))


def are_equal(values):
    """Whether many values are the same as their neighbours along a side."""
    return np.mean(np.diff(values, axis=0) == 0) > _EQUAL


def medians(values):
    """Median along the first axis of what is finite; NaN where nothing is."""
    # As `nanmedian`, without its warnings, which only a filter of all threads would stop.
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=0)
    if not len(ordered):
        return np.full(values.shape[1:], np.nan)
    count = np.count_nonzero(np.isfinite(ordered), axis=0)[np.newaxis]
    low, high = (
        np.take_along_axis(ordered, np.minimum(rank, len(ordered) - 1), axis=0)[0]
        for rank in (np.maximum(count - 1, 0) // 2, count // 2)
    )
    return (low + high) / 2
