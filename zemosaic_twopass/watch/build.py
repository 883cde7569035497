"""From what was captured of a second pass to the parts of its report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..diagnosis.examine import examine
from ..diagnosis.finding import untested
from ..measure.delta import CoarseGrid, compare_tiles, mean_of_tiles, project_layers
from ..measure.stats import TileStats, statistics_after_gain
from ..parallel import threads
from ..report.report import TileRecord, plain
from ..settings import worker_count
from ..tiles.grid import tile_outline


def tile_records(capture, names=None):
    """Records of every tile; of the corrected ones there are never more at a time than threads.

    Parameters
    ----------
    capture : RunCapture
        With the scans of the tiles as given.
    names : sequence of str, optional
        What the tiles are called; unless there is one a tile, what the application calls them.

    Returns
    -------
    tuple of TileRecord
        Empty where no statistics were taken. A tile whose gain was never seen has NaN for
        everything after it.
    """
    second_pass = capture.second_pass
    tiles = second_pass.tiles
    # Those that the probe was given stand; then those that the application told.
    given = (each for each in (names, tiles.names) if each is not None and len(each) == len(tiles))
    names = next(given, [None] * len(tiles))

    def describe(index, given):
        corrected, source = second_pass.corrected(index)
        gain = second_pass.gain(index)
        known = source == "observed" or not np.isnan(gain)
        post = statistics_after_gain(corrected, given, gain) if known else TileStats.unknown(len(given.middles))
        return TileRecord(index, names[index], gain, given.stats, post, source)

    with threads(worker_count()) as run:
        return tuple(run(describe, range(len(capture.scans)), capture.scans))


def delta_maps(second_pass, downsample):
    """The delta map of the corrected tiles, and the same of the tiles as given.

    Parameters
    ----------
    second_pass : SecondPass
    downsample : int

    Returns
    -------
    (DeltaMap, DeltaMap)
        After and before the gain. Without a first-pass mosaic of the second's shape the reference of each is the
        tiles' own coadd before the gain. (None, None) for a mosaic smaller than one block, which has no map.

    Raises
    ------
    ValueError
        If tiles, WCS, reference and output shape do not fit together.
    """
    tiles, first_pass = second_pass.tiles, _reference_of(second_pass)
    if len(tiles) != len(tiles.wcs):
        raise ValueError(f"{len(tiles)} tiles != {len(tiles.wcs)} WCS")
    if min(second_pass.shape) < downsample:
        return None, None
    grid = CoarseGrid.of(second_pass.wcs, second_pass.shape, downsample)

    def project(index):
        tile = tiles[index]
        layers = tile.pixels, second_pass.corrected(index)[0]
        return project_layers(layers, tile, second_pass.place(index), grid)

    with threads(worker_count()) as run:
        given, corrected = zip(*run(project, range(len(tiles))), strict=True) if len(tiles) else ((), ())
    if first_pass is None:
        reference, base = "tiles", mean_of_tiles(given, grid)
    else:
        reference, base = "first_pass", grid.average(first_pass)
    return compare_tiles(corrected, base, grid, reference), compare_tiles(given, base, grid, reference)


def _reference_of(second_pass):
    """The first-pass mosaic where it goes with the map; None where it was not seen or has another shape."""
    first, shape = second_pass.first_pass, second_pass.shape
    return None if first is None or np.shape(first)[:2] != tuple(shape) else first


def tile_outlines(tiles):
    """Edge of each tile on the sky, as `grid.tile_outline` gives it; () for no tiles."""
    return tuple(tile_outline(np.shape(pixels)[:2], wcs) for pixels, wcs in zip(tiles.pixels, tiles.wcs, strict=True))


def settings_of(capture, downsample):
    """What a second pass and its diagnostics were set to, as far as the call says.

    Parameters
    ----------
    capture : RunCapture
    downsample : int

    Returns
    -------
    dict
        Of sigma_px, gain_clip and shape_out those that the call has; downsample always. Plain numbers,
        strings and lists, whatever the call was given.
    """
    known = {name: value for name, value in capture.settings.items() if name != "shape_out" or value is not None}
    return plain({**known, "downsample": downsample})


def examination_of(second_pass):
    """What `examine` finds in a second pass, and whether its delta map has another reference than it should."""
    found = examine(second_pass)
    first, shape = second_pass.first_pass, second_pass.shape
    if first is None or second_pass.mosaic is None or shape is None or _reference_of(second_pass) is not None:
        return found
    why = f"The first-pass mosaic has shape {np.shape(first)[:2]} != {tuple(shape)} of the second: the map holds the "
    note = untested(None, why + "tiles against their own mean instead.", "map")
    return replace(found, findings=(*found.findings, note))
