"""The stars of a tile: where they lie on the mosaic's grid as the tile's own WCS has it, and how surely.

Nothing but the tile is looked at, so that neither a mosaic nor another tile can be at fault for what is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from ..tiles.grid import pixels_between
from ..tiles.planes import channels_last
from .median import median_of_known
from .moments import WINDOW, colours_beside, steps
from .robust import GAUSSIAN_MAD

# Weights of a Gaussian of 1.2 px, cut off beyond three of these: in the middle, and so many pixels from it.
_TAPS = np.exp(-0.5 * (np.arange(5) / 1.2) ** 2).astype(np.float32)
_TAPS /= _TAPS[0] + 2 * _TAPS[1:].sum()
_BACKGROUND = 13
_DETECTION = 5.0
_MOST_PEAKS = 3000
_THIN = 5
_LATTICE = 40
_CLIP = 4.0
_CLIPPINGS = 4
# Half a stamp; what lies beyond the inner part of it is background.
_HALF_STAMP = 7
_INNER = 5.0
_ALONE = 6.0
_ITERATIONS = 12
_SETTLED = 1e-3
_STRAYED = 1.5
_MOST_ERROR_PX = 0.5
# As `moments.steps` has it: of one pixel it is 0, of one that is shared by four 0.1, of a star of 1.6 px 0.15.
_LEAST_WIDE = 0.12
_SPAN = np.arange(-_HALF_STAMP, _HALF_STAMP + 1)
_AROUND = np.hypot(_SPAN[:, np.newaxis], _SPAN) > _INNER


@dataclass(frozen=True, eq=False)
class Stars:
    """Stars of one tile, the surest first.

    Attributes
    ----------
    places : ndarray, shape (n, 2)
        (x, y) in pixels of the mosaic.
    errors : ndarray, shape (n,)
        Standard error of each coordinate from the noise of the pixels, in pixels of the mosaic.
    beside : ndarray, shape (2,)
        How far the mean of a star's places in the single channels lies beside its place in their mean, (x, y) in
        pixels of the mosaic, median of the surest stars. Where the channels lie beside one another a place depends on
        how they are weighted; 0 where there is one channel, or too few stars tell.
    beside_error : float
        Standard error of each coordinate of it, from the scatter of the stars.
    wide : ndarray of bool, shape (n,), or None
        Which are wider than a hot pixel, resampled or not; None where that is not known, and all may be.
    positions : ndarray, shape (n, 2), or None
        (x, y) in pixels of the tile; None where only the places are known.
    area : ndarray, shape (n,), or None
        Area of a pixel of the tile there, in pixels of the mosaic; None as `positions`.
    """

    places: np.ndarray
    errors: np.ndarray
    beside: np.ndarray = field(default_factory=lambda: np.zeros(2))
    beside_error: float = 0.0
    wide: np.ndarray | None = None
    positions: np.ndarray | None = None
    area: np.ndarray | None = None

    @classmethod
    def none(cls):
        """The stars of a tile without any."""
        return cls(np.empty((0, 2)), np.empty(0))

    def __len__(self):
        return len(self.errors)


def find_stars(tile, wcs):
    """Find the stars of a tile.

    Parameters
    ----------
    tile : Tile
        The mean of its channels is searched, but for pixels where its coverage is not positive.
    wcs : astropy.wcs.WCS
        Celestial WCS of the mosaic.

    Returns
    -------
    Stars
        At most 3000; without those within 5 px of the edge or of a bad pixel, or 6 px of a brighter one. Empty where
        nothing stands out of the noise.
    """
    x, y, errors, wide = _locate(tile.pixels, tile.coverage)
    if not len(x):
        return Stars.none()
    beyond = np.stack([x, x + 1, x]), np.stack([y, y, y + 1])
    places, right, above = np.moveaxis(pixels_between(tile.wcs, wcs, *beyond), 0, 2)
    right, above = right - places, above - places
    # Not by `numpy.linalg.det`, which warns of a NaN.
    errors, area = errors * np.hypot(*right.T), np.abs(right[:, 0] * above[:, 1] - right[:, 1] * above[:, 0])
    known = np.flatnonzero(np.isfinite(places).all(axis=1) & np.isfinite(errors) & np.isfinite(area))
    order = known[np.argsort(errors[known], kind="stable")]
    beside, error = colours_beside(channels_last(tile.pixels), x[order], y[order])
    if error > 0:
        beside = np.stack([right[order[0]], above[order[0]]], axis=1) @ beside
        error *= float(np.sqrt(area[order[0]]))
    positions = np.stack([x, y], axis=1)[order]
    return Stars(places[order], errors[order], beside, error, wide[order] > _LEAST_WIDE, positions, area[order])


def locate_stars(pixels, coverage=None):
    """Find the stars of an image, in its own pixels.

    Parameters
    ----------
    pixels : array_like, shape (H, W) or (H, W, C)
        The mean of the channels is searched.
    coverage : array_like, shape (H, W), optional
        Pixels where it is not positive are left out, as those that are not finite are.

    Returns
    -------
    x, y : ndarray, shape (n,)
        Columns and rows of the centroids, from 0; empty where nothing stands out of the noise.
    errors : ndarray, shape (n,)
        Standard error of each coordinate from the noise of the pixels.
    """
    return _locate(pixels, coverage)[:3]


def _locate(pixels, coverage):
    image, good = _mean_image(channels_last(pixels), coverage)
    return _centroids(image, good, *_peaks(image, good))


def _mean_image(planes, coverage):
    """Mean of the channels less what is smooth in it, float32, 0 where not known, and where it is; a wide border."""
    image = planes[..., 0].astype(np.float32)
    for channel in range(1, planes.shape[2]):
        image += planes[..., channel]
    image /= np.float32(planes.shape[2])
    good = np.isfinite(image)
    if coverage is not None:
        good &= np.asarray(coverage) > 0
    # A slope under a star would move its centroid, and vignetting is a slope near the edges.
    thin = max(1, min(image.shape) // _LATTICE)
    level, down, bend_down, across, bend_across, twist = _surface(image[::thin, ::thin], good[::thin, ::thin])
    rows, columns = (np.arange(n, dtype=np.float32) / thin for n in image.shape)
    image -= (level + rows * (down + rows * bend_down))[:, np.newaxis]
    image -= columns * (across + columns * bend_across)
    image -= twist * rows[:, np.newaxis] * columns
    image[~good] = 0
    return np.pad(image, _HALF_STAMP), np.pad(good, _HALF_STAMP)


def _surface(image, good):
    """The surface of second order that most of the known pixels lie on: terms 1, r, r², c, c², rc of rows and columns.

    float32; where too few pixels are known to tell, as small as may be.
    """
    rows, columns = np.nonzero(good)
    terms = np.zeros(6)
    layers = np.ones(len(rows)), rows, rows**2, columns, columns**2, rows * columns
    design, values = np.stack(layers, axis=1).astype(float), image[good].astype(float)
    terms[0] = median_of_known(values) if values.size else 0
    inner = None
    for _ in range(_CLIPPINGS if values.size else 0):
        before, left = inner, values - np.einsum("ni,i->n", design, terms)
        away = np.abs(left - median_of_known(left))
        inner = away <= _CLIP * median_of_known(away)
        # The same pixels have the same surface.
        if np.array_equal(inner, before):
            break
        # By normal equations: what LAPACK does with all rows wakes threads that take longer than it.
        own = design[inner]
        normal, right = np.einsum("ni,nj->ij", own, own), np.einsum("ni,n->i", own, left[inner])
        terms += np.linalg.lstsq(normal, right, rcond=None)[0]
    return terms.astype(np.float32)


def _peaks(image, good):
    """Rows and columns of what stands out, the brightest first."""
    smooth = _smooth(image)
    thin = np.abs(smooth[::_THIN, ::_THIN][good[::_THIN, ::_THIN]])
    noise = GAUSSIAN_MAD * float(np.median(thin)) if thin.size else 0.0
    flat, width = smooth.ravel(), smooth.shape[1]
    # None is good within the border, so that all have neighbours.
    places = np.flatnonzero((smooth > max(_DETECTION * noise, np.finfo(np.float32).tiny)) & good)
    values = flat[places]
    for beside in (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1):
        others = flat[places + beside]
        # The first of two equal neighbours counts.
        higher = values >= others if beside > 0 else values > others
        places, values = places[higher], values[higher]
    rows, columns = np.divmod(places[np.argsort(-values, kind="stable")[:_MOST_PEAKS]], width)
    if len(rows):
        pairs = cKDTree(np.stack([rows, columns], axis=1)).query_pairs(_ALONE, output_type="ndarray")
        # The fainter of two that are close: its place depends on how sharp the tile is.
        rows, columns = (np.delete(axis, np.unique(pairs.max(axis=1))) for axis in (rows, columns))
    return rows, columns


def _smooth(image):
    """An image under a Gaussian less its mean over 13 × 13 pixels; of no meaning within 6 pixels of the edge.

    By sums of the whole image beside itself: pixel by pixel, as `scipy.ndimage` goes, they take three times as long.
    """
    spread = mean = image.ravel()
    for step in (image.shape[1], 1):
        spread, mean = _gaussian(spread, step), _sums_of_13(mean, step)
    mean /= np.float32(-(_BACKGROUND**2))
    mean += spread
    return mean.reshape(image.shape)


def _gaussian(flat, step):
    """A flat image under the Gaussian along pixels that lie so many apart."""
    total = _TAPS[0] * flat
    pair = np.empty_like(flat)
    for away, tap in enumerate(_TAPS[1:], start=1):
        own = np.add(flat[: -2 * away * step], flat[2 * away * step :], out=pair[: -2 * away * step])
        own *= tap
        total[away * step : -away * step] += own
    return total


def _sums_of_13(flat, step):
    """Sums of a flat image over 13 pixels that lie so many apart, of 8, 4 and 1."""
    two, total = flat.copy(), np.zeros_like(flat)
    two[:-step] += flat[step:]
    four = two.copy()
    four[: -2 * step] += two[2 * step :]
    own = np.add(four[: -12 * step], four[4 * step : -8 * step], out=total[6 * step : -6 * step])
    own += four[8 * step : -4 * step]
    own += flat[12 * step :]
    return total


def _centroids(image, good, rows, columns):
    """Places (x, y) of peaks, their errors in pixels and how wide they are, in a window that follows them.

    Iterated first moments under a Gaussian window, as SExtractor's XWIN_IMAGE (Bertin & Arnouts 1996; manual
    of version 2.25, "Windowed positional parameters").
    """
    index = rows[:, np.newaxis, np.newaxis] + _SPAN[:, np.newaxis], columns[:, np.newaxis, np.newaxis] + _SPAN
    known = good[index]
    whole = known[:, ~_AROUND].all(axis=1) & (known[:, _AROUND].mean(axis=1) > 0.5)
    rows, columns, known, stamps = rows[whole], columns[whole], known[whole], image[index][whole].astype(np.float64)
    x, y = np.zeros((2, len(rows)))
    if not len(rows):
        return x, y, x, x
    ring = np.where(known[:, _AROUND], stamps[:, _AROUND], np.nan)
    level = median_of_known(ring)
    # The wings of a bright star spread its own ring.
    noise = GAUSSIAN_MAD * np.median(median_of_known(np.abs(ring - level[:, np.newaxis])))
    stamps -= level[:, np.newaxis, np.newaxis]
    stamps[~known] = 0
    for _ in range(_ITERATIONS):
        step_x, step_y, flux, hidden, wide = steps(stamps, x, y)
        x, y = x + step_x, y + step_y
        if not np.any(np.hypot(step_x, step_y) > _SETTLED):
            break
    # Errors of Σ w I (x − x0) / Σ w I with white noise; the sums over the window are those of its integrals.
    errors = hidden * noise * np.sqrt(np.pi / 2) * WINDOW**2 / flux
    settled = (np.hypot(x, y) < _STRAYED) & (np.hypot(step_x, step_y) < 10 * _SETTLED)
    settled &= errors < _MOST_ERROR_PX
    x, y = columns + x - _HALF_STAMP, rows + y - _HALF_STAMP
    return x[settled], y[settled], np.maximum(errors[settled], np.finfo(float).tiny), wide[settled]
