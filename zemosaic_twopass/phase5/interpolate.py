"""`reproject_interp` where the positions are known to need no way back, and at pixels of one's own choice."""

from __future__ import annotations

from astropy.units import Quantity, pixel
from astropy.wcs.wcsapi import BaseLowLevelWCS
from reproject import reproject_interp

from ..tiles.grid import pixels_between


class _Positions(BaseLowLevelWCS):
    """A grid whose world is the pixels of an image: (x, y) there instead of coordinates on the sky.

    Parameters
    ----------
    project : callable
        From (x, y) in the grid to (x, y) in the image.
    """

    pixel_n_dim = world_n_dim = 2
    world_axis_physical_types = (None, None)
    world_axis_units = ("pix", "pix")
    world_axis_object_components = (("x", 0, "value"), ("y", 0, "value"))
    world_axis_object_classes = dict.fromkeys("xy", (Quantity, (), {"unit": pixel}))

    def __init__(self, project):
        self._project = project

    def pixel_to_world_values(self, x, y):
        return self._project(x, y)

    def world_to_pixel_values(self, x, y):
        # Sky coordinates are pixels of the image itself; reproject asks no grid for the way back.
        return x, y


_IMAGE = _Positions(lambda x, y: (x, y))


def interpolate(planes, wcs, wcs_out, pixels, shape):
    """What `reproject_interp` without a way back makes of planes, to the bit.

    It turns all positions on the sky into coordinate objects and those back into numbers, half of what they cost. Here
    it is given them as `pixels_between` finds them.

    Parameters
    ----------
    planes : ndarray, shape (..., h, w)
    wcs, wcs_out : astropy.wcs.WCS
        Celestial, of the planes and of the grid.
    pixels : callable
        From (x, y) in what is to come out to (x, y) in the grid.
    shape : tuple of int
        (H, W) of what is to come out.

    Returns
    -------
    ndarray, shape (..., H, W), float64
        NaN outside of the planes and where a NaN is near.
    """
    return reproject_interp(
        (planes, _IMAGE),
        _Positions(lambda x, y: pixels_between(wcs_out, wcs, *pixels(x, y))),
        shape_out=(*planes.shape[:-2], *shape),
        return_footprint=False,
        roundtrip_coords=False,
    )
