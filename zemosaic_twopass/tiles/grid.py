"""Pixel grids: the WCS of blocks, how pixels of one lie in another, and the box a tile fills."""

from __future__ import annotations

import copy

import numpy as np
from astropy.wcs import WCS, DistortionLookupTable, Sip
from astropy.wcs.utils import pixel_to_pixel, wcs_to_celestial_frame

from ..guard import take_turn

# Cells a side of the lattice that finds the box of a tile; points a side of an outline.
_LATTICE_CELLS, _OUTLINE_STEPS = 64, 8


def copy_wcs(wcs):
    """A WCS of one's own: two threads that use one at a time get wrong positions in older astropy."""
    # What astropy keeps of coordinate classes takes ten times as long to copy as all else, and is made where asked for.
    kept = getattr(wcs, "_components_and_classes_cache", None)
    with take_turn():
        return copy.deepcopy(wcs, {id(kept): None})


def pixels_between(wcs, wcs_out, x, y):
    """Where pixels of one WCS lie in another: `astropy.wcs.utils.pixel_to_pixel` by the shortest way.

    Parameters
    ----------
    wcs, wcs_out : astropy.wcs.WCS
        Celestial.
    x, y : array_like
        Pixels of `wcs`, 0-based.

    Returns
    -------
    x, y : ndarray, float64
        Pixels of `wcs_out`, NaN where there is none; to the bit as `pixel_to_pixel` for two ICRS WCS.
    """
    if _is_icrs(wcs) and _is_icrs(wcs_out):
        sky = _icrs_degrees(wcs, x, y)
        if sky is not None:
            x, y = wcs_out.world_to_pixel_values(*sky)
            return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    # `pixel_to_pixel` takes arrays alone where the frames differ.
    x, y = pixel_to_pixel(wcs, wcs_out, np.asarray(x), np.asarray(y))
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def _is_icrs(wcs):
    """Whether the world axes of a WCS are right ascension and declination in the ICRS, in degrees."""
    if not isinstance(wcs, WCS):
        return False
    return wcs.naxis == 2 and (wcs.wcs.lng, wcs.wcs.lat) == (0, 1) and wcs_to_celestial_frame(wcs).name == "icrs"


def _icrs_degrees(wcs, x, y):
    """What coordinate objects of a WCS in the ICRS would hold for pixels; None where they would wrap a longitude.

    They cost as much as the coordinates of a few thousand points more. A turn more or less is rounded.
    """
    longitude, latitude = wcs.pixel_to_world_values(x, y)
    return None if np.any((longitude < 0) | (longitude >= 360)) else (longitude, latitude)


def block_wcs(wcs, factor):
    """Celestial WCS of the grid that `blocks.block_mean` makes of an image.

    A pixel x of the image (0-based) lies at (x + 0.5) / factor − 0.5 of the block
    grid, so CRPIX' = (CRPIX − 0.5) / factor + 0.5; CD, or CDELT with PC unchanged,
    grows by `factor`; a SIP coefficient of order p + q by factor^(p + q − 1), because
    both its arguments and its result are pixels (Shupe et al. 2005, eq. 2). Lookup-table
    distortions (FITS WCS Paper IV) are rescaled alike.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Two-dimensional celestial WCS; not changed.
    factor : int
        Side of a block in pixels, at least 1.

    Returns
    -------
    astropy.wcs.WCS

    Raises
    ------
    TypeError
        If `wcs` is not an `astropy.wcs.WCS`.
    ValueError
        If it does not have exactly two pixel axes.
    """
    if not isinstance(wcs, WCS):
        raise TypeError(f"an astropy.wcs.WCS is needed, not {type(wcs).__name__}")
    if wcs.naxis != 2:
        raise ValueError(f"WCS with {wcs.naxis} pixel axes: 2 are needed")
    coarse = copy_wcs(wcs)
    coarse.wcs.crpix = (np.asarray(wcs.wcs.crpix) - 0.5) / factor + 0.5
    if coarse.wcs.has_cd():
        coarse.wcs.cd = np.asarray(wcs.wcs.cd) * factor
    else:
        coarse.wcs.cdelt = np.asarray(wcs.wcs.cdelt) * factor
    if wcs.sip is not None:
        coefficients = [_scale_sip(m, factor) for m in (wcs.sip.a, wcs.sip.b, wcs.sip.ap, wcs.sip.bp)]
        coarse.sip = Sip(*coefficients, (np.asarray(wcs.sip.crpix) - 0.5) / factor + 0.5)
    for name in ("cpdis1", "cpdis2", "det2im1", "det2im2"):
        table = getattr(wcs, name)
        if table is not None:
            setattr(coarse, name, _scale_table(table, factor))
    if wcs.array_shape is not None:
        coarse.array_shape = tuple(n // factor for n in wcs.array_shape)
    coarse.wcs.set()
    return coarse


def _scale_sip(matrix, factor):
    if matrix is None:
        return None
    order_x, order_y = np.indices(matrix.shape)
    return matrix * float(factor) ** (order_x + order_y - 1)


def _scale_table(table, factor):
    data = (np.asarray(table.data) / factor).astype(np.float32)
    crval = (np.asarray(table.crval) - 0.5) / factor + 0.5
    return DistortionLookupTable(data, tuple(table.crpix), tuple(crval), tuple(np.asarray(table.cdelt) / factor))


def pixel_box(shape, wcs, wcs_out, shape_out):
    """Part of an output grid that an image can reach, as slices.

    The image is sampled on a lattice that includes its outer pixel edges. The box holds every
    sample, and on each side as much again as the longest step between neighbours: what
    lies between two samples cannot stray further than that, and an image that holds a pole or
    straddles the RA seam gets a box as wide as it must be.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the image.
    wcs, wcs_out : astropy.wcs.WCS
        Celestial WCS of the image and of the output grid.
    shape_out : tuple of int
        (H, W) of the output grid.

    Returns
    -------
    tuple of slice or None
        (rows, columns) inside `shape_out`; None where the image misses the grid or is
        empty; the whole grid where a sample has no position in it.
    """
    if min(shape) < 1:
        return None
    y, x = np.meshgrid(*(np.linspace(-0.5, n - 0.5, min(n, _LATTICE_CELLS) + 1) for n in shape), indexing="ij")
    x_out, y_out = pixels_between(wcs, wcs_out, x, y)
    if not (np.isfinite(x_out).all() and np.isfinite(y_out).all()):
        return tuple(slice(0, n) for n in shape_out)
    box = []
    for position, size in zip((y_out, x_out), shape_out, strict=True):
        step = max(np.abs(np.diff(position, axis=axis)).max() for axis in (0, 1))
        start = max(0, int(np.floor(position.min() - step)))
        stop = min(size, int(np.ceil(position.max() + step)) + 1)
        if stop <= start:
            return None
        box.append(slice(start, stop))
    return tuple(box)


def common_part(box, other):
    """The common part of two boxes, as slices into each.

    Parameters
    ----------
    box, other : tuple of slice
        (rows, columns) in the same grid, with start and stop.

    Returns
    -------
    (tuple of slice, tuple of slice) or None
        None where there is none.
    """
    parts = []
    for a, b in zip(box, other, strict=True):
        start, stop = max(a.start, b.start), min(a.stop, b.stop)
        if stop <= start:
            return None
        parts.append((slice(start - a.start, stop - a.start), slice(start - b.start, stop - b.start)))
    return tuple(part[0] for part in parts), tuple(part[1] for part in parts)


def tile_outline(shape, wcs):
    """Sky positions along the outer edge of an image, where its outermost pixels end.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the image, in pixels.
    wcs : astropy.wcs.WCS
        Celestial WCS of the image.

    Returns
    -------
    ndarray, shape (32, 2), float64
        ICRS right ascension and declination in degrees, once round from the first pixel along the
        first row; every eighth is a corner. NaN where the WCS has no position; for an image
        without pixels the edge of nothing, a single point.
    """
    height, width = shape
    ahead = np.arange(_OUTLINE_STEPS) / _OUTLINE_STEPS
    none, full = np.zeros(_OUTLINE_STEPS), np.ones(_OUTLINE_STEPS)
    x = np.concatenate((ahead, full, 1 - ahead, none)) * width - 0.5
    y = np.concatenate((none, ahead, full, 1 - ahead)) * height - 0.5
    sky = _icrs_degrees(wcs, x, y) if _is_icrs(wcs) else None
    if sky is None:
        sky = wcs.pixel_to_world(x, y).icrs
        sky = sky.ra.deg, sky.dec.deg
    return np.column_stack(sky)
