"""A seeded synthetic mosaic: one sky, cut into rotated, overlapping tiles, with faults to order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from astropy.wcs import WCS

from ..tiles.records import Tile
from .faults import direction_of

# Right ascension and declination in degrees, where a nebula is; degrees a pixel, as a smart telescope has them; and the
# standard deviation of a star in pixels.
_CENTRE = (83.82, -5.39)
_SCALE_DEG = 2.4 / 3600
_PSF_SIGMA = 1.7
_COLOURS = np.array([1.0, 0.85, 0.7])


class SyntheticSky:
    """A sky of stars, nebula and gradient, known exactly at every position.

    Parameters
    ----------
    rng : numpy.random.Generator
    extent : float
        Half the width of the sky that holds stars and nebula, in pixels.
    stars : int
    """

    def __init__(self, rng, extent, stars):
        self.plane = tangent_wcs(_CENTRE, 0.0, (0, 0))
        # Many faint stars and few bright ones, as the sky has them.
        self.flux = 40.0 * rng.pareto(1.1, stars).clip(0.05, 400.0)
        self.star_xy = rng.uniform(-extent, extent, (2, stars))
        self.star_colour = rng.uniform(0.6, 1.2, (stars, 3))
        self.blob_xy = rng.uniform(-0.7 * extent, 0.7 * extent, (2, 12))
        self.blob_sigma = rng.uniform(0.1, 0.35, 12) * extent
        self.blob_height = rng.uniform(10.0, 60.0, 12)
        self.blob_colour = rng.uniform(0.3, 1.0, (12, 3))
        self.slope = rng.uniform(-0.02, 0.02, 2)

    def image(self, wcs, shape):
        """The sky as an RGB image without noise.

        Parameters
        ----------
        wcs : astropy.wcs.WCS
        shape : tuple of int
            (H, W).

        Returns
        -------
        ndarray, shape (H, W, 3), float64
            In adu, on a pedestal of about 1000.
        """
        rows, columns = np.indices(shape)
        x, y = self.plane.world_to_pixel_values(*wcs.pixel_to_world_values(columns, rows))
        level = 1000.0 + self.slope[0] * x + self.slope[1] * y
        image = level[..., np.newaxis] * _COLOURS
        for (bx, by), sigma, height, colour in zip(
            self.blob_xy.T, self.blob_sigma, self.blob_height, self.blob_colour, strict=True
        ):
            blob = height * np.exp(-((x - bx) ** 2 + (y - by) ** 2) / (2 * sigma**2))
            image += blob[..., np.newaxis] * colour
        self._add_stars(image, wcs)
        return image

    def _add_stars(self, image, wcs):
        reach = int(np.ceil(6 * _PSF_SIGMA))
        xs, ys = wcs.world_to_pixel_values(*self.plane.pixel_to_world_values(*self.star_xy))
        height, width = image.shape[:2]
        for x, y, flux, colour in zip(xs, ys, self.flux, self.star_colour, strict=True):
            top, left = max(0, int(y) - reach), max(0, int(x) - reach)
            bottom, right = min(height, int(y) + reach + 1), min(width, int(x) + reach + 1)
            if top < bottom and left < right:
                dy, dx = np.arange(top, bottom) - y, np.arange(left, right) - x
                profile = np.exp(-(dy[:, np.newaxis] ** 2 + dx**2) / (2 * _PSF_SIGMA**2))
                image[top:bottom, left:right] += flux * profile[..., np.newaxis] * colour


def synthetic_tiles(*, rows=3, columns=3, shape=(400, 520), overlap=0.55, noise=8.0, seed=1, faults=()):
    """Cut a synthetic sky into master tiles.

    Tiles are turned by up to 4°, shifted by up to 8 px and have ragged NaN borders, so that the coverage is
    uneven and the gains of the second pass differ from 1.

    Parameters
    ----------
    rows, columns : int
        Tiles each way.
    shape : tuple of int
        (H, W) of a tile.
    overlap : float
        Share of a tile that its neighbour covers too.
    noise : float
        Standard deviation of the Gaussian noise in adu.
    seed : int
        Starts a generator of its own; the global one is not touched.
    faults : sequence of Fault
        They have kinds of `FAULTS` and are put in after everything else, so that all else stays the same.

    Returns
    -------
    list of Tile
        RGB, float32, with coverage.

    Raises
    ------
    ValueError
        If a fault names a tile that is not there.
    """
    rng = np.random.default_rng(seed)
    step = np.array(shape) * (1 - overlap)
    sky = SyntheticSky(rng, 0.5 * max(step) * max(rows, columns) + max(shape), 200 * rows * columns)
    fields = [(r - (rows - 1) / 2, c - (columns - 1) / 2) for r in range(rows) for c in range(columns)]
    shifts = _shifts_by_tile(faults, len(fields))
    tiles = []
    for index, field in enumerate(fields):
        offset = step * field + rng.uniform(-8, 8, 2)
        centre = sky.plane.pixel_to_world_values(offset[1], offset[0])
        wcs = tangent_wcs(centre, np.deg2rad(rng.uniform(-4, 4)), shape)
        # Pixels that lie beside where the WCS says: the sky is taken with a moved WCS.
        seen = wcs.deepcopy()
        seen.wcs.crpix += shifts[index]
        image = sky.image(seen, shape) + rng.normal(0.0, noise, (*shape, 3))
        good = _cut_ragged_mask(rng, shape)
        image[~good] = np.nan
        tiles.append(Tile(image.astype(np.float32), wcs, good.astype(np.float32), name=f"tile_{index:02d}.fits"))
    for fault in faults:
        index = fault.tile_of(len(tiles))
        for own in range(len(tiles)) if fault.kind == "vignetting" else [index]:
            tiles[own] = replace(tiles[own], pixels=_with_fault(tiles[own].pixels, fault))
        if fault.kind == "duplicate_tile":
            tiles[index] = tiles[(index - round(fault.size)) % len(tiles)]
    if any(fault.kind == "undetermined" for fault in faults):
        # Without others to compare it with nothing can be said of a tile.
        return tiles[:1]
    return tiles


def tangent_wcs(centre, angle, shape):
    """Gnomonic WCS of a camera of 2.4″ a pixel.

    Parameters
    ----------
    centre : (float, float)
        Right ascension and declination of the middle of the image in degrees.
    angle : float
        By which it is turned, in radians.
    shape : tuple of int
        (H, W); (0, 0) for a plane without an edge.

    Returns
    -------
    astropy.wcs.WCS
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = centre
    wcs.wcs.crpix = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    cos, sin = np.cos(angle), np.sin(angle)
    wcs.wcs.cd = _SCALE_DEG * np.array([[-cos, sin], [sin, cos]])
    if all(shape):
        wcs.array_shape = tuple(int(n) for n in shape)
    wcs.wcs.set()
    return wcs


def _cut_ragged_mask(rng, shape):
    """True but for a border of a few pixels whose width changes from line to line."""
    good = np.zeros(shape, dtype=bool)
    good[2:-2, 2:-2] = True
    for turned in (good, good[::-1], good.T, good.T[::-1]):
        width = rng.integers(0, 9, turned.shape[1])
        turned[np.arange(turned.shape[0])[:, np.newaxis] < width] = False
    return good


def _shifts_by_tile(faults, count):
    """(columns, rows) in pixels by which each tile is seen beside its place."""
    shifts = np.zeros((count, 2))
    for fault in faults:
        if fault.kind == "astrometry":
            index = fault.tile_of(count)
            shifts[index] += fault.size * direction_of(index)
    return shifts


def _with_fault(data, fault):
    if fault.kind == "offset":
        return data + np.float32(fault.size)
    if fault.kind == "gain_residual":
        return data * np.float32(1 + fault.size)
    if fault.kind == "gradient":
        ramp = np.linspace(-0.5, 0.5, data.shape[1], dtype=np.float32) * np.float32(fault.size)
        return data + ramp[:, np.newaxis]
    if fault.kind == "uneven_background":
        # A glow in the first corner, as an amplifier leaves it.
        rows, columns = np.indices(data.shape[:2], dtype=np.float32)
        glow = np.exp(-np.hypot(rows, columns) / (0.2 * min(data.shape[:2])))
        return data + (np.float32(fault.size) * glow)[..., np.newaxis]
    if fault.kind == "unmasked_border":
        width = round(fault.size)
        return np.concatenate([np.where(np.isnan(data[:, :width]), data[:, :width], 0), data[:, width:]], axis=1)
    if fault.kind == "no_signal":
        return np.where(np.arange(data.shape[2]) == round(fault.size), np.where(np.isnan(data), data, 0), data)
    if fault.kind == "vignetting":
        rows, columns = (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in data.shape[:2])
        square = rows[:, np.newaxis] ** 2 + columns**2
        return data * (1 - np.float32(fault.size) * square / square.max())[..., np.newaxis]
    return data
