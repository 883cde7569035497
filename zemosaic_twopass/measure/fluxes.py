"""How bright the stars of a tile are, channel by channel, in apertures that tiles have in common.

An aperture of so many pixels holds less of a star the worse the seeing was, and more of its neighbours and of the sky
the wider it is. So all tiles that are compared have the same, which holds the stars of most. Which that is, is not
known of one tile alone: each is measured in the least of a few standard apertures that holds its stars, and in the next
one. What lies outside is read off curves of growth (Stetson 1990, PASP 102, 932), star by star: a neighbour is in that
too, but in that of all tiles.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .coarse import flat_planes
from .median import median_of_known
from .robust import GAUSSIAN_MAD, MEDIAN_COST

# So many of the surest stars are measured; so many of them give the width of all.
_MOST_STARS = 60
_FOR_WIDTH = 30
_FEWEST_STARS = 3
# The width is that of the brightest part of these, for faint stars look as wide as what lies under them, and of the
# smaller ones of them, for pairs and the knots of a galaxy are wider than a star.
_BRIGHTEST = 4
_FEWEST_BRIGHT = 8
_SMALLER = 65
# In pixels: what the half-light radius is read in.
_TRIAL = np.arange(0.5, 8.25, 0.5)
_TRIAL_RING = 9.0, 13.0
_WIDTHS = 0.7, 4.0
# Standard half-light radii in pixels of the mosaic, and what part of the tile's own the least of them must be.
_STANDARD = 0.7 * 1.6 ** np.arange(6)
_LEAST_PART = 0.9
# In these: to know a star's shape, to measure it, to know what lies outside, and its background.
_CORE, _APERTURE, _WHOLE, _RING = 1.2, 2.0, 4.0, (5.0, 7.5)
# Share of the background that must be known on both sides of a star, which in a corner is little, and how many of its
# pixels are enough.
_RING_KNOWN, _RING_ENOUGH = 0.1, 300
# A star whose core holds another part of it than the usual one, by so much and by so many errors, has a companion or
# is saturated.
_UNUSUAL, _UNUSUAL_ERRORS = 0.06, 3.0
# Pixels within this part of the brightest, and how many of a star may be before it is flat at the top.
_TOP, _FLAT = 0.02, 3
_BRIGHT = 0.3
# In pixels from a star: how far that is looked for.
_MIDDLE = 4.5
# In errors, far below what stars are asked for in the mean of several tiles.
_LEAST_SIGNAL = 5.0
# Error with which a star tells what lies outside. What has more or less has a neighbour.
TELLS_GROWTH = 0.05
_PLAUSIBLE = 0.9, 1.4


@dataclass(frozen=True, eq=False)
class Fluxes:
    """Brightness of the stars of one tile in one aperture.

    Attributes
    ----------
    step : int
        Which of the standard apertures; −1 where nothing is measured.
    flux, error : ndarray, shape (n, C)
        Flux of each of its `Stars`, in adu times the area of a pixel of the mosaic, and the standard error from the
        noise of pixels that are independent, both of what lies in the apertures; NaN for one that is saturated,
        blended, too faint or not measured.
    growth, growth_error : ndarray, shape (n, C)
        All of a star, and of its neighbours, over what lies in the aperture, and its standard error; NaN for one that
        does not tell it to `TELLS_GROWTH`.
    """

    step: int
    flux: np.ndarray
    error: np.ndarray
    growth: np.ndarray
    growth_error: np.ndarray

    @classmethod
    def none(cls, channels, stars=0):
        """Fluxes of so many stars of which none is measured."""
        return cls(-1, *np.full((4, stars, channels), np.nan))


def measure_fluxes(tile, stars, flat=None):
    """Measure the brightness of the stars of a tile.

    Parameters
    ----------
    tile : Tile
        Pixels where its coverage is not positive are not used.
    stars : Stars
        Stars of the tile, with their positions in it. The surest 60 are measured, the others NaN.
    flat : list of ndarray, optional
        `coarse.flat_planes` of the tile, where they were made before.

    Returns
    -------
    tuple of Fluxes
        In the least aperture that holds its stars and in the next; empty where fewer than three can be measured.
    """
    if len(stars) < _FEWEST_STARS:
        return ()
    (x, y), area = stars.positions[:_MOST_STARS].T, stars.area[:_MOST_STARS]
    images = [plane.reshape(tile.shape) for plane in (flat_planes(tile) if flat is None else flat)]
    width = _half_light(_Stamps.of(images, x[:_FOR_WIDTH], y[:_FOR_WIDTH], (_TRIAL[-1], *_TRIAL_RING)))
    if not np.isfinite(width):
        return ()
    scale = float(np.sqrt(np.median(area)))
    first = int(np.searchsorted(_STANDARD, _LEAST_PART * width * scale))
    widths = _STANDARD[first : first + 2] / scale
    found = []
    for step, own in enumerate(widths.tolist(), start=first):
        stamps = _Stamps.of(images, x, y, tuple(own * radius for radius in (_WHOLE, *_RING)))
        found.append(_in_aperture(step, stamps, own, area, len(stars)))
    return tuple(found)


def in_common(tiles):
    """Fluxes in the same aperture, the one that holds the stars of most tiles.

    Parameters
    ----------
    tiles : sequence of (tuple of Fluxes, int, int)
        As `measure_fluxes` gives them, with how many channels and stars each tile has.

    Returns
    -------
    list of Fluxes
        One a tile; none measured for one whose stars are far smaller than the usual ones, or wider.
    """
    often = Counter(one.step for own, _, _ in tiles for one in own)
    # The smaller of two that as many have: the wider holds more of neighbours and of the sky.
    step = max(often, key=lambda step: (often[step], -step), default=-1)
    return [
        next((one for one in own if one.step == step), Fluxes.none(channels, stars)) for own, channels, stars in tiles
    ]


def _in_aperture(step, stamps, width, area, count):
    radii = width * np.array([_CORE, _APERTURE, _WHOLE])
    (core, flux, whole), (core_error, error, whole_error) = stamps.fluxes(radii)
    usable = (flux > _LEAST_SIGNAL * error) & ~stamps.flat()
    # A channel may hold nothing.
    with np.errstate(divide="ignore", invalid="ignore"):
        usable &= _usual(core / flux, np.hypot(core_error / core, error / flux), usable)
        growth, growth_error = whole / flux, np.hypot(whole_error, error) / flux
        telling = usable & (growth_error < TELLS_GROWTH)
        telling &= (growth > _PLAUSIBLE[0]) & (growth < _PLAUSIBLE[1])
    scale, telling = np.where(usable, area, np.nan), np.where(telling, 1.0, np.nan)
    found = Fluxes.none(len(flux), count)
    each = flux * scale, error * scale, growth * telling, growth_error * telling
    for own, whole in zip(each, (found.flux, found.error, found.growth, found.growth_error), strict=True):
        whole[: len(area)] = own.T
    return replace(found, step=step)


@dataclass(frozen=True, eq=False)
class _Stamps:
    """Pixels around stars less their background, in single precision as the pixels are.

    The pixels of a star lie side by side, for medians and sums over them are most of what is done.

    Attributes
    ----------
    value : ndarray, shape (C, n, P)
        Values of all pixels that are near enough for an aperture, the nearest first; NaN where not known.
    away : ndarray, shape (n, P)
        How far from the star, in pixels.
    middle : int
        So many of them may lie where a star is brightest.
    around : ndarray, shape (C, n, R)
        Values of the background, each with that on the other side of the star as far from the end; NaN where one of the
        two is not known.
    known : ndarray of int, shape (C, n)
        How many of these are known.
    """

    value: np.ndarray
    away: np.ndarray
    middle: int
    around: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, images, x, y, radii):
        """Around places (x, y), shape (n,): what lies in a largest aperture, and the background between two radii.

        From images of shape (H, W), float32; radii in pixels.
        """
        largest, inner, outer = radii
        middle = np.nan_to_num(np.rint([y, x]))
        span = np.arange(-int(np.ceil(outer)), int(np.ceil(outer)) + 1)
        steps = np.stack([axis.ravel() for axis in np.meshgrid(span, span, indexing="ij")])
        distance = np.hypot(*steps)
        ring = np.flatnonzero((distance >= inner) & (distance <= outer))
        # Each pixel with that on the other side of the star, which is as far from the end.
        half = ring[: len(ring) // 2 : max(1, round(len(ring) / _RING_ENOUGH))]
        ring = np.concatenate([half, (distance.size - 1 - half)[::-1]])
        # A star lies within half a pixel of the middle of its pixel, both ways.
        near = np.flatnonzero(distance <= largest + 1.5)
        near = near[np.argsort(distance[near], kind="stable")]
        values = _gather(images, middle.astype(int), steps[:, np.concatenate([ring, near])])
        around, value = np.split(values, [len(ring)], axis=2)
        unknown = np.isnan(around)
        if unknown.any():
            # Where one side is missing, as at an edge, a sky that slopes would seem brighter or darker than it is.
            unknown |= unknown[..., ::-1]
            around[unknown] = np.nan
        level, known = median_of_known(around), around.shape[2] - np.count_nonzero(unknown, axis=2)
        level = np.where(known > _RING_KNOWN * len(ring), level, np.nan)[..., np.newaxis].astype(np.float32)
        beside, steps = (np.stack([y, x]) - middle).T, steps[:, near]
        # By the law of cosines: pixel by pixel it takes three times as long.
        away = np.sum(steps**2, axis=0) + np.sum(beside**2, axis=1)[:, np.newaxis] - 2 * beside @ steps
        away = np.sqrt(np.maximum(away, 0.0)).astype(np.float32)
        number = int(np.count_nonzero(distance <= _MIDDLE + 1.0))
        return cls(value - level, away, number, around - level, known)

    @cached_property
    def errors(self):
        """Noise of a pixel and standard error of the background, shape (C, n) each."""
        # In units of its own a square may be beyond single precision.
        noise = GAUSSIAN_MAD * median_of_known(np.abs(self.around)).astype(float)
        return noise, MEDIAN_COST * noise / np.sqrt(np.maximum(self.known, 1))

    def sums(self, parts):
        """Sums of pixels by parts of them, shape (R, n, P); shape (R, C, n), NaN where one is not known."""
        unknown = np.isnan(self.value)
        channel, star = np.nonzero(unknown.any(axis=2))
        value = np.where(unknown, 0, self.value) if len(star) else self.value
        total = np.transpose(parts.swapaxes(0, 1) @ np.moveaxis(value, 0, 2), (1, 2, 0)).astype(float)
        # One that lies outside is not asked for, known or not.
        missed = np.any((parts[:, star] > 0) & unknown[channel, star], axis=2)
        total[:, channel, star] = np.where(missed, np.nan, total[:, channel, star])
        return total

    def parts(self, radii):
        """Which part of each pixel lies within radii, shape (R,): shape (R, n, P)."""
        return np.clip(radii[:, np.newaxis, np.newaxis].astype(np.float32) + 0.5 - self.away, 0, 1)

    def fluxes(self, radii):
        """Sums within radii, shape (R,), and their errors, shape (R, C, n); NaN where a pixel is not known."""
        parts, (noise, background) = self.parts(radii), self.errors
        size, square = (own[:, np.newaxis] for own in (parts.sum(axis=2), np.einsum("rnp,rnp->rn", parts, parts)))
        return self.sums(parts), np.sqrt(square * noise**2 + (size * background) ** 2)

    def flat(self):
        """Which stars are bright and flat at the top in a channel, shape (C, n): they were cut off."""
        # A whole stamp may hold a brighter neighbour.
        value = np.nan_to_num(self.value[..., : self.middle])
        value[:, self.away[:, : self.middle] >= _MIDDLE] = 0
        peak = np.maximum(value.max(axis=2), 0)
        alike = np.count_nonzero(value > (1 - _TOP) * peak[..., np.newaxis], axis=2)
        return (alike >= _FLAT) & (peak > _BRIGHT * peak.max(axis=1, initial=0.0, keepdims=True))


def _gather(images, middle, steps):
    """Values so many rows and columns, shape (2, P), from pixels, shape (2, n); (C, n, P), NaN beyond the image."""
    shape = np.array(images[0].shape)
    pixel, step = (np.array([shape[1], 1]) @ own for own in (middle, steps))
    index = pixel[:, np.newaxis] + step
    values = np.empty((len(images), *index.shape), dtype=np.float32)
    for image, own in zip(images, values, strict=True):
        image.ravel().take(index, mode="clip", out=own)
    reach = np.abs(steps).max(axis=1, initial=0)[:, np.newaxis]
    edge = np.flatnonzero(((middle < reach) | (middle >= shape[:, np.newaxis] - reach)).any(axis=0))
    if len(edge):
        own = (at[edge, np.newaxis] + step for at, step in zip(middle, steps, strict=True))
        rows, columns = ((at < 0) | (at >= size) for at, size in zip(own, shape, strict=True))
        values[:, edge] = np.where(rows | columns, np.float32(np.nan), values[:, edge])
    return values


def _half_light(stamps):
    """Radius within which the stars of a tile have half of their light, in pixels; NaN where it cannot be told."""
    # The width is that of the sum of the channels of which anything is known.
    value = stamps.value[np.isfinite(stamps.around).any(axis=(1, 2))].sum(axis=0, keepdims=True)
    stamps = replace(stamps, value=value)
    growth = stamps.sums(stamps.parts(_TRIAL))[:, 0]
    growth = growth[:, ~stamps.flat().any(axis=0) & (growth[-1] > 0)]
    if growth.shape[1] < _FEWEST_STARS:
        return np.nan
    bright = np.argsort(-growth[-1])[: max(growth.shape[1] // _BRIGHTEST, _FEWEST_BRIGHT)]
    curve = np.percentile(growth[:, bright] / growth[-1, bright], _SMALLER, axis=1)
    return float(np.clip(np.interp(0.5, np.maximum.accumulate(curve), _TRIAL), *_WIDTHS))


def _usual(part, error, usable):
    """Which stars have the usual part of their light in the core, shape (C, n)."""
    usual = median_of_known(np.where(usable, part, np.nan))[:, np.newaxis]
    return np.abs(part / usual - 1) <= _UNUSUAL + _UNUSUAL_ERRORS * error
