"""Faults to order: in a tile as given, or in what a worker's second pass does with the tiles."""

from __future__ import annotations

import functools
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest import mock

import numpy as np

from ..diagnosis.kinds import KINDS
from ..tiles.place import Place
from ..watch.hooks import CALLER, COADD, GAINS, UTILS

# Size used when a fault is ordered without one, and what it is measured in; put into a tile, into the pass, and into
# what its caller does around it.
FAULTS, PASS_FAULTS, CALLER_FAULTS = (
    {kind.name: (kind.fault.size, kind.fault.unit) for kind in KINDS.values() if kind.fault and kind.fault.into == into}
    for into in ("tile", "pass", "caller")
)
PIPELINE_FAULTS = PASS_FAULTS | CALLER_FAULTS
# Short names that people use.
_SHORT = {"gain": "gain_residual", "shift": "astrometry"}


@dataclass(frozen=True)
class Fault:
    """A fault, most of them in one tile.

    Attributes
    ----------
    kind : str
        One of `FAULTS`, put into a tile, or of `PIPELINE_FAULTS`, put into the second pass.
    tile : int or None
        None is the tile in the middle of the list.
    size : float
        In the unit that goes with the kind.
    """

    kind: str
    tile: int | None
    size: float

    @classmethod
    def parse(cls, text):
        """Read ``KIND[:TILE[:SIZE]]``; ``gain`` and ``shift`` stand for gain_residual and astrometry.

        Raises
        ------
        ValueError
            If the kind is not known or a part is not a number.
        """
        kind, _, rest = text.partition(":")
        tile, _, size = rest.partition(":")
        kind = _SHORT.get(kind, kind)
        kinds = FAULTS | PIPELINE_FAULTS
        if kind not in kinds:
            raise ValueError(f"fault {text!r}: kind {kind!r} is not one of {', '.join(kinds)}")
        try:
            return cls(kind, int(tile) if tile else None, float(size) if size else kinds[kind][0])
        except ValueError:
            raise ValueError(
                f"fault {text!r}: KIND[:TILE[:SIZE]] is needed, such as {kind}:4:{kinds[kind][0]:g}"
            ) from None

    def tile_of(self, count):
        """Index of the tile among so many; `ValueError` if there is no such tile."""
        index = (count - 1) // 2 if self.tile is None else self.tile
        if not 0 <= index < count:
            raise ValueError(f"fault {self.kind}: tile {index} is not one of 0 to {count - 1}")
        return index


@contextmanager
def faulty_pass(worker, faults):
    """Let the second passes of a worker go wrong while the context is open.

    The inner functions of the worker are replaced, so a probe that is attached afterwards looks before
    the fault, and one that was attached before looks after it.

    Parameters
    ----------
    worker : module
    faults : sequence of Fault
        Kinds of `PIPELINE_FAULTS`; others are passed over.
    """
    seen = {}
    # Public ZeMosaic calls the coadd as an attribute of its utilities module.
    owner = getattr(worker, UTILS, None) or worker
    with ExitStack() as stack:

        def replace(where, name, change):
            original = getattr(where, name)
            function = functools.wraps(original)(functools.partial(change, original))
            stack.enter_context(mock.patch.object(where, name, function))

        if any(fault.kind in PIPELINE_FAULTS for fault in faults):
            replace(worker, GAINS, functools.partial(_gains, faults, seen))
            replace(owner, COADD, functools.partial(_coadd, faults, seen))
        if any(fault.kind in CALLER_FAULTS for fault in faults):
            replace(worker, CALLER, functools.partial(_caller, faults))
        if any(fault.kind == "gain_seam" for fault in faults):
            replace(worker, "reproject_and_coadd", _without_background_matching)
        yield


def _caller(faults, original, mosaic, coverage, **kwargs):
    """A caller that displaces all tiles on their way into the second pass, makes a seam, or keeps the first."""
    kinds = {fault.kind: fault for fault in faults}
    if fault := kinds.get("pass_misregistration"):
        kwargs["collected_tiles"] = [
            _displace(entry, fault.size * direction_of(0)) for entry in kwargs["collected_tiles"]
        ]
    result = original(mosaic, coverage, **kwargs)
    if fault := kinds.get("seam"):
        result = _with_seam(fault, kwargs, *result)
    return (mosaic, coverage) if "second_pass_unused" in kinds else result


def _with_seam(fault, kwargs, mosaic, *rest):
    """A merged mosaic that is higher where a tile is."""
    entries, shape = kwargs["collected_tiles"], mosaic.shape[:2]
    pixels, wcs, *_ = entries[fault.tile_of(len(entries))]
    place = Place.of(np.shape(pixels)[:2], wcs, shape, kwargs["final_output_wcs"])
    mosaic = mosaic.copy()
    if place is not None:
        rows, columns = (np.arange(part.start, part.stop) for part in place.box)
        at = place.positions(rows, columns)(slice(None))
        ends = np.array(place.shape)[:, np.newaxis, np.newaxis] - 0.5
        mosaic[place.box][((at > -0.5) & (at < ends)).all(axis=0)] += np.float32(fault.size)
    return (mosaic, *rest)


def _displace(entry, pixels):
    pixels_of_tile, wcs, *rest = entry
    wcs = wcs.deepcopy()
    wcs.wcs.crpix -= pixels
    return pixels_of_tile, wcs, *rest


def _gains(faults, seen, original, tiles, *args, **kwargs):
    """Gains of a pass, some of them changed, or a tile written to."""
    gains = list(original(tiles, *args, **kwargs))
    for fault in faults:
        index = fault.tile_of(len(tiles))
        if fault.kind == "gain_invalid":
            gains[index] = fault.size
        elif fault.kind == "clip_saturated":
            gains[index] = float(kwargs["gain_clip"][1])
        elif fault.kind == "gain_guard":
            gains[index] = 1.0
        elif fault.kind == "input_mutated":
            tile = tiles[index]
            tile[tile.shape[0] // 2, tile.shape[1] // 2] += np.float32(fault.size)
    seen["gains"] = gains
    return gains


def _coadd(faults, seen, original, data_list, wcs_list, *args, **kwargs):
    """A coadd of planes some of which are changed, on their way in."""
    planes, wcs, gains = list(data_list), wcs_list, seen["gains"]
    for fault in faults:
        index = fault.tile_of(len(planes))
        if fault.kind == "gain_swapped":
            other = (index + round(fault.size)) % len(planes)
            for here, there in ((index, other), (other, index)):
                planes[here] = planes[here] * np.float32(gains[there] / gains[here])
        elif fault.kind == "misregistration":
            wcs = list(wcs)
            wcs[index] = wcs[index].deepcopy()
            wcs[index].wcs.crpix += fault.size * direction_of(index)
        elif fault.kind not in CALLER_FAULTS:
            planes[index] = faulty_plane(planes[index], fault, gains[index])
    return original(planes, wcs, *args, **kwargs)


def direction_of(index):
    """Unit vector (columns, rows) in which the tile of an index is shifted: another one for each."""
    angle = np.random.default_rng(index).uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def faulty_plane(plane, fault, gain):
    """One corrected plane with a fault in it; the plane itself for a kind that is put in elsewhere.

    Parameters
    ----------
    plane : ndarray, shape (H, W), float32
        Tile × gain.
    fault : Fault
    gain : float

    Returns
    -------
    ndarray, shape (H, W), float32
    """
    if fault.kind == "gain_not_applied":
        return plane * np.float32(1 / gain)
    if fault.kind == "gain_mismatch":
        return plane * np.float32(fault.size)
    if fault.kind not in ("mask_bug", "not_closed"):
        return plane
    plane = plane.copy()
    height, width = plane.shape
    if fault.kind == "mask_bug":
        rows, columns = (round(0.5 * (1 - fault.size) * n) for n in (height, width))
        plane[rows : height - rows, columns : width - columns] = np.nan
    else:
        plane[:, : width // 2] *= np.float32(fault.size)
    return plane


def _without_background_matching(original, *args, **kwargs):
    return original(*args, **{**kwargs, "match_background": False})
