"""What `reproject_and_coadd` makes of tiles, levels matched, with the positions kept: for scenes made over and over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from reproject.mosaicking import find_optimal_celestial_wcs
from scipy.ndimage import map_coordinates

from ..tiles.grid import pixel_box

_LATTICE = 6
_TOLERANCE_PX = 1e-6
_THIN = 4


def homography(wcs, wcs_out, shape):
    """The projective map from the pixels of one gnomonic WCS to those of another.

    Both project from the centre of the sphere onto a plane, so straight lines stay straight and eight
    numbers are the whole map (Hartley & Zisserman 2004, section 4.1), at a small part of the cost of a WCS a pixel.

    Parameters
    ----------
    wcs, wcs_out : astropy.wcs.WCS
    shape : tuple of int
        (H, W) of the pixels of `wcs` that matter.

    Returns
    -------
    ndarray, shape (3, 3), float64
        From (x, y, 1), 0-based, to (x', y', 1) times a factor.

    Raises
    ------
    ValueError
        If it is wrong by more than 1e-6 px somewhere: a WCS is not gnomonic.
    """
    height, width = shape
    x, y = (part.ravel() for part in np.meshgrid(*(np.linspace(0, n - 1, _LATTICE) for n in (width, height))))
    target = np.stack(pixel_to_pixel(wcs, wcs_out, x, y))
    # About their middles and in units of the size: the least squares are well conditioned then.
    scale = 0.5 * max(shape)
    into = np.array([[1, 0, -0.5 * (width - 1)], [0, 1, -0.5 * (height - 1)], [0, 0, scale]]) / scale
    middle = target.mean(axis=1)
    back = np.array([[scale, 0, middle[0]], [0, scale, middle[1]], [0, 0, 1]])
    u, v = transform(into, x, y)
    one, none = np.ones_like(u), np.zeros_like(u)
    p, q = (target - middle[:, np.newaxis]) / scale
    first = np.stack([u, v, one, none, none, none, -p * u, -p * v], axis=1)
    second = np.stack([none, none, none, u, v, one, -q * u, -q * v], axis=1)
    solution = np.linalg.lstsq(np.concatenate([first, second]), np.concatenate([p, q]), rcond=None)[0]
    matrix = back @ np.append(solution, 1.0).reshape(3, 3) @ into
    error = np.abs(transform(matrix, x, y) - target).max()
    if not error < _TOLERANCE_PX:
        raise ValueError(f"the best projective map is wrong by {error:.3g} px: both WCS must be gnomonic (TAN)")
    return matrix / matrix[2, 2]


def transform(matrix, x, y):
    """Positions (x, y) after a projective map; shape (2, …) of what x and y broadcast to, in their dtype."""
    dtype = np.result_type(x, y)
    x_part, y_part, factor = (dtype.type(a) * x + (dtype.type(b) * y + dtype.type(c)) for a, b, c in matrix)
    return np.stack([x_part / factor, y_part / factor])


@dataclass(frozen=True, eq=False)
class Place:
    """Where a tile goes.

    Attributes
    ----------
    box : tuple of slice
        (rows, columns) of the mosaic.
    positions : ndarray, shape (2, h, w)
        Row and column in the tile of every pixel of the box.
    weight : ndarray, shape (h, w)
        1 where the tile is good, by linear interpolation.
    """

    box: tuple[slice, slice]
    positions: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, coverage, wcs, out, shape):
        """Place of a tile with a coverage, shape (H, W), in a mosaic of a WCS and a shape."""
        box = pixel_box(coverage.shape, wcs, out, shape)
        rows, columns = (np.arange(part.start, part.stop, dtype=float) for part in box)
        # The map is fitted on the box itself, from its own corner on.
        corner = out.deepcopy()
        corner.wcs.crpix -= box[1].start, box[0].start
        matrix = homography(corner, wcs, (len(rows), len(columns)))
        positions = transform(matrix, columns - box[1].start, (rows - box[0].start)[:, np.newaxis])[::-1]
        good = (coverage > 0).astype(np.float32)
        return cls(box, positions, map_coordinates(good, positions, order=1, cval=0.0, prefilter=False))


@dataclass(frozen=True, eq=False)
class Grid:
    """The smallest mosaic that holds a set of tiles, and where each of them goes in it.

    Attributes
    ----------
    wcs : astropy.wcs.WCS
    shape : tuple of int
    places : list of Place
    """

    wcs: object
    shape: tuple
    places: list

    @classmethod
    def of(cls, tiles):
        """Grid of a list of Tile with coverages."""
        wcs, shape = find_optimal_celestial_wcs([(tile.coverage.shape, tile.wcs) for tile in tiles])
        return cls(wcs, shape, [Place.of(tile.coverage, tile.wcs, wcs, shape) for tile in tiles])


def coadd(tiles, grid=None, gains=None):
    """Mean of tiles with their levels matched, as the second pass makes it.

    Parameters
    ----------
    tiles : list of Tile
        With coverages; a pixel weighs 1 where its coverage is positive.
    grid : Grid, optional
        Made of the tiles by default.
    gains : sequence of float, optional
        That multiply the tiles on their way in; 1 by default.

    Returns
    -------
    mosaic : ndarray, shape (H, W) or (H, W, C), float32
        NaN where no tile reaches.
    coverage : ndarray, shape (H, W), float32
        Sum of the weights.
    wcs : astropy.wcs.WCS
    shape : tuple of int
        (H, W).
    """
    grid = grid or Grid.of(tiles)
    data = [tile.pixels for tile in tiles]
    if gains is not None:
        data = [plane * np.float32(gain) for plane, gain in zip(data, gains, strict=True)]
    if data[0].ndim == 2:
        return *coadd_planes(data, grid.places, grid.shape), grid.wcs, grid.shape
    channels = range(data[0].shape[2])
    mosaic = np.empty((*grid.shape, len(channels)), dtype=np.float32)
    for channel in channels:
        planes = [tile[..., channel] for tile in data]
        mosaic[..., channel], coverage = coadd_planes(planes, grid.places, grid.shape)
    return mosaic, coverage, grid.wcs, grid.shape


def coadd_planes(planes, places, shape, matched=True):
    """One channel of a coadd.

    Parameters
    ----------
    planes : list of ndarray, shape (h, w)
    places : list of Place
    shape : tuple of int
        (H, W) of the mosaic.
    matched : bool
        Bring the tiles to one level by the median differences of all pairs, as `match_background` does.

    Returns
    -------
    mosaic, coverage : ndarray, shape (H, W), float32
    """
    projected = []
    for plane, place in zip(planes, places, strict=True):
        values = map_coordinates(plane, place.positions, order=1, cval=np.nan, prefilter=False, output=np.float64)
        good = np.isfinite(values)
        projected.append((place.box, np.where(good, values, 0.0), np.where(good, place.weight, 0.0)))
    taken = _levels(_steps(projected, shape)) if matched else np.zeros(len(planes))
    total, weights = np.zeros(shape), np.zeros(shape)
    for (box, values, weight), correction in zip(projected, taken, strict=True):
        total[box] += (values - correction) * weight
        weights[box] += weight
    mosaic = np.full(shape, np.nan, dtype=np.float32)
    np.divide(total, weights, out=mosaic, where=weights > 0, casting="same_kind")
    return mosaic, weights.astype(np.float32)


def _steps(projected, shape):
    """Median difference of every pair of tiles, from every fourth row and column; NaN where they do not meet."""
    canvas = []
    for box, values, weight in projected:
        full = np.full(tuple(-(-n // _THIN) for n in shape), np.nan, dtype=np.float32)
        start = [-part.start % _THIN for part in box]
        part = tuple(slice(-(-p.start // _THIN), -(-p.stop // _THIN)) for p in box)
        full[part] = np.where(weight > 0, values, np.nan)[start[0] :: _THIN, start[1] :: _THIN]
        canvas.append((part, full))
    count = len(projected)
    steps = np.full((count, count), np.nan)
    for i in range(count):
        part, one = canvas[i]
        for j in range(i + 1, count):
            difference = one[part] - canvas[j][1][part]
            known = difference[np.isfinite(difference)]
            if known.size:
                steps[i, j] = np.median(known)
                steps[j, i] = -steps[i, j]
    return steps


def _levels(steps):
    """Levels whose differences are closest to the steps, NaN where two tiles do not meet; their mean is 0."""
    count = len(steps)
    first, second = np.nonzero(np.isfinite(steps))
    design = np.zeros((len(first) + 1, count))
    design[np.arange(len(first)), first] = 1
    design[np.arange(len(first)), second] = -1
    design[-1] = 1
    return np.linalg.lstsq(design, np.append(steps[first, second], 0.0), rcond=None)[0]
