"""Every tile as given against the others: first where they lie, then how bright they are, all at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..measure.measurement import TileMeasurement, measure_tile
from ..tiles.images import TileError
from ..tiles.tile_set import PlacedTile, TileSet
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
from .pixels import pixel_findings, twins_of
from .registration import (
    Shift,
    Stranger,
    find_strangers,
    moved,
    near_shift,
    register,
    shift_findings,
    stranger_findings,
)

_CLOSEST = 3


@dataclass(frozen=True, eq=False)
class Survey:
    """All tiles against one another.

    Attributes
    ----------
    looks : tuple of TileMeasurement
        Of a tile whose shift matters, with the shift taken out; all with the curvature taken out.
    shifts : tuple of (Shift or None)
        Of the tiles as their own WCS place them; None where a tile has too few stars in common with others.
    solution : Solution
        Of the looks.
    curvature : Curvature or None
        What all tiles have in common.
    curved : tuple of TileMeasurement
        The looks with the curvature still in them.
    twins : dict of int to int
        Tiles that have the very pixels of another, which are not compared, and which that is.
    strangers : tuple of Stranger
        Tiles whose stars are nobody's: where they lie is not known, so their levels are not compared.
    """

    looks: tuple[TileMeasurement, ...]
    shifts: tuple[Shift | None, ...]
    solution: Solution
    curvature: Curvature | None
    curved: tuple[TileMeasurement, ...]
    twins: dict[int, int] = field(default_factory=dict)
    strangers: tuple[Stranger, ...] = ()

    @property
    def unfit(self):
        """Tiles that are not compared for a reason of their own, which is said."""
        silent = (i for i, look in enumerate(self.looks) if len(look.silent) == len(look.noise))
        return {*self.twins, *silent, *(tile for one in self.strangers for tile in one.tiles)}

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


def corrections(surveyed):
    """What takes the faults of every tile out of it.

    Parameters
    ----------
    surveyed : Survey

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
        terms = solution.of(index)
        if shift is not None and shift.matters:
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
    tiles = TileSet.of_pass(second_pass)
    return compare(tiles.each(measure_tile), tiles)


def compare(looks, tiles):
    """Compare every tile with the others.

    Parameters
    ----------
    looks : list of TileMeasurement
        One a tile, at least one.
    tiles : TileSet
        By which those that are displaced are looked at again, in their right places; one that cannot be read any more
        stays as it is.

    Returns
    -------
    Survey

    Raises
    ------
    ValueError
        If the measurements are not one a tile.
    """
    looks = list(looks)
    if len(looks) != len(tiles):
        raise ValueError(f"{len(looks)} measurements != {len(tiles)} tiles")
    twins = twins_of(looks)
    for index in twins:
        looks[index] = looks[index].without_pixels()
    shifts = register([look.stars for look in looks], [look.blocks for look in looks])
    strange = find_strangers([look.stars for look in looks], [look.blocks for look in looks], shifts)
    for index in (tile for one in strange for tile in one.tiles):
        looks[index] = replace(looks[index], blocks=None)
    wrong = [index for index, shift in enumerate(shifts) if shift is not None and shift.matters]
    again = tiles.each(_measure_moved, [shifts[index].pixels for index in wrong], indices=wrong)
    for index, look in zip(wrong, again, strict=True):
        if not isinstance(look, TileError):
            looks[index] = look
    return replace(_levelled(looks, shifts, tiles.shape), twins=twins, strangers=strange)


def _measure_moved(placed, pixels):
    """The measurement of a tile that is seen beside its place, put right."""
    right = replace(placed.tile, wcs=moved(placed.tile, placed.wcs, pixels))
    return measure_tile(PlacedTile.of(right, placed.wcs, placed.shape))


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
    return replace(_levelled(looks, surveyed.shifts, shape_out), twins=surveyed.twins, strangers=surveyed.strangers)


def _levelled(looks, shifts, shape_out):
    def solution_of(own):
        return solve([(look.blocks, look.noise) for look in own], shape_out)

    flat, solution, curvature = flattened(looks, solution_of(looks), solution_of)
    return Survey(tuple(flat), tuple(shifts), solution, curvature, tuple(looks))


def residual_findings(surveyed):
    """What is found in the pixels, places, levels, scales and slopes of the tiles as given.

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
    shifted = [*stranger_findings(surveyed.strangers), *shift_findings(surveyed.shifts)]
    for effect, finding in [*shifted, *level_findings(surveyed.solution, surveyed.curvature)]:
        key = (finding.kind, finding.tile) if finding.tile is not None else (finding.kind, finding.message)
        if finding.kind != "undetermined" or finding.tile not in surveyed.unfit:
            pairs.setdefault(key, (effect, finding))
    return [*pairs.values(), *pixel_findings(surveyed.looks, surveyed.twins)]


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
