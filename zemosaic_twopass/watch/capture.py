"""What was seen of one second pass while it ran, as a record that fills up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from astropy.wcs import WCS

from ..diagnosis.contract import fingerprints
from ..measure.bits import fingerprint
from ..measure.stats import scan_as_given
from ..tiles.grid import copy_wcs
from ..tiles.records import SecondPass, TileList
from ..tiles.tile_set import TileSet, results

_READ = ("tiles", "tiles_wcs", "tiles_coverage", "tile_weights", "coverage_p1", "shape_out", "gain_clip")


class RunCapture:
    """Observations of one call, filled from the hooks and emptied when the report is made.

    Parameters
    ----------
    arguments : dict
        The call's arguments by name; a version of the pipeline that lacks one leaves it out.
    first_pass : ndarray, shape (H, W) or (H, W, C), or None
        The first-pass mosaic, where the caller's could be seen.

    Attributes
    ----------
    second_pass : SecondPass
    scans : tuple of TileScan
        One a tile as given; empty where no statistics are taken.
    settings : dict
        What the call says of the second pass, for the report.
    run : dict
        Names of the folders of the application's run, from `host.run_under_way`; empty where it does not tell.

    Raises
    ------
    TypeError
        If an argument that is to be read can be read only once.
    """

    def __init__(self, arguments, first_pass=None):
        for name in _READ:
            _check_readable(name, arguments.get(name))
        self.second_pass = SecondPass(
            TileList(
                _or_empty(arguments.get("tiles")),
                # Copies: a WCS that two threads use at a time gives wrong positions in older astropy, theirs too.
                tuple(_copy_wcs(wcs) for wcs in _or_empty(arguments.get("tiles_wcs"))),
                arguments.get("tiles_coverage"),
                arguments.get("tile_weights"),
            ),
            _copy_wcs(arguments.get("final_wcs_p1")),
            arguments.get("shape_out"),
            gain_clip=arguments.get("gain_clip"),
            first_pass=first_pass,
            first_coverage=arguments.get("coverage_p1"),
        )
        self.scans = ()
        self.run = {}
        self.settings = {name: arguments[name] for name in ("sigma_px", "gain_clip", "shape_out") if name in arguments}

    def observe_gains(self, gains):
        """Keep a copy of the gain list, whatever its length."""
        _check_readable("the gain list", gains)
        self.second_pass.gains = tuple(float(gain) for gain in gains)

    def observe_planes(self, planes):
        """Keep the planes that go into one channel's coadd.

        Keyed by tile and channel, so a channel that is coadded again after a failure
        replaces itself; planes whose channel cannot be told are passed over.
        """
        _check_readable("the list of planes", planes)
        for index, plane in enumerate(planes):
            channel = _channel_of(plane)
            if channel is not None:
                self.second_pass.planes[index, channel] = plane

    def describe(self, whole):
        """Visit every tile as given once, for its statistics and, where `whole`, for the fingerprints of all inputs."""
        tiles = self.second_pass.tiles
        each = TileSet(range(len(tiles)), tiles.pixels.__getitem__).each(
            lambda pixels: (scan_as_given(pixels), fingerprint(pixels) if whole else None)
        )
        self.scans, codes = zip(*results(each), strict=True) if len(tiles) else ((), ())
        if whole:
            self.second_pass.before = fingerprints(self.second_pass, codes)

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


def _copy_wcs(wcs):
    return copy_wcs(wcs) if isinstance(wcs, WCS) else wcs


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
