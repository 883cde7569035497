"""Tiles whose stars are nobody's: others have as many where they lie, and none of them is the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import pdtrc

from ...measure.coarse import FACTOR
from .matching import RADIUS, common_offset, known_blocks, meet, within

# Stars whose places are known so well, in mosaic pixels, are in both tiles or something is wrong.
_SURE = 0.2
# How many two tiles must have where they meet, and a tile in all.
_FEWEST_IN_PAIR, _FEWEST = 4, 8
# Of stars that coincide no more than chance would have it.
_CHANCE = 0.01


@dataclass(frozen=True)
class Stranger:
    """One tile, or two of which nobody can tell which it is, whose stars are nobody's.

    Attributes
    ----------
    tiles : tuple of int
        One or two.
    own, others : int
        How many stars it has where it meets others, and how many these have there.
    """

    tiles: tuple[int, ...]
    own: int
    others: int


def find_strangers(stars, coarse, shifts):
    """Find the tiles whose stars are nobody's.

    Parameters
    ----------
    stars : sequence of Stars
    coarse : sequence of (CoarseTile or None)
    shifts : sequence of (Shift or None)
        Of the same tiles, from `register`. One that has a shift shares stars with others, and is none.

    Returns
    -------
    tuple of Stranger
        In order of their tiles. A tile that has fewer than eight sure stars where it meets others, or meets fewer of
        theirs, is none: nothing can be told.
    """
    foreign = {}
    for tile in (index for index, shift in enumerate(shifts) if shift is None and coarse[index] is not None):
        met = _met(tile, stars, coarse)
        # Not those where it shares stars, too few for a shift.
        if met and not any(shared for *_, shared in met):
            own, others = (sum(one[side] for one in met) for side in (1, 2))
            if min(own, others) >= _FEWEST:
                foreign[tile] = {other for other, *_ in met}, own, others
    return _blamed(foreign)


def _met(tile, stars, coarse):
    """(other, own stars, its stars, whether they share any) for each tile that one meets where both have some."""
    sure = [own.places[own.errors < _SURE] for own in stars]
    met = []
    for other in range(len(stars)):
        if other == tile or not meet(coarse[tile], coarse[other]):
            continue
        own = sure[tile][within(sure[tile], coarse[other].box, known_blocks(coarse[other]))]
        others = sure[other][within(sure[other], coarse[tile].box, known_blocks(coarse[tile]))]
        if min(len(own), len(others)) >= _FEWEST_IN_PAIR:
            met.append((other, len(own), len(others), _shared(own, stars[other].places, others, coarse[other])))
    return met


def _shared(own, every, others, coarse):
    """Whether more stars of two tiles are the same, here or by a shift, than chance would have it."""
    if common_offset(own, others) is not None:
        return True
    distance, _ = cKDTree(every).query(own, distance_upper_bound=RADIUS)
    area = np.count_nonzero(known_blocks(coarse)) * FACTOR**2
    expected = len(own) * len(every) * np.pi * RADIUS**2 / area
    return bool(pdtrc(np.count_nonzero(np.isfinite(distance)) - 1, expected) < _CHANCE)


def _blamed(foreign):
    """Tiles that do not go with others, those with the most of these first; two where it may be either."""
    found, left = [], {tile: set(others) for tile, (others, *_) in foreign.items()}
    while any(left.values()):
        worst = max(left, key=lambda tile: len(left[tile]))
        equals = [other for other in left[worst] if len(left.get(other, ())) == len(left[worst])]
        # One that goes with others is not to blame.
        alone = not equals or any(other not in foreign for other in left[worst])
        tiles = (worst,) if alone else tuple(sorted((worst, min(equals))))
        found.append(Stranger(tiles, *foreign[worst][1:]))
        left = {tile: others - {*tiles} for tile, others in left.items() if tile not in tiles}
    return tuple(sorted(found, key=lambda one: one.tiles))
