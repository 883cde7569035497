"""The edges between regions, in straight stretches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .regions import shares_at

SHORTEST = 48.0
LONGEST = 160.0
# Points of an edge lie so far apart, and its direction is taken from those within a reach, in pixels.
_CELL = 8
_NEIGHBOURS_PX = 28.0
# Off a straight line by more, within the reach and within a stretch: a corner.
_BENT = 3.0
_CURVED = 6.0
_TURN = np.cos(np.deg2rad(15))
_OTHER_PAIR_PX = 1e7


@dataclass(frozen=True, eq=False)
class Stretches:
    """Straight stretches of edges, n of them.

    Attributes
    ----------
    x, y, length : ndarray, shape (n,)
        Middle and length in pixels of the mosaic.
    normal : ndarray, shape (n, 2)
        Unit vector (x, y), from inside to outside.
    inside, outside : ndarray, shape (n,), uint32
        Labels of the regions on both sides.
    tile : tuple of (int or None)
        Whose footprint ends there.
    neighbours : tuple of tuple of int
        The other tiles there.
    """

    x: np.ndarray
    y: np.ndarray
    length: np.ndarray
    normal: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    tile: tuple
    neighbours: tuple

    def __len__(self):
        return len(self.x)


def stretches_of(regions):
    """The edges between regions, cut where the regions, the direction or the place change, and where too long.

    Parameters
    ----------
    regions : Regions

    Returns
    -------
    Stretches
        Stretches of 48 to 160 pixels; along the border of what is covered there is no edge.
    """
    points = _points(*_crossings(regions))
    run = _runs(points)
    kept = run >= 0
    points = {name: values[kept] for name, values in points.items()}
    return _cut_stretch(points, run[kept], regions)


def _crossings(regions):
    """Where neighbouring cells belong to two regions: places, directions from one to the other, cells, regions."""
    labels, found = regions.labels, []
    for axis in (0, 1):
        one, other = (labels[:-1], labels[1:]) if axis == 0 else (labels[:, :-1], labels[:, 1:])
        first = np.stack(np.nonzero((one != other) & (one > 0) & (other > 0)), axis=1)
        found.append((first, first + np.eye(2, dtype=int)[axis]))
    first, second = (np.concatenate(part) for part in zip(*found, strict=True))
    # From more to less covered; the same everywhere along an edge.
    level, label = ([array[tuple(cells.T)] for cells in (first, second)] for array in (regions.level, labels))
    swap = (level[0] < level[1]) | ((level[0] == level[1]) & (label[0] > label[1]))
    first, second = (np.where(swap[:, np.newaxis], *pair) for pair in ((second, first), (first, second)))
    along = _where_it_ends(first, second, regions)
    position = regions.step * (first + along[:, np.newaxis] * (second - first) + 0.5) - 0.5
    return position, regions.step * (second - first), first, second, labels


def _where_it_ends(first, second, regions):
    """How far from the middle of one cell to that of the next a footprint ends, from 0 to 1."""
    along = np.full(len(first), 0.5)
    for footprint in regions.footprints if regions.step > 1 else ():
        if footprint is None:
            continue
        here, there = (shares_at(footprint, *cells.T) for cells in (first, second))
        ends = np.flatnonzero((here > 0.5) != (there > 0.5))
        # By what both cells hold of it, counted from the far side of the one that it covers.
        held = here[ends] + there[ends] - 0.5
        along[ends] = np.clip(np.where(here[ends] > there[ends], held, 1 - held), 0.0, 1.0)
    return along


def _points(position, across, first, second, labels):
    """Crossings of the same two regions in the same small square, as one point."""
    pairs = np.stack([labels[tuple(cells.T)] for cells in (first, second)], axis=1)
    keys = (pairs[:, 0].astype(np.uint64) << np.uint64(32)) | pairs[:, 1]
    _, pair, count = np.unique(keys, return_inverse=True, return_counts=True)
    # Too short to be looked at, whatever becomes of it.
    long = np.abs(across).max(axis=1) * count[pair] >= SHORTEST
    position, across, first, second, pair = (part[long] for part in (position, across, first, second, pair))
    # As one number: rows of three take numpy five times as long.
    down, right = np.floor(position / _CELL).astype(np.int64).T
    squares = (pair * (down.max(initial=0) + 1) + down) * (right.max(initial=0) + 1) + right
    _, example, square, count = np.unique(squares, return_index=True, return_inverse=True, return_counts=True)

    def mean(values):
        return np.bincount(square, values, len(count)) / count

    return {
        "y": mean(position[:, 0]),
        "x": mean(position[:, 1]),
        "down": mean(across[:, 0]) * count,
        "right": mean(across[:, 1]) * count,
        "pair": pair[example],
        "first": first[example],
        "second": second[example],
    }


def _runs(points):
    """Number of the straight run that each point is of, -1 at corners."""
    n = len(points["x"])
    if n == 0:
        return np.zeros(0, dtype=int)
    # A third axis keeps edges between different regions apart.
    positions = np.column_stack([points["x"], points["y"], _OTHER_PAIR_PX * points["pair"]])
    one, other = cKDTree(positions).query_pairs(_NEIGHBOURS_PX, output_type="ndarray").T
    own = np.arange(n)
    near = csr_array((np.ones(2 * len(one) + n), (np.r_[one, other, own], np.r_[other, one, own])), shape=(n, n))
    x, y, down, right = (points[name] for name in ("x", "y", "down", "right"))
    # About each point itself, for the digits.
    count, mean_x, mean_y = near @ np.ones(n), near @ x, near @ y
    mean_x, mean_y = mean_x / count, mean_y / count
    normal = np.column_stack([near @ right, near @ down])
    size = np.hypot(*normal.T)
    normal /= np.maximum(size, 1e-9)[:, np.newaxis]
    offset = normal[:, 0] * (x - mean_x) + normal[:, 1] * (y - mean_y)
    between, square = np.column_stack([x[one] - x[other], y[one] - y[other]]), 0.0
    for end in (one, other):
        square += np.bincount(end, np.sum(normal[end] * between, axis=1) ** 2, n) / count
    straight = (square - offset**2 <= _BENT**2) & (size > 0)
    same = straight[one] & straight[other] & (np.sum(normal[one] * normal[other], axis=1) >= _TURN)
    links = csr_array((np.ones(same.sum()), (one[same], other[same])), shape=(n, n))
    return np.where(straight, connected_components(links, directed=False)[1], -1)


def _cut_stretch(points, run, regions):
    """Stretches of about equal length from runs of points."""
    run, (frame, along) = _frame(points, run)
    low, high = (np.full(len(frame), sign * np.inf) for sign in (1, -1))
    np.minimum.at(low, run, along)
    np.maximum.at(high, run, along)
    length = high - low + _CELL
    pieces = np.maximum(np.ceil(length / LONGEST), 1)
    piece = np.floor((along - low[run] + _CELL / 2) / length[run] * pieces[run])
    long = length[run] >= SHORTEST
    points = {name: values[long] for name, values in points.items()}
    numbers = (run * (int(pieces.max(initial=1)) + 1) + piece.astype(int))[long]
    stretch, (normal, along) = _frame(points, numbers)
    low, high = (np.full(len(normal), sign * np.inf) for sign in (1, -1))
    np.minimum.at(low, stretch, along)
    np.maximum.at(high, stretch, along)
    count = np.bincount(stretch, minlength=len(normal)).astype(float)
    x, y = (np.bincount(stretch, points[name], len(normal)) / np.maximum(count, 1) for name in ("x", "y"))
    off = np.sum(normal[stretch] * np.column_stack([points["x"] - x[stretch], points["y"] - y[stretch]]), axis=1)
    spread = np.sqrt(np.bincount(stretch, off**2, len(normal)) / np.maximum(count, 1))
    # The middle of it, not of its points, of which there may be more at one end.
    tangent = np.column_stack([-normal[:, 1], normal[:, 0]])
    centre = np.column_stack([x, y])
    centre += tangent * ((low + high) / 2 - np.sum(tangent * centre, axis=1))[:, np.newaxis]
    normal = _turn(normal, stretch, along - ((low + high) / 2)[stretch], off)
    length = high - low + _CELL
    # Half of its points must be there: what is torn is no edge that can be looked at.
    kept = (spread <= _CURVED) & (length >= SHORTEST) & (2 * _CELL * count >= length)
    example = np.zeros(len(normal), dtype=int)
    example[stretch] = np.arange(len(stretch))
    return _with_owners(centre[kept], length[kept], normal[kept], points, example[kept], regions)


def _frame(points, group):
    """Groups numbered from 0; of each its normal, and how far along its tangent each point lies."""
    names, group = np.unique(group, return_inverse=True)
    across = [np.bincount(group, points[name], len(names)) for name in ("right", "down")]
    normal = np.column_stack(across).astype(float)
    normal /= np.maximum(np.hypot(*normal.T), 1e-9)[:, np.newaxis]
    along = normal[group, 0] * points["y"] - normal[group, 1] * points["x"]
    return group, (normal, along)


def _turn(normal, stretch, along, off):
    """Normals of straight lines through the points of each stretch, for a thin line to lie in its pixels all along."""
    square = np.bincount(stretch, along**2, len(normal))
    slope = np.bincount(stretch, along * off, len(normal)) / np.maximum(square, 1.0)
    turned = normal - slope[:, np.newaxis] * np.column_stack([-normal[:, 1], normal[:, 0]])
    return turned / np.hypot(*turned.T)[:, np.newaxis]


def _with_owners(centre, length, normal, points, example, regions):
    """Stretches, with whose they are read off two cells beside each."""
    first, second = (points[name][example] for name in ("first", "second"))
    inside, outside = (regions.labels[tuple(cells.T)] for cells in (first, second))
    here, there = (regions.owners(*cells.T)[:, : regions.tiles] for cells in (first, second))
    tile, others = [None] * len(here), [[] for _ in here]
    # Of several the first.
    for number, index in np.argwhere(here & ~there)[::-1].tolist():
        tile[number] = index
    for number, index in np.argwhere(here | there).tolist():
        if index != tile[number]:
            others[number].append(index)
    return Stretches(*centre.T, length, normal, inside, outside, tuple(tile), tuple(map(tuple, others)))
