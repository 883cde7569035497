"""Tiles on the mosaic's grid, averaged over blocks after they were interpolated at full resolution.

For a verdict the order matters: a tile that is averaged before it is interpolated differs from
the mosaic by the structure inside a block even where nothing is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..tiles.planes import channels_last
from .median import median_of_known
from .robust import GAUSSIAN_MAD

FACTOR = 8
# First and last row, or none, of an image with a border that lie above, first, last and below in its blocks.
_EDGES = (0, -2), (1, -1), (FACTOR, -1), (FACTOR + 1, None)
_BAND = 4 * FACTOR
_MIN_BLOCK_SHARE = 0.75
_LARGEST = 1e38
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
        How much of each block the tile has, from 0 to 1; of its outermost pixels derivatives are not known.
    """

    box: tuple[slice, slice]
    value: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    curvature: np.ndarray
    share: np.ndarray

    @property
    def footprint(self):
        """Box, and how much of each block all channels know, shape (h, w)."""
        return self.box, self.share.min(axis=0)

    def centres(self):
        """Where the columns and the rows of blocks have their middles, in pixels of the mosaic: (x, y)."""
        return tuple(FACTOR * (np.arange(part.start, part.stop) + 0.5) - 0.5 for part in self.box[::-1])

    def extent(self):
        """Outer edges of the blocks of which something is known, first and last (x, y), in pixels of the mosaic."""
        filled, edges = np.isfinite(self.value).any(axis=0), []
        for part, along in zip(self.box[::-1], (0, 1), strict=True):
            known = np.flatnonzero(filled.any(axis=along))
            edges.append((part.start + known[0], part.start + known[-1] + 1) if known.size else (0, 0))
        return FACTOR * np.transpose(edges) - 0.5


def in_box(values, box, other):
    """Values of a box of blocks, shape (C, h, w), in another box of the same grid; NaN beyond the first."""
    if box == other:
        return values
    found = np.full((len(values), *(part.stop - part.start for part in other)), np.nan)
    both = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, other, strict=True)]
    if all(part.stop > part.start for part in both):
        here, there = (
            (slice(None), *(slice(a.start - b.start, a.stop - b.start) for a, b in zip(both, own, strict=True)))
            for own in (other, box)
        )
        found[here] = values[there]
    return found


def coarse_shape(shape_out):
    """(h, w) of the coarse grid of a mosaic of shape (H, W)."""
    return tuple(int(n) // FACTOR for n in shape_out)


def project_blocks(tile, place, flat=None):
    """Interpolate a tile onto the mosaic's pixels, as the coadd does, and average it over blocks.

    Parameters
    ----------
    tile : Tile
        Pixels where its coverage is not positive are left out.
    place : Place or None
        Place of the tile in the mosaic.
    flat : list of ndarray, optional
        `flat_planes` of the tile, where they were made before.

    Returns
    -------
    CoarseTile or None
        None where the tile does not reach one whole block of the mosaic.
    """
    if place is None:
        return None
    coarse = tuple(
        slice(part.start // FACTOR, min(-(-part.stop // FACTOR), n))
        for part, n in zip(place.box, coarse_shape(place.shape_out), strict=True)
    )
    if any(part.stop <= part.start for part in coarse):
        return None
    images = _interpolate(flat_planes(tile) if flat is None else flat, place, coarse)
    maps = np.swapaxes([_block_maps(image) for image in images], 0, 1)
    return CoarseTile(coarse, *maps)


def pixel_noise(tile, coverage=None):
    """Standard deviation of the noise of one pixel, from the differences of neighbours in a row.

    Parameters
    ----------
    tile : array_like, shape (H, W) or (H, W, C)
    coverage : array_like, shape (H, W), optional
        Pixels where it is not positive are left out.

    Returns
    -------
    ndarray, shape (C,)
        In adu, 1.4826 MAD of the differences over √2, of those that are not 0 where most are: a part that holds one
        value is no sky. NaN for a channel without a pair of finite neighbours, 0 where all are equal.
    """
    planes = channels_last(tile)
    noise = np.full(planes.shape[2], np.nan)
    # Enough of them for one per cent of it; at least every third row, so that they are independent.
    some = slice(None, None, max(3, planes[..., 0].size // _NOISE_PIXELS))
    # In single precision where that holds the pixels: what differences of neighbours lose is far below the noise.
    rows = planes[some].astype(np.result_type(planes.dtype, np.float32))
    if coverage is not None:
        rows[np.asarray(coverage)[some] <= 0] = np.nan
    all_steps = rows[:, 1:] - rows[:, :-1]
    for channel in range(planes.shape[2]):
        steps = all_steps[..., channel].ravel()
        steps = steps[np.isfinite(steps)]
        if 2 * np.count_nonzero(steps) < steps.size and steps.any():
            steps = steps[steps != 0]
        if steps.size:
            noise[channel] = GAUSSIAN_MAD / np.sqrt(2) * float(median_of_known(np.abs(steps - median_of_known(steps))))
    return noise


def flat_planes(tile):
    """Channels of a tile as flat float32 arrays, as the coadd has them; NaN where not good."""
    planes = channels_last(tile.pixels)
    bad = None if tile.coverage is None else (np.asarray(tile.coverage) <= 0).ravel()
    flat = []
    for channel in range(planes.shape[2]):
        plane = planes[..., channel].astype(np.float32).ravel()
        # No sky, and the difference of two of them would be none of the numbers that float32 has.
        if np.fmax.reduce(plane, initial=0) > _LARGEST or np.fmin.reduce(plane, initial=0) < -_LARGEST:
            plane[np.abs(plane) > _LARGEST] = np.nan
        if bad is not None:
            plane[bad] = np.nan
        flat.append(plane)
    return flat


def _interpolate(planes, place, coarse):
    """Channels at the mosaic's pixels of coarse blocks, float32, with a border of NaN one pixel wide.

    Bilinear, all channels at once: which pixels of the tile are around one of the mosaic is the same for all.
    """
    height, width = place.shape
    rows, columns = (np.arange(part.start * FACTOR, part.stop * FACTOR) for part in coarse)
    images = [np.full((len(rows) + 2, len(columns) + 2), np.nan, dtype=np.float32) for _ in planes]
    if min(height, width) < 2:
        return images
    positions = place.positions(rows, columns)
    scratch = np.empty((4, _BAND * len(columns)), dtype=np.float32)
    # Band by band, so that all that is made on the way stays in the cache.
    for band in (slice(top, top + _BAND) for top in range(0, len(rows), _BAND)):
        y, x = positions(band)
        inside = (y >= 0) & (y <= height - 1)
        inside &= (x >= 0) & (x <= width - 1)
        reached = np.flatnonzero(inside.any(axis=0))
        if not reached.size:
            continue
        part = slice(reached[0], reached[-1] + 1)
        first, down, across = _corners(y[:, part], x[:, part], place.shape)
        # Positions outside of the tile lead anywhere.
        across[~inside[:, part]] = np.nan
        corners = scratch[:, : first.size].reshape(4, *first.shape)
        for plane, image in zip(planes, images, strict=True):
            for ahead, corner in zip((0, 1, width, width + 1), corners, strict=True):
                plane[ahead:].take(first, mode="clip", out=corner)
            # By differences: what is the same all around a position is the same at it, to the bit.
            for near, far in (corners[:2], corners[2:]):
                far -= near
                far *= across
                near += far
            upper, lower = corners[::2]
            lower -= upper
            lower *= down
            np.add(upper, lower, out=image[1:-1, 1:-1][band, part])
    return images


def _corners(y, x, shape):
    """Number of the first of the four pixels around each position, row by row, and how far behind it that lies."""
    first = np.minimum(np.floor(y), shape[0] - 2)
    left = np.minimum(np.floor(x), shape[1] - 2)
    down, across = (y - first).astype(np.float32), (x - left).astype(np.float32)
    first *= shape[1]
    first += left
    return first.astype(np.intp), down, across


def _block_maps(image):
    """Block means (value, dx, dy, curvature) and known share of a channel with a border of one pixel."""
    down, across = ((n - 2) // FACTOR for n in image.shape)
    maps = np.zeros((5, down, across))
    lines = np.add.reduce(image[1:-1].reshape(down, FACTOR, -1), axis=1, dtype=np.float64)
    maps[0] = _sums(lines[:, 1:-1])
    # Sums of differences between neighbours: all but those at the edges of a block cancel.
    before, first = lines[:, :-2:FACTOR], lines[:, 1:-1:FACTOR]
    last, after = lines[:, FACTOR:-1:FACTOR], lines[:, FACTOR + 1 :: FACTOR]
    above, top, bottom, below = (_sums(image[start:stop:FACTOR, 1:-1]) for start, stop in _EDGES)
    np.subtract(after + last, first + before, out=maps[1])
    np.subtract(below + bottom, top + above, out=maps[2])
    np.add((after - last) - (first - before), (below - bottom) - (top - above), out=maps[3])
    maps[:4] /= FACTOR**2
    maps[4] = 1.0
    ragged = np.nonzero(np.isnan(maps[:4].sum(axis=0)))
    windows = sliding_window_view(image, (FACTOR + 2, FACTOR + 2))[::FACTOR, ::FACTOR]
    maps[(slice(None), *ragged)] = _average_ragged(windows[ragged])
    # One value all over is a filled or clipped part: without noise, it would outweigh everything that is sky.
    maps[0][~maps[1:4].any(axis=0)] = np.nan
    maps[1:3] /= 2
    return maps


def _sums(rows):
    """Sums along rows over the width of each block."""
    return rows.astype(np.float64).reshape(len(rows), -1, FACTOR) @ np.ones(FACTOR)


def _average_ragged(windows):
    """Means of value, right − left, below − above and curvature, and share, of blocks with a border of one pixel.

    Parameters
    ----------
    windows : ndarray, shape (n, FACTOR + 2, FACTOR + 2)

    Returns
    -------
    ndarray, shape (5, n)
        NaN, but for the share, where less than three quarters are known.
    """
    means = np.full((5, len(windows)), np.nan)
    means[4] = 0.0
    touched = np.flatnonzero(~np.isnan(windows).all(axis=(1, 2)))
    windows = windows[touched]
    centre = windows[:, 1:-1, 1:-1]
    left, right = windows[:, 1:-1, :-2], windows[:, 1:-1, 2:]
    above, below = windows[:, :-2, 1:-1], windows[:, 2:, 1:-1]
    curvature = left + right + above + below - 4 * centre
    # One mask for the derivatives. Value and share are of all pixels that are there: a footprint ends where they do,
    # and a mean without those whose neighbours are missing is another one where a star is.
    there, known = ~np.isnan(centre), ~np.isnan(curvature)
    means[4, touched] = np.count_nonzero(there, axis=(1, 2)) / FACTOR**2
    enough = np.flatnonzero(np.count_nonzero(known, axis=(1, 2)) >= _MIN_BLOCK_SHARE * FACTOR**2)
    # Pixels side by side: numpy is slow at short last axes.
    masks = np.stack([there, known, known, known])[:, enough].reshape(4, len(enough), FACTOR**2)
    layers = np.stack([layer[enough] for layer in (centre, right - left, below - above, curvature)])
    total = np.where(masks, layers.reshape(masks.shape), 0).sum(axis=2, dtype=np.float64)
    means[:4, touched[enough]] = total / np.count_nonzero(masks, axis=2)
    return means
