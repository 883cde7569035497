"""The arithmetic of the Two-Pass Coverage Renorm: scale map, gain of a tile, weights, merge."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..tiles.grid import pixel_box
from ..tiles.images import TileError
from ..tiles.planes import channels_last
from .blur import blur_by_gaussian
from .reach import find_reached
from .scratch import OnDemand

# All but the last are those of the public worker, whose gains and merge ours are to be.
# A tile is where its reprojected mask exceeds this.
_MIN_MASK = 1e-3
# Coverage, blurred, of pixels that a gain is made from.
_MIN_BLURRED_COVERAGE = 2.0
# Fewest of these for a gain, as a number and as a share of the tile.
_MIN_VALID_PIXELS = 64
_MIN_VALID_FRACTION = 0.001
# Coverage over blurred coverage is held between these.
_SCALE_RANGE = (0.5, 2.0)
# The second pass is taken where it has this share of the luminance of the first.
_MIN_LUMINANCE_RATIO = 0.4
# Rows that are merged at a time, to bound the memory.
_BAND_ROWS = 256


class ScaleMap(NamedTuple):
    """Blurred coverage over coverage, and where it may be used.

    Attributes
    ----------
    scale : ndarray, shape (H, W), float32
        Within [0.5, 2]; 1 where nothing is covered.
    usable : ndarray of bool, shape (H, W)
        Covered, with a blurred coverage of at least 2.
    """

    scale: np.ndarray
    usable: np.ndarray


def scale_coverage(coverage, sigma_px):
    """Blurred coverage over coverage, and where it may be used.

    The blur is a Gaussian cut at 4 sigma, normalised by the same blur of the covered area, so that the
    edge of the mosaic does not darken it.

    Parameters
    ----------
    coverage : array_like, shape (H, W)
        How often each pixel is covered; not finite counts as 0.
    sigma_px : float
        Sigma in pixels; 0 leaves the coverage as it is.

    Returns
    -------
    ScaleMap

    Raises
    ------
    ValueError
        If the coverage does not have two axes or has no pixel.
    """
    coverage = np.nan_to_num(np.asarray(coverage, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if coverage.ndim != 2 or coverage.size == 0:
        raise ValueError(f"coverage of shape {coverage.shape}: a map with 2 axes and at least 1 pixel is needed")
    covered = coverage > 0
    # All in place: of the whole mosaic there are three maps at a time, no more.
    coverage[~covered] = 0
    blurred = blur_by_gaussian(coverage, sigma_px)
    share = blur_by_gaussian(covered, sigma_px)
    near = share > 0
    np.divide(blurred, share, out=blurred, where=near)
    blurred[~near] = 0
    scale = share
    scale.fill(1)
    np.divide(blurred, np.maximum(coverage, np.finfo(np.float32).eps, out=coverage), out=scale, where=covered)
    return ScaleMap(np.clip(scale, *_SCALE_RANGE, out=scale), covered & (blurred >= _MIN_BLURRED_COVERAGE))


def find_tile_gain(shape, mask, wcs, final_wcs, scale_map, gain_clip):
    """Gain of one tile: the clipped median of the scale over its usable pixels.

    The mask is reprojected inside the tile's own box in the mosaic, which holds all it can reach.

    Parameters
    ----------
    shape : tuple of int
        (h, w) of the tile.
    mask : array_like, shape (h, w), or None
        Coverage of the tile; None is 1 everywhere.
    wcs, final_wcs : astropy.wcs.WCS
        The WCS of the tile and that of the mosaic.
    scale_map : ScaleMap
        Covers the mosaic.
    gain_clip : (float, float)
        Smallest and largest gain, in any order.

    Returns
    -------
    float
        Exactly 1.0 where fewer than 64 pixels, or 0.1 % of the tile's, are usable.
    """
    scale, usable = scale_map
    box = pixel_box(shape, wcs, final_wcs, scale.shape)
    if box is None:
        return 1.0
    if mask is None:
        mask = np.ones(shape, dtype=np.float32)
    mask = np.nan_to_num(np.asarray(mask, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    inside = find_reached(mask, wcs, final_wcs, box, _MIN_MASK)
    valid = inside & usable[box]
    enough = max(_MIN_VALID_PIXELS, math.ceil(_MIN_VALID_FRACTION * np.count_nonzero(inside)))
    if np.count_nonzero(valid) < enough:
        return 1.0
    return float(np.clip(float(np.median(scale[box][valid])), *sorted(gain_clip)))


def as_hwc(tile):
    """A tile as (H, W, C) float32; a view where it is that already."""
    return channels_last(np.asarray(tile, dtype=np.float32))


def mask_finite(tile):
    """1 where any channel of a tile is finite, else 0; shape (H, W), float32."""
    return np.isfinite(as_hwc(tile)).any(axis=2).astype(np.float32)


def weigh_inputs(tiles, tiles_coverage=None, tile_weights=None):
    """Weight map of each tile: the tile's weight where its coverage is positive, else 0.

    Parameters
    ----------
    tiles : sequence of ndarray, shape (H, W) or (H, W, C)
        Only their shapes matter.
    tiles_coverage : sequence of (ndarray, shape (H, W), or None), optional
        None is good everywhere.
    tile_weights : sequence of float, optional
        1 by default.

    Returns
    -------
    OnDemand of ndarray, shape (H, W), float32, or None
        None where every weight would be 1.

    Raises
    ------
    TileError
        If a weight is not positive and finite or the weights are not one a tile.
    """
    if tiles_coverage is None and tile_weights is None:
        return None
    if tile_weights is not None and len(tile_weights) != len(tiles):
        raise TileError(f"{len(tile_weights)} tile weights != {len(tiles)} tiles")
    weights = [1.0] * len(tiles) if tile_weights is None else [float(weight) for weight in tile_weights]
    for index, weight in enumerate(weights):
        if not (math.isfinite(weight) and weight > 0):
            raise TileError(f"tile {index}: weight {weight} is not positive and finite")

    def weight_map(index):
        coverage = None if tiles_coverage is None else tiles_coverage[index]
        good = np.ones(np.shape(tiles[index])[:2], dtype=bool) if coverage is None else np.asarray(coverage) > 0
        return good.astype(np.float32) * np.float32(weights[index])

    return OnDemand(len(tiles), weight_map)


def merge_passes(first, second):
    """Take the second pass wherever both cover the sky and it is not much darker than the first.

    A pixel is taken where luminance₂ / (luminance₁ + ε) ≥ 0.4, with ε a tenth of the 5th percentile of
    the first pass's luminance there, at least 1e-6.

    Parameters
    ----------
    first, second : (ndarray, shape (H, W, C), ndarray, shape (H, W))
        Mosaic and coverage of each pass.

    Returns
    -------
    merged : (ndarray, ndarray)
        `first` itself where no pixel of the second pass is taken.
    fraction : float
        Share of the pixels that came from the second pass.

    Raises
    ------
    ValueError
        If the mosaics differ in shape.
    """
    (mosaic1, coverage1), (mosaic2, coverage2) = first, second
    if np.shape(mosaic1) != np.shape(mosaic2):
        raise ValueError(f"first-pass mosaic shape {np.shape(mosaic1)} != second-pass {np.shape(mosaic2)}")
    taken = (np.asarray(coverage1) > 0) & (np.asarray(coverage2) > 0)
    bands = [slice(top, top + _BAND_ROWS) for top in range(0, len(taken), _BAND_ROWS)]

    def brightness(mosaic, rows):
        return np.asarray(mosaic[rows])[taken[rows]].mean(axis=1)

    seen = np.concatenate([bright[~np.isnan(bright)] for bright in (brightness(mosaic1, rows) for rows in bands)])
    floor = max(0.1 * float(np.percentile(seen, 5, overwrite_input=True)), 1e-6) if seen.size else 1e-6
    for rows in bands:
        ratio = brightness(mosaic2, rows) / (brightness(mosaic1, rows) + floor)
        taken[rows][taken[rows]] = ratio >= _MIN_LUMINANCE_RATIO
    if not taken.any():
        return first, 0.0
    merged = np.where(taken[..., np.newaxis], mosaic2, mosaic1), np.where(taken, coverage2, coverage1)
    return merged, np.count_nonzero(taken) / taken.size
