"""The scale of a tile by plain aperture photometry of photutils: a second opinion on ours, for benchmarks only."""

from __future__ import annotations

import numpy as np
from astropy.stats import SigmaClip, sigma_clipped_stats
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture
from photutils.detection import DAOStarFinder
from photutils.psf import fit_fwhm
from scipy.spatial import cKDTree

from zemosaic_twopass.tiles.grid import pixels_between

# In pixels, and of the widest stars.
_SAME, _SEARCH_FWHM = 1.5, 3.0
_APERTURE, _RING = 3.0, (4.0, 6.5)
_BRIGHT = 20.0
_MOST = 80


def by_photutils(tiles, odd, others):
    """Scale of one tile against the mean of others, star by star.

    Parameters
    ----------
    tiles : sequence of Tile
        Tiles whose pixels have one scale.
    odd : int
    others : sequence of int

    Returns
    -------
    scale, error : ndarray, shape (C,)
        Weighted mean of the logarithms after sigma clipping, and its error from their scatter; NaN where fewer than
        two stars are shared.
    """
    planes = [np.atleast_3d(tile.pixels).astype(float) for tile in tiles]
    found = [_stars(plane.mean(axis=2)) for plane in planes]
    widest = max((width for _, width in found if np.isfinite(width)), default=np.nan)
    if not np.isfinite(widest):
        return np.full((2, planes[0].shape[2]), np.nan)
    fluxes = [_fluxes(plane, places, widest) for plane, (places, _) in zip(planes, found, strict=True)]
    places, (flux, error) = found[odd][0], fluxes[odd]
    sums, weights = np.zeros((2, *flux.shape))
    for other in others:
        if other == odd or not len(places) or not len(found[other][0]):
            continue
        here = np.stack(pixels_between(tiles[odd].wcs, tiles[other].wcs, *places.T), axis=1)
        distance, nearest = cKDTree(found[other][0]).query(np.nan_to_num(here, nan=-1e9))
        theirs, their_error = (layer[nearest] for layer in fluxes[other])
        weight = np.where((distance < _SAME)[:, np.newaxis], (theirs / their_error) ** 2, 0.0)
        sums += np.nan_to_num(weight * np.log(theirs))
        weights += np.nan_to_num(weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        left, variance = np.log(flux) - sums / weights, (error / flux) ** 2 + 1 / weights
    return np.transpose([_mean(*channel) for channel in zip(left.T, variance.T, strict=True)])


def _stars(image):
    """Places of the brightest stars, shape (n, 2), and their full width at half maximum."""
    _, middle, noise = sigma_clipped_stats(image)
    mask = ~np.isfinite(image)
    table = DAOStarFinder(_BRIGHT / 4 * noise, _SEARCH_FWHM)(np.nan_to_num(image - middle), mask=mask)
    if table is None or len(table) == 0:
        return np.empty((0, 2)), np.nan
    names = ("x_centroid", "y_centroid") if "x_centroid" in table.colnames else ("xcentroid", "ycentroid")
    places = np.column_stack([np.asarray(table[name]) for name in names])
    places = places[np.argsort(-np.asarray(table["flux"]))[:_MOST]]
    widths = fit_fwhm(np.nan_to_num(image - middle), xypos=places[:20], fit_shape=9)
    return places, float(np.median(widths))


def _fluxes(planes, places, width):
    """Flux and error of stars in each channel, shape (n, C) each; NaN for a faint one."""
    flux, error = np.full((2, len(places), planes.shape[2]), np.nan)
    for channel in range(planes.shape[2] if len(places) else 0):
        image = planes[..., channel]
        ring = ApertureStats(
            image, CircularAnnulus(places, *(width * radius for radius in _RING)), sigma_clip=SigmaClip(3.0)
        )
        own = ApertureStats(image, CircularAperture(places, _APERTURE * width), local_bkg=np.nan_to_num(ring.median))
        noise = ring.std * np.sqrt(own.sum_aper_area.value)
        bright = own.sum > _BRIGHT * noise
        flux[bright, channel], error[bright, channel] = own.sum[bright], noise[bright]
    return flux, error


def _mean(values, variance):
    """(scale, error) of logarithms and their variances."""
    known = np.isfinite(values) & np.isfinite(variance)
    values, variance = values[known], variance[known]
    if len(values) < 2:
        return np.nan, np.nan
    # Companions and hot pixels: the median, and what lies within 3 of its scatter.
    away = np.abs(values - np.median(values))
    close = away <= 3 * max(1.4826 * np.median(away), 0.01)
    values, weight = values[close], 1 / (variance[close] + 0.01**2)
    mean = np.average(values, weights=weight)
    scatter = np.average((values - mean) ** 2, weights=weight) / max(len(values) - 1, 1)
    error = np.sqrt(max(scatter, 1 / weight.sum()))
    return np.exp(mean), np.exp(mean) * error
