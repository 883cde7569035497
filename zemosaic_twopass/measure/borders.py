"""Filled parts of an image that touch its edges, and what fades or stands out along these.

An edge is where the known part of an image begins, at its end or behind what is not known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import label, uniform_filter

from .feathers import FAR, Zone, are_equal, find_dimming, find_fading, may_be_dimmed, medians

# Views of an image in which each of its sides is on the left.
TURNS = (lambda a: a, lambda a: a[:, ::-1], lambda a: a.swapaxes(0, 1), lambda a: a[::-1].swapaxes(0, 1))
# A fill varies by so much of the noise at most, as packing with a dither leaves it, over so many pixels of an edge.
_FLAT, _RUN = 0.3, 4
# Where values differ by so much of the noise, or not at all, equal ones say little. Share of pixels elsewhere that may
# have the very value of a fill, and nearly the same.
_COARSE, _ELSEWHERE, _NEARLY = 0.25, 1e-3, 0.02
# Of what lies around a pixel of a fill so much is filled, too.
_SOLID = 0.95
# What is brighter than the sky must take so much of a side: a saturated star may lie at an edge.
_LONG = 0.25
_LEVELS = 3
_THIN = 7
_EIGHT = np.ones((3, 3), dtype=bool)
# Lines that a side is looked at in, first of all and then; and how deep.
_LINES, _MORE_LINES, _FEWEST_LINES = 96, 400, 16
_DEPTHS = np.array([0, 1, 2, 12, 32, 64])
_DEEPEST = 128
_RIM, _BEHIND = 8, 17
_SETTLED = 0.1


class Fill(NamedTuple):
    """A filled part: where it is, shape (H, W), its level and that of the sky in adu."""

    region: np.ndarray
    level: float
    sky: float


def first_known(known, shape):
    """Where each line of each side begins to be known, -1 for never; `known` None: everywhere. Four ndarrays of int."""
    if known is None:
        return [np.zeros(shape[side // 2], dtype=int) for side in range(4)]
    firsts = []
    for turn in TURNS:
        turned = turn(known)
        first = np.argmax(turned, axis=1)
        first[~turned[np.arange(len(turned)), first]] = -1
        firsts.append(first)
    return firsts


def inward(view, first, depths, most=None):
    """Values of lines at depths behind where they begin to be known, float64; NaN beyond.

    Parameters
    ----------
    view : ndarray, shape (H, W) or (H, W, C)
    first : ndarray of int, shape (H,)
        Lines for which it is negative are left out.
    depths : ndarray of int, shape (D,)
    most : int, optional
        Every so many lines are taken where there are more.

    Returns
    -------
    ndarray, shape (lines, D) or (lines, D, C)
    """
    lines = np.flatnonzero(first >= 0)
    lines = lines[:: max(1, len(lines) // most)] if most else lines
    columns = first[lines][:, np.newaxis] + depths
    values = view[lines[:, np.newaxis], np.minimum(columns, view.shape[1] - 1)].astype(np.float64)
    if columns.size and columns.max() >= view.shape[1]:
        values[columns >= view.shape[1]] = np.nan
    return values


def fills_of(planes, known, firsts, noise):
    """Filled parts of the channels of a tile that touch an edge.

    Parameters
    ----------
    planes : ndarray, shape (H, W, C)
    known : ndarray of bool, shape (H, W), or None
        None: wherever it is finite.
    firsts : sequence of ndarray
        From `first_known`.
    noise : ndarray, shape (C,)
        Noise of a pixel, in adu.

    Returns
    -------
    list of list of Fill
        One a channel.
    """
    tolerance, flat = _FLAT * noise, [[] for _ in noise]
    for turn, first in zip(TURNS, firsts, strict=True):
        edge, behind = np.moveaxis(inward(turn(planes), first, np.arange(2)), 1, 0)
        alike = (np.abs(edge[1:] - edge[:-1]) <= tolerance) & (np.abs(edge - behind)[:-1] <= tolerance)
        # No pixel has all channels where no line has a first one.
        flat_there = _in_runs(alike)[: len(edge)]
        for channel, own in enumerate(flat):
            own.append((edge[flat_there[:, channel], channel], len(edge)))
    # Sound tiles have none.
    if not any(len(own) for sides in flat for own, _ in sides):
        return [[] for _ in noise]
    return [
        _fills_of_plane(planes[..., channel], known, firsts, own, float(noise[channel]))
        for channel, own in enumerate(flat)
    ]


def zones_of(view, first, noise, levels):
    """What runs along one side of a tile that is no sky.

    Parameters
    ----------
    view : ndarray, shape (H, W, C)
        The tile, its side on the left.
    first : ndarray of int, shape (H,)
        Where each line begins, -1 for one to be passed over.
    noise : ndarray, shape (C,)
        Noise of a pixel, in adu.
    levels : sequence of (float or None)
        Level of what is filled in each channel, in adu; None where nothing is.

    Returns
    -------
    list of Zone
        The zone of every channel that has one.
    """
    room = view.shape[1] // 2
    lines = inward(view, first, _DEPTHS[room > _DEPTHS], _LINES)
    seen = medians(lines)
    odd = (np.abs(seen[:3, np.newaxis] - seen[3:]) > FAR * noise).any(axis=(0, 1)) | may_be_dimmed(lines)
    return [
        zone
        for channel in np.flatnonzero(odd)
        if (zone := _zone(view[..., channel], first, float(noise[channel]), levels[channel])) is not None
    ]


def _in_runs(alike):
    """Which of n pixels along an edge are in a row of those alike, (n, C); from whether n − 1 are like the next."""
    count = max(len(alike) - _RUN + 1, 0)
    starts = np.logical_and.reduce([alike[ahead : ahead + count] for ahead in range(_RUN)])
    flat = np.zeros((len(alike) + 1, alike.shape[1]), dtype=bool)
    if starts.any():
        for ahead in range(_RUN + 1):
            flat[ahead : ahead + count] |= starts
    return flat


def _fills_of_plane(plane, known, firsts, flat, noise):
    values, fills = np.concatenate([own for own, _ in flat]), []
    for _ in range(_LEVELS):
        if not values.size:
            break
        level, tolerance, alike = _most_common(values, _FLAT * noise)
        values = values[~alike]
        longest = max(np.count_nonzero(np.abs(own - level) <= tolerance) / n for own, n in flat if n)
        fill = _find_filled(plane, known, firsts, (level, tolerance), noise)
        if fill is not None and (fill.level < fill.sky or longest > _LONG):
            fills.append(fill)
    return fills


def _zone(view, first, noise, level):
    """The `Zone` along one side of a plane; None where there is none."""
    values = inward(view, first, np.arange(min(_DEEPEST, view.shape[1] // 2)), _MORE_LINES)
    profile = medians(values)
    profile = profile[: np.argmax(np.isnan(np.r_[profile, np.nan]))]
    if len(values) < _FEWEST_LINES or len(profile) < _BEHIND:
        return None
    # A sky that was cut off at its level has that at an edge behind which it is brighter.
    if level is None and are_equal(values[:, 1:4]):
        return None
    noise = max(noise, _step(view))
    return find_fading(values, profile, noise, level) or find_dimming(values, profile, noise) or _rim(profile, noise)


def _step(plane):
    """The least by which two values differ: 1 of whole numbers, next to nothing of others."""
    values = np.unique(plane[::_THIN, ::_THIN])
    values = values[np.isfinite(values)].astype(np.float64)
    return float(np.min(np.diff(values))) if len(values) > 1 else 0.0


def _most_common(values, tolerance):
    """The level that most values have, by how much those of it differ, and which they are."""
    found, often = np.unique(values, return_counts=True)
    level = found[np.argmax(often)]
    alike = np.abs(values - level) <= tolerance
    if 2 * often.max() > np.count_nonzero(alike):
        return level, 0.0, values == level
    # Never twice the same: the middle of the largest crowd.
    below, up_to = (np.searchsorted(found, found + side * tolerance) for side in (-1, 1))
    crowd = np.argmax(up_to - below)
    level = np.median(found[below[crowd] : max(up_to[crowd], below[crowd] + 1)])
    return level, tolerance, np.abs(values - level) <= tolerance


def _find_filled(plane, known, firsts, level, noise):
    """The `Fill` of a level and a tolerance; None where it is sky."""
    value, tolerance = float(level[0]), level[1]
    alike = np.abs(plane - value) <= tolerance
    if known is not None:
        alike &= known
    labels, _ = label(alike, _EIGHT)
    touching = [inward(turn(labels), first, np.arange(1))[:, 0] for turn, first in zip(TURNS, firsts, strict=True)]
    number, often = np.unique(np.concatenate(touching).astype(int), return_counts=True)
    chosen = np.zeros(labels.max() + 1, dtype=bool)
    # What touches by a few pixels may be any, and so may more that are not the very same.
    chosen[number[often > (_FEWEST_LINES if tolerance else _RUN)]] = True
    chosen[0] = False
    region = chosen[labels]
    rest = ~region if known is None else known & ~region
    values = plane[rest]
    values = values[np.isfinite(values)].astype(np.float64)
    if not values.size or not region.any():
        return None
    fill, step = Fill(region, value, float(np.median(values))), _step(plane)
    coarse, noise = step > _COARSE * noise, max(noise, step)
    # A sky from which its level was taken, and all that was negative cut off, is at that value in many pixels, and
    # below it in none; where that is most of it, in pores of the rest.
    above = values - value
    cut = not np.any(above < -tolerance) and np.count_nonzero(above < noise) > _NEARLY * values.size
    if cut and np.mean(uniform_filter(region.astype(np.float32), 3, mode="nearest")[region]) < _SOLID:
        return None
    if abs(fill.sky - value) > FAR * noise:
        # A nebula in whole numbers with little noise has flat contours too, and what is saturated is flat; but then
        # there is much that is nearly the same.
        nearly = np.count_nonzero(np.abs(values - value) < FAR / 2 * noise)
        alike = nearly > _NEARLY * min(np.count_nonzero(region), values.size)
        return None if alike and (coarse or value > fill.sky) else fill
    elsewhere = np.count_nonzero(above == 0) >= _ELSEWHERE * values.size
    return None if tolerance or coarse or cut or elsewhere else fill


def _rim(profile, noise):
    """A `Zone` of a few pixels that stand out from what lies behind; None where there is none."""
    behind = np.median(profile[_RIM + 1 : _BEHIND])
    off = np.abs(profile - behind)
    peak = off[:_RIM].max()
    outside = np.flatnonzero(off[: _RIM + 1] > max(noise, _SETTLED / 2 * peak))
    if not (peak > FAR * noise) or outside[-1] == _RIM:
        return None
    if abs(np.median(profile[_RIM + 1 : _RIM + 4]) - np.median(profile[_BEHIND - 3 : _BEHIND])) > _SETTLED * peak:
        return None
    return Zone("rim", int(outside[-1]) + 1, 1, float(profile[np.argmax(off[:_RIM])]), float(behind))
