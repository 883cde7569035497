"""From what was captured of a second pass to the parts of its report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..diagnosis.examine import examine, unfit
from ..diagnosis.finding import note_untested
from ..measure.bits import fingerprint
from ..measure.delta import CoarseGrid, compare_tiles, mean_of_tiles
from ..measure.measurement import after_gain, measure_all
from ..report.report import TileRecord, plain
from ..tiles.tile_set import TileSet, results


def measure_pass(capture, downsample):
    """Measure every tile of a second pass for its report; of their pixels there are never more at a time than threads.

    Parameters
    ----------
    capture : RunCapture
        With the scans of the tiles as given.
    downsample : int
        Reduces the delta map. Without a mosaic, or for one smaller than a block, there is none, and nothing for it.

    Returns
    -------
    list of TileMeasurement
        Empty where nothing can be tested.
    """
    second_pass, grid = capture.second_pass, None
    if unfit(second_pass):
        return []
    if second_pass.mosaic is not None and min(second_pass.shape) >= downsample:
        grid = CoarseGrid.of(second_pass.wcs, second_pass.shape, downsample)

    gains = second_pass.sound_gains

    def measure(placed, index, given):
        pixels = placed.tile.pixels
        gain, corrected, source = _after_gain(second_pass, index, pixels)
        found = measure_all(placed, gain, corrected, grid, given)
        return replace(
            found,
            source=source,
            fingerprint=None if second_pass.before is None else fingerprint(pixels),
            exact=found.exact and source == "observed" and gains is not None,
        )

    tiles = TileSet.of_pass(second_pass)
    return results(tiles.each(measure, range(len(tiles)), capture.scans or [None] * len(tiles)))


def _after_gain(second_pass, index, pixels):
    """Gain of a tile, the tile after it, None where that is not known, and how it is known."""
    corrected, source = second_pass.apply_gain(index, pixels)
    gain = second_pass.gain(index)
    return gain, None if source == "derived" and np.isnan(gain) else corrected, source


def tile_records(capture, measurements=(), names=None):
    """Records of every tile.

    Parameters
    ----------
    capture : RunCapture
        With the scans of the tiles as given.
    measurements : sequence of TileMeasurement, optional
        From `measure_pass`; without them the statistics after the gain are taken here.
    names : sequence of str, optional
        What the tiles are called; unless there is one a tile, what the application calls them.

    Returns
    -------
    tuple of TileRecord
        Empty where no statistics were taken. A tile whose gain was never seen has NaN for
        everything after it.
    """
    second_pass, scans = capture.second_pass, capture.scans
    tiles = second_pass.tiles
    # Those that the probe was given stand; then those that the application told.
    given = (each for each in (names, tiles.names) if each is not None and len(each) == len(tiles))
    names = next(given, [None] * len(tiles))

    def describe(pixels, index, given):
        gain, corrected, source = _after_gain(second_pass, index, pixels)
        return after_gain(corrected, given, gain), source

    afterwards = [(one.post, one.source) for one in measurements[: len(scans)]]
    if not afterwards:
        tiles = TileSet(range(len(scans)), tiles.pixels.__getitem__)
        afterwards = results(tiles.each(describe, range(len(scans)), scans))
    return tuple(
        TileRecord(index, names[index], second_pass.gain(index), given.stats, *after)
        for index, (given, after) in enumerate(zip(scans, afterwards, strict=True))
    )


def delta_maps(second_pass, measurements, downsample):
    """The delta map of the corrected tiles, and the same of the tiles as given.

    Parameters
    ----------
    second_pass : SecondPass
    measurements : sequence of TileMeasurement
        From `measure_pass`, with the same `downsample`.
    downsample : int

    Returns
    -------
    (DeltaMap, DeltaMap)
        After and before the gain. Without a first-pass mosaic of the second's shape the reference of each is the
        tiles' own coadd before the gain. (None, None) for a mosaic smaller than one block, which has no map.
    """
    if min(second_pass.shape) < downsample:
        return None, None
    grid = CoarseGrid.of(second_pass.wcs, second_pass.shape, downsample)
    first_pass = _reference_of(second_pass)
    given = [one.layers[0] for one in measurements]
    corrected = [one.layers[1] if len(one.layers) > 1 else None for one in measurements]
    if first_pass is None:
        reference, base = "tiles", mean_of_tiles(given, grid)
    else:
        reference, base = "first_pass", grid.average(first_pass)
    return compare_tiles(corrected, base, grid, reference), compare_tiles(given, base, grid, reference)


def _reference_of(second_pass):
    """The first-pass mosaic where it goes with the map; None where it was not seen or has another shape."""
    first, shape = second_pass.first_pass, second_pass.shape
    return None if first is None or np.shape(first)[:2] != tuple(shape) else first


def settings_of(capture, downsample):
    """What a second pass and its diagnostics were set to, as far as the call says.

    Parameters
    ----------
    capture : RunCapture
    downsample : int

    Returns
    -------
    dict
        Has sigma_px, gain_clip and shape_out as far as the call has them, and downsample. Plain numbers,
        strings and lists, whatever the call was given.
    """
    known = {name: value for name, value in capture.settings.items() if name != "shape_out" or value is not None}
    return plain({**known, "downsample": downsample})


def examination_of(second_pass, measurements):
    """What `examine` finds in a second pass, and whether its delta map has another reference than it should."""
    found = examine(measurements, TileSet.of_pass(second_pass), second_pass)
    first, shape = second_pass.first_pass, second_pass.shape
    if first is None or second_pass.mosaic is None or shape is None or _reference_of(second_pass) is not None:
        return found
    why = f"The first-pass mosaic has shape {np.shape(first)[:2]} != {tuple(shape)} of the second: the map holds the "
    note = note_untested(None, why + "tiles against their own mean instead.", "map")
    return replace(found, findings=(*found.findings, note))
