"""Tiles on the mosaic's grid, averaged over blocks after they were interpolated at full resolution.

For a verdict the order matters: a tile that is averaged before it is interpolated differs from
the mosaic by the structure inside a block even where nothing is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import gaussian_filter, map_coordinates

from .grid import pixel_box

FACTOR = 8
_LATTICE_STEP = 16
_MIN_BLOCK_SHARE = 0.75
_SMOOTHING = 1.0
_GAUSSIAN_MAD = 1.4826


@dataclass(frozen=True, eq=False)
class CoarseTile:
    """One tile in blocks of `FACTOR` × `FACTOR` mosaic pixels.

    Attributes
    ----------
    box : tuple of slice
        (rows, columns) of the coarse grid that the maps fill.
    value : ndarray, shape (C, h, w)
        Block means in adu; NaN where less than three quarters of a block are known.
    dx, dy : ndarray, shape (C, h, w)
        Block means of the derivative along columns and rows in adu per mosaic pixel; a shift of the
        image changes `value` by these to first order, whatever the structure inside a block.
    curvature : ndarray, shape (C, h, w)
        Block means of the Laplacian in adu per mosaic pixel².
    tensor : ndarray, shape (3, 3, h, w)
        Sums over the pixels of a block, and over channels, of the products of derivative along columns,
        derivative along rows and value, each less its mean over the block; 0 where not known.
    pull : ndarray, shape (3, h, w)
        The same of each of the three with tile − mosaic.
    """

    box: tuple[slice, slice]
    value: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    curvature: np.ndarray
    tensor: np.ndarray
    pull: np.ndarray


def coarse_shape(shape_out):
    """(h, w) of the coarse grid of a mosaic of shape (H, W)."""
    return tuple(int(n) // FACTOR for n in shape_out)


def channels_last(tile):
    """A tile as (H, W, C); a view."""
    tile = np.asarray(tile)
    return tile[..., np.newaxis] if tile.ndim == 2 else tile


def project_blocks(tile, tile_wcs, mosaic, wcs, coverage=None):
    """Interpolate a tile onto the mosaic's pixels, as the coadd does, and average it over blocks.

    Parameters
    ----------
    tile : array_like, shape (H, W) or (H, W, C)
        In adu, NaN where it holds nothing.
    tile_wcs : astropy.wcs.WCS
        Celestial WCS of the tile.
    mosaic : ndarray, shape (H', W', C)
        The coadd, NaN where it holds nothing.
    wcs : astropy.wcs.WCS
        Celestial WCS of the mosaic.
    coverage : array_like, shape (H, W), optional
        Pixels of the tile where it is not positive are left out.

    Returns
    -------
    CoarseTile or None
        None where the tile does not reach one whole block of the mosaic.
    """
    planes = channels_last(tile)
    shape_out = mosaic.shape[:2]
    box = pixel_box(planes.shape[:2], tile_wcs, wcs, shape_out)
    if box is None:
        return None
    coarse = tuple(
        slice(part.start // FACTOR, min(-(-part.stop // FACTOR), n))
        for part, n in zip(box, coarse_shape(shape_out), strict=True)
    )
    if any(part.stop <= part.start for part in coarse):
        return None
    fine = tuple(slice(part.start * FACTOR, part.stop * FACTOR) for part in coarse)
    positions = _tile_positions(fine, wcs, tile_wcs)
    good = None if coverage is None else np.asarray(coverage) > 0
    layers, tensor, pull = [], 0.0, 0.0
    for channel in range(planes.shape[2]):
        image = _interpolated(planes[..., channel], good, positions)
        maps, own_tensor, own_pull = _block_maps(image, mosaic[(*fine, channel)])
        layers.append(maps)
        tensor, pull = tensor + own_tensor, pull + own_pull
    return CoarseTile(coarse, *np.swapaxes(layers, 0, 1), tensor, pull)


def pixel_noise(tile):
    """Standard deviation of the noise of one pixel, from the differences of neighbours in a row.

    Parameters
    ----------
    tile : array_like, shape (H, W) or (H, W, C)

    Returns
    -------
    ndarray, shape (C,)
        In adu, 1.4826 MAD of the differences over √2; NaN for a channel without a pair of finite
        neighbours.
    """
    planes = channels_last(tile)
    noise = np.full(planes.shape[2], np.nan)
    for channel in range(planes.shape[2]):
        plane = planes[::3, :, channel]
        steps = np.subtract(plane[:, 1:], plane[:, :-1], dtype=np.float64).ravel()
        steps = steps[np.isfinite(steps)]
        if steps.size:
            noise[channel] = _GAUSSIAN_MAD * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2)
    return noise


def _tile_positions(fine, wcs, tile_wcs):
    """(rows, columns) in the tile of every mosaic pixel of a box, from a cubic spline on a lattice."""
    knots = [np.unique(np.r_[part.start : part.stop : _LATTICE_STEP, part.stop - 1]) for part in fine]
    pixels = [np.arange(part.start, part.stop) for part in fine]
    if all(len(axis) > 3 for axis in knots):
        rows, columns = np.meshgrid(*knots, indexing="ij")
        lattice = pixel_to_pixel(wcs, tile_wcs, columns, rows)[::-1]
        if all(np.isfinite(axis).all() for axis in lattice):
            return [RectBivariateSpline(*knots, axis)(*pixels) for axis in lattice]
    rows, columns = np.meshgrid(*pixels, indexing="ij")
    # A box that reaches beyond the sky has no position at some of its pixels; no tile is there.
    return [np.nan_to_num(axis, nan=-1e6) for axis in pixel_to_pixel(wcs, tile_wcs, columns, rows)[::-1]]


def _interpolated(plane, good, positions):
    """One channel at the positions, with a border of NaN one pixel wide."""
    plane = plane.astype(np.float32)
    if good is not None:
        plane[~good] = np.nan
    plane[~np.isfinite(plane)] = np.nan
    image = map_coordinates(plane, positions, order=1, cval=np.nan, prefilter=False, output=np.float32)
    return np.pad(image, 1, constant_values=np.nan)


def _block_maps(image, mosaic):
    """(value, dx, dy, curvature) and (tensor, pull) of one channel with a border of one pixel."""
    left, right = image[1:-1, :-2], image[1:-1, 2:]
    above, below = image[:-2, 1:-1], image[2:, 1:-1]
    centre = image[1:-1, 1:-1]
    across, down = (right - left) / 2, (below - above) / 2
    curvature = left + right + above + below - 4 * centre
    # One mask for all, so that a derivative belongs to the very pixels that are averaged.
    known = np.isfinite(curvature)
    count = _block_sum(known)
    enough = count >= _MIN_BLOCK_SHARE * FACTOR**2
    maps = []
    for layer in (centre, across, down, curvature):
        total = _block_sum(np.where(known, layer, np.float32(0)))
        maps.append(np.divide(total, count, out=np.full(count.shape, np.nan), where=enough))
    return maps, *_registration_sums(image, mosaic, enough)


def _registration_sums(image, mosaic, enough):
    """(tensor, pull) of one channel with a border of one pixel; smoothed, or noise would pass for structure."""
    image, mosaic = (gaussian_filter(layer, _SMOOTHING, truncate=2.0) for layer in (image, mosaic))
    across = (image[1:-1, 2:] - image[1:-1, :-2]) / 2
    down = (image[2:, 1:-1] - image[:-2, 1:-1]) / 2
    centre = image[1:-1, 1:-1]
    known = np.isfinite(across + down + mosaic)
    factors = [_less_block_mean(layer, known) for layer in (across, down, centre)]
    difference = np.where(known, centre - mosaic, np.float32(0))
    products = [[_block_sum(one * other) for other in factors] for one in factors]
    pull = [_block_sum(one * difference) for one in factors]
    return np.where(enough, products, 0.0), np.where(enough, pull, 0.0)


def _less_block_mean(layer, known):
    """A layer less its mean over the known pixels of each block; 0 elsewhere."""
    rows, columns = (n // FACTOR for n in layer.shape)
    blocks = np.where(known, layer, np.float32(0)).reshape(rows, FACTOR, columns, FACTOR)
    inside = known.reshape(blocks.shape)
    mean = blocks.sum(axis=(1, 3), keepdims=True) / np.maximum(inside.sum(axis=(1, 3), keepdims=True), 1)
    return np.where(inside, blocks - mean, np.float32(0)).reshape(layer.shape).astype(np.float32)


def _block_sum(image):
    rows, columns = (n // FACTOR for n in image.shape)
    return image.reshape(rows, FACTOR, columns, FACTOR).sum(axis=(1, 3), dtype=np.float64)
