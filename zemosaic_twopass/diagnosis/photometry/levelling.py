"""All tiles at once: a bow that they share is taken out, and those that no term explains are left out, and named."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...tiles.grid import common_part
from .correction import correction_of
from .illumination import Curvature, flattened
from .solution import Solution, solve
from .unevenness import Unevenness, light_beyond

# Tiles whose light no term explains: so many, and as a part of all, before it is that of all tiles.
_FEWEST_UNEVEN, _MOST_UNEVEN = 1, 1 / 3
# As a part of the largest misfit, one that may be the odd tile's as well.
_ALIKE = 0.4
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
        Of these.
    curvature : Curvature or None
        What all tiles have in common.
    uneven : tuple of Unevenness
        Of tiles whose light no term explains: they are not in the solution; or one of no tile, where nearly all are
        such, and all are in it.
    """

    looks: tuple
    solution: Solution
    curvature: Curvature | None
    uneven: tuple[Unevenness, ...] = ()


def levelled(looks, scales, shape_out):
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
    first = found = _solved(looks, scales, shape_out)
    tested = np.count_nonzero([fit is not None for fit in first.solution.fits])
    uneven = []
    while found.solution.misfit.max(initial=0.0) > _usual(found.solution.misfit):
        if len(uneven) + 1 > max(_FEWEST_UNEVEN, _MOST_UNEVEN * tested):
            return _all_uneven(first)
        # A neighbour that meets the odd tile in little but its light may look as odd: that is it without which the
        # rest fits best.
        tried = [(index, _without(looks, [*uneven, index], scales, shape_out)) for index in _oddest(found)]
        worst, rest = min(tried, key=lambda one: one[1].solution.misfit.max())
        uneven.append(worst)
        before, found = found, _with_uneven(rest, looks, uneven)
        if len(found.uneven) < len(uneven) or not found.uneven[-1].certain:
            found = before
            break
    # What is left may be too little to tell one from the usual.
    unknown = len(uneven) > 1 and not found.solution.misfit.any() and _usual(first.solution.misfit) > 1
    return _all_uneven(first) if unknown or _usual(found.solution.misfit) > 1 else found


def _oddest(found):
    """The tile of the largest misfit, and the next one where that is not far below."""
    first, second = np.argsort(-found.solution.misfit)[:2].tolist()
    misfit = found.solution.misfit
    return [first, second] if misfit[second] > _ALIKE * misfit[first] else [first]


def _without(looks, tiles, scales, shape_out):
    return _solved(
        [replace(look, blocks=None) if i in tiles else look for i, look in enumerate(looks)], scales, shape_out
    )


def _usual(misfit):
    """The misfit of the usual tile, but at least that from which on no term explains one."""
    return max(float(np.median(misfit[misfit > 0])), 1.0) if misfit.any() else 1.0


def _solved(looks, scales, shape_out):
    def solution_of(own):
        return solve([(look.blocks, look.noise) for look in own], shape_out, scales(own))

    flat, solution, curvature = flattened(looks, solution_of(looks), solution_of)
    return Levels(tuple(flat), solution, curvature)


def _all_uneven(found):
    """Where the light of nearly all tiles is uneven, that of the usual one; nobody is left out then."""
    own = [_beyond(found, index) for index, look in enumerate(found.looks) if look.blocks is not None]
    own = [one for one in own if one is not None]
    if not own:
        return found
    names = "value", "error", "plane", "plane_error"
    usual = (np.median([getattr(one, name) for one in own], axis=0) for name in names)
    usual = Unevenness(None, *usual)
    return replace(found, uneven=(usual,)) if usual.certain else found


def _with_uneven(found, looks, uneven):
    """The comparison of the others along with what tiles that were left out of it show beyond them."""
    flat = list(found.looks)
    for index in uneven:
        flat[index] = looks[index] if found.curvature is None else found.curvature.out_of(looks[index])
    found = replace(found, looks=tuple(flat))
    own = (_beyond(found, index) for index in uneven)
    return replace(found, uneven=tuple(one for one in own if one is not None))


def _beyond(found, index):
    """What a tile shows beyond the mean of the others with their faults taken out; None where too little is known."""
    look, solution = found.looks[index].blocks, found.solution
    total, weight = np.zeros((2, *look.value.shape))
    for other, (fit, own) in enumerate(zip(solution.fits, found.looks, strict=True)):
        parts = None if other == index or fit is None else common_part(look.box, own.blocks.box)
        if parts is not None:
            here, there = ((slice(None), *part) for part in parts)
            mended = correction_of(solution, other, own, found.curvature).of_blocks(own.blocks)[there]
            known = np.isfinite(mended)
            total[here] += np.where(known, mended, 0.0)
            weight[here] += known
    mean = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    left, error = (layer[index] for layer in solution.stars.against_others(1.0))
    factor = np.where(np.abs(left) > _SURE * error, np.exp(left), 1.0)
    return light_beyond(index, look, mean, factor)
