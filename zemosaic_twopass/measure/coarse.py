"""Tiles on the mosaic's grid, averaged over blocks after they were interpolated at full resolution.

For a verdict the order matters: a tile that is averaged before it is interpolated differs from
the mosaic by the structure inside a block even where nothing is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import map_coordinates

from ..tiles.grid import block_sum, pixel_box
from ..tiles.planes import channels_last

FACTOR = 8
_LATTICE_STEP = 16
_MIN_BLOCK_SHARE = 0.75
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
        Block means in adu; NaN where less than three quarters of a block are known, or all of it is one value.
    dx, dy : ndarray, shape (C, h, w)
        Block means of the derivative along columns and rows in adu per mosaic pixel; a shift of the
        image changes `value` by these to first order, whatever the structure inside a block.
    curvature : ndarray, shape (C, h, w)
        Block means of the Laplacian in adu per mosaic pixel².
    share : ndarray, shape (C, h, w)
        How much of each block is known, from 0 to 1.
    """

    box: tuple[slice, slice]
    value: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    curvature: np.ndarray
    share: np.ndarray


def coarse_shape(shape_out):
    """(h, w) of the coarse grid of a mosaic of shape (H, W)."""
    return tuple(int(n) // FACTOR for n in shape_out)


def project_blocks(tile, wcs, shape_out):
    """Interpolate a tile onto the mosaic's pixels, as the coadd does, and average it over blocks.

    Parameters
    ----------
    tile : Tile
        Pixels where its coverage is not positive are left out.
    wcs : astropy.wcs.WCS
        Celestial WCS of the mosaic.
    shape_out : tuple of int
        (H, W) of the mosaic.

    Returns
    -------
    CoarseTile or None
        None where the tile does not reach one whole block of the mosaic.
    """
    planes = channels_last(tile.pixels)
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
    return CoarseTile(coarse, *maps)


def pixel_noise(tile):
    """Standard deviation of the noise of one pixel, from the differences of neighbours in a row.

    Parameters
    ----------
    tile : array_like, shape (H, W) or (H, W, C)

    Returns
    -------
    ndarray, shape (C,)
        In adu, 1.4826 MAD of the differences over √2, of those that are not 0 where most are: a part that holds one
        value is no sky. NaN for a channel without a pair of finite neighbours, 0 where all are equal.
    """
    planes = channels_last(tile)
    noise = np.full(planes.shape[2], np.nan)
    for channel in range(planes.shape[2]):
        # Enough of them for one per cent of it; at least every third row, so that they are independent.
        plane = planes[:: max(3, planes[..., 0].size // _NOISE_PIXELS), :, channel]
        steps = np.subtract(plane[:, 1:], plane[:, :-1], dtype=np.float64).ravel()
        steps = steps[np.isfinite(steps)]
        if 2 * np.count_nonzero(steps) < steps.size and steps.any():
            steps = steps[steps != 0]
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
    """Block means (value, dx, dy, curvature) and known share of a channel with a border of one pixel."""
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
    maps = np.full((5, *count.shape), np.nan)
    maps[4] = count / FACTOR**2
    for out, layer in zip(maps[:4], (centre.copy(), right - left, below - above, curvature), strict=True):
        layer[unknown] = 0
        np.divide(block_sum(layer, FACTOR), count, out=out, where=enough)
    # One value all over is a filled or clipped part: without noise, it would outweigh everything that is sky.
    maps[0][~maps[1:4].any(axis=0)] = np.nan
    maps[1:3] /= 2
    return maps
