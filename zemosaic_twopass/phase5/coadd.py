"""Tiles for a coadd that goes channel by channel: their planes, and the reprojection that these share."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Sequence

import numpy as np
from reproject import reproject_interp

from .interpolate import interpolate
from .positions import round_trips
from .renorm import as_hwc
from .scratch import OnDemand, Scratch

# Tiles × gains in all: those who watch a pass hold them until it has ended.
MAPPED_BEYOND = 1 << 30


class ChannelPlanes(OnDemand):
    """One channel of all tiles × gains, as views that are made when asked for.

    Attributes
    ----------
    shared : SharedReprojection
    channel : int
    """

    def __init__(self, shared, channel):
        super().__init__(len(shared), lambda tile: shared.hand(tile, channel))
        self.shared, self.channel = shared, channel


class SharedReprojection(Sequence):
    """Tiles × gains, (h, w, C) float32, made when the context is entered, and the reprojection of their planes.

    Where the mosaic's pixels lie in a tile is the same for all its channels and its weights, and costs several times
    as much to find out as to interpolate there. So all planes of a tile are reprojected when the first one is asked
    for. Every value is that of `reproject_interp` plane by plane, to the bit.

    Parameters
    ----------
    tiles : sequence of array_like, shape (h, w) or (h, w, C)
        With equally many channels.
    gains : sequence of float, optional
        One a tile; none leaves the tiles as they are.
    weights : sequence of ndarray, shape (h, w), float32, optional
        One a tile.

    Attributes
    ----------
    channels : int
    boxes : dict of int to tuple of slice, or None
        (rows, columns) of the mosaic that each tile reaches, once they are known; without those that miss it.
    lock : threading.RLock
        Held while something is reprojected.

    Notes
    -----
    A tile × gain lives until the context ends or, after that, as long as somebody holds it or a plane of it; beyond
    1 GB of them they are mapped from a file in the temporary folder. What was reprojected, 8 bytes a pixel, plane and
    weight, lies in that file, and a byte for whether there is something.
    """

    def __init__(self, tiles, gains=None, weights=None):
        self._tiles, self._gains, self._weights = tiles, gains, weights
        self.channels = as_hwc(tiles[0]).shape[2]
        size = np.dtype(np.float32).itemsize * self.channels
        self._is_large = size * sum(math.prod(np.shape(tile)[:2]) for tile in tiles) > MAPPED_BEYOND
        self.boxes, self.lock = None, threading.RLock()
        # Planes by tile and number, of a channel or, the last one, of the weights.
        self._made, self._handed = [], weakref.WeakValueDictionary()
        self._slots, self._good, self._scratch = {}, {}, Scratch()

    def __enter__(self):
        self._scratch.__enter__()
        # All at once: who watches a coadd would make them where it first looks, and take NumPy's warnings of it along.
        self._made = [self._apply_gain(index) for index in range(len(self))]
        return self

    def __exit__(self, *error):
        self._made = []
        self._scratch.__exit__(*error)

    def __len__(self):
        return len(self._tiles)

    def __getitem__(self, index):
        return self._made[index]

    def _apply_gain(self, index):
        tile = as_hwc(self._tiles[index])
        if self._gains is None:
            return tile
        tile = tile * float(self._gains[index])
        return self._scratch.move(tile) if self._is_large else tile

    @property
    def weights(self):
        """The weights of all tiles; a `ChannelPlanes`, or None."""
        return None if self._weights is None else self.planes(self.channels)

    def planes(self, channel):
        """One channel of all tiles; a `ChannelPlanes`."""
        return ChannelPlanes(self, channel)

    def hand(self, tile, number):
        """A plane of a tile, by the number of its channel, or its weights; known again by its identity."""
        with self.lock:
            plane = self._handed.get((tile, number))
            if plane is None:
                plane = self._weights[tile].view() if number == self.channels else self[tile][..., number]
                self._handed[tile, number] = plane
            return plane

    def find(self, array):
        """(tile, number) of a plane or weights that were handed out and are still held; None for another array."""
        with self.lock:
            return next((key for key, plane in self._handed.items() if plane is array), None)

    def reproject(self, input_data, output_projection, *, return_footprint=True, **kwargs):
        """The `reproject_function` for `reproject_and_coadd`; parameters and results as `reproject_interp`."""
        array, wcs = input_data
        key = self.find(array)
        if key is None:
            # The array is somebody else's, or reproject handed on a copy of a plane: slower, not wrong.
            return reproject_interp(input_data, output_projection, return_footprint=return_footprint, **kwargs)
        self.prepare(key[0], wcs, output_projection, kwargs["shape_out"])
        plane = self.read_plane(*key)
        return (plane, (~np.isnan(plane)).astype(float)) if return_footprint else plane

    def prepare(self, tile, wcs, wcs_out, shape):
        """Reproject all planes of a tile to a part of the mosaic, unless it is done.

        Parameters
        ----------
        tile : int
        wcs, wcs_out : astropy.wcs.WCS
            The WCS of the tile and that of the part.
        shape : tuple of int
            (H, W) of the part.
        """
        numbers = range(self.channels + (self._weights is not None))
        with self.lock:
            if (tile, 0) in self._slots:
                return
            planes = np.stack([self.hand(tile, number) for number in numbers])
            if round_trips(wcs, wcs_out, tuple(slice(0, n) for n in shape)):
                planes = interpolate(planes, wcs, wcs_out, lambda x, y: (x, y), shape)
            else:
                planes = reproject_interp(
                    (planes, wcs), wcs_out, shape_out=(len(numbers), *shape), return_footprint=False
                )
            self._slots.update(((tile, number), self._scratch.put(planes[number])) for number in numbers)
            for channel in range(self.channels):
                good = ~np.isnan(planes[channel])
                if self._weights is not None:
                    good &= planes[self.channels] > 0
                self._good[tile, channel] = self._scratch.put(good)

    def read_plane(self, tile, number):
        """A plane or the weights of a tile that was prepared; float64, the caller's own."""
        with self.lock:
            return self._scratch.read(self._slots[tile, number])

    def view_plane(self, tile, channel):
        """As `read_plane`, read-only and in memory only as far as it is looked at, and where it has value and weight.

        Returns
        -------
        plane : ndarray, float64
        good : ndarray of bool
        """
        # Mapping a part of the file moves its position, from which another channel may be reading.
        with self.lock:
            return tuple(self._scratch.view(slots[tile, channel]) for slots in (self._slots, self._good))
