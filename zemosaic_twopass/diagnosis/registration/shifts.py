"""How far each tile lies from where its WCS says: all tiles at once, from the stars that they share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from scipy.special import fdtrc

from ...tiles.grid import copy_wcs
from .adjustment import Adjustment, adjust, in_errors, information
from .matching import coarse_places, same_stars
from .places import Places
from .stretches import Stretch, Usual, beyond_the_usual, leans_on_one, measure_stretches, usual_stretch

# Shifts smaller than this are of no consequence, however sure, in mosaic pixels.
SHIFT_FLOOR = 0.05
# Probability of a shift that is none, in a mosaic.
ALARMS = 1e-3
_ROUNDS, _MORE_ROUNDS = 5, 20
_SETTLED = 1e-3
# Tiles that may be stretched each by itself: such a part of all, and not more than so many.
_MOST_STRETCHED, _TRIED = 1 / 3, 8
_MIN_STARS = 3
_SAME = 4.0


@dataclass(frozen=True, eq=False)
class Shift:
    """Shift of one tile.

    Attributes
    ----------
    pixels : ndarray, shape (2,)
        Along columns and rows of the mosaic; what is seen lies to the right of, or above, where it should.
    covariance : ndarray, shape (2, 2)
    freedom : float
        Degrees of freedom of the covariance.
    group : tuple of int
        All tiles that are joined by stars, this one among them. Nobody can say which of two is wrong.
    tested : int
        How many tiles of the mosaic were tested.
    stretch : Stretch or None
        What no shift takes out; `pixels` is the shift of the middle of its shared stars then. None where there is none.
    """

    pixels: np.ndarray
    covariance: np.ndarray
    freedom: float
    group: tuple[int, ...]
    tested: int
    stretch: Stretch | None = None

    @property
    def error(self):
        """Standard error of a component, the mean of both."""
        return float(np.sqrt(np.trace(self.covariance) / 2))

    @property
    def z(self):
        """Each component in units of its own standard error."""
        return in_errors(self.pixels, self.covariance)

    @property
    def significance(self):
        """Length of the shift in standard errors (Mahalanobis)."""
        return float(np.sqrt(self.pixels @ information(self.covariance) @ self.pixels))

    @property
    def chance(self):
        """Probability of so significant a shift where there is none (Hotelling's T²)."""
        if not self.freedom > 1:
            return 1.0
        rest = self.freedom - 1
        return float(fdtrc(2, rest, self.significance**2 * rest / (2 * self.freedom)))

    @property
    def matters(self):
        """Whether it is both sure, among so many tiles tested, and large enough to matter."""
        return bool(self.chance * self.tested < ALARMS and np.hypot(*self.pixels) > SHIFT_FLOOR)


def register(stars, coarse):
    """Shifts of all tiles against one another.

    Parameters
    ----------
    stars : sequence of Stars
        From `find_stars`.
    coarse : sequence of (CoarseTile or None)
        The same tiles.

    Returns
    -------
    list of (Shift or None)
        None for a tile that shares fewer than three stars with others. As many tiles as possible have no
        shift: what the data cannot tell, one shift of all tiles that have stars in common, is settled on those that
        agree with the median one.
    """
    tiles = np.repeat(np.arange(len(stars)), [len(own) for own in stars])
    if not len(tiles):
        return [None] * len(stars)
    known = np.concatenate([own.places for own in stars]), np.concatenate([own.errors for own in stars]), tiles
    shifts, groups = coarse_places(stars, coarse)
    found = _place(known, shifts)
    if not len(found.shared[1]):
        return [None] * len(stars)
    found, usual = _stretch(known, found)
    return _shifts_of(found, stars, groups, usual)


def _stretch(known, found):
    """The same tiles with those stretched that are so beyond the `Usual`, and that: it is told by the others."""
    # What stars of one place have in common is no less because some of it may be a stretch.
    place = found.in_places
    usual = found.usual(place)
    while len(found.stretched) < min(_MOST_STRETCHED * usual.told, _TRIED):
        worst = found.find_stretched(place)
        if worst is None:
            break
        more = _place(known, found.shifts, found.stretched | {worst: np.zeros((2, 2))}, found.middles)
        usual = more.usual(place)
        if more.stretch_of(worst, usual) is None:
            break
        found = more
    return found, found.usual(place)


@dataclass(frozen=True, eq=False)
class _Placed:
    """Tiles that were brought together.

    Attributes
    ----------
    shifts : ndarray, shape (N, 2)
    stretched : dict of int to ndarray, shape (2, 2)
        A of the tiles that have one.
    middles : ndarray, shape (N, 2)
        What these A are about.
    shared : (ndarray, shape (m, 2), ndarray, shape (m,), ndarray, shape (m,))
        Places of the stars that tiles share, whose they are, and which star each is, sorted by star.
    fit : Adjustment
    left : list of (Stretch or None)
        What is left of A in each tile.
    """

    shifts: np.ndarray
    stretched: dict[int, np.ndarray]
    middles: np.ndarray
    shared: tuple[np.ndarray, np.ndarray, np.ndarray]
    fit: Adjustment
    left: list

    @cached_property
    def together(self):
        """Stars by place and tile."""
        return Places(*self.shared, self.fit.slope)

    @property
    def in_places(self):
        """Variance of a place in a tile, as `Places.variance` tells it."""
        return self.together.variance(self.fit.pulls, self.fit.inverse, self.fit.excess)

    def usual(self, place):
        """The `Usual` of the tiles that have no stretch, with the variance of a place in a tile."""
        return Usual(place, *usual_stretch([own for i, own in enumerate(self.left) if i not in self.stretched]))

    def find_stretched(self, place):
        """The tile that most surely has more than a shift, beside those that are known to; None where none has."""
        alone = Usual(place, 0.0, 0)
        seen = [
            (own.significance, index)
            for index, own in enumerate(self.left)
            if own is not None
            and index not in self.stretched
            and own.matters(ALARMS)
            and beyond_the_usual(own, index, self.fit, self.shared, self.together, alone).matters(ALARMS)
        ]
        surest = (index for _, index in sorted(seen, reverse=True) if not leans_on_one(index, self.fit, self.shared))
        return next(surest, None)

    def stretch_of(self, index, usual):
        """All of the `Stretch` of a tile; None where it has none."""
        own = self.left[index]
        if own is None or index not in self.stretched:
            return None
        own = replace(own, matrix=self.stretched[index])
        own = beyond_the_usual(own, index, self.fit, self.shared, self.together, usual)
        # With more stars of it found there may be less.
        return own if own.matters(ALARMS) else None


def _place(known, shifts, stretched=None, middles=None):
    """Bring tiles together by the places of their stars, their errors and tiles, from shifts near the right ones."""
    (places, errors, tiles), shifts, stretched = known, shifts.copy(), dict(stretched or {})
    for _ in range(_MORE_ROUNDS if stretched else _ROUNDS):
        right = places - shifts[tiles]
        for index, matrix in stretched.items():
            own = tiles == index
            right[own] -= (places[own] - middles[index]) @ matrix.T
        use, numbers = same_stars(right, tiles)
        fit = adjust(right[use], errors[use], tiles[use], numbers, len(shifts))
        shifts += fit.shifts
        moved = float(np.max(np.abs(fit.shifts), initial=0.0))
        left = measure_stretches(fit, places[use], tiles[use], numbers)[1] if stretched and len(use) else ()
        for index, own in enumerate(left):
            if index in stretched and own is not None:
                # Stars far off weigh by half in their slope, and would lead as far beyond.
                mine = tiles[use] == index
                stretched[index] = stretched[index] + own.matrix * (fit.slope[mine].sum() / fit.weight[mine].sum())
                moved = max(moved, own.size)
        if not moved > _SETTLED:
            break
    shared = places[use], tiles[use], numbers
    if len(use) and not stretched:
        middles, left = measure_stretches(fit, *shared)
    return _Placed(shifts, stretched, middles, shared, fit, left)


def _shifts_of(found, stars, groups, usual):
    """The `Shift` of each tile, None where it shares too few stars."""
    fit = found.fit
    joined = [np.flatnonzero((groups == group) & (fit.counts >= _MIN_STARS)) for group in np.unique(groups)]
    joined = [members for members in joined if len(members) > 1]
    tested = sum(map(len, joined))
    shifted = [None] * len(stars)
    for members in joined:
        for index, (pixels, contrast) in zip(members, _fix_gauge(fit, found.shifts, members), strict=True):
            covariance, freedom = fit.covariance(contrast)
            more = _by_colours(stars, contrast) + usual.place * found.together.felt(fit.inverse @ contrast)
            told = pixels, covariance + np.eye(2) * more, freedom, tuple(members.tolist()), tested
            shifted[index] = Shift(*told, found.stretch_of(index, usual))
    return shifted


def move_wcs(tile, wcs, pixels):
    """The WCS of a tile that is seen beside its place, put right.

    Parameters
    ----------
    tile : Tile
        Not changed.
    wcs : astropy.wcs.WCS
        WCS of the mosaic.
    pixels : ndarray, shape (2,)
        How far what is seen lies to the right of, and above, its place, in mosaic pixels.

    Returns
    -------
    astropy.wcs.WCS
        The reference pixel is moved; distortions stay with the pixels of the detector.
    """
    centre = np.array([(n - 1) / 2 for n in tile.shape[::-1]])
    right = copy_wcs(tile.wcs)
    seen = np.array(pixel_to_pixel(right, wcs, *centre))
    right.wcs.crpix += centre - np.array(pixel_to_pixel(wcs, right, *(seen - pixels)))
    right.wcs.set()
    return right


def _by_colours(stars, contrast):
    """Variance of a coordinate of a combination of shifts by how the colours are weighted, beyond what noise makes.

    In their mean a star lies where its brightest colour has it, and where colours lie beside one another, on tiles that
    are turned to one another, a red star and a blue one tell two shifts.
    """
    beside = contrast @ np.stack([own.beside for own in stars])
    noise = contrast**2 @ np.array([own.beside_error for own in stars]) ** 2
    return max(float(beside @ beside) - 2 * float(noise), 0.0)


def _fix_gauge(fit, shifts, members):
    """Shift of each member of a group against those that agree with the median one, and what it is made of."""
    own = shifts[members]
    distance = np.hypot(*np.moveaxis(own[:, np.newaxis] - own, 2, 0))
    median = int(np.argmin(distance.sum(axis=1)))
    alike = distance[median] <= np.maximum(SHIFT_FLOOR, _SAME * fit.errors()[members])
    weight = alike / np.count_nonzero(alike)
    own = own - weight @ own
    found = []
    for index, pixels in zip(members, own, strict=True):
        contrast = np.zeros(len(shifts))
        contrast[members] = -weight
        contrast[index] += 1
        found.append((pixels, contrast))
    return found
