"""Every tile as given against the others: first where they lie, then how bright they are, all at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..measure.coarse import in_box
from ..measure.fluxes import in_common
from ..measure.measurement import TileMeasurement, measure_tile
from ..tiles.images import TileError
from ..tiles.tile_set import PlacedTile
from .gains import Gains
from .photometry import (
    Correction,
    Curvature,
    Solution,
    Unevenness,
    correction_of,
    correction_of_light,
    level_findings,
    level_tiles,
    limits,
    near_levels,
    star_scales,
    uneven_findings,
)
from .pixels import pixel_findings, twins_of
from .registration import (
    Shift,
    Stranger,
    find_strangers,
    move_wcs,
    near_shift,
    register,
    same_stars,
    shift_findings,
    stranger_findings,
)


@dataclass(frozen=True, eq=False)
class Survey:
    """All tiles against one another.

    Attributes
    ----------
    looks : tuple of TileMeasurement
        One a tile, with its shift taken out where that matters; all with the curvature taken out.
    shifts : tuple of (Shift or None)
        Shifts of the tiles as their own WCS place them; None where a tile has too few stars in common with others.
    solution : Solution
        Solution of the looks.
    curvature : Curvature or None
        What all tiles have in common.
    curved : tuple of TileMeasurement
        The looks with the curvature still in them.
    uneven : tuple of Unevenness
        As `photometry.Levels` has it.
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
    uneven: tuple[Unevenness, ...] = ()
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
class CorrectedTiles:
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

    def in_boxes_of(self, looks):
        """`blocks` of the tiles that are in the joint solution, in the boxes that other looks at them have.

        Parameters
        ----------
        looks : sequence of TileMeasurement
            One a tile, such as those of the tiles as their own WCS place them.

        Returns
        -------
        list of (ndarray, shape (C, h, w), or None)
            NaN where a block is not known; None for a tile that could not be compared.
        """
        known = (fit is not None for fit in self.surveyed.solution.fits)
        each = zip(known, self.blocks, self.surveyed.looks, looks, strict=True)
        return [
            in_box(blocks, own.blocks.box, look.blocks.box) if fits and own.blocks and look.blocks else None
            for fits, blocks, own, look in each
        ]


def corrections(surveyed):
    """What takes the faults of every tile out of it.

    Parameters
    ----------
    surveyed : Survey

    Returns
    -------
    list of (Correction or None)
        None for a tile that could not be compared; of one whose light no term explains and no surface takes out, and of
        all where nearly all are such, nothing is taken out but what all have in common.
    """
    found, solution = [], surveyed.solution
    light = {one.tile: one for one in surveyed.uneven}
    for index, (fit, shift, look) in enumerate(zip(solution.fits, surveyed.shifts, surveyed.looks, strict=True)):
        if fit is None and index not in light:
            found.append(None)
            continue
        own = index in light and correction_of_light(light[index], look, surveyed.curvature)
        own = own or correction_of(solution, index, look, surveyed.curvature)
        if any(one.of_all for one in surveyed.uneven):
            own = replace(own, value=np.zeros_like(own.value), covariance=np.full_like(own.covariance, np.nan))
        if shift is not None and shift.matters:
            own = replace(own, shift=shift.pixels, shift_covariance=shift.covariance)
        found.append(own)
    return found


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
    parts = zip(*((look.stars, look.blocks, np.nanmedian(look.noise)) for look in looks), strict=True)
    strange = find_strangers(*parts, shifts)
    for index in (tile for one in strange for tile in one.tiles):
        looks[index] = replace(looks[index], blocks=None)
    wrong = [index for index, shift in enumerate(shifts) if shift is not None and shift.matters]
    again = tiles.each(_measure_beside, [shifts[index].pixels for index in wrong], indices=wrong)
    for index, look in zip(wrong, again, strict=True):
        looks[index] = looks[index] if isinstance(look, TileError) else look
    return replace(_level(looks, shifts, tiles.shape), twins=twins, strangers=strange)


def _scales(looks, shifts):
    """Scales of the tiles from their stars, which are the same where the tiles' shifts put them."""
    # The looks of tiles whose shift matters have it taken out.
    own = np.array([np.zeros(2) if shift is None or shift.matters else shift.pixels for shift in shifts])
    tiles = np.repeat(np.arange(len(looks)), [len(look.stars) for look in looks])
    entries, numbers = np.zeros((2, 0), dtype=int)
    if len(tiles):
        entries, numbers = same_stars(np.concatenate([look.stars.places for look in looks]) - own[tiles], tiles)
    fluxes = in_common([(look.fluxes, len(look.noise), len(look.stars)) for look in looks])
    return star_scales(fluxes, entries, tiles[entries], numbers)


def _measure_beside(placed, pixels):
    """The measurement of a tile that is seen beside its place, put right."""
    right = replace(placed.tile, wcs=move_wcs(placed.tile, placed.wcs, pixels))
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
    return replace(_level(looks, surveyed.shifts, shape_out), twins=surveyed.twins, strangers=surveyed.strangers)


def _level(looks, shifts, shape_out):
    levels = level_tiles(looks, lambda own: _scales(own, shifts), shape_out)
    return Survey(levels.looks, tuple(shifts), levels.solution, levels.curvature, tuple(looks), levels.uneven)


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
    # Each tile of a pair sees the other: one finding is enough.
    pairs, uneven = {}, [finding for one in surveyed.uneven for finding in uneven_findings(one, surveyed.solution)]
    odd, all_odd = {one.tile for one in surveyed.uneven}, any(one.of_all for one in surveyed.uneven)
    levels = [
        (effect, finding)
        for effect, finding in level_findings(surveyed.solution, surveyed.curvature)
        # A tile with light of its own is told apart; where nearly all have some, no level of a single one is told.
        if finding.tile is None or not (finding.tile in odd or all_odd and finding.about.group == "residual")
    ]
    axes, middles = ([getattr(look, name) for look in surveyed.looks] for name in ("axes", "middle"))
    shifted = shift_findings(surveyed.shifts, axes, middles)
    shifted = [*stranger_findings(surveyed.strangers), *shifted]
    for effect, finding in [*shifted, *uneven, *levels]:
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
    Nearly or None
        None where nothing could be compared.
    """
    found = (
        one
        for tile in range(len(surveyed.looks))
        for one in (*near_levels(surveyed.solution, tile), *near_shift(surveyed.shifts[tile], tile))
    )
    return max(found, key=lambda one: one.closeness, default=None)
