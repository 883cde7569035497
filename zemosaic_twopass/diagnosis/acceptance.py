"""Which corrections may be applied: none that would harm its tile, and the others as if that tile were not there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tiles.planes import in_channel
from .comparison import corrections, without
from .photometry import FEWEST_STARS, Correction, StarScales

# In errors: from there stars contradict the factors of a tile, by all channels together, and that of a single one, for
# of some thirty one is 3 errors off by chance; and if the factors take them further from the others, from there.
_CONTRADICTED, _ALONE = 3.0, 4.5
_DOUBTED = 2.0
# After so many rounds all that is left is refused at once.
_ROUNDS = 8
_UNEVEN = "light lies on it that no offset, factor or slope takes out"
_ORPHANED = "it meets only tiles that are left as they are"


@dataclass(frozen=True, eq=False)
class Acceptance:
    """What is to be taken out of each tile, and what is not.

    Attributes
    ----------
    corrections : tuple of (Correction or None)
        One a tile, which takes out nothing for one that is refused; None for one that could not be compared.
    refused : dict of int to str
        Why nothing is taken out of tiles in which something was found.
    stars : StarScales
        Scales of the tiles as given.
    """

    corrections: tuple[Correction | None, ...]
    refused: dict[int, str]
    stars: StarScales


@dataclass(frozen=True)
class _Objection:
    tile: int
    weight: float
    reason: str


def accept(surveyed, shape_out):
    """Refuse what would harm: one tile after the other, the worst first, and the rest solved without it.

    A neighbour that was fitted against a tile with a fault that the model does not have may have been given a part of
    it. So whoever is refused is left out of the fit, and all others are found and judged anew.

    Parameters
    ----------
    surveyed : Survey
    shape_out : tuple of int
        (H, W) of the mosaic.

    Returns
    -------
    Acceptance
    """
    with np.errstate(all="ignore"):
        stars, current = surveyed.solution.stars, surveyed
        refused = {one.tile: _UNEVEN for one in surveyed.uneven if one.tile is not None and one.surface is None}
        first = found = corrections(surveyed)
        for turn in range(len(found)):
            objections = [*_by_factor(found), *_by_stars(found, stars)]
            # Whatever contradicts a factor goes first.
            objections = objections or list(_by_steps(current.solution))
            if not objections:
                break
            worst = max(objections, key=lambda one: one.weight)
            refused |= {one.tile: one.reason for one in (objections if turn >= _ROUNDS else [worst])}
            current = without(surveyed, refused, shape_out)
            found = corrections(current)
    channels = surveyed.solution.noise.shape[1]
    for index, (own, before) in enumerate(zip(found, first, strict=True)):
        if own is None and before is not None and not before.empty:
            refused.setdefault(index, _ORPHANED)
    final = (Correction.nothing(channels) if index in refused else own for index, own in enumerate(found))
    return Acceptance(tuple(final), dict(sorted(refused.items())), stars)


def _by_factor(found):
    """Objections to factors that are not positive."""
    for index, own in enumerate(found):
        if own is not None and not np.all(own.factor > 0):
            channel = int(np.argmin(own.factor))
            where = in_channel(channel, len(own.factor))
            yield _Objection(index, np.inf, f"its factor{where}, {own.factor[channel]:.4g}, is no scale")


def _by_stars(found, stars):
    """Objections to factors that the brightness of shared stars contradicts."""
    factor = np.array([np.ones(stars.counts.shape[1]) if own is None else own.factor for own in found])
    usable = np.where(factor > 0, factor, 1.0)
    left, error = stars.against_others(usable)
    # As it was, among neighbours as they will be.
    before = left + np.log(usable)
    asked = (factor != 1) & (factor > 0) & np.isfinite(left)
    size = np.where(asked, np.abs(left) / error, 0.0)
    # Channels share the seeing of their tile, so that the error of their mean is as large as theirs.
    count = np.maximum(np.count_nonzero(asked, axis=1), 1)
    whole, was, unsure = (np.where(asked, own, 0.0).sum(axis=1) / count for own in (left, before, error))
    limit = np.minimum(_CONTRADICTED * unsure, np.maximum(np.abs(was), _DOUBTED * unsure))
    contradicted = (np.abs(whole) > limit) | (size > _ALONE).any(axis=1)
    for index in np.flatnonzero(contradicted):
        channel = int(np.argmax(size[index]))
        said, said_error = np.exp(before[index, channel]), error[index, channel] * np.exp(before[index, channel])
        reason = (
            f"its factor{in_channel(channel, factor.shape[1])}, {factor[index, channel]:.4g}, is contradicted by "
            f"{stars.counts[index, channel]} stars that it shares: {said:.4g} +/- {said_error:.2g}"
        )
        yield _Objection(int(index), float(abs(left[index, channel])), reason)


def _by_steps(solution):
    """Objections to what does not make the steps of its tile smaller on blocks left out of the fit."""
    fall, error = solution.helps.fall[:, -1], solution.helps.error[:, -1]
    for index in np.flatnonzero(solution.active.any(axis=1)).tolist():
        if not error[index] > 0:
            reason = "whether it helps cannot be judged: too few blocks of its overlaps could be left out of the fit"
            yield _Objection(index, 0.0, reason)
        elif not fall[index] > error[index]:
            reason = (
                "it does not help where it was not fitted: the squares of its steps to its neighbours fall by "
                f"{fall[index]:.3g} +/- {error[index]:.2g} times their variance"
            )
            yield _Objection(index, float(-fall[index] / error[index]), reason)


def too_few_stars(stars, index):
    """Whether the stars say nothing of the scale of a tile in any of its channels."""
    return bool(np.all(stars.counts[index] < FEWEST_STARS))
