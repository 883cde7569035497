"""How far each tile lies from where its WCS says: all tiles at once, from the stars that they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from scipy.special import fdtrc

from ...tiles.grid import copy_wcs
from .adjustment import adjust, in_errors, information
from .matching import coarse_places, same_stars
from .places import Places

# Shifts smaller than this are of no consequence, however sure, in mosaic pixels.
SHIFT_FLOOR = 0.05
# Probability of a shift that is none, in a mosaic.
ALARMS = 1e-3
_ROUNDS = 5
_SETTLED = 1e-3
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
    """

    pixels: np.ndarray
    covariance: np.ndarray
    freedom: float
    group: tuple[int, ...]
    tested: int

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
    shifts, groups = coarse_places(stars, coarse)
    places = np.concatenate([own.places for own in stars])
    errors = np.concatenate([own.errors for own in stars])
    for _ in range(_ROUNDS):
        use, numbers = same_stars(places - shifts[tiles], tiles)
        fit = adjust(places[use] - shifts[tiles[use]], errors[use], tiles[use], numbers, len(stars))
        shifts += fit.shifts
        if not np.any(np.abs(fit.shifts) > _SETTLED):
            break
    found = [None] * len(stars)
    if not len(use):
        return found
    together = Places(places[use], tiles[use], numbers, fit.slope)
    common = together.variance(fit.pulls, fit.inverse, fit.excess)
    joined = [np.flatnonzero((groups == group) & (fit.counts >= _MIN_STARS)) for group in np.unique(groups)]
    joined = [members for members in joined if len(members) > 1]
    tested = sum(map(len, joined))
    for members in joined:
        for index, (pixels, contrast) in zip(members, _fix_gauge(fit, shifts, members), strict=True):
            covariance, freedom = fit.covariance(contrast)
            covariance += np.eye(2) * (_by_colours(stars, contrast) + common * together.felt(fit.inverse @ contrast))
            found[index] = Shift(pixels, covariance, freedom, tuple(members.tolist()), tested)
    return found


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
