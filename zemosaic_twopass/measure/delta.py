"""The inter-tile delta map: how far each tile stands from a reference mosaic, at low resolution."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from scipy.ndimage import map_coordinates

from ..tiles.blocks import block_mean
from ..tiles.grid import block_wcs
from ..tiles.place import Place
from ..tiles.records import TileList


@dataclass(frozen=True, eq=False)
class DeltaMap:
    """Tiles against a reference, on a grid `downsample` times coarser than the mosaic.

    Attributes
    ----------
    delta : ndarray, shape (h, w), float32
        Mean over the tiles of \\|tile − reference\\| in adu; 0 where `count` is 0.
    signed : ndarray, shape (h, w), float32
        Mean over the tiles of tile − reference in adu; 0 where `count` is 0.
    count : ndarray of int, shape (h, w)
        Number of tiles that were compared there.
    worst : ndarray of int, shape (h, w)
        Index of the tile with the largest \\|tile − reference\\|, the first of equals; −1 where
        `count` is 0.
    wcs : astropy.wcs.WCS
        Celestial WCS of the coarse grid.
    downsample : int
        Side of a coarse pixel in pixels of the mosaic.
    reference : {"first_pass", "tiles"}
        What the tiles were compared with: the first-pass mosaic or the tiles' own coadd.
    tile_medians : tuple of float
        Median of tile − reference for each tile in adu; NaN for a tile compared nowhere. Where the
        reference is the mean of the n tiles themselves, each against the mean of the other n − 1.
    furthest : ndarray, shape (h, w), float32, or None
        tile − reference in adu of that tile there which is furthest from the reference as a whole (median of
        \\|tile − reference\\|), so that a tile that stands out shows in full; NaN where `count` is 0. None in a map
        that was made of means alone.
    """

    delta: np.ndarray
    signed: np.ndarray
    count: np.ndarray
    worst: np.ndarray
    wcs: WCS
    downsample: int
    reference: str
    tile_medians: tuple[float, ...]
    furthest: np.ndarray | None = None

    @property
    def compared(self):
        """`delta` where a tile was compared, flattened; empty where none was."""
        return self.delta[self.count > 0]


@dataclass(frozen=True, eq=False)
class CoarseGrid:
    """Grid of a delta map.

    Attributes
    ----------
    wcs : astropy.wcs.WCS
        Celestial WCS of the grid.
    shape : tuple of int
        (h, w) = (H // downsample, W // downsample).
    downsample : int
        Side of a grid pixel in pixels of the mosaic.
    shape_out : tuple of int
        (H, W) of the mosaic.
    """

    wcs: WCS
    shape: tuple[int, int]
    downsample: int
    shape_out: tuple[int, int]

    @classmethod
    def of(cls, wcs, shape_out, downsample):
        """The grid `downsample` times coarser than a mosaic.

        Raises
        ------
        ValueError
            If `shape_out` does not have two sizes or a block is larger than the mosaic.
        TypeError
            If `downsample` is not an integer or `wcs` not an `astropy.wcs.WCS`.
        """
        shape_out = tuple(int(n) for n in shape_out)
        downsample = operator.index(downsample)
        if len(shape_out) != 2:
            raise ValueError(f"shape_out {shape_out}: 2 sizes are needed, not {len(shape_out)}")
        if not 1 <= downsample <= min(shape_out):
            raise ValueError(f"downsample {downsample} does not fit shape_out {shape_out}")
        shape = tuple(n // downsample for n in shape_out)
        return cls(block_wcs(wcs, downsample), shape, downsample, shape_out)

    def average(self, mosaic, coverage=None):
        """Block means of a mosaic on this grid, where covered; `ValueError` if a shape is not `shape_out`."""
        if np.shape(mosaic)[:2] != self.shape_out:
            raise ValueError(f"reference shape {np.shape(mosaic)[:2]} != shape_out {self.shape_out}")
        return block_mean(mosaic, self.downsample, coverage)


def delta_map(tiles, tiles_wcs, reference, wcs, shape_out, *, downsample=8):
    """Compare every tile with a reference mosaic at low resolution.

    Both sides are averaged over blocks first and the tile's blocks are then interpolated onto the
    coarse grid, inside the tile's own box only: sampling full-resolution pixels there would
    leave the noise of single pixels in the difference.

    Parameters
    ----------
    tiles : sequence of array_like, shape (h, w) or (h, w, C)
        Tiles in adu; NaN where they hold nothing.
    tiles_wcs : sequence of astropy.wcs.WCS
        Celestial WCS of each tile.
    reference : array_like, shape (H, W) or (H, W, C), or None
        Mosaic in adu on the grid of `wcs`; NaN where it is not covered. Colour is compared as
        the mean of the channels. None compares with the mean of the tiles themselves.
    wcs : astropy.wcs.WCS
        Celestial WCS of the mosaic.
    shape_out : tuple of int
        (H, W) of the mosaic.
    downsample : int, optional
        Side of a coarse pixel in pixels of the mosaic, at least 1.

    Returns
    -------
    DeltaMap
        Arrays of shape (H // downsample, W // downsample). A coarse pixel where no tile
        and reference meet has count 0 and delta 0; so has every one when there are no tiles.

    Raises
    ------
    ValueError
        If the lists differ in length, the reference does not have the shape `shape_out`,
        or a block is larger than the mosaic.
    TypeError
        If `downsample` is not an integer or a WCS is not an `astropy.wcs.WCS`.
    """
    if len(tiles) != len(tiles_wcs):
        raise ValueError(f"{len(tiles)} tiles != {len(tiles_wcs)} WCS")
    grid = CoarseGrid.of(wcs, shape_out, downsample)
    base = None if reference is None else grid.average(reference)
    projected = [
        project_layers((tile.pixels,), tile, Place.of(tile.shape, tile.wcs, grid.shape_out, wcs), grid)[0]
        for tile in TileList(tiles, tiles_wcs)
    ]
    if reference is None:
        return compare_tiles(projected, mean_of_tiles(projected, grid), grid, "tiles")
    return compare_tiles(projected, base, grid, "first_pass")


def project_layers(layers, tile, place, grid):
    """Average images of one tile over blocks of about a coarse pixel and interpolate them onto a coarse grid.

    Where they go is worked out once for all of them.

    Parameters
    ----------
    layers : iterable of array_like, shape (h, w) or (h, w, C)
        In adu, NaN where they hold nothing; taken one at a time.
    tile : Tile
        Whose images they are. Pixels where its coverage is not positive are left out.
    place : Place or None
        Place of the tile in the mosaic.
    grid : CoarseGrid

    Returns
    -------
    list of ((tuple of slice, ndarray, float64) or None)
        For each image the tile's box in the grid and its values there, NaN outside the tile; None where
        the tile misses the grid or is smaller than one block.

    Raises
    ------
    ValueError
        If the images differ in shape, or the coverage from them.
    """
    if place is None:
        return [None for _ in layers]
    # A tile taken at another pixel scale than the mosaic's is averaged over the same piece of sky.
    scale = np.sqrt(np.prod(proj_plane_pixel_scales(place.wcs_out)) / np.prod(proj_plane_pixel_scales(place.wcs)))
    factor = max(1, round(float(grid.downsample * scale)))
    blocks = [block_mean(layer, factor, tile.coverage) for layer in layers]
    box = tuple(_centres_inside(part, grid.downsample, n) for part, n in zip(place.box, grid.shape, strict=True))
    if min(blocks[0].shape) < 1 or any(part.stop <= part.start for part in box):
        return [None] * len(blocks)
    centres = (grid.downsample * (np.arange(part.start, part.stop) + 0.5) - 0.5 for part in box)
    positions = (place.positions(*centres)(slice(None)) + 0.5) / factor - 0.5
    for position, size in zip(positions, blocks[0].shape, strict=True):
        # As `reproject_interp`: the outer half of the outermost blocks holds what their middle does.
        outside = (position < -0.5) | (position > size - 0.5)
        np.clip(position, 0, size - 1, out=position)
        position[outside] = -1
    return [(box, map_coordinates(layer, positions, order=1, cval=np.nan)) for layer in blocks]


def _centres_inside(part, factor, size):
    """Coarse pixels, of so many, whose centre is in a part of the fine grid."""
    first = -(-(2 * part.start - factor + 1) // (2 * factor))
    last = (2 * (part.stop - 1) - factor + 1) // (2 * factor)
    return slice(max(0, first), min(size, last + 1))


def mean_of_tiles(projected, grid):
    """Unweighted mean of projected tiles, shape `grid.shape`, float64; NaN where none is finite."""
    total = np.zeros(grid.shape)
    count = np.zeros(grid.shape, dtype=np.int32)
    for entry in projected:
        if entry is not None:
            box, values = entry
            finite = np.isfinite(values)
            np.add(total[box], values, out=total[box], where=finite)
            count[box] += finite
    mean = np.full(grid.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def compare_tiles(projected, base, grid, reference):
    """Delta map of projected tiles against a reference on the same grid.

    Parameters
    ----------
    projected : iterable of ((tuple of slice, ndarray) or None)
        As `project_layers` gives them.
    base : ndarray, shape `grid.shape`
        The reference in adu, NaN where it is not covered.
    grid : CoarseGrid
    reference : {"first_pass", "tiles"}
        What `base` is.

    Returns
    -------
    DeltaMap
    """
    delta = np.zeros(grid.shape)
    signed = np.zeros(grid.shape)
    count = np.zeros(grid.shape, dtype=np.int32)
    worst = np.full(grid.shape, -1, dtype=np.int32)
    largest = np.zeros(grid.shape)
    differences = []
    for index, entry in enumerate(projected):
        if entry is None:
            differences.append(None)
            continue
        box, values = entry
        difference = values - base[box]
        finite = np.isfinite(difference)
        differences.append((box, difference, finite))
        distance = np.abs(difference)
        leads = finite & ((count[box] == 0) | (distance > largest[box]))
        worst[box][leads] = index
        largest[box][leads] = distance[leads]
        count[box] += finite
        for total, part in ((delta, distance), (signed, difference)):
            np.add(total[box], part, out=total[box], where=finite)
    medians = [np.nan if entry is None else _tile_median(*entry, count, reference) for entry in differences]
    divisor = np.maximum(count, 1)
    maps = [(total / divisor).astype(np.float32) for total in (delta, signed)]
    furthest = _furthest(differences, grid.shape)
    return DeltaMap(*maps, count, worst, grid.wcs, grid.downsample, reference, tuple(medians), furthest)


def _furthest(differences, shape):
    """Differences of the tiles painted over one another, the tile furthest from the reference last."""
    painted = np.full(shape, np.nan, dtype=np.float32)
    known = [entry for entry in differences if entry is not None and entry[2].any()]
    for box, difference, finite in sorted(known, key=lambda entry: np.median(np.abs(entry[1][entry[2]]))):
        np.copyto(painted[box], difference, where=finite, casting="same_kind")
    return painted


def _tile_median(box, difference, finite, count, reference):
    """Median difference of one tile; NaN where it was compared nowhere."""
    if reference == "tiles":
        # t − mean = (t − mean of the others) (n − 1) / n: alone, a tile says nothing about itself.
        others = count[box] - 1
        finite = finite & (others > 0)
        difference = difference[finite] * (others[finite] + 1) / others[finite]
    else:
        difference = difference[finite]
    return float(np.median(difference)) if difference.size else np.nan
