"""What all tiles have in common: darker, or brighter, towards their corners, as a flat field that does not fit.

Put side by side such tiles seem to slope, each towards the middle of the mosaic: a tile that shows k |x − x_i|² about
its middle x_i shows, next to a sky that has k |x|² in it, a plane of slope −2 k x_i. One curvature says the same as
all these planes, and says what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from .classify import GRADIENT_FLOOR

_FEWEST_TILES = 4
FEWEST_GRADIENTS = 3
# The slopes of most tiles must be within so much of what the curvature makes of them.
MISS = 0.3
# Middles must be further apart than so much of the usual side of a tile, both ways, for in a row of tiles that brighten
# one after the other, as under a rising moon, it would be the same.
_ROW_SHARE = 0.2
# A factor may take away or add so much of the level.
_MOST_OF_LEVEL = 0.9
# Errors larger by so much than the slopes scatter are those of equations that do not tell.
_TOLD = 10.0
_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Curvature:
    """A bow that is the same in every tile: it rises with the square of the distance from the tile's middle.

    Attributes
    ----------
    height, error : ndarray, shape (C,)
        Height of a corner above the middle in adu, negative where corners are darker, and its standard error.
    level : ndarray, shape (C,), or None
        Where it is taken for a factor of everything, as one of a flat field is, the sky in adu at which it has that
        height; None where it is taken as added, as stray light is, or where both explain the same.
    reach : float
        How far from the middle a corner is, in pixels of the mosaic.
    sigma : float
        How many standard errors it is from none, all channels together.
    """

    height: np.ndarray
    error: np.ndarray
    level: np.ndarray | None
    reach: float
    sigma: float

    def take_out(self, values, middle, x, y):
        """Values of a tile about a middle without it, shape (C, …), at places (x, y) in pixels of the mosaic."""
        square = ((np.asarray(x) - middle[0]) ** 2 + (np.asarray(y) - middle[1]) ** 2) / self.reach**2
        if self.level is None:
            return values - np.multiply.outer(self.height, square)
        part = np.divide(self.height, self.level, out=np.zeros_like(self.height), where=self.height != 0)
        return values / (1 + np.multiply.outer(part, square))

    def out_of(self, look):
        """The `TileMeasurement` of a tile, which has blocks, without it."""
        x, y = look.blocks.centres()
        value = self.take_out(look.blocks.value, look.middle, x, y[:, np.newaxis])
        # Stars hold nothing of light that is added.
        fluxes = look.fluxes if self.level is None else tuple(self._out_of_fluxes(own, look) for own in look.fluxes)
        return replace(look, blocks=replace(look.blocks, value=value), fluxes=fluxes)

    def _out_of_fluxes(self, fluxes, look):
        flux = self.take_out(fluxes.flux.T, look.middle, *look.stars.places.T).T
        return replace(fluxes, flux=flux, error=fluxes.error * flux / fluxes.flux)


def flatten(looks, solution, solve_again):
    """Take a curvature that all tiles have in common out of them.

    Parameters
    ----------
    looks : list of TileMeasurement
    solution : Solution
        Solution of these looks.
    solve_again : callable
        From looks to their `Solution`.

    Returns
    -------
    looks : list of TileMeasurement
    solution : Solution
        Both as given where there is no such curvature.
    curvature : Curvature or None
    """
    layout = Layout.of(looks)
    first = _common(layout, solution, np.nanmedian([look.noise for look in looks], axis=0))
    if first is None:
        return looks, solution, None
    tested, tried = find_tested_tiles(solution), []
    furthest = max(look.reach for look in looks if look.blocks is not None) / first.reach
    for level in (None, np.median(solution.level[:, tested], axis=1)):
        curvature = replace(first, level=level)
        if not _divides(curvature, furthest):
            continue
        # Again, for faults of single tiles had their part in it as long as they were not told apart.
        _, again = _try(looks, curvature, solve_again)
        for _ in range(_ROUNDS):
            if not do_slope(again):
                break
            height, error, _ = by_slopes(layout, again)
            curvature = replace(curvature, height=curvature.height + height, error=error)
            _, again = _try(looks, curvature, solve_again)
        curvature = _refine(curvature, layout, again)
        if _divides(curvature, furthest):
            flat, again = _try(looks, curvature, solve_again)
            # A solution that ran away names nothing.
            if np.array_equal(find_tested_tiles(again), tested):
                tried.append((flat, again, curvature))
    return min([*tried, (looks, solution, None)], key=_find_left_over)


def _find_left_over(one):
    """The fewest faults; of as many, with a curvature, and that which fits, and brings the stars together better."""
    _, solution, curvature = one
    left = max(solution.misfit.largest, 1.0), float(np.sum(solution.stars.excess))
    return np.count_nonzero(solution.active), curvature is None, *left


@dataclass(frozen=True, eq=False)
class Layout:
    """Where tiles lie, in pixels of the mosaic.

    Attributes
    ----------
    middles : ndarray, shape (N, 2)
        (x, y) of their images, about a common origin; 0 for a tile that knows nothing.
    centres, sides : ndarray, shape (N, 2)
        Centres of what they know, about the same origin, and how wide and high that is.
    reach : float
        From a middle to a corner.
    """

    middles: np.ndarray
    centres: np.ndarray
    sides: np.ndarray
    reach: float

    @classmethod
    def of(cls, looks):
        extents, middles, reaches = np.zeros((len(looks), 2, 2)), np.zeros((len(looks), 2)), []
        for index, look in enumerate(looks):
            if look.blocks is not None:
                extents[index], middles[index] = look.blocks.extent(), look.middle
                reaches.append(look.reach)
        # About the middle of all, for the sky takes the rest.
        origin = middles.mean(axis=0)
        sides = extents[:, 1] - extents[:, 0]
        return cls(middles - origin, extents.mean(axis=1) - origin, sides, float(np.median(reaches or [0.0])))

    def pattern(self):
        """What tiles of a curvature of height 1 seem to have, as terms by kind, shape (N, 4)."""
        level = np.sum(self.middles * (self.middles - 2 * self.centres), axis=1)
        return np.column_stack([level, np.zeros(len(level)), -2 * self.middles * self.sides]) / self.reach**2


def find_tested_tiles(solution):
    """Tiles that could be compared."""
    return np.flatnonzero([fit is not None for fit in solution.fits])


def _divides(curvature, furthest):
    """Whether it can be divided by, if it is a factor, as far out: a sky that was subtracted has nothing to scale."""
    if curvature.level is None:
        return True
    there = curvature.height != 0
    return bool(np.all(np.abs(curvature.height[there]) * furthest**2 < _MOST_OF_LEVEL * curvature.level[there]))


def _common(layout, solution, noise):
    """The curvature that the slopes of most tiles follow, if they are large enough to matter; else None."""
    tested = find_tested_tiles(solution)
    pattern = layout.pattern()[tested]
    if not do_slope(solution) or len(tested) < _FEWEST_TILES or not np.isfinite(pattern).all():
        return None
    if in_a_row(layout, tested):
        return None
    height, error, missed = by_slopes(layout, solution)
    largest = np.abs(height) * np.hypot(*pattern[:, 2:].T).max()
    if not (np.median(missed) < MISS and np.any(largest > GRADIENT_FLOOR * noise)):
        return None
    return Curvature(height, error, None, layout.reach, 0.0)


def in_a_row(layout, tested):
    """Whether the middles of tiles lie too near one line."""
    return bool(np.any(np.ptp(layout.middles[tested], axis=0) < _ROW_SHARE * np.median(layout.sides[tested], axis=0)))


def do_slope(solution):
    """Whether half of the tiles that could be compared, or more, slope."""
    number = np.count_nonzero(solution.active[:, 2])
    return number >= max(FEWEST_GRADIENTS, len(find_tested_tiles(solution)) / 2)


def by_slopes(layout, solution):
    """Height at which the slopes of most tiles are as expected, its error, and by what part of that they miss it."""
    tested = find_tested_tiles(solution)
    sides = layout.sides[tested]
    expected = layout.pattern()[tested, 2:] / sides
    # What all slope by in common is not known.
    expected -= expected.mean(axis=0)
    # A channel that holds nothing tells nothing.
    heights, misses = np.zeros(len(solution.level)), np.full(len(solution.level), np.inf)
    for channel, slopes in enumerate(solution.terms[:, tested, 2:] / sides):
        usual = float(np.median(np.hypot(*slopes.T)))
        if not usual > 0:
            continue
        fit = least_squares(
            lambda terms, slopes=slopes: (terms[0] * expected + terms[1:] - slopes).ravel(),
            np.zeros(3),
            loss="soft_l1",
            x_scale="jac",
            f_scale=MISS * usual,
        )
        heights[channel], misses[channel] = fit.x[0], np.median(np.hypot(*fit.fun.reshape(-1, 2).T))
    parts = misses / np.abs(heights) / np.median(np.hypot(*expected.T))
    return heights, misses / np.sqrt(np.sum(expected**2)), parts


def _refine(curvature, layout, again):
    """The curvature with what is left of it, and fits best beside the faults that were found without it."""
    height, error = np.transpose([own.along(layout.pattern()) for own in again.equations])
    # Where nearly all tiles slope by themselves nothing is left to tell it by.
    told = error < _TOLD * curvature.error
    height = curvature.height + np.where(told, height, 0.0)
    error = np.where(told, error, curvature.error)
    sigma = float(np.sqrt(np.sum((height / error) ** 2) * again.independent / len(height)))
    return replace(curvature, height=height, error=error, sigma=sigma)


def _try(looks, curvature, solve_again):
    """Looks with a curvature taken out, and their solution."""
    flat = []
    for look in looks:
        if look.blocks is not None:
            look = curvature.out_of(look)
        flat.append(look)
    return flat, solve_again(flat)
