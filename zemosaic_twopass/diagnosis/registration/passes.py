"""How the second pass lies on the first: by the stars of both mosaics, pixel to pixel and not through a WCS.

A caller merges the two pixel by pixel, whatever their WCS say; so nothing but pixels is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from ...measure.robust import GAUSSIAN_MAD
from ...measure.stars import locate_stars
from ...tiles.planes import channels_last
from ..finding import Finding, note_untested
from .matching import RADIUS, common_offset

# A smaller displacement doubles no star that anybody could see as two; what is interpolated reads up to 5 % low.
FLOOR = 0.28
_SURE = 5.0
# Tiles that are turned a little against one another are each displaced along their own axes: less than this many pixels
# at the typical distance from the middle is not worth a word.
_TOLD = 0.5
# Stars are looked for in cells of about this side, in so many at the most: a large mosaic costs no more than a small.
_SIDE = 320
_MOST_CELLS = 9
# Beside its cell a star of the second pass is looked for within the first margin, and only where that fails within the
# second, which is the reach of `common_offset` and some more.
_MARGINS = 12, 56
_FEWEST_STARS = 6
# This share of the brighter half of a cell's stars has to be where the fit says.
_AGREE = 0.5
# With so many of the stars where a plain shift has them no turn is looked for.
_PLAIN = 0.8
# How far beside its place a star is looked for at first, beyond the reach of the offsets: a turn moves it in its cell.
_BESIDE_PX = 3.0
_ROUNDS = 12
# Error in pixels of a centroid of a star that lies on another grid; what is more exact than this is rounding.
_CENTROID_ERROR = 1e-3


@dataclass(frozen=True, eq=False)
class PassShift:
    """Where the second pass lies on the first.

    Attributes
    ----------
    pixels : ndarray, shape (2,)
        How far the second lies to the right of, and above, the first, in pixels, in the middle of the stars.
    error : float
        Standard error of a component, from the scatter of the stars.
    turn, turn_error : float
        In degrees, from columns to rows.
    scale, scale_error : float
        Factor of distances less 1.
    typical : float
        Median distance between the two places of a star, in pixels, as the fit has them.
    stars : int
        How many were fitted.
    radius : float
        Root mean square distance of these from their middle, in pixels.
    """

    pixels: np.ndarray
    error: float
    turn: float
    turn_error: float
    scale: float
    scale_error: float
    typical: float
    stars: int
    radius: float

    @property
    def turns(self):
        """Whether the turn is sure, and moves stars by enough to be said."""
        return abs(self.turn) > _SURE * self.turn_error and abs(np.radians(self.turn)) * self.radius > _TOLD

    @property
    def scales(self):
        """The same of the scale."""
        return abs(self.scale) > _SURE * self.scale_error and abs(self.scale) * self.radius > _TOLD

    @property
    def matters(self):
        """Whether stars of the two would be seen apart, and that is sure."""
        return self.typical > FLOOR and self.typical > _SURE * self.error

    @property
    def corner(self):
        """Pixel (x, y) of the second on which pixel (0, 0) of the first lies; None where it is turned or scaled."""
        if self.turns or self.scales:
            return None
        return tuple(np.rint(self.pixels).astype(int).tolist())


def compare_passes(second_pass):
    """How the second pass lies on the first, and the finding or the note on it.

    Parameters
    ----------
    second_pass : SecondPass
        One with a mosaic; its first pass may have another shape.

    Returns
    -------
    shift : PassShift or None
        None where the two could not be compared.
    found : list of Finding
        One `pass_misregistration`; one note of kind `undetermined` where the two could not be compared; empty where
        they lie on one another.
    """
    first, second = second_pass.first_pass, second_pass.mosaic
    if first is None:
        why = "The first-pass mosaic was not seen: whether the second pass lies on it is not known, and a map holds "
        return None, [note_untested(None, why + "the tiles against their own mean.", "passes")]
    shift = register_passes(first, second, second_pass.first_coverage, second_pass.coverage)
    if shift is None:
        why = "Where the second pass lies on the first is not known: they have too few stars in common."
        return None, [note_untested(None, why, "passes")]
    return shift, [_finding(shift)] if shift.matters else []


def register_passes(first, second, first_coverage=None, second_coverage=None):
    """Find shift, turn and scale between two mosaics by their stars.

    Parameters
    ----------
    first, second : array_like, shape (H, W) or (H, W, C)
        The two need not have the same shape; pixel (0, 0) of both is held to be the same. NaN is left out.
    first_coverage, second_coverage : array_like, shape (H, W), optional
        Pixels where it is not positive are left out; one that has not its mosaic's shape is passed over.

    Returns
    -------
    PassShift or None
        None where fewer than six stars agree on one similarity, or fewer than half of the brighter ones. Shifts up to
        48 px are found, turned or not.

    Notes
    -----
    Cells of the first mosaic give offsets of their own. Most stars agree with one of these, or of the similarities
    of all pairs of cells: that is refined on all stars, by least squares with what is further off than four times the
    scatter left out.
    """
    images = [
        (channels_last(first), _keep_fitting(first, first_coverage)),
        (channels_last(second), _keep_fitting(second, second_coverage)),
    ]
    cells = _cells(*images[0], images[1][0].shape)
    for margin in _MARGINS:
        found = [_stars_of(images, cell, margin) for cell in cells]
        # All cells as one more: stars too few for any of them may be enough together.
        start = _similarity_of_cells([places for places, _ in [*found, _pool(found)]])
        fitted = None if start is None else _fit([places for places, _ in found], start)
        if fitted is not None:
            return fitted
    return None


def _keep_fitting(image, coverage):
    return coverage if coverage is not None and np.shape(coverage) == np.shape(image)[:2] else None


def _cells(planes, coverage, other):
    """(rows, columns) of cells spread over what the first mosaic covers and the second has rows and columns for."""
    sides = [min(own, its) for own, its in zip(planes.shape[:2], other[:2], strict=True)]
    edges = [np.linspace(0, side, max(1, round(side / _SIDE)) + 1).astype(int) for side in sides]
    cells = []
    for top, bottom in zip(edges[0], edges[0][1:], strict=False):
        for left, right in zip(edges[1], edges[1][1:], strict=False):
            known = np.isfinite(planes[top:bottom:9, left:right:9, 0])
            if coverage is not None:
                known &= coverage[top:bottom:9, left:right:9] > 0
            if known.size and known.mean() > 0.5:
                cells.append((slice(top, bottom), slice(left, right)))
    chosen = np.unique(np.linspace(0, len(cells) - 1, min(len(cells), _MOST_CELLS)).round().astype(int))
    return [cells[index] for index in chosen]


def _stars_of(images, cell, margin):
    """Places (x, y) and errors of the stars of a cell in the first mosaic, and in the second around it."""
    places, errors = [], []
    for (planes, coverage), beyond in zip(images, (0, margin), strict=True):
        box = tuple(slice(max(0, side.start - beyond), side.stop + beyond) for side in cell)
        x, y, error = locate_stars(planes[box], None if coverage is None else coverage[box])
        places.append(np.stack([x, y], axis=1) + (box[1].start, box[0].start))
        errors.append(error)
    return _surest_first(places, errors)


def _surest_first(places, errors):
    orders = [np.argsort(error, kind="stable") for error in errors]
    return [own[order] for own, order in zip(places, orders, strict=True)], [
        error[order] for error, order in zip(errors, orders, strict=True)
    ]


def _pool(found):
    """The stars of all cells as of one; a star of the second mosaic may be there twice, where margins meet."""
    if not found:
        return [np.empty((0, 2))] * 2, [np.empty(0)] * 2
    places = [np.concatenate([cell[0][which] for cell in found]) for which in (0, 1)]
    errors = [np.concatenate([cell[1][which] for cell in found]) for which in (0, 1)]
    return _surest_first(places, errors)


def _design(places, middle):
    """Rows for x and y of a similarity: shift in x and y, scale less 1, turn in radians."""
    x, y = (places - middle).T
    one, none = np.ones(len(x)), np.zeros(len(x))
    return np.concatenate([np.stack([one, none, x, -y], axis=1), np.stack([none, one, y, x], axis=1)])


def _similarity_of_cells(found):
    """(middle, terms) of the similarity of a cell, or of a pair of cells, that most stars agree with; None for none."""
    offsets = [common_offset(*places) for places in found]
    known = [(places[0].mean(axis=0), -offset[0]) for places, offset in zip(found, offsets, strict=True) if offset]
    if not known:
        return None
    centres, steps = (np.array(column) for column in zip(*known, strict=True))
    middle, trees = centres.mean(axis=0), _trees(found)
    stars = sum(len(places) for places, _ in trees)
    plain = [np.array([*step, 0.0, 0.0]) for step in steps]
    best = max(plain, key=lambda terms: _support(trees, middle, terms))
    if _support(trees, middle, best) < _PLAIN * stars:
        pairs = map(list, combinations(range(len(steps)), 2))
        tried = [
            np.linalg.lstsq(_design(centres[pair], middle), steps[pair].T.ravel(), rcond=None)[0] for pair in pairs
        ]
        best = max([best, *tried], key=lambda terms: _support(trees, middle, terms))
    return middle, best


def _trees(found):
    """(places in the first mosaic, tree of those in the second) of each cell that has both."""
    return [(first, cKDTree(second)) for first, second in found if len(first) and len(second)]


def _support(trees, middle, terms):
    """How many stars of the first mosaic have one of the second where a similarity puts it."""
    return len(_pair(trees, middle, terms, RADIUS)[0])


def _fit(found, start):
    """The similarity of all stars that are where it says; None where these are too few."""
    middle, terms = start
    trees, reach = _trees(found), RADIUS + _BESIDE_PX
    for _ in range(_ROUNDS):
        before = terms
        ours, theirs = _pair(trees, middle, terms, reach)
        if len(ours) < _FEWEST_STARS:
            return None
        design, steps = _design(ours, middle), (theirs - ours).T.ravel()
        left = np.hypot(*(steps - design @ terms).reshape(2, -1))
        near = left <= 4 * max(GAUSSIAN_MAD * np.median(left), _CENTROID_ERROR)
        rows = np.tile(near, 2)
        terms = np.linalg.lstsq(design[rows], steps[rows], rcond=None)[0]
        scatter = max(GAUSSIAN_MAD * float(np.median(np.abs(steps - design @ terms))), _CENTROID_ERROR)
        reach = min(reach, max(5 * scatter, FLOOR))
        if np.abs(design @ (terms - before)).max() < _CENTROID_ERROR:
            break
    count = int(np.count_nonzero(near))
    if count < max(_FEWEST_STARS, _AGREE * _brighter(found)):
        return None
    errors = scatter * np.sqrt(np.diag(np.linalg.inv(design[rows].T @ design[rows])))
    typical = float(np.median(np.hypot(*(design @ terms).reshape(2, -1))))
    turn, scale = np.degrees(np.arctan2(terms[3], 1 + terms[2])), np.hypot(1 + terms[2], terms[3]) - 1
    error = float(errors[:2].mean())
    turn_error, radius = float(np.degrees(errors[3])), float(np.sqrt(np.var(ours[near], axis=0).sum()))
    return PassShift(terms[:2], error, float(turn), turn_error, float(scale), errors[2], typical, count, radius)


def _pair(trees, middle, terms, reach):
    """Places of the stars of the first mosaic that have one of the second near where it should be, and those."""
    ours, theirs = [np.empty((0, 2))], [np.empty((0, 2))]
    for places, tree in trees:
        expected = places + (_design(places, middle) @ terms).reshape(2, -1).T
        distance, partner = tree.query(expected, distance_upper_bound=reach)
        paired = np.isfinite(distance)
        ours.append(places[paired])
        theirs.append(tree.data[partner[paired]])
    return np.concatenate(ours), np.concatenate(theirs)


def _brighter(found):
    """Half of the stars that could agree: of each cell the fewer of its two lists."""
    return sum(min(map(len, places)) for places in found) / 2


def _finding(shift):
    also = ""
    if shift.turns:
        also += f", turned by {shift.turn:+.3g} degrees"
    if shift.scales:
        also += f", scaled by {1 + shift.scale:.5f}"
    said = {"x": shift.pixels[0], "y": shift.pixels[1], "also": also}
    return Finding.of("pass_misregistration", None, shift.typical, shift.typical / shift.error, said, error=shift.error)
