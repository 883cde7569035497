"""Every tile as given against the others: first where they lie, then how bright they are, all at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..measure.coarse import CoarseTile, pixel_noise, project_blocks
from ..measure.fluxes import Fluxes, measure_fluxes
from ..measure.stars import Stars, find_stars
from ..parallel import threads
from ..settings import worker_count
from ..tiles.grid import copied, pixels_between
from ..tiles.place import Place
from ..tiles.planes import channels_last
from .gains import Gains
from .photometry import (
    Correction,
    Curvature,
    Solution,
    flattened,
    level_findings,
    limits,
    near_levels,
    solve,
)
from .registration import Shift, moved, near_shift, register, shift_findings

_RESOLUTION = 64 * np.finfo(np.float32).eps
_CLOSEST = 3


@dataclass(frozen=True, eq=False)
class TileLook:
    """What is kept of one tile to compare it with others.

    Attributes
    ----------
    blocks : CoarseTile or None
    noise : ndarray, shape (C,)
        Of one pixel in adu, at least what float32 resolves.
    stars : Stars
    fluxes : Fluxes
        Of these; all NaN where they were not asked for.
    middle : ndarray, shape (2,)
        Of the image, (x, y) in pixels of the mosaic; NaN for one that misses it.
    reach : float
        From there to a corner of the image, in the same pixels.
    """

    blocks: CoarseTile | None
    noise: np.ndarray
    stars: Stars
    fluxes: Fluxes
    middle: np.ndarray
    reach: float

    def without_pixels(self):
        """The look at a tile of which nothing is known."""
        return replace(self, blocks=None, stars=Stars.none(), fluxes=Fluxes.none(len(self.noise)))


@dataclass(frozen=True, eq=False)
class Survey:
    """All tiles against one another.

    Attributes
    ----------
    looks : tuple of TileLook
        Of a tile whose shift matters, with the shift taken out; all with the curvature taken out.
    shifts : tuple of (Shift or None)
        Of the tiles as their own WCS place them; None where a tile has too few stars in common with others.
    solution : Solution
        Of the looks.
    curvature : Curvature or None
        What all tiles have in common.
    curved : tuple of TileLook
        The looks with the curvature still in them.
    """

    looks: tuple[TileLook, ...]
    shifts: tuple[Shift | None, ...]
    solution: Solution
    curvature: Curvature | None
    curved: tuple[TileLook, ...]

    @property
    def fits(self):
        """`TileFit` of each tile, its shift and what agrees along with it; None for one that could not be compared."""
        fits = []
        for index, (fit, shift) in enumerate(zip(self.solution.fits, self.shifts, strict=True)):
            own = fit and fit.with_limits(*limits(self.solution, index))
            fits.append(own if own is None or shift is None else own.with_shift(shift))
        return tuple(fits)


@dataclass(frozen=True, eq=False)
class Mended:
    """Tiles as they are and with what was found in each taken out.

    Attributes
    ----------
    surveyed : Survey
    corrections : tuple of (Correction or None)
    blocks : tuple of (ndarray, shape (C, h, w), or None)
        Block means with the faults taken out, in the boxes of the tiles' own blocks.
    gains : Gains
    """

    surveyed: Survey
    corrections: tuple[Correction | None, ...]
    blocks: tuple[np.ndarray | None, ...]
    gains: Gains

    @classmethod
    def of(cls, surveyed, gains):
        """Take out what was found; a tile that could not be compared stays as it is."""
        found = tuple(corrections(surveyed))
        blocks = (
            look.blocks and (look.blocks.value if own is None else own.of_blocks(look.blocks))
            for look, own in zip(surveyed.looks, found, strict=True)
        )
        return cls(surveyed, found, tuple(blocks), gains)


def corrections(surveyed, everything=False):
    """What takes the faults of every tile out of it.

    Parameters
    ----------
    surveyed : Survey
    everything : bool, optional
        Take out all that was fitted, be it significant or not, where the data tell it.

    Returns
    -------
    list of (Correction or None)
        None for a tile that could not be compared.
    """
    found, solution = [], surveyed.solution
    for index, (fit, shift, look) in enumerate(zip(solution.fits, surveyed.shifts, surveyed.looks, strict=True)):
        if fit is None:
            found.append(None)
            continue
        terms = fit.terms(solution.level[:, index]) if everything else solution.of(index)
        if shift is not None and (shift.matters or everything):
            terms = replace(terms, shift=shift.pixels, shift_covariance=shift.covariance)
        place = {"extent": look.blocks.extent(), "curvature": surveyed.curvature, "middle": look.middle}
        found.append(Correction(**vars(terms), **place))
    return found


def survey(second_pass):
    """Compare every tile as given with the others.

    Parameters
    ----------
    second_pass : SecondPass
        Neither its mosaic nor its gains are looked at, so that nothing the pass did can be at fault for what is found.

    Returns
    -------
    Survey
    """
    tiles, wcs, shape_out = second_pass.tiles, second_pass.wcs, tuple(second_pass.shape)

    def look(index, pixels=None):
        tile = tiles[index]
        if pixels is None:
            return look_at(replace(tile, wcs=copied(tile.wcs)), copied(wcs), second_pass.place(index))
        right = replace(tile, wcs=moved(tile, copied(wcs), pixels))
        return look_at(right, copied(wcs), Place.of(right.shape, right.wcs, shape_out, copied(wcs)))

    with threads(worker_count()) as run:
        looks = list(run(look, range(len(tiles))))
        return compare(looks, shape_out, lambda wrong, pixels: run(look, wrong, pixels))


def look_at(tile, wcs, place, *, fluxes=False):
    """What is kept of one tile.

    Parameters
    ----------
    tile : Tile
    wcs : astropy.wcs.WCS
        Of the mosaic.
    place : Place or None
        Of the tile in it.
    fluxes : bool, optional
        Also measure how bright its stars are, which the comparison of the tiles does without.

    Returns
    -------
    TileLook
    """
    middle, corner = np.full((2, 2), np.nan)
    if place is not None:
        ends = np.array(tile.shape[::-1]) - 1
        middle, corner = np.transpose(pixels_between(tile.wcs, wcs, *np.transpose([ends / 2, ends])))
    with np.errstate(all="ignore"):
        blocks, noise, stars = project_blocks(tile, place), _noise(tile.pixels), find_stars(tile, wcs)
        measured = measure_fluxes(tile, wcs, stars) if fluxes else Fluxes.none(len(noise), len(stars))
    return TileLook(blocks, noise, stars, measured, middle, float(np.hypot(*(corner - middle))))


def compare(looks, shape_out, look_again):
    """Compare every tile with the others.

    Parameters
    ----------
    looks : list of TileLook
        One a tile, at least one.
    shape_out : tuple of int
        (H, W) of the mosaic.
    look_again : callable
        From a list of tiles' indices and one of their shifts in mosaic pixels to their looks with the shifts taken
        out; a text in place of a look keeps the old one.

    Returns
    -------
    Survey
    """
    looks = list(looks)
    shifts = register([look.stars for look in looks], [look.blocks for look in looks])
    wrong = [index for index, shift in enumerate(shifts) if shift is not None and shift.matters]
    for index, look in zip(wrong, look_again(wrong, [shifts[index].pixels for index in wrong]), strict=True):
        if not isinstance(look, str):
            looks[index] = look

    return _levelled(looks, shifts, shape_out)


def without(surveyed, tiles, shape_out):
    """Compare the others once more: what is in some tiles is left out, and explained by nothing in the rest.

    Parameters
    ----------
    surveyed : Survey
    tiles : container of int
        Which to leave out; they cannot be compared then. All shifts stay as they are.
    shape_out : tuple of int
        (H, W) of the mosaic.

    Returns
    -------
    Survey
    """
    looks = [replace(look, blocks=None) if index in tiles else look for index, look in enumerate(surveyed.curved)]
    return _levelled(looks, surveyed.shifts, shape_out)


def _levelled(looks, shifts, shape_out):
    def solution_of(own):
        return solve([(look.blocks, look.noise) for look in own], shape_out)

    flat, solution, curvature = flattened(looks, solution_of(looks), solution_of)
    return Survey(tuple(flat), tuple(shifts), solution, curvature, tuple(looks))


def _noise(tile):
    planes = channels_last(tile)[::7, ::7]
    level = np.max(np.abs(planes), initial=0.0, where=np.isfinite(planes))
    # Never 0, not even for a tile of zeros: effects are measured in units of it.
    return np.fmax(pixel_noise(tile), max(_RESOLUTION * level, np.finfo(np.float32).tiny))


def residual_findings(surveyed):
    """What is found in the places, levels, scales and slopes of the tiles as given.

    Parameters
    ----------
    surveyed : Survey

    Returns
    -------
    list of (float, Finding)
        With the size of each effect in units of a pixel's noise (of a tenth of a pixel, for a shift), tile by tile,
        largest first; what could not be tested, as notes of size 0.
    """
    # Of a pair of tiles each sees the other: one finding is enough.
    pairs = {}
    for effect, finding in [*shift_findings(surveyed.shifts), *level_findings(surveyed.solution, surveyed.curvature)]:
        key = (finding.kind, finding.tile) if finding.tile is not None else (finding.kind, finding.message)
        pairs.setdefault(key, (effect, finding))
    return list(pairs.values())


def closest(surveyed):
    """What comes closest to a finding.

    Parameters
    ----------
    surveyed : Survey

    Returns
    -------
    list of Nearly
        The closest first, three at most, one a tile at most.
    """
    found = []
    for tile in range(len(surveyed.looks)):
        own = [*near_levels(surveyed.solution, tile), *near_shift(surveyed.shifts[tile], tile)]
        if own:
            found.append(max(own, key=lambda one: one.closeness))
    return sorted(found, key=lambda one: -one.closeness)[:_CLOSEST]
