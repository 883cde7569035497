"""Points of a mosaic, and what each tile holds there as the coadd's own interpolation sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tiles.planes import channels_last

_EDGE = 2


@dataclass(frozen=True, eq=False)
class TileSamples:
    """One tile at the points that lie in it.

    Attributes
    ----------
    points : ndarray of int, shape (n,)
        Which of the points.
    x, y : ndarray, shape (n,)
        Where they lie in the tile, in its pixels.
    values : ndarray, shape (n, C), float64
        Bilinear interpolation in adu.
    masked : ndarray of int
        Points that lie well inside the tile, where it holds numbers, but where its coverage says it is not good.
    doubtful : ndarray of int
        Points within 2 px of an edge of the tile, or of a bad pixel in it.
    """

    points: np.ndarray
    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    masked: np.ndarray
    doubtful: np.ndarray


def draw_points(coverage, count, rng):
    """Pixels of a mosaic drawn at random among those that are covered.

    Parameters
    ----------
    coverage : ndarray, shape (H, W)
        Covered where positive.
    count : int
        How many are wanted.
    rng : numpy.random.Generator

    Returns
    -------
    rows, columns : ndarray of int, shape (n,)
        Each pixel once at most, in order; fewer than `count` where the covered part is small.
    """
    covered = np.count_nonzero(coverage > 0)
    if covered == 0:
        return np.empty((2, 0), dtype=int)
    draws = int(1.1 * count * coverage.size / covered) + 100
    # A large mosaic that is all but empty has far fewer pixels to list than to draw.
    drawn = np.flatnonzero(coverage > 0) if covered < draws else np.unique(rng.integers(0, coverage.size, draws))
    rows, columns = np.unravel_index(drawn, coverage.shape)
    keep = np.flatnonzero(coverage[rows, columns] > 0)
    # Cut at random: the draws are in order, and a cut at the end would leave out the last rows.
    keep = np.sort(rng.permutation(keep)[:count])
    return rows[keep], columns[keep]


def sample_tile(tile, place, places):
    """What one tile holds at points of the mosaic.

    Parameters
    ----------
    tile : Tile
    place : Place or None
        Place of the tile in the mosaic.
    places : (ndarray of int, ndarray of int), shape (n,)
        Rows and columns of the points, as `draw_points` gives them.

    Returns
    -------
    TileSamples
        Empty where the tile meets none of the points.
    """
    planes, (rows, columns) = channels_last(tile.pixels), places
    height, width = planes.shape[:2]
    box = (slice(0, 0), slice(0, 0)) if place is None else place.box
    points = np.flatnonzero(
        (rows >= box[0].start) & (rows < box[0].stop) & (columns >= box[1].start) & (columns < box[1].stop)
    )
    # astropy's function fails on no points at all, as for a tile that misses the mosaic.
    x, y = place.exactly(columns[points], rows[points]) if points.size else np.empty((2, 0))
    # A comparison with NaN is false: a point beyond the sky of the tile is dropped here.
    near = (x > -1 - _EDGE) & (x < width + _EDGE) & (y > -1 - _EDGE) & (y < height + _EDGE)
    deep = (x >= _EDGE) & (x < width - 1 - _EDGE) & (y >= _EDGE) & (y < height - 1 - _EDGE)
    known, good = _surroundings(planes, tile.coverage, x[deep], y[deep])
    inside, masked = known & (good == 1), known & (good == 0)
    return TileSamples(
        points[deep][inside],
        x[deep][inside],
        y[deep][inside],
        bilinear(planes, x[deep][inside], y[deep][inside]),
        points[deep][masked],
        np.union1d(points[near & ~deep], points[deep][~inside & (good > 0)]),
    )


def bilinear(planes, x, y):
    """Bilinear interpolation of (H, W, C) at points inside; shape (n, C), float64."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = (x - left)[:, np.newaxis], (y - top)[:, np.newaxis]
    corners = (planes[top + i, left + j].astype(np.float64) for i in (0, 1) for j in (0, 1))
    a, b, c, d = corners
    return (a * (1 - u) + b * u) * (1 - v) + (c * (1 - u) + d * u) * v


def _surroundings(planes, coverage, x, y):
    """Whether all pixels within the edge are finite, and the share of those that hold anything and are good."""
    height, width, channels = planes.shape
    finite = np.isfinite(planes)
    masks = [finite[..., channel] for channel in range(channels)]
    every, usable = np.logical_and.reduce(masks), np.logical_or.reduce(masks)
    if coverage is not None:
        usable &= np.asarray(coverage) > 0
    span = np.arange(-_EDGE, _EDGE + 2)
    first = np.floor(y).astype(int) * width + np.floor(x).astype(int)
    around = first[:, np.newaxis] + (span[:, np.newaxis] * width + span).ravel()
    return every.ravel()[around].all(axis=1), np.count_nonzero(usable.ravel()[around], axis=1) / span.size**2
