"""The edges of mosaics measured by their tiles, whose noise and sky go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...measure.median import median_of_known
from .beside import Beside
from .edges import ENOUGH, Left, Measured, map_edges, noise_beside, structure_along
from .fit import RAMPS, Filters, along, profiles, ramps_of
from .profiled import profile_worst
from .records import Profile, SeamMap
from .sky import excess, match, sky_of
from .stretches import Stretches
from .strips import Strips

# Part of the level: where a mosaic is a mean of the very tiles nothing but the rounding of its pixels is left of it.
_ROUNDING = np.finfo(np.float32).eps


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
    of_gains : ndarray, shape (n, C), or None
        The same of the gains, whether that is a fault or not.
    beyond : dict of int to ndarray of bool, shape (n,)
        Edges of the last mosaic beside which the coadd may have used more of a tile than that shows, by tile.
    """

    maps: tuple[SeamMap, ...]
    profiles: tuple[Profile, ...]
    left: tuple[Left | None, ...] = ()
    made: tuple[np.ndarray | None, ...] = ()
    of_gains: np.ndarray | None = None
    beyond: dict[int, np.ndarray] = field(default_factory=dict)


def seams_with_tiles(pictures, layout, corrected, makings=None, faults=()):
    """The steps at all edges in mosaics of tiles, against the sky that the tiles show once their faults are out.

    Parameters
    ----------
    pictures : sequence of Picture
        Mosaics on one grid, in the order in which they were made.
    layout : Layout
        Footprints of the tiles, in blocks of that grid.
    corrected : sequence of (ndarray, shape (C, h, w), or None)
        Block means of each tile, in its box, with what was found wrong with it taken out; NaN where not known. None
        for a tile that is to be no part of the sky.
    makings : Makings, optional
        Makings of mosaics that a pass made; without it nothing is expected.
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
        If the footprints and corrected are not as many.
    """
    if len(layout.footprints) != len(corrected):
        raise ValueError(f"{len(layout.footprints)} footprints != {len(corrected)} corrected")
    if not pictures:
        return Seams((), ())
    shape = pictures[0].value.shape[1:]
    sky, depth = sky_of(layout.footprints, corrected, shape, len(pictures[0].value))
    found, edges, before, predicted = [], {}, None, {}
    with np.errstate(all="ignore"):
        for picture in pictures:
            if before is not None and before.value is picture.value and before.part is picture.part:
                # The same mosaic under another name.
                predicted[picture.name] = predicted.get(before.name)
                found.append(replace(found[-1], map=replace(found[-1].map, mosaic=picture.name)))
                continue
            before, ground = picture, layout.under(picture)
            if ground not in edges:
                shown = layout.footprints, corrected, sky, depth
                edges[ground] = len(ground.stretches) and _ByTiles.of(ground, shown)
            if makings is not None:
                predicted[picture.name] = makings.predict(picture, predicted)
            own = predicted.get(picture.name)
            found.append(edges[ground].measure(picture, own) if edges[ground] else Measured.without_edges(picture))
        return replace(together(found), **_make_last(edges[ground], makings, own, faults))


def _make_last(edges, makings, predicted, faults):
    """What of `Seams` is about what was made: by faults and gains in the last mosaic, and beyond what tiles show."""
    if makings is None or not edges:
        return {"made": (None,) * len(faults)}
    beyond = {tile: edges.reached_by(blocks) for tile, blocks in makings.beyond().items()}
    if predicted is None:
        return {"made": (None,) * len(faults), "beyond": beyond}
    made = tuple(fields and edges.steps(makings.steps_of(fields, predicted)) for fields in faults)
    return {"made": made, "beyond": beyond, "of_gains": edges.steps(makings.steps_of_gains(predicted))}


@dataclass(frozen=True, eq=False)
class _ByTiles:
    """The edges of tiles, and the sky in the strips along them."""

    stretches: Stretches
    strips: Strips
    beside: Beside
    step: Filters
    sky: np.ndarray
    floor: np.ndarray

    @classmethod
    def of(cls, ground, sky):
        """From a `Ground` of at least one stretch, and the sky as `excess` takes it."""
        stretches, strips = ground.stretches, ground.strips
        step = Filters.of(strips)
        floor = excess(stretches, strips, step, sky)
        return cls(stretches, strips, Beside.of(stretches, ground.regions), step, sky[2], floor)

    def measure(self, picture, predicted):
        value, scale = match(picture.value, self.sky)
        beyond = value - self.sky
        off, shown = self.strips.of(beyond), self.strips.of(value, ENOUGH)
        level, spread = profiles(off)
        filters = [(slice(None), self.step)]
        ramps = ramps_of(level, spread, self.strips)
        for number in np.unique(ramps[ramps > 0]):
            chosen = ramps == number
            filters.append((chosen, Filters.of(self.strips.at(chosen), RAMPS[number])))
        step, error = _read(off, filters)
        noise = noise_beside(self.strips, picture.noise / scale[:, np.newaxis, np.newaxis])
        least = _ROUNDING * median_of_known(np.abs(value).reshape(len(value), -1))
        floor = np.hypot(self.floor, least)
        error = np.hypot(error, floor) * self.beside.excess(beyond, floor)
        left = None
        if predicted is not None:
            # The very pixels, so neither noise nor sky is in it.
            rest = predicted.subtract(picture.value)
            left, beside = _read(self.strips.of(rest), filters)
            left = left, np.hypot(beside, least) * self.beside.excess(rest, least)
        looks = noise, structure_along(shown), tuple(own.scale_by(scale) for own in picture.lines)
        return map_edges(picture.name, self.stretches, (step, error, left, None), looks, (self.strips, level, spread))

    def reached_by(self, blocks):
        """The edges that have some of the blocks beside them, shape (n,) bool; blocks of shape (h, w) bool."""
        return np.nan_to_num(self.strips.of(blocks[np.newaxis].astype(float))).any(axis=(1, 2, 3))

    def steps(self, blocks):
        """The steps at all edges in blocks without noise, shape (n, C); NaN where they are not known."""
        steps = self.step.read(self.strips.of(blocks))
        return np.nansum(steps, axis=-1) / np.isfinite(steps).sum(axis=-1)


def together(found):
    """The `Seams` of some `Measured`."""
    if not found:
        return Seams((), ())
    return Seams(tuple(one.map for one in found), profile_worst(found), tuple(one.left for one in found))


def _read(values, filters):
    """Steps of strips of values and their errors, by the last of some filters that goes for each stretch."""
    steps, gain = filters[0][1].read(values), filters[0][1].gain.copy()
    for chosen, own in filters[1:]:
        steps[chosen], gain[chosen] = own.read(values[chosen]), own.gain
    return along(steps, gain)
