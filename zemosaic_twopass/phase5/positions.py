"""What is known of the positions of a mosaic's pixels in a tile before they are computed."""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS

from ..tiles.grid import pixels_between

# Pixels that a corner may come back beside its place: far above rounding, far below what the far side of the sky makes.
_TOLERANCE_PX = 1e-2
# Points a side that the projective map is made from and tried at.
_SAMPLES = 6
# Pixels that a projective map may be off at these points, to stand in for the exact one.
_PROJECTIVE_PX = 1e-2


def round_trips(wcs, wcs_out, box):
    """Whether all pixels of a box go from a mosaic to a tile and back to where they came from, by proof.

    `reproject_interp` goes back with every pixel, half of its cost, because the far side of the sky has a place in
    a projection too. Between two gnomonic projections what lies on the near side is a half-plane of the mosaic
    (each is a central projection of the sphere on a plane): where the corners of a box come back, so does all of it.

    Parameters
    ----------
    wcs, wcs_out : astropy.wcs.WCS
        The WCS of the tile and that of the mosaic.
    box : tuple of slice
        (rows, columns) in the mosaic, with start and stop.

    Returns
    -------
    bool
        False also where it is not known: another projection, distortions, a corner without a position, no pixel.
    """
    if not (_is_gnomonic(wcs) and _is_gnomonic(wcs_out)):
        return False
    y, x = (part.ravel() for part in np.meshgrid(*((side.start, side.stop - 1.0) for side in box), indexing="ij"))
    back = pixels_between(wcs, wcs_out, *pixels_between(wcs_out, wcs, x, y))
    return bool(np.all(np.abs(np.subtract(back, (x, y))) < _TOLERANCE_PX))


def find_projective_map(wcs, wcs_out, box):
    """The projective map from a mosaic to a tile, where `round_trips` holds.

    Between two gnomonic projections there is one, however the sphere is turned from one frame to the other. It is
    fitted to 6 × 6 pixels of the box and held against them.

    Parameters
    ----------
    wcs, wcs_out : astropy.wcs.WCS
        The WCS of the tile and that of the mosaic.
    box : tuple of slice
        (rows, columns) in the mosaic, with start and stop.

    Returns
    -------
    ndarray, shape (3, 3), float64, or None
        From (row, column, 1), counted from the box's first pixel, to a multiple of (row, column, 1) in the tile; None
        where it strays from the WCS by more than 0.01 px, and where positions are bounded.
    """
    if wcs.pixel_bounds is not None or wcs_out.pixel_bounds is not None:
        # Newer astropy has no positions beyond them.
        return None
    sizes = [side.stop - side.start for side in box]
    rows, columns = (part.ravel() for part in np.meshgrid(*(np.linspace(0, n - 1, _SAMPLES) for n in sizes)))
    found = np.stack(pixels_between(wcs_out, wcs, columns + box[1].start, rows + box[0].start)[::-1])
    # In units in which all numbers are near 1: in pixels the denominator would hardly count.
    unit, unit_out = max(1.0, np.abs(found).max()), max(sizes)
    design = np.stack([rows / unit_out, columns / unit_out, np.ones(len(rows))])
    values = found / unit
    # value × (g row + h column + 1) = a row + b column + c, for the row in the tile and for the column.
    none = np.zeros_like(design)
    equations = np.block([[design, none], [none, design], [-values[0] * design[:2], -values[1] * design[:2]]])
    fit = np.linalg.lstsq(equations.T, values.ravel(), rcond=None)[0]
    matrix = np.append(fit, 1.0).reshape(3, 3)
    *numerators, scale = matrix @ design
    if not unit * np.abs(numerators / scale - values).max() <= _PROJECTIVE_PX:
        return None
    return np.diag([unit, unit, 1.0]) @ matrix @ np.diag([1 / unit_out, 1 / unit_out, 1.0])


def _is_gnomonic(wcs):
    if not isinstance(wcs, WCS) or wcs.naxis != 2 or wcs.has_distortion:
        return False
    return all(ctype.endswith("-TAN") for ctype in wcs.wcs.ctype)
