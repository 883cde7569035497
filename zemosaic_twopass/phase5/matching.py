"""Coadd with matched backgrounds that does not hold all reprojected tiles."""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS
from reproject import mosaicking

from ..tiles.grid import common_part, copy_wcs
from .coadd import ChannelPlanes
from .scratch import OnDemand


class CoaddInputs(OnDemand):
    """(plane, WCS of its own) of each tile, as `reproject_and_coadd` takes them; made when asked for.

    Parameters
    ----------
    planes : sequence of ndarray, shape (h, w)
    tiles_wcs : sequence of astropy.wcs.WCS

    Raises
    ------
    ValueError
        If they differ in length.
    """

    def __init__(self, planes, tiles_wcs):
        if len(planes) != len(tiles_wcs):
            raise ValueError(f"{len(planes)} planes != {len(tiles_wcs)} WCS")
        super().__init__(len(planes), lambda index: (planes[index], copy_wcs(tiles_wcs[index])))
        self.planes = planes


def reproject_and_coadd(inputs, output_projection, *, match_background, **kwargs):
    """`reproject.mosaicking.reproject_and_coadd`, in less memory where the planes are those of a `SharedReprojection`.

    To match backgrounds it holds plane and footprint of all tiles in double precision. Without matching it adds up
    one tile after the other. So the backgrounds are found here, from what the planes' reprojection keeps in its file,
    and taken from each tile on its way in. Every value, and what is drawn from the global generator, is the same.

    Parameters
    ----------
    inputs : CoaddInputs
    output_projection : astropy.wcs.WCS
    match_background : bool
    **kwargs
        Others of `reproject_and_coadd`, of which the combine function must be the mean or the sum.

    Returns
    -------
    mosaic, footprint : ndarray, shape (H, W), float64
    """
    planes = inputs.planes
    boxes = _boxes(inputs, output_projection, kwargs["shape_out"]) if match_background else {}
    if not boxes:
        return mosaicking.reproject_and_coadd(inputs, output_projection, match_background=match_background, **kwargs)
    shared, channel = planes.shared, planes.channel
    corrections = dict(zip(boxes, solve_backgrounds(_offsets(shared, channel)), strict=True))

    def reproject(input_data, *args, return_footprint=True, **settings):
        found = shared.reproject(input_data, *args, return_footprint=return_footprint, **settings)
        if return_footprint:
            correction = corrections[shared.find(input_data[0])[0]]
            np.subtract(found[0], correction, out=found[0], where=not np.isnan(correction))
        return found

    kwargs["reproject_function"] = reproject
    mosaic, footprint = mosaicking.reproject_and_coadd(inputs, output_projection, match_background=False, **kwargs)
    # A tile that meets no other one has no level among them: what reproject makes of it is NaN, with a footprint.
    for tile in (tile for tile, correction in corrections.items() if np.isnan(correction)):
        mosaic[boxes[tile]][shared.view_plane(tile, channel)[1]] = np.nan
    return mosaic, footprint


def _boxes(inputs, output_projection, shape):
    """Where `reproject_and_coadd` wants the tiles, (rows, columns) of the mosaic by tile, and reproject them there.

    Without those that miss the mosaic; none for planes of somebody else, or if reproject hands on copies of them.
    """
    if not isinstance(inputs.planes, ChannelPlanes):
        return {}
    shared, boxes, whole = inputs.planes.shared, {}, output_projection.wcs.crpix

    def note(input_data, *, output_projection, shape_out, **settings):
        key = shared.find(input_data[0])
        if key is not None:
            shared.prepare(key[0], input_data[1], output_projection, shape_out)
            # The part's WCS is that of the mosaic with another first pixel.
            start = np.rint(whole - output_projection.wcs.crpix).astype(int)[::-1]
            boxes[key[0]] = tuple(slice(int(a), int(a) + n) for a, n in zip(start, shape_out, strict=True))
        return np.zeros(shape_out), np.zeros(shape_out)

    with shared.lock:
        if shared.boxes is None:
            mosaicking.reproject_and_coadd(inputs, output_projection, shape_out=shape, reproject_function=note)
            shared.boxes = boxes
        return shared.boxes


def _offsets(shared, channel):
    """Median difference of each tile and each later one, shape (n, n), above the diagonal; else NaN."""
    tiles = list(shared.boxes)
    offsets = np.full((len(tiles), len(tiles)), np.nan)
    for i, one in enumerate(tiles):
        plane, good = shared.view_plane(one, channel)
        for j, other in enumerate(tiles[i + 1 :], start=i + 1):
            parts = common_part(shared.boxes[one], shared.boxes[other])
            if parts is None:
                continue
            other_plane, other_good = shared.view_plane(other, channel)
            both = good[parts[0]] & other_good[parts[1]]
            if both.any():
                values = plane[parts[0]][both]
                values -= other_plane[parts[1]][both]
                offsets[i, j] = np.median(values, overwrite_input=True)
    return offsets


def solve_backgrounds(offsets):
    """What reproject takes from each tile when it matches backgrounds with these offsets.

    Its own solver is asked, through the one door that it has: by a coadd of a single row, in which every pair of
    tiles has a pixel where the two differ by their offset, and every tile one that shows what was taken from it.

    Parameters
    ----------
    offsets : ndarray, shape (n, n)
        What each tile lies above each later one, above the diagonal; NaN where two do not meet.

    Returns
    -------
    ndarray, shape (n,)
        NaN for a tile that meets no other one; 0 for a single tile.
    """
    count = len(offsets)
    first, second = np.nonzero(np.triu(~np.isnan(offsets), 1))
    row = np.full((count, len(first) + count), np.nan)
    pairs = np.arange(len(first))
    row[first, pairs] = offsets[first, second]
    row[second, pairs] = 0
    row[np.arange(count), len(first) + np.arange(count)] = 0
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ("RA---TAN", "DEC--TAN"), (1e-6, 1e-6)

    def as_it_is(input_data, **settings):
        return input_data[0].copy(), (~np.isnan(input_data[0])).astype(float)

    shown, _ = mosaicking.reproject_and_coadd(
        [(values[np.newaxis], wcs) for values in row],
        wcs,
        shape_out=(1, row.shape[1]),
        reproject_function=as_it_is,
        match_background=True,
    )
    return 0 - shown[0, len(first) :]
