"""All tiles at once: a bow that they share is taken out, and those that no term explains are left out, and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...tiles.grid import common_part
from .bending import bent_alike
from .common_light import same_in_all
from .correction import correction_of
from .illumination import Curvature, flatten
from .scatter import FEWEST_TILES
from .solution import Solution, solve
from .unevenness import Unevenness, light_beyond

# Tiles whose light no term explains: so many, and as a part of all, before it is that of all tiles.
_FEWEST_UNEVEN, _MOST_UNEVEN = 1, 1 / 3
# As a part of the largest misfit, one that may be the odd tile's as well, and how many are tried of those and, besides,
# of neighbours with a fault. Without a solution, which tells little of whose that is, all of so few tiles.
_SUSPECT_SHARE, _TRIED, _TRIED_ASTRAY = 0.25, 4, 9
# In errors, for a scale that only stars tell.
_SURE = 5.0


@dataclass(frozen=True, eq=False)
class Levels:
    """How bright tiles are.

    Attributes
    ----------
    looks : tuple of TileMeasurement
        All with the curvature taken out.
    solution : Solution
        Solution of these looks.
    curvature : Curvature or None
        What all tiles have in common.
    uneven : tuple of Unevenness
        Unevenness of tiles whose light no term explains: they are not in the solution; of two, where they meet each
        other alone: they are in it, but not there; or one of no tile, where more are such than can be told apart, and
        all are in it.
    """

    looks: tuple
    solution: Solution
    curvature: Curvature | None
    uneven: tuple[Unevenness, ...] = ()


def level_tiles(looks, scales, shape_out):
    """Compare how bright tiles are.

    What lies on one tile and is no term would be explained by faults of its neighbours, and of its own, that are not
    there: such tiles are left out one by one, the worst first, and the others solved without them.

    Parameters
    ----------
    looks : list of TileMeasurement
    scales : callable
        From looks to their `StarScales`.
    shape_out : tuple of int
        (H, W) of the mosaic.

    Returns
    -------
    Levels
    """
    odd = _Odd(tuple(looks), scales, shape_out)
    given = odd.solve_rest()
    odd, found = _leave_out_astray(odd, given)
    tested = np.count_nonzero([fit is not None for fit in found.solution.fits]) + len(odd.tiles)
    if found.uneven or tested < FEWEST_TILES:
        return given
    if given.solution.misfit.largest > 1 and found is given and same_in_all(given.looks):
        return _all_uneven(given, shared=True)
    while not found.solution.misfit.fits:
        chosen = _oddest(odd, found)
        if chosen is None or len(chosen.tiles) > max(_FEWEST_UNEVEN, _MOST_UNEVEN * tested):
            return _all_uneven(given, shared=False)
        # What was left out before the worst was known may be all that nothing is told of then.
        rest = chosen.solve_rest()
        if rest.solution.misfit.fits:
            chosen, rest = _take_back(chosen, rest)
        said = chosen.describe(rest)
        if len(said.uneven) < len(chosen) or not all(one.certain for one in said.uneven):
            break
        odd, found = chosen, rest
    odd, found = _take_back(odd, found)
    # What is left may be too little to tell one from the usual.
    unknown = len(odd.tiles) > 1 and not found.solution.misfit.judged.any() and given.solution.misfit.usual > 1
    return _all_uneven(given, shared=False) if unknown or found.solution.misfit.usual > 1 else odd.describe(found)


@dataclass(frozen=True, eq=False)
class _Odd:
    """What is left out of the comparison: tiles, and where two tiles meet each other and nobody else.

    Attributes
    ----------
    looks : tuple of TileMeasurement
        All as given.
    scales, shape_out
        As for `level_tiles`.
    tiles : tuple of int
    pairs : tuple of (int, int)
    """

    looks: tuple
    scales: Callable
    shape_out: tuple[int, int]
    tiles: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()

    def __len__(self):
        return len(self.tiles) + len(self.pairs)

    def with_tiles(self, tiles):
        return replace(self, tiles=(*self.tiles, *tiles))

    def solve_rest(self):
        """The comparison of the rest."""
        looks = list(self.looks)
        for first, second in self.pairs:
            value = np.where(self._find_alone(first, second), np.nan, looks[first].blocks.value)
            looks[first] = replace(looks[first], blocks=replace(looks[first].blocks, value=value))
        for index in self.tiles:
            looks[index] = replace(looks[index], blocks=None)
        return _solve(looks, self.scales, self.shape_out)

    def describe(self, found):
        """The comparison of the rest along with what is left out of it, and what that shows beyond the rest."""
        if not len(self):
            return found
        looks = tuple(
            own if look.blocks is None else replace(own, blocks=_flatten(look, found.curvature).blocks)
            for look, own in zip(self.looks, found.looks, strict=True)
        )
        found = replace(found, looks=looks)
        own = [_beyond(found, index) for index in self.tiles]
        own += [_compare_pair(found, pair, self._find_alone(*pair)) for pair in self.pairs]
        return replace(found, uneven=tuple(one for one in own if one is not None))

    def _find_alone(self, first, second):
        """Which blocks of the first tile the second knows and no other; shape (h, w)."""
        box, own = self.looks[first].blocks.box, self.looks[first].blocks.value
        shared = np.zeros(own.shape[1:], dtype=bool)
        others = np.zeros_like(shared)
        for index, look in enumerate(self.looks):
            parts = None if look.blocks is None or index == first else common_part(box, look.blocks.box)
            if parts is not None and index not in self.tiles:
                known = np.isfinite(look.blocks.value[(slice(None), *parts[1])]).any(axis=0)
                (shared if index == second else others)[parts[0]] |= known
        return shared & ~others


def _flatten(look, curvature):
    return look if curvature is None else curvature.out_of(look)


def _leave_out_astray(odd, given):
    """The comparison, where there is no solution without the tile whose light, beyond the rest, is why.

    That which ran away; or another that drew it, or all, along: then the rest fits.
    """
    solution, found = given.solution, (odd, given)
    meet = [tile for tile in np.argsort(-solution.misfit.each).tolist() if solution.neighbours[tile]]
    if not solution.astray or len(meet) < FEWEST_TILES:
        return found
    first, most = solution.astray[0], _TRIED_ASTRAY if len(meet) <= _TRIED_ASTRAY else _TRIED
    for tile in sorted(meet, key=lambda own: own != first)[:most]:
        without = odd.with_tiles((tile,))
        rest = without.solve_rest()
        if rest.solution.astray or rest.uneven:
            continue
        said = without.describe(rest).uneven
        if said and all(one.certain for one in said):
            if rest.solution.misfit.fits:
                return without, rest
            found = (without, rest) if tile == first else found
    return found


def _oddest(odd, found):
    """What more is to be left out: of the tiles of the largest misfits that without which the rest fits, and best.

    A neighbour that meets the odd tile in little but its light may look as odd as it. Where the rest is as well
    without the one as without the other nobody can say whose the light is: then that is left out where they meet. Of
    tiles that share too little to be judged one by one a term may stand in for any light, so that the rest is as well
    wherever it fits; where they are more than two, or do not meet alone, None.
    """
    odds, sharing = found.solution.misfit.whose, found.solution.sharing
    candidates = [index for index in np.argsort(-odds)[:_TRIED].tolist() if odds[index] > _SUSPECT_SHARE * odds.max()]
    # A fault may stand in for the light on its tile, and leave what it does not explain to the neighbours.
    beside = [other for other in found.solution.neighbours[candidates[0]] if found.solution.active[other].any()]
    beside = [other for other in beside if other not in candidates]
    candidates += sorted(beside, key=lambda other: -np.max(found.solution.deviance_drop[other]))[:_TRIED]
    tried = []
    # Two that are one exposure are tried as two: where there is no third exposure, neither is told from the other.
    for index in candidates:
        without = odd.with_tiles(np.flatnonzero(sharing == sharing[index]).tolist())
        rest = without.solve_rest()
        misfit = rest.solution.misfit
        tried.append(((not misfit.fits or bool(rest.solution.astray), _faults(rest), misfit.largest), index, without))
    tried.sort(key=lambda one: one[0])
    known = 2 if found.solution.misfit.judged.any() else 1
    alike = sum(one[0][:known] == tried[0][0][:known] for one in tried)
    if alike > 1 and not tried[0][0][0]:
        pair = tuple(sorted(one[1] for one in tried[:2]))
        only = alike == 2 or known == 2
        if only and pair[1] in found.solution.neighbours[pair[0]] and pair not in odd.pairs:
            either = replace(odd, pairs=(*odd.pairs, pair))
            if either.solve_rest().solution.misfit.fits:
                return either
        if known == 1:
            return None
    return tried[0][2]


def _faults(found):
    return int(np.count_nonzero(found.solution.active))


def _take_back(odd, found):
    """Without what need not be left out: what was taken for odd before the worst was known."""
    for index in odd.tiles if len(odd) > 1 else ():
        fewer = replace(odd, tiles=tuple(own for own in odd.tiles if own != index))
        rest = fewer.solve_rest()
        if rest.solution.misfit.fits and not rest.solution.astray and _faults(rest) <= _faults(found):
            odd, found = fewer, rest
    return odd, found


def _solve(looks, scales, shape_out):
    def solution_of(own):
        # Under a cloud stars are fainter here than there: by them others would seem scaled against one another. Nor are
        # stars of a tile that is nobody's, or misses the mosaic, a witness of the others.
        compared = [replace(look, fluxes=()) if look.blocks is None else look for look in own]
        solution = solve([(look.blocks, look.noise) for look in own], shape_out, scales(compared))
        # What is said of tiles that are left out is said by all stars.
        return replace(solution, stars=scales(own)) if any(look.blocks is None for look in own) else solution

    first = solution_of(looks)
    flat, solution, curvature = flatten(looks, first, solution_of)
    bent = bent_alike(looks, first, solution, curvature)
    if bent is not None:
        unknown = np.full((len(bent[0]), 3), np.nan)
        return Levels(tuple(looks), first, None, (Unevenness((), *bent, unknown, unknown, shared=True),))
    return Levels(tuple(flat), solution, curvature)


def _all_uneven(found, shared):
    """Where the light of nearly all tiles is uneven, shared or not, that of the usual one; nobody is left out then."""
    own = [_beyond(found, index) for index, look in enumerate(found.looks) if look.blocks is not None]
    own = [one for one in own if one is not None]
    if not own:
        return found
    names = "value", "error", "plane", "plane_error"
    usual = (np.median([getattr(one, name) for one in own], axis=0) for name in names)
    usual = Unevenness((), *usual, shared=shared)
    return replace(found, uneven=(usual,)) if usual.certain else found


def _beyond(found, index):
    """What a tile shows beyond the mean of the others with their faults taken out; None where too little is known."""
    return light_beyond((index,), found.looks[index].blocks, *_others(found, index, range(len(found.looks))))


def _compare_pair(found, pair, where):
    """By what light two tiles differ where they meet each other alone; None where too little is known."""
    first, second = pair
    mean, factor = _others(found, first, [second])
    return light_beyond(pair, found.looks[first].blocks, np.where(where, mean, np.nan), factor)


def _others(found, index, others):
    """Mean of others where the blocks of a tile are, their faults taken out, and its scale by its stars, if sure."""
    look, solution = found.looks[index].blocks, found.solution
    total, weight = np.zeros((2, *look.value.shape))
    for other in others:
        fit, own = solution.fits[other], found.looks[other]
        parts = None if other == index or fit is None else common_part(look.box, own.blocks.box)
        if parts is not None:
            here, there = ((slice(None), *part) for part in parts)
            mended = correction_of(solution, other, own, found.curvature).of_blocks(own.blocks)[there]
            known = np.isfinite(mended)
            total[here] += np.where(known, mended, 0.0)
            weight[here] += known
    mean = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    left, error = (layer[index] for layer in solution.stars.against_others(1.0))
    return mean, np.where(np.abs(left) > _SURE * error, np.exp(left), 1.0)
