"""What was seen of one second pass while it ran: its tiles, its gains, its corrected planes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from astropy.wcs import WCS

from .checks import fingerprints
from .grid import copied

_READ = ("tiles", "tiles_wcs", "tiles_coverage", "tile_weights", "coverage_p1", "shape_out", "gain_clip")


class RunCapture:
    """Observations of one call, filled from the seams and emptied when the report is made.

    Parameters
    ----------
    arguments : dict
        The call's arguments by name; a version of the pipeline that lacks one leaves it out.
    first_pass : ndarray, shape (H, W) or (H, W, C), or None
        The first-pass mosaic, where the caller's could be seen.

    Raises
    ------
    TypeError
        If an argument that is to be read can be read only once.
    """

    def __init__(self, arguments, first_pass=None):
        for name in _READ:
            _check_readable(name, arguments.get(name))
        self.tiles = _or_empty(arguments.get("tiles"))
        # Copies: a WCS that two threads use at a time gives wrong positions in older astropy, theirs too.
        self.tiles_wcs = tuple(_copied(wcs) for wcs in _or_empty(arguments.get("tiles_wcs")))
        self.tiles_coverage = arguments.get("tiles_coverage")
        self.wcs = _copied(arguments.get("final_wcs_p1"))
        self.shape_out = arguments.get("shape_out")
        self.coverage = arguments.get("coverage_p1")
        self.tile_weights = arguments.get("tile_weights")
        self.gain_clip = arguments.get("gain_clip")
        self.logger = arguments.get("logger")
        self.settings = {name: arguments[name] for name in ("sigma_px", "gain_clip") if name in arguments}
        self.first_pass = first_pass
        self.gains = None
        self.combine = None
        self.result = None
        self.fingerprints = None
        self.pre = ()
        self._planes = {}

    def observe_gains(self, gains):
        """Keep a copy of the gain list, whatever its length."""
        _check_readable("the gain list", gains)
        self.gains = tuple(float(gain) for gain in gains)

    def observe_planes(self, planes):
        """Keep the planes that go into one channel's coadd.

        Keyed by tile and channel, so a channel that is coadded again after a failure
        replaces itself; planes whose channel cannot be told are passed over.
        """
        _check_readable("the list of planes", planes)
        for index, plane in enumerate(planes):
            channel = _channel_of(plane)
            if channel is not None:
                self._planes[index, channel] = plane

    def gain(self, index):
        """The recorded gain of a tile; NaN where none was recorded."""
        return self.gains[index] if self.gains and index < len(self.gains) else np.nan

    def corrected(self, index):
        """A tile after its gain, and how it is known.

        Returns
        -------
        corrected : ndarray, shape (H, W) or (H, W, C)
            The array that the coadd was given; where it was not seen, float32(tile) × gain.
        source : {"observed", "derived"}
        """
        tile = np.asarray(self.tiles[index])
        channels = tile.shape[2] if tile.ndim == 3 else 1
        planes = [self._planes.get((index, channel)) for channel in range(channels)]
        if not planes or any(plane is None or plane.shape != tile.shape[:2] for plane in planes):
            return tile.astype(np.float32, copy=False) * np.float32(self.gain(index)), "derived"
        if channels == 1:
            return planes[0], "observed"
        base = planes[0].base
        whole = isinstance(base, np.ndarray) and base.shape == (*tile.shape[:2], channels)
        if whole and all(plane.base is base for plane in planes):
            return base, "observed"
        return np.stack(planes, axis=-1), "observed"

    def observed(self, index):
        """The array of a tile that the coadd was given; None where it was not seen."""
        corrected, source = self.corrected(index)
        return corrected if source == "observed" else None

    def fingerprint(self):
        """Fingerprints of the inputs as they are now."""
        return fingerprints(self.tiles, self.tiles_coverage, self.coverage)

    def close(self):
        """Let go of every array and list of the call."""
        self.__init__({})


def _check_readable(name, value):
    # The pipeline would find nothing left of an iterator that was looked at.
    if isinstance(value, Iterator):
        raise TypeError(f"{name}: a {type(value).__name__} can be read only once, and that is for the pipeline to do")


def _or_empty(sequence):
    # Not `or ()`: a stack of tiles in one array has no truth value.
    return () if sequence is None else sequence


def _copied(wcs):
    return copied(wcs) if isinstance(wcs, WCS) else wcs


def _channel_of(plane):
    """Channel index of a plane, read from where it lies in the tile that it is a view of."""
    if not isinstance(plane, np.ndarray) or plane.ndim != 2:
        return None
    base = plane.base
    if base is None or (isinstance(base, np.ndarray) and base.shape == plane.shape):
        return 0
    if not isinstance(base, np.ndarray) or base.ndim != 3 or base.shape[:2] != plane.shape:
        return None
    offset = plane.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    channel, rest = divmod(offset, abs(base.strides[2]) or 1)
    return channel if rest == 0 and 0 <= channel < base.shape[2] else None
