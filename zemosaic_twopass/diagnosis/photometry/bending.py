"""Light that bends the same way in every tile, whatever its form, as that of the moon: no tile is at fault for it."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from ..terms import at_level
from .illumination import FEWEST_GRADIENTS, MISS, Layout, by_slopes, do_slope, find_tested_tiles, in_a_row

# For a bow of any form: how many tiles there must be, and how near slopes must be; of 400 layouts of six, nine and
# sixteen tiles each with slopes drawn at random none was as near.
_FEWEST_OF_ANY_FORM = 6
_MISS_OF_ANY_FORM = 0.2
# As a part of how a round bow misses them; and of the greater bend the lesser.
_CLOSER = 0.5
_BOTH_WAYS = 0.2
# How near the offsets of tiles must be to those of one slope that all of them have.
_MISS_OF_ONE_SLOPE = 0.1
_TINY = np.finfo(float).tiny


def bent_alike(looks, solution, flat, curvature):
    """How high light that bends the same way in every tile is, whatever its form, as that of the moon.

    Such light is k x² + l y² + m xy about the middle of each tile and, which levels take up, a slope that is the same
    in all; put side by side the tiles seem to slope, each in proportion to where it lies.

    Parameters
    ----------
    looks : sequence of TileMeasurement
    solution : Solution
        Solution of these looks.
    flat : Solution
        With a round bow taken out, which explains part of it or none.
    curvature : Curvature or None
        That bow.

    Returns
    -------
    (ndarray, ndarray) or None
        From the lowest to the highest of middle and corners in adu, and its standard error, shape (C,) each; the height
        of the round bow where levels that go with one slope of all tiles lie beside it. None where the tiles do not
        follow such light, or a round bow alone explains them as well.
    """
    layout, tested = Layout.of(looks), find_tested_tiles(solution)
    if len(tested) < _FEWEST_OF_ANY_FORM or not do_slope(solution) or in_a_row(layout, tested):
        return None
    if curvature is not None and _slope_alike(layout, flat):
        return np.abs(curvature.height), curvature.error
    if not do_slope(flat):
        return None
    middles, sides = layout.middles[tested], layout.sides[tested]
    corner = np.median(sides, axis=0) / 2
    found = [_bend(middles, own, corner) for own in solution.terms[:, tested, 2:] / sides]
    height, error, missed = map(np.array, zip(*found, strict=True))
    largest = int(np.argmax(height))
    closer = curvature is None or missed[largest] < _CLOSER * by_slopes(layout, solution)[2][largest]
    return (height, error) if closer and missed[largest] < _MISS_OF_ANY_FORM else None


def _slope_alike(layout, solution):
    """Whether the levels of half of the tiles and more are off as by one slope that all have."""
    tested = find_tested_tiles(solution)
    # A small gain looks like an offset.
    if np.count_nonzero(solution.active[:, :2].any(axis=1)) < max(FEWEST_GRADIENTS, len(tested) / 2):
        return False
    design = np.column_stack([np.ones(len(tested)), layout.middles[tested]])
    seen = at_level(solution.terms[:, tested].reshape(-1, 4), solution.level[:, tested].ravel())[:, 0]
    offsets = seen.reshape(-1, len(tested))
    own = offsets[np.argmax(np.ptp(offsets, axis=1))]
    along = design @ np.linalg.lstsq(design, own, rcond=None)[0]
    return bool(np.median(np.abs(own - along)) < _MISS_OF_ONE_SLOPE * np.median(np.abs(along - np.mean(along))))


def _bend(middles, slopes, corner):
    """Height of the light that slopes, shape (T, 2), follow, its error, and by what part of them they miss it."""
    usual = float(np.median(np.hypot(*slopes.T)))
    if not usual > 0:
        return 0.0, np.inf, np.inf

    def foretell_slopes(terms):
        return -2 * middles @ np.array([[terms[0], terms[1]], [terms[1], terms[2]]]) + terms[3:]

    def miss(terms):
        return (foretell_slopes(terms) - slopes).ravel()

    terms = least_squares(miss, np.zeros(5), loss="soft_l1", x_scale="jac", f_scale=MISS * usual).x
    # Where it bends one way only it may be tiles that slope more one after the other, as under a rising moon.
    form = np.array([[terms[0], terms[1]], [terms[1], terms[2]]]) * np.outer(corner, corner)
    lesser, greater = np.sort(np.abs(np.linalg.eigvalsh(form)))
    if lesser < _BOTH_WAYS * greater:
        return 0.0, np.inf, np.inf
    square, across = terms[[0, 2]] @ corner**2, 2 * terms[1] * np.prod(corner)
    ends = 0.0, square + across, square - across
    away = foretell_slopes(terms) - foretell_slopes(terms).mean(axis=0)
    missed = np.median(np.hypot(*miss(terms).reshape(-1, 2).T)) / max(np.median(np.hypot(*away.T)), _TINY)
    height = float(np.ptp(ends))
    return height, max(missed * height / np.sqrt(len(slopes)), _TINY), missed
