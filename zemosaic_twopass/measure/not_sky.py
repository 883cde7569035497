"""What of a tile is no sky: a border that is filled, feathered or stands out, and channels without a signal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation

from ..tiles.planes import channels_last
from .borders import TURNS, fills_of, first_known, zones_of

# By so many pixels of a filled part interpolation mixes it with the sky.
_MIXED = 2
_EIGHT = np.ones((3, 3), dtype=bool)
_THIN = 7
# Share of the pixels from which on the least value is none of chance, and how many times as often as the next it is so.
_CUT, _THAN_NEXT = 0.02, 3
# Percentiles of what is above it: where the sky begins, and how wide most of it is.
_ABOVE = 2, 25, 75


@dataclass(frozen=True)
class Border:
    """A border that is no sky.

    Attributes
    ----------
    how : {"filled", "feathered", "rim"}
        The first of these that it is somewhere, in the order feathered, filled, rim.
    share : float
        Part of the area of the tile that lies in it, finite and good by the tile's own coverage: used as sky.
    level, sky : float
        In adu: what is there, and what lies behind.
    """

    how: str
    share: float
    level: float
    sky: float


class Silent(NamedTuple):
    """A channel without a signal, and the one value that it holds; NaN for nothing."""

    channel: int
    value: float


class Cut(NamedTuple):
    """A channel whose sky ends at a least value, in adu, and the share of the pixels that have it."""

    channel: int
    value: float
    share: float


@dataclass(frozen=True, eq=False)
class NotSky:
    """What of a tile is no sky.

    Attributes
    ----------
    mask : ndarray of bool, shape (H, W), or None
        True where no sky is, with a margin; None where there is no such place.
    border : Border or None
    silent : tuple of Silent
        Where the tile is good.
    channels : int
        How many there are.
    cut : tuple of Cut
        Beside what is no sky.
    """

    mask: np.ndarray | None
    border: Border | None
    silent: tuple[Silent, ...]
    channels: int
    cut: tuple[Cut, ...] = ()

    def take_out(self, tile):
        """The tile with its coverage 0 where it is no sky; the tile itself where all of it is."""
        if self.mask is None:
            return tile
        coverage = np.ones(tile.shape, dtype=np.float32) if tile.coverage is None else np.asarray(tile.coverage)
        return replace(tile, coverage=np.where(self.mask, 0, coverage))

    def heard(self, tile):
        """The tile with those of its channels alone that have a signal; with all where none has or all have."""
        if len(self.silent) in (0, self.channels):
            return tile
        loud = [channel for channel in range(self.channels) if channel not in dict(self.silent)]
        return replace(tile, pixels=channels_last(tile.pixels)[..., loud])


def not_sky(tile, noise):
    """Look for what of a tile is no sky.

    Parameters
    ----------
    tile : Tile
        Where its coverage is not positive nothing is looked for.
    noise : ndarray, shape (C,)
        Noise of a pixel, as `coarse.pixel_noise` gives it.

    Returns
    -------
    NotSky
        A sound tile is read along its edges, and every few pixels, alone.
    """
    planes = channels_last(tile.pixels)
    good = None if tile.coverage is None else np.asarray(tile.coverage) > 0
    held_alone = [_only_value(planes[..., channel], good) for channel in range(planes.shape[2])]
    silent = tuple(Silent(channel, value) for channel, value in enumerate(held_alone) if value is not None)
    loud = [channel for channel, value in enumerate(held_alone) if value is None]
    if not loud or min(tile.shape) < 2:
        return NotSky(None, None, silent, planes.shape[2])
    heard, own = (planes, noise) if not silent else (planes[..., loud], noise[loud])
    mask, border = _look_along_edges(heard, own, good)
    return NotSky(mask, border, silent, planes.shape[2], _cut_off(planes, loud, good, mask))


def _look_along_edges(heard, noise, good):
    """The mask and the `Border` of channels that have a signal; None each where all is sky."""
    shape = heard.shape[:2]
    known = _find_known(heard, good)
    firsts = first_known(known, shape)
    fills = fills_of(heard, known, firsts, noise)
    held = np.logical_or.reduce([fill.region for each in fills for fill in each]) if any(fills) else None
    mask = None if held is None else binary_dilation(held, _EIGHT, iterations=_MIXED)
    if mask is not None:
        firsts = first_known(~mask if known is None else known & ~mask, shape)
    zones = _along_sides(heard, firsts, noise, [each[0].level if each else None for each in fills])
    if held is None and not zones:
        return None, None
    held, mask = (np.zeros(shape, dtype=bool) if each is None else each for each in (held, mask))
    for side, first, zone in zones:
        _mark(TURNS[side](held), first, zone.width)
        _mark(TURNS[side](mask), first, zone.width + zone.margin)
    told = [*(zone for _, _, zone in zones if zone.how == "feathered"), *(one for each in fills for one in each)]
    told += [zone for _, _, zone in zones]
    if good is not None:
        held &= good
    held &= np.isfinite(heard).all(axis=2)
    share = float(np.count_nonzero(held)) / held.size
    return mask, Border(getattr(told[0], "how", "filled"), share, told[0].level, told[0].sky)


def _cut_off(planes, loud, good, mask):
    """The `Cut` of each channel that has a signal, where it has one: what is filled has no sky just above it."""
    thin, found = (slice(None, None, _THIN),) * 2, []
    used = np.ones(planes[thin].shape[:2], dtype=bool) if good is None else good[thin]
    used = used if mask is None else used & ~mask[thin]
    for channel in loud:
        held = planes[thin][used, channel].astype(np.float64)
        held = held[np.isfinite(held)]
        values, often = np.unique(held, return_counts=True)
        if len(often) > 1 and often[0] > max(_CUT * often.sum(), _THAN_NEXT * often[1]):
            lowest, low, high = np.percentile(held[held > values[0]], _ABOVE)
            if lowest - values[0] < high - low:
                found.append(Cut(channel, float(values[0]), float(often[0] / often.sum())))
    return tuple(found)


def _only_value(plane, good):
    """The one value that a plane holds where it is good, NaN for nothing; None where it holds more."""
    thin = (slice(None, None, _THIN),) * 2
    for part in (thin, ()):
        # Most have a signal, and tell so by a few pixels.
        values = plane[part] if good is None else plane[part][good[part]]
        values = values[np.isfinite(values)]
        if values.size and values.min() < values.max():
            return None
    return float(values[0]) if values.size else np.nan


def _find_known(planes, good):
    """Where a tile is known in all its channels; None where it is so all along its edges."""
    edges = 0, -1, (slice(None), 0), (slice(None), -1)
    if all(np.isfinite(planes[edge]).all() and (good is None or good[edge].all()) for edge in edges):
        return None
    known = np.ones(planes.shape[:2], dtype=bool) if good is None else good.copy()
    for channel in range(planes.shape[2]):
        known &= np.isfinite(planes[..., channel])
    return known


def _along_sides(planes, firsts, noise, levels):
    """What runs along each side, as (side, where its lines begin, zone)."""
    return [
        (side, first, zone)
        for side, (turn, first) in enumerate(zip(TURNS, firsts, strict=True))
        for zone in zones_of(turn(planes), first, noise, levels)
    ]


def _mark(view, first, width):
    """Set the lines of a side so many pixels from where they begin; `view` is written to."""
    for ahead in range(width):
        lines = np.flatnonzero((first >= 0) & (first + ahead < view.shape[1]))
        view[lines, first[lines] + ahead] = True
