"""What is known of the positions of a mosaic's pixels in a tile before they are computed."""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel

_TOLERANCE_PX = 1e-2


def round_trips(wcs, wcs_out, box):
    """Whether all pixels of a box go from a mosaic to a tile and back to where they came from, by proof.

    `reproject_interp` goes back with every pixel, half of its cost, because the far side of the sky has a place in
    a projection too. Between two gnomonic projections what lies on the near side is a half-plane of the mosaic
    (each is a central projection of the sphere on a plane): where the corners of a box come back, so does all of it.

    Parameters
    ----------
    wcs, wcs_out : astropy.wcs.WCS
        Of the tile and of the mosaic.
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
    back = pixel_to_pixel(wcs, wcs_out, *pixel_to_pixel(wcs_out, wcs, x, y))
    return bool(np.all(np.abs(np.subtract(back, (x, y))) < _TOLERANCE_PX))


def _is_gnomonic(wcs):
    if not isinstance(wcs, WCS) or wcs.naxis != 2 or wcs.has_distortion:
        return False
    return all(kind.endswith("-TAN") for kind in wcs.wcs.ctype)
