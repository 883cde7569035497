"""Tiles whose stars are nobody's: those of the others are not in them, and theirs in none of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...measure.coarse import FACTOR, CoarseTile
from .matching import RADIUS, common_offset, find_known_blocks, meet, within

# Stars whose places are known so well, in mosaic pixels, in the tile and by its noise in the other, are seen in both.
_BRIGHT = 0.12
# A sound tile lacks this share of such stars at the most: variable ones, asteroids, blends, cores that were left out.
_LACKING = 0.2
# Within so many pixels of a brighter one a star is not listed.
_BESIDE = 7.5
# A star lies on another by chance so often at the least.
_LEAST_CHANCE = 0.01
# So much likelier must a tile be thrown off than sound, as a logarithm; and so many stars must be missing each way, for
# what one tile alone has may be the trail of a satellite.
_SURE_LOGARITHM, _FEWEST_LACKING = float(np.log(1e4)), 2
# A place as sure is one that a shift is read off.
_PLACED = 0.2


@dataclass(frozen=True)
class Stranger:
    """One tile, or two of which nobody can tell which it is, whose stars are nobody's.

    Attributes
    ----------
    tiles : tuple of int
        One or two.
    own, others : int
        How many bright stars it has where it meets others that none of these has, and how many these have there.
    """

    tiles: tuple[int, ...]
    own: int
    others: int


def find_strangers(stars, coarse, noise, shifts):
    """Find the tiles whose stars are nobody's.

    Bright stars of a tile are seen in the others that are known there, and those of the others in it, or they are not:
    how likely that is of a sound tile, and of one that lies anywhere, tells which it is.

    Parameters
    ----------
    stars : sequence of Stars
    coarse : sequence of (CoarseTile or None)
    noise : sequence of float
        Noise of a pixel of each tile.
    shifts : sequence of (Shift or None)
        Shifts of the same tiles, from `register`. One that has a shift shares stars with others, and is none.

    Returns
    -------
    tuple of Stranger
        In order of their tiles. A tile with fewer than six bright stars where it meets others, its own and theirs
        together, tells nothing: it is none.
    """
    own = zip(stars, coarse, noise, strict=True)
    seen = [None if tile is None else _Seen.of(*one) for tile, one in zip(coarse, own, strict=True)]
    foreign = {}
    for tile in (index for index, shift in enumerate(shifts) if shift is None and seen[index] is not None):
        met = [other for other, its in enumerate(coarse) if other != tile and meet(coarse[tile], its)]
        ways = [[seen[tile].search_in(seen[other]), seen[other].search_in(seen[tile])] for other in met]
        own, others = (_Held.together([both[way] for both in ways]) for way in (0, 1))
        sure = (
            min(own.lacking, others.lacking) >= _FEWEST_LACKING
            and own.for_chance() + others.for_chance() > _SURE_LOGARITHM
        )
        if sure and not any(seen[tile].shares_stars(seen[other]) for other in met):
            pairs = zip(met, ways, strict=True)
            strange = {other for other, both in pairs if sum(one.for_chance() for one in both) > 0}
            foreign[tile] = strange, own.lacking, others.lacking
    return _blame(foreign)


@dataclass(frozen=True, eq=False)
class _Held:
    """Bright stars of one tile held against those of another.

    Attributes
    ----------
    places : ndarray, shape (n, 2)
    there : ndarray, shape (n,)
        1 for one that the other has too, −1 for one that it lacks, 0 for one hidden by another.
    chance : float
        How likely a star that is not there lies on one that is.
    """

    places: np.ndarray
    there: np.ndarray
    chance: float

    @classmethod
    def together(cls, parts):
        """Join several: each star once, however many tiles have it or lack it."""
        places = np.concatenate([np.empty((0, 2)), *(own.places for own in parts)])
        there = np.concatenate([np.empty(0), *(own.there for own in parts)])
        pairs = cKDTree(places).query_pairs(RADIUS, output_type="ndarray") if len(places) else np.empty((0, 2), int)
        links = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(places),) * 2)
        number, star = connected_components(links, directed=False) if len(places) else (0, np.empty(0, int))
        found, lacking = (np.bincount(star[there == sign], minlength=number) > 0 for sign in (1, -1))
        _, first = np.unique(star, return_index=True)
        chance = max((own.chance for own in parts), default=0.0)
        return cls(places[first], np.where(found, 1, np.where(lacking, -1, 0)), chance)

    @property
    def lacking(self):
        return int(np.count_nonzero(self.there == -1))

    def for_chance(self):
        """How much better chance explains it than one sky, as a logarithm."""
        chance = min(max(self.chance, _LEAST_CHANCE), 1 - _LACKING)
        found = np.count_nonzero(self.there == 1)
        return self.lacking * np.log((1 - chance) / _LACKING) + found * np.log(chance / (1 - _LACKING))


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a tile knows of the stars in it."""

    places: np.ndarray
    errors: np.ndarray
    wide: np.ndarray
    coarse: CoarseTile
    inner: np.ndarray
    noise: float

    @classmethod
    def of(cls, stars, coarse, noise):
        wide = np.ones(len(stars), dtype=bool) if stars.wide is None else stars.wide
        # Stars are not looked for at an edge.
        inner = binary_erosion(find_known_blocks(coarse), np.ones((3, 3)))
        return cls(stars.places, stars.errors, wide, coarse, inner, noise)

    def search_in(self, other):
        """`_Held` of those of its bright stars that the other must see."""
        bright = self.wide & (self.errors * max(other.noise / self.noise, 1.0) < _BRIGHT)
        places = self.places[bright]
        places = places[within(places, other.coarse.box, other.inner)]
        distance = cKDTree(other.places).query(places)[0] if len(other.places) else np.full(len(places), np.inf)
        there = np.where(distance < RADIUS, 1, np.where(distance > _BESIDE, -1, 0))
        area = max(np.count_nonzero(other.inner) * FACTOR**2, 1)
        return _Held(places, there, len(other.places) * np.pi * RADIUS**2 / area)

    def shares_stars(self, other):
        """Whether both have stars that are the same by a shift."""
        return common_offset(*(one._pick_sure(to) for one, to in ((self, other), (other, self)))) is not None

    def _pick_sure(self, other):
        places = self.places[self.errors < _PLACED]
        return places[within(places, other.coarse.box, find_known_blocks(other.coarse))]


def _blame(foreign):
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
