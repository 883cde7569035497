"""The edges of mosaics, measured: by tiles, whose noise and sky go, or on a picture by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .fit import RAMPS, Filters, along, middle, profiles, ramps_of
from .records import Edge, Profile, SeamMap
from .regions import Regions
from .sky import excess, matched, sky_of
from .stretches import Stretches, stretches_of
from .strips import BLOCK, Strips, pixel_strips

_MAD = 1.4826
_PROFILES = 5
# Distance from an edge of what is measured there as if it were one.
_BESIDE = 56.0
_FEWEST_BESIDE = 12
# By how much the scatter of the columns is too small on a night without seams, where nothing nearer is known.
_USUAL = 1.8
_NEAR = 20.0
# Of the level: where a mosaic is a mean of the very tiles nothing but the rounding of its pixels is left of it.
_ROUNDING = np.finfo(np.float32).eps
# Of the columns of a strip, for what need not be known to a few per cent.
_ENOUGH = 3


@dataclass(frozen=True, eq=False)
class Seams:
    """What was measured.

    Attributes
    ----------
    maps : tuple of SeamMap
        One a mosaic, in the order given.
    profiles : tuple of Profile
        Across the worst five edges of the last mosaic, and at the same places in those before it.
    left : tuple of (Left or None)
        What of the steps of each mosaic is not expected; None where nothing is known of that.
    made : tuple of (ndarray, shape (n, C), or None)
        What each of some faults makes at the edges of the last mosaic, in adu; NaN, or None, where that is not known.
    """

    maps: tuple[SeamMap, ...]
    profiles: tuple[Profile, ...]
    left: tuple[Left | None, ...] = ()
    made: tuple[np.ndarray | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Left:
    """What is left of the steps at n edges once what is expected is taken from them.

    Attributes
    ----------
    step, error : ndarray, shape (n, C)
        In adu; NaN where it is not known.
    contrast : ndarray, shape (n, C)
        As `Edge.contrast`, of what is left.
    """

    step: np.ndarray
    error: np.ndarray
    contrast: np.ndarray


@dataclass(frozen=True, eq=False)
class _Measured:
    """One mosaic: its edges, what lies across each of them, the channel of the largest contrast, what is left."""

    map: SeamMap
    distance: np.ndarray
    level: np.ndarray
    error: np.ndarray
    channel: np.ndarray
    left: Left | None = None


def seams_with_tiles(pictures, footprints, corrected, makings=None, faults=()):
    """The steps at all edges in mosaics of tiles, against the sky that the tiles show once their faults are out.

    Parameters
    ----------
    pictures : sequence of Picture
        Mosaics on one grid, in the order in which they were made.
    footprints : sequence of ((tuple of slice, ndarray of shape (h, w)) or None)
        One a tile, as `Regions.of_footprints` takes them, in blocks of that grid.
    corrected : sequence of (ndarray, shape (C, h, w), or None)
        Block means of each tile, in its box, with what was found wrong with it taken out; NaN where not known. None
        for a tile that is to be no part of the sky.
    makings : Makings, optional
        Of mosaics that a pass made; without it nothing is expected.
    faults : sequence of (dict of int to ndarray, shape (C, h, w)), optional
        What each adds to tiles, in adu before the gain, by tile in its box; None for one of which that is not known.

    Returns
    -------
    Seams
        Steps in adu of the tiles, whatever the scale of a mosaic. No maps without pictures; no edges where no tile
        ends within another.

    Raises
    ------
    ValueError
        If footprints and corrected are not as many.
    """
    if len(footprints) != len(corrected):
        raise ValueError(f"{len(footprints)} footprints != {len(corrected)} corrected")
    if not pictures:
        return Seams((), ())
    shape = pictures[0].value.shape[1:]
    sky, depth = sky_of(footprints, corrected, shape, len(pictures[0].value))
    found, geometry, before, predicted = [], {}, None, {}
    with np.errstate(all="ignore"):
        for picture in pictures:
            if before is not None and before.value is picture.value and before.part is picture.part:
                # The same mosaic under another name.
                predicted[picture.name] = predicted.get(before.name)
                found.append(replace(found[-1], map=replace(found[-1].map, mosaic=picture.name)))
                continue
            before = picture
            # The same for all mosaics, but for the edges of a second pass that has only a part of one.
            key = id(picture) if _ends(picture) else None
            if key not in geometry:
                regions = Regions.of_footprints(footprints, shape, BLOCK, key and picture.part)
                stretches = stretches_of(regions)
                strips = Strips.of_blocks(stretches, regions)
                geometry[key] = len(stretches) and _ByTiles.of(stretches, strips, (footprints, corrected, sky, depth))
            if makings is not None:
                predicted[picture.name] = makings.predicted(picture, predicted)
            own = predicted.get(picture.name)
            found.append(geometry[key].measure(picture, own) if geometry[key] else _without_edges(picture))
        made = (None,) * len(faults)
        if own is not None and geometry[key]:
            made = tuple(fields and geometry[key].steps(makings.steps_of(fields, own)) for fields in faults)
    return replace(_together(found), left=tuple(one.left for one in found), made=made)


def _ends(picture):
    """Whether the second pass's part ends within what the picture covers."""
    if picture.part is None:
        return False
    inside = picture.part[np.isfinite(picture.value).all(axis=0)] > 0.5
    return inside.any() and not inside.all()


@dataclass(frozen=True, eq=False)
class _ByTiles:
    """The edges of tiles, and the sky in the strips along them."""

    stretches: Stretches
    strips: Strips
    step: Filters
    sky: np.ndarray
    floor: np.ndarray

    @classmethod
    def of(cls, stretches, strips, sky):
        """From at least one stretch, and the sky as `excess` takes it."""
        step = Filters.of(strips, bent=False)
        return cls(stretches, strips, step, sky[2], excess(stretches, strips, step, sky))

    def measure(self, picture, predicted):
        value, scale = matched(picture.value, self.sky)
        off, shown = self.strips.of(value - self.sky), self.strips.of(value, _ENOUGH)
        level, spread = profiles(off)
        filters = [(slice(None), self.step)]
        ramps = ramps_of(level, spread, self.strips)
        for number in np.unique(ramps[ramps > 0]):
            chosen = ramps == number
            filters.append((chosen, Filters.of(self.strips.at(chosen), False, RAMPS[number])))
        step, error = _read(off, filters)
        noise = _noise(self.strips, picture.noise / scale[:, np.newaxis, np.newaxis])
        least = _ROUNDING * middle(np.abs(value).reshape(len(value), -1))
        error = np.sqrt(error**2 + self.floor**2 + least**2)
        left = None
        if predicted is not None:
            # The very pixels, so neither noise nor sky is in it.
            left, beside = _read(self.strips.of(predicted.left(picture.value)), filters)
            left = left, np.sqrt(beside**2 + least**2)
        across = self.strips, level, spread
        return _measured(picture.name, self.stretches, (step, error, left), noise, _structure(shown), across)

    def steps(self, blocks):
        """The steps at all edges in blocks without noise, shape (n, C); NaN where they are not known."""
        steps = self.step.read(self.strips.of(blocks))
        return np.nansum(steps, axis=-1) / np.isfinite(steps).sum(axis=-1)


def seams_alone(pictures, regions):
    """The steps at all edges in mosaics, each by itself.

    Its noise and its sky stay in what is measured: the error is made larger until steps that are measured beside the
    edges, where none are, scatter as it says.

    Parameters
    ----------
    pictures : iterable of (Picture, array_like of shape (H, W, C))
        Mosaics on one grid, each with the pixels that it was made of; taken one at a time.
    regions : Regions
        By footprints or by a coverage map.

    Returns
    -------
    Seams
        Steps in the mosaics' own adu.
    """
    stretches, found = stretches_of(regions), []
    with np.errstate(all="ignore"):
        for picture, pixels in pictures:
            if not len(stretches):
                found.append(_without_edges(picture))
                continue
            strips, shown = pixel_strips(stretches, regions, pixels)
            bent = Filters.of(strips, bent=True)
            step, error = along(bent.read(shown), bent.gain)
            error = error * _enlarged(stretches, regions, pixels)
            noise, across = _noise(strips, picture.noise), (strips, *profiles(shown))
            found.append(_measured(picture.name, stretches, (step, error, None), noise, _structure(shown), across))
    return _together(found)


def _without_edges(picture):
    return _Measured(SeamMap.of(picture.name, (), len(picture.value)), *(np.zeros(0) for _ in range(4)))


def _enlarged(stretches, regions, pixels):
    """By how much the errors are too small, shape (C,): steps where there is no edge, over their errors."""
    ratios = []
    for shift in (-_BESIDE, _BESIDE):
        strips, values = pixel_strips(stretches, regions, pixels, shift)
        bent = Filters.of(strips, bent=True)
        step, error = along(bent.read(values), bent.gain)
        ratios.append(np.abs(step / error))
    ratios = np.concatenate(ratios)
    ratios = ratios[np.isfinite(ratios).all(axis=1)]
    if len(ratios) < _FEWEST_BESIDE:
        return np.full(pixels.shape[2], _USUAL)
    # Of a Gaussian, 68 of 100 are within 1 and 95 within 1.96; of a sky, the tails are longer.
    usual, far = np.quantile(ratios, (0.683, 0.954), axis=0)
    return np.maximum(1.0, np.maximum(usual, far / 2))


def _read(values, filters):
    """Steps of strips of values and their errors, by the last of some filters that goes for each stretch."""
    steps, gain = filters[0][1].read(values), filters[0][1].gain.copy()
    for chosen, own in filters[1:]:
        steps[chosen], gain[chosen] = own.read(values[chosen]), own.gain
    return along(steps, gain)


def _noise(strips, noise):
    """Noise of a pixel inside and outside of each edge, shape (2, n, C)."""
    values = strips.of(noise, _ENOUGH)
    inside = (strips.distance < 0)[:, np.newaxis, ::_ENOUGH]
    sides = (np.where(side, values, np.nan).reshape(*values.shape[:2], -1) for side in (inside, ~inside))
    return np.stack([middle(side) for side in sides])


def _structure(shown):
    """What the sky does along each edge beyond a straight line, shape (n, C): cells about their medians along it."""
    across, count = np.moveaxis(shown, 2, -1), shown.shape[2]
    ahead = np.linspace(-1, 1, count)
    off = across - middle(across)[..., np.newaxis]
    slope = middle(np.where(np.abs(ahead) > 0.3, off / ahead, np.nan))
    off -= slope[..., np.newaxis] * ahead
    return _MAD * middle(np.abs(off).reshape(*off.shape[:2], -1))


def _measured(name, stretches, steps, noise, structure, across):
    """A `_Measured` of one mosaic, from its steps, their errors, and what is left of them with its errors or None."""
    step, error, left = steps
    expected = np.full(step.shape, np.nan) if left is None else step - left[0]
    # Not their sum: what is left of the noise is in the structure too, and a step of the noise is to be one.
    scale = np.fmax(np.sqrt(np.mean(noise**2, axis=0)), structure)
    contrast = np.where(np.isfinite(step) & (scale > 0), np.abs(step) / scale, np.nan)
    channel = np.argmax(np.nan_to_num(contrast, nan=-1.0), axis=1)
    edges = [
        Edge(
            stretches.tile[index],
            stretches.neighbours[index],
            float(stretches.x[index]),
            float(stretches.y[index]),
            tuple(stretches.normal[index].tolist()),
            float(stretches.length[index]),
            tuple(step[index].tolist()),
            tuple(error[index].tolist()),
            tuple(noise[:, index].mean(axis=-1).tolist()),
            float(contrast[index, channel[index]]),
            tuple(expected[index].tolist()) if np.isfinite(expected[index]).any() else None,
        )
        for index in range(len(stretches))
    ]
    strips, level, spread = across
    distance = middle(np.moveaxis(np.where(strips.known, strips.distance, np.nan), 1, -1))
    left = left and Left(*left, np.abs(left[0]) / np.where(scale > 0, scale, np.nan))
    return _Measured(SeamMap.of(name, edges, step.shape[1]), distance, level, spread, channel, left)


def _together(found):
    """Maps, and profiles across the worst edges of the last and at the same places in the others."""
    if not found:
        return Seams((), ())
    last, profiles = found[-1].map, []
    for edge, index in _worst(last):
        for one in found:
            own = _same(one.map.edges, edge)
            if own is not None:
                channel = int(found[-1].channel[index])
                level = one.level[own, channel] - middle(one.level[own, channel])
                across = one.distance[own], level, one.error[own, channel]
                profiles.append(Profile(one.map.mosaic, own, index, channel, *across))
    return Seams(tuple(one.map for one in found), tuple(profiles))


def _worst(seams):
    """(Edge, index) of the worst five that do not lie beside each other, as two edges of one sliver do."""
    found = []
    for index in seams.worst_first():
        edge = seams.edges[index]
        if all(np.hypot(edge.x - other.x, edge.y - other.y) > _BESIDE for other, _ in found):
            found.append((edge, index))
        if len(found) == _PROFILES:
            break
    return found


def _same(edges, edge):
    """Index of the edge of the same tile at the same place; None where there is none."""
    if not edges:
        return None
    apart = [np.hypot(own.x - edge.x, own.y - edge.y) if own.tile == edge.tile else np.inf for own in edges]
    nearest = int(np.argmin(apart))
    return nearest if apart[nearest] < _NEAR else None
