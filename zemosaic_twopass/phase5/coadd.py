"""Reprojection of colour tiles for a coadd that goes channel by channel."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
from reproject import reproject_interp


class SharedReprojection:
    """Reprojects all planes of a tile at once, for a coadd of one channel after the other.

    Where the mosaic's pixels lie in a tile is the same for all its channels and its weights, and costs ten times
    as much to find out as to interpolate there. Every value is that of `reproject_interp` plane by plane, to the bit;
    and plane by plane it is done where the planes of a tile differ in shape or dtype or are those of another tile too.

    Parameters
    ----------
    channels : sequence of sequence of ndarray, shape (h, w)
        For each channel the planes of all tiles, as they are given to `reproject_and_coadd`.
    weights : sequence of ndarray, shape (h, w), or None
        One a tile.

    Notes
    -----
    A channel that was reprojected ahead is kept until it is asked for, the weights as long as this object: up to 8
    bytes a pixel, plane and tile.
    """

    def __init__(self, channels, weights=None):
        self._tiles = [list(planes) for planes in zip(*channels, *([] if weights is None else [weights]), strict=True)]
        uses = Counter(id(plane) for planes in self._tiles for plane in planes)
        # By identity: `reproject_and_coadd` says which plane it wants, not of which tile.
        self._places = {}
        for tile, planes in enumerate(self._tiles):
            alike = len({(plane.shape, plane.dtype) for plane in planes}) == 1
            if alike and all(uses[id(plane)] == 1 for plane in planes):
                self._places.update((id(plane), (tile, number)) for number, plane in enumerate(planes))
        self._found = {}
        self._channels = len(channels)
        self._lock = threading.Lock()

    def reproject(self, input_data, output_projection, *, return_footprint=True, **kwargs):
        """The `reproject_function` for `reproject_and_coadd`; parameters and results as `reproject_interp`."""
        array, wcs = input_data
        place = self._places.get(id(array))
        if place is None:
            # Also a reproject that hands on copies of the planes: slower, not wrong.
            return reproject_interp(input_data, output_projection, return_footprint=return_footprint, **kwargs)
        plane = self._plane(place, wcs, output_projection, kwargs["shape_out"])
        return (plane, (~np.isnan(plane)).astype(float)) if return_footprint else plane

    def _plane(self, place, wcs, output_projection, shape):
        with self._lock:
            if place not in self._found:
                tile, _ = place
                stack = np.stack(self._tiles[tile])
                planes = reproject_interp(
                    (stack, wcs), output_projection, shape_out=(len(stack), *shape), return_footprint=False
                )
                # Copies: one that is kept as part of the stack would keep all of it.
                self._found.update(((tile, number), plane.copy()) for number, plane in enumerate(planes))
            is_weight = place[1] == self._channels
            # The coadd writes into what it gets; only weights are asked for again, by the next channel.
            return self._found[place].copy() if is_weight else self._found.pop(place)
