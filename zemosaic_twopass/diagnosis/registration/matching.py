"""Which stars of different tiles are the same, though the tiles may lie many pixels beside their places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree
from scipy.special import pdtrc

from ...measure.coarse import FACTOR
from ...measure.median import median_of_known
from ...tiles.grid import common_part

RADIUS = 1.5
# Two tiles that are each 20 px off, away from each other, and some more.
_FURTHEST_PX = 48.0
_VOTERS = 60
_FEWEST_STARS = 3
_FEWEST_NEARBY = 2
_AGREE = 0.5
_CHANCE = 1e-4
_ITERATIONS, _SETTLED = 20, 0.1


@dataclass(frozen=True)
class Overlap:
    """Where one tile has the stars that it shares with another.

    Attributes
    ----------
    tiles : (int, int)
    offset : ndarray, shape (2,)
        (x, y) in mosaic pixels of the first less those of the second.
    stars : int
        How many of them say so.
    """

    tiles: tuple[int, int]
    offset: np.ndarray
    stars: int


def coarse_places(stars, coarse):
    """How far each tile lies beside the others, to about a pixel.

    Parameters
    ----------
    stars : sequence of Stars
    coarse : sequence of (CoarseTile or None)
        The same tiles; None where there is none.

    Returns
    -------
    shifts : ndarray, shape (N, 2)
        In mosaic pixels; what all tiles of a group have in common says nothing.
    groups : ndarray of int, shape (N,)
        Tiles in different groups have no stars in common.
    """
    known = [None if tile is None else find_known_blocks(tile) for tile in coarse]
    count = len(stars)
    overlaps = []
    for i in range(count):
        for j in range(i + 1, count):
            if not meet(coarse[i], coarse[j]):
                continue
            pair = (
                stars[i].places[within(stars[i].places, coarse[j].box, known[j])],
                stars[j].places[within(stars[j].places, coarse[i].box, known[i])],
            )
            found = common_offset(*pair)
            if found is not None:
                overlaps.append(Overlap((i, j), *found))
    shifts, groups = _along_the_surest(overlaps, count)
    return _attach(stars, coarse, shifts + _balance(overlaps, shifts), groups)


def same_stars(places, tiles):
    """Number the stars of all tiles so that the same star has the same number.

    Parameters
    ----------
    places : ndarray, shape (n, 2)
        In mosaic pixels, with what is known of the tiles' shifts taken out.
    tiles : ndarray of int, shape (n,)

    Returns
    -------
    use : ndarray of int, shape (m,)
        Those of the n that are in more than one tile, and in none twice.
    numbers : ndarray of int, shape (m,)
        From 0 up without a gap, in order.
    """
    pairs = cKDTree(places).query_pairs(RADIUS, output_type="ndarray")
    pairs = pairs[tiles[pairs[:, 0]] != tiles[pairs[:, 1]]]
    first, second = pairs.T
    distance = np.hypot(*(places[first] - places[second]).T)
    count = int(tiles.max()) + 1 if len(tiles) else 0
    mutual = _nearest(first * count + tiles[second], distance) & _nearest(second * count + tiles[first], distance)
    first, second = first[mutual], second[mutual]
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(places),) * 2)
    _, labels = connected_components(links, directed=False)
    sizes = np.bincount(labels)
    # A star that one tile has twice is two stars somewhere.
    _, of_one, often = np.unique(labels * count + tiles, return_inverse=True, return_counts=True)
    sizes[labels[often[of_one] > 1]] = 0
    use = np.flatnonzero(sizes[labels] > 1)
    use = use[np.argsort(labels[use], kind="stable")]
    return use, np.unique(labels[use], return_inverse=True)[1]


def common_offset(first, second):
    """The offset that most stars of two lists have in common, up to 48 px.

    Parameters
    ----------
    first, second : ndarray, shape (n, 2)
        Places, the surest first.

    Returns
    -------
    (ndarray, shape (2,), int) or None
        Median of first − second, and how many stars speak for it; None where no offset stands out of chance.
    """
    return _nearby(first, second) or _vote(first, second)


def find_known_blocks(coarse):
    """Which blocks of a tile are known in any of its channels, shape (h, w)."""
    return np.isfinite(coarse.value).any(axis=0)


def within(places, box, known):
    """Which places lie in known blocks of a tile."""
    column, row = (np.floor((axis + 0.5) / FACTOR).astype(int) for axis in places.T)
    row, column = row - box[0].start, column - box[1].start
    inside = (row >= 0) & (row < known.shape[0]) & (column >= 0) & (column < known.shape[1])
    inside[inside] = known[row[inside], column[inside]]
    return inside


def _nearby(first, second):
    """(offset, stars) where most of the brighter half of the stars have a partner close by; None else."""
    if min(len(first), len(second)) < _FEWEST_NEARBY:
        return None
    distance, partner = cKDTree(second).query(first, distance_upper_bound=RADIUS)
    paired = np.isfinite(distance)
    brighter = max(_FEWEST_NEARBY, min(len(first), len(second)) // 2)
    if np.count_nonzero(paired[:brighter]) < _AGREE * brighter or np.count_nonzero(paired) < _FEWEST_NEARBY:
        return None
    return median_of_known((first[paired] - second[partner[paired]]).T), int(np.count_nonzero(paired))


def _vote(first, second):
    """(offset, stars) on which more pairs of stars agree than chance would have it; None where none stands out."""
    first, second = first[:_VOTERS], second[:_VOTERS]
    if min(len(first), len(second)) < _FEWEST_STARS:
        return None
    offsets = (first[:, np.newaxis] - second).reshape(-1, 2)
    offsets = offsets[np.hypot(*offsets.T) < _FURTHEST_PX]
    if len(offsets) < _FEWEST_STARS:
        return None
    tree = cKDTree(offsets)
    votes = tree.query_ball_point(offsets, RADIUS, return_length=True)
    best = int(np.argmax(votes))
    expected = len(offsets) * (RADIUS / _FURTHEST_PX) ** 2
    if votes[best] < _FEWEST_STARS or len(offsets) * pdtrc(votes[best] - 2, expected) > _CHANCE:
        return None
    agreed = offsets[tree.query_ball_point(offsets[best], RADIUS)]
    return np.median(agreed, axis=0), int(votes[best])


def _along_the_surest(overlaps, count):
    """(shifts, groups) of all tiles, from one to the next where the most stars speak for it."""
    shifts = np.zeros((count, 2))
    if not overlaps:
        return shifts, np.arange(count)
    # SciPy before 1.13 takes no other indices here.
    first, second = np.array([overlap.tiles for overlap in overlaps], dtype=np.int32).T
    weight = 1 / np.array([overlap.stars for overlap in overlaps])
    tree = minimum_spanning_tree(coo_array((weight, (first, second)), shape=(count, count)).tocsr())
    _, groups = connected_components(tree, directed=False)
    offset = {}
    for overlap in overlaps:
        i, j = overlap.tiles
        offset[i, j], offset[j, i] = overlap.offset, -overlap.offset
    for group in np.unique(groups):
        order, before = breadth_first_order(tree, np.flatnonzero(groups == group)[0], directed=False)
        for tile in order[1:]:
            shifts[tile] = shifts[before[tile]] + offset[int(tile), int(before[tile])]
    return shifts, groups


def _balance(overlaps, shifts):
    """By how much more tiles lie aside where all overlaps are heard, shape (N, 2).

    Of least absolute deviations, by weights (Schlossmacher 1973, J. Am. Stat. Assoc. 68, 857): a tile that is turned
    has another offset to each neighbour, and draws none of them along.
    """
    more = np.zeros_like(shifts)
    if not overlaps:
        return more
    offset, stars = (
        np.array([overlap.offset for overlap in overlaps]),
        np.array([overlap.stars for overlap in overlaps]),
    )
    between = np.zeros((len(overlaps), len(shifts)))
    for row, overlap in zip(between, overlaps, strict=True):
        row[list(overlap.tiles)] = 1, -1
    between = csr_array(between)
    for _ in range(_ITERATIONS):
        left = offset - between @ (shifts + more)
        away = np.hypot(*left.T)
        # Within what stars are the same in all is no need.
        if away.max() < RADIUS / 2:
            break
        pull = between.T.multiply(stars / np.maximum(away, _SETTLED)).tocsr()
        more += np.linalg.pinv((pull @ between).toarray(), hermitian=True) @ (pull @ left)
    return more


def _attach(stars, coarse, shifts, groups):
    """(shifts, groups) with those groups joined that no two tiles join, but all tiles of one with all of the other."""
    shifts, groups = shifts.copy(), groups.copy()
    touching = np.array([[meet(one, other) for other in coarse] for one in coarse])
    sizes = np.bincount(groups)
    by_size = sorted(np.unique(groups).tolist(), key=lambda group: -sizes[group]) if len(sizes) > 1 else []
    for main in by_size:
        # The larger takes in one after the other, and then those that it can reach now.
        reached = True
        while reached:
            inside = np.flatnonzero(groups == main)
            beside = np.unique(groups[touching[inside].any(axis=0)]) if len(inside) else []
            reached = any(_take_in(stars, coarse, shifts, groups, (main, other)) for other in beside if other != main)
    return shifts, groups


def meet(one, other):
    """Whether the boxes of two tiles, None for none, have a part in common."""
    return one is not None and other is not None and common_part(one.box, other.box) is not None


def _take_in(stars, coarse, shifts, groups, pair):
    """Join the second of two groups to the first where their stars let it; whether they did."""
    inside, own = (np.flatnonzero(groups == group) for group in pair)
    facing = _find_facing(stars, coarse, shifts, own, inside), _find_facing(stars, coarse, shifts, inside, own)
    found = common_offset(*facing)
    if found is not None:
        shifts[own] += found[0]
        groups[own] = pair[0]
    return found is not None


def _find_facing(stars, coarse, shifts, tiles, others):
    """Places of the stars of tiles that lie in one of others, each star once, the surest first, shifts taken out."""
    places, errors = [np.empty((0, 2))], [np.empty(0)]
    for tile in tiles:
        seen = np.zeros(len(stars[tile]), dtype=bool)
        for other in others:
            if coarse[tile] is not None and coarse[other] is not None:
                seen |= within(stars[tile].places, coarse[other].box, find_known_blocks(coarse[other]))
        places.append(stars[tile].places[seen] - shifts[tile])
        errors.append(stars[tile].errors[seen])
    places = np.concatenate(places)[np.argsort(np.concatenate(errors), kind="stable")]
    twice = cKDTree(places).query_pairs(RADIUS, output_type="ndarray") if len(places) else np.empty((0, 2), dtype=int)
    return np.delete(places, np.unique(twice.max(axis=1, initial=0)) if len(twice) else np.empty(0, dtype=int), axis=0)


def _nearest(keys, distance):
    """Whether each distance is the least of those with its key."""
    order = np.lexsort((distance, keys))
    least = np.zeros(len(keys), dtype=bool)
    if len(keys):
        least[order[np.r_[True, np.diff(keys[order]) > 0]]] = True
    return least
