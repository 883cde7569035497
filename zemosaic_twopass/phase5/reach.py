"""Where a tile's mask reaches the mosaic, found from the exact positions of few pixels."""

from __future__ import annotations

import numpy as np
from astropy.wcs.wcsapi import SlicedLowLevelWCS
from reproject import reproject_interp

from .interpolate import interpolate
from .positions import find_projective_map, round_trips

# Pixels that are looked at at a time, to bound the memory.
_BAND_PIXELS = 1 << 16
# Some of the pixels around a position are good, or all are; else none.
_SOME, _ALL = 1, 2
# Around a tile: of what lies further out no pixel of the tile is a neighbour.
_MARGIN = 2


def find_reached(mask, wcs, wcs_out, box, threshold):
    """Where `reproject_interp` makes more than a threshold of a mask.

    Between gnomonic projections few pixels need an exact position for that: what is interpolated from values that all
    exceed the threshold does too, and from values none of which does, does not. Only those at the edges of what exceeds
    it are interpolated.

    Parameters
    ----------
    mask : ndarray, shape (h, w), float32
        Finite.
    wcs, wcs_out : astropy.wcs.WCS
        The WCS of the mask and that of the mosaic.
    box : tuple of slice
        (rows, columns) in the mosaic, with start and stop; at least one pixel.
    threshold : float
        Positive, and far from any float32 by the rounding of a double.

    Returns
    -------
    ndarray of bool, of the box's shape
        False outside of the mask.
    """
    size = tuple(part.stop - part.start for part in box)
    matrix = find_projective_map(wcs, wcs_out, box) if round_trips(wcs, wcs_out, box) else None
    if matrix is None:
        # A sliced WCS, not a cropped one: the pixel positions stay those of the whole mosaic to the bit.
        part = SlicedLowLevelWCS(wcs_out, box)
        return reproject_interp((mask, wcs), part, shape_out=size, return_footprint=False) > threshold
    # In double precision, as the interpolated values are compared, and with no copy of the mask.
    good = np.greater(mask, threshold, signature="dd->?")
    classes = _classify_around(good, matrix, size)
    found = classes == _ALL
    unsure = np.flatnonzero(classes == _SOME)
    if len(unsure):

        def pixels(x, y):
            row, column = np.divmod(unsure[x.astype(np.intp)], size[1])
            return column + float(box[1].start), row + float(box[0].start)

        found.put(unsure, interpolate(mask, wcs, wcs_out, pixels, (1, len(unsure))) > threshold)
    return found


def _classify_around(good, matrix, size):
    """Whether none, some or all of the 3 × 3 pixels around each position are good; ndarray of uint8 of a size.

    The four pixels from which a value is interpolated are among these nine, also if the position is wrong by nearly
    half a pixel. What lies outside is not good: around one of the outermost pixels some are at most, so that whether a
    position lies inside is asked of no pixel that is sure.
    """
    around = np.pad(good, _MARGIN + 1)
    some, every = (
        operation.reduce([row[:, :-2], row[:, 1:-1], row[:, 2:]])
        for operation in (np.logical_or, np.logical_and)
        for row in [operation.reduce([around[:-2], around[1:-1], around[2:]])]
    )
    classes = some.astype(np.uint8) + every
    found = np.empty(size, dtype=np.uint8)
    columns = np.arange(size[1], dtype=np.float64)
    # Band by band: the temporaries stay in the cache.
    band = max(1, _BAND_PIXELS // size[1])
    for top in range(0, size[0], band):
        rows = np.arange(top, min(top + band, size[0]), dtype=np.float64)[:, np.newaxis]
        *position, scale = (a * rows + (b * columns + c) for a, b, c in matrix)
        for part, n in zip(position, classes.shape, strict=True):
            part /= scale
            part += _MARGIN
            np.clip(np.rint(part, out=part), 0, n - 1, out=part)
        row, column = position
        row *= classes.shape[1]
        row += column
        classes.take(row.astype(np.intp), out=found[top : top + band], mode="clip")
    return found
