"""What a run on tiles from disk will need, and a word before it begins where that is not there."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..measure.coarse import FACTOR
from ..phase5.coadd import MAPPED_BEYOND
from ..tiles.grid import pixel_box
from ..tiles.mosaic import find_smallest_grid
from ..tiles.reading import require_usable_heads, try_head

_FLOAT, _DOUBLE = 4, 8
# Python with all that is imported, and what the diagnosis keeps of the tiles.
_PROGRAM = 400 << 20
# Bytes a pixel of one tile's box while it is reprojected: positions, sky coordinates, all planes.
_BYTES_A_BOX_PIXEL = 200
# Bytes of a tile's block while all tiles are compared: a night of three channels took 790 with 60, 840 with 200.
_BYTES_A_BLOCK = 1000
_MEMINFO = "/proc/meminfo"
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Need:
    """Bytes that a run takes at its peak.

    Attributes
    ----------
    memory : int
    disk : int
        In the temporary folder.
    """

    memory: int
    disk: int


def estimate_need(shapes, tiles_wcs, channels):
    """What first pass and watched second pass of a set of tiles take.

    Parameters
    ----------
    shapes : sequence of tuple of int
        (H, W) of each tile.
    tiles_wcs : sequence of astropy.wcs.WCS
    channels : int

    Returns
    -------
    Need

    Raises
    ------
    TileError
        If the tiles have no common grid.

    Notes
    -----
    In memory lie the tiles with their coverages; the tiles × gains, which the diagnostics hold, unless they are mapped
    from the file; mosaic and coverage of the first pass and of the second; and of what comes one after the other the
    most: the sums of the coadd in double precision with one tile as it is reprojected, what is merged of the passes, or
    what the comparison of the tiles holds. In the file lie all planes and weights as reprojected, and a byte for each
    pixel of a plane.
    """
    wcs, shape = find_smallest_grid(shapes, tiles_wcs)
    boxes = [pixel_box(own, each, wcs, shape) for own, each in zip(shapes, tiles_wcs, strict=True)]
    reached = [0 if box is None else math.prod(side.stop - side.start for side in box) for box in boxes]
    tiles, mosaic = sum(map(math.prod, shapes)), math.prod(shape)
    corrected = _FLOAT * channels * tiles
    is_mapped = corrected > MAPPED_BEYOND
    result = _FLOAT * (channels + 1)
    held = _FLOAT * (channels + 1) * tiles + (0 if is_mapped else corrected) + 2 * result * mosaic
    coadded = mosaic * (max(result, 2 * _DOUBLE) + _DOUBLE) + _BYTES_A_BOX_PIXEL * max(reached)
    compared = _BYTES_A_BLOCK * tiles // FACTOR**2
    disk = (_DOUBLE * (channels + 1) + channels) * sum(reached) + (corrected if is_mapped else 0)
    return Need(_PROGRAM + held + max(coadded, compared), disk)


def find_memory_available():
    """Bytes of memory that can be had without swapping; None where the system does not say."""
    found = []
    for name in _CGROUP_LIMITS:
        # "max" where there is no limit.
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(name).read_text()))
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines = dict(line.split(":", 1) for line in Path(_MEMINFO).read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) << 10)
    if not found:
        # Elsewhere than on Linux only all there is can be told, if that.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def check_capacity(paths):
    """Refuse a run that cannot end, before it begins; only the headers of the tiles are read where the file allows it.

    Parameters
    ----------
    paths : sequence of path-like
        FITS tiles.

    Raises
    ------
    MemoryError
        If more is needed than there is, in memory or in the temporary folder; the message states both.
    TileError
        If tiles cannot be used, or have another number of channels than most; names all.
    """
    heads = require_usable_heads(paths, map(try_head, paths))
    channels = heads[0].channels
    need, folder = (
        estimate_need([head.shape for head in heads], [head.wcs() for head in heads], channels),
        tempfile.gettempdir(),
    )
    there = (
        (need.memory, find_memory_available(), "memory"),
        (need.disk, shutil.disk_usage(folder).free, f"disk in {folder}"),
    )
    for needed, available, what in there:
        if available is not None and needed > available:
            raise MemoryError(f"{len(paths)} tiles need {needed} bytes of {what}, {available} are available")
