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

from ..tiles.grid import block_sum, pixel_box
from ..tiles.planes import channels_last

FACTOR = 8
_LATTICE_STEP = 16
_MIN_BLOCK_SHARE = 0.75
_SMOOTHING = 1.0
_GAUSSIAN_MAD = 1.4826
_NOISE_PIXELS = 30_000


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
        Sums over the pixels of a block of the products of derivative along columns, derivative along rows and
        value of the channels' mean, each less its mean over the block; 0 where not known.
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


def project_blocks(tile, mosaic, wcs):
    """Interpolate a tile onto the mosaic's pixels, as the coadd does, and average it over blocks.

    Parameters
    ----------
    tile : Tile
        Pixels where its coverage is not positive are left out.
    mosaic : ndarray, shape (H', W') or (H', W', C')
        A coadd, NaN where it holds nothing.
    wcs : astropy.wcs.WCS
        Celestial WCS of the mosaic.

    Returns
    -------
    CoarseTile or None
        None where the tile does not reach one whole block of the mosaic.
    """
    planes = channels_last(tile.pixels)
    shape_out = mosaic.shape[:2]
    box = pixel_box(planes.shape[:2], tile.wcs, wcs, shape_out)
    if box is None:
        return None
    coarse = tuple(
        slice(part.start // FACTOR, min(-(-part.stop // FACTOR), n))
        for part, n in zip(box, coarse_shape(shape_out), strict=True)
    )
    if any(part.stop <= part.start for part in coarse):
        return None
    fine = tuple(slice(part.start * FACTOR, part.stop * FACTOR) for part in coarse)
    positions = _tile_positions(fine, wcs, tile.wcs)
    good = None if tile.coverage is None else np.asarray(tile.coverage) > 0
    images = [_interpolated(planes[..., channel], good, positions) for channel in range(planes.shape[2])]
    maps = np.swapaxes([_block_maps(image) for image in images], 0, 1)
    known = np.isfinite(maps[0]).all(axis=0)
    # Stars are in the same place in every channel, so their mean has them with the least noise.
    return CoarseTile(
        coarse, *maps, *_registration_sums(_mean(images), _mean(np.moveaxis(channels_last(mosaic[fine]), 2, 0)), known)
    )


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
        # Enough of them for one per cent of it; at least every third row, so that they are independent.
        plane = planes[:: max(3, planes[..., 0].size // _NOISE_PIXELS), :, channel]
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
            return np.stack([RectBivariateSpline(*knots, axis)(*pixels) for axis in lattice])
    rows, columns = np.meshgrid(*pixels, indexing="ij")
    # A box that reaches beyond the sky has no position at some of its pixels; no tile is there.
    return np.nan_to_num(np.stack(pixel_to_pixel(wcs, tile_wcs, columns, rows)[::-1]), nan=-1e6)


def _mean(images):
    """Mean of images of one shape, float32 in the machine's byte order; of one such image that image itself."""
    if len(images) == 1:
        return np.asarray(images[0], dtype=np.float32)
    total = np.add(images[0], images[1], dtype=np.float32)
    for image in images[2:]:
        total += image
    return total / np.float32(len(images))


def _interpolated(plane, good, positions):
    """One channel at the positions, with a border of NaN one pixel wide."""
    plane = plane.astype(np.float32)
    bad = ~np.isfinite(plane)
    if good is not None:
        bad |= ~good
    plane[bad] = np.nan
    image = np.full([n + 2 for n in positions.shape[1:]], np.nan, dtype=np.float32)
    map_coordinates(plane, positions, order=1, cval=np.nan, prefilter=False, output=image[1:-1, 1:-1])
    return image


def _block_maps(image):
    """Block means (value, dx, dy, curvature) of one channel with a border of one pixel."""
    left, right = image[1:-1, :-2], image[1:-1, 2:]
    above, below = image[:-2, 1:-1], image[2:, 1:-1]
    centre = image[1:-1, 1:-1]
    curvature = left + right
    curvature += above
    curvature += below
    curvature -= 4 * centre
    # One mask for all, so that a derivative belongs to the very pixels that are averaged.
    unknown = np.isnan(curvature)
    count = FACTOR**2 - block_sum(unknown, FACTOR)
    enough = count >= _MIN_BLOCK_SHARE * FACTOR**2
    maps = np.full((4, *count.shape), np.nan)
    for out, layer in zip(maps, (centre.copy(), right - left, below - above, curvature), strict=True):
        layer[unknown] = 0
        np.divide(block_sum(layer, FACTOR), count, out=out, where=enough)
    maps[1:3] /= 2
    return maps


def _registration_sums(image, mosaic, enough):
    """(tensor, pull) of an image with a border of one pixel; smoothed, or noise would pass for structure."""
    image, mosaic = (gaussian_filter(layer, _SMOOTHING, truncate=2.0) for layer in (image, mosaic))
    across = (image[1:-1, 2:] - image[1:-1, :-2]) / 2
    down = (image[2:, 1:-1] - image[:-2, 1:-1]) / 2
    centre = image[1:-1, 1:-1]
    known = np.isfinite(across + down + mosaic)
    count = np.maximum(block_sum(known, FACTOR), 1)
    factors = [_less_block_mean(layer, known, count) for layer in (across, down, centre)]
    difference = np.where(known, centre - mosaic, np.float32(0))
    tensor = np.zeros((3, 3, *enough.shape))
    for i, one in enumerate(factors):
        for j in range(i, 3):
            tensor[i, j] = tensor[j, i] = block_sum(one * factors[j], FACTOR)
    pull = np.stack([block_sum(one * difference, FACTOR) for one in factors])
    return np.where(enough, tensor, 0.0), np.where(enough, pull, 0.0)


def _less_block_mean(layer, known, count):
    """A layer less its mean over the known pixels of each block; 0 elsewhere."""
    layer = np.where(known, layer, np.float32(0))
    mean = (block_sum(layer, FACTOR) / count).astype(np.float32)
    rows, columns = mean.shape
    layer.reshape(rows, FACTOR, columns, FACTOR)[...] -= mean[:, np.newaxis, :, np.newaxis]
    layer *= known
    return layer
