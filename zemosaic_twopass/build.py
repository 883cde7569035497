"""From what was captured of a second pass to its report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .delta import CoarseGrid, compare_tiles, mean_of_tiles, project_layers
from .diagnosis import diagnose, verdict_of
from .grid import copied, tile_outline
from .kinds import untested
from .parallel import threads
from .report import TileRecord, plain
from .settings import worker_count
from .stats import TileStats, scan_as_given, statistics_after_gain


def statistics_as_given(capture):
    """Scan of every tile as given, as many at a time as there are threads; a tuple of TileScan."""
    # By index: a list that reads its tiles when they are asked for is not read whole.
    with threads(worker_count()) as run:
        return tuple(run(lambda index: scan_as_given(capture.tiles[index]), range(len(capture.tiles))))


def tile_records(capture, names=None):
    """Records of every tile; of the corrected ones there are never more at a time than threads.

    Parameters
    ----------
    capture : RunCapture
        With the scans before the gain in `pre`.
    names : sequence of str, optional
        What the tiles are called; ignored unless there is one a tile.

    Returns
    -------
    tuple of TileRecord
        Empty where no statistics were taken. A tile whose gain was never seen has NaN for
        everything after it.
    """
    if names is None or len(names) != len(capture.tiles):
        names = [None] * len(capture.tiles)

    def describe(index, given):
        corrected, source = capture.corrected(index)
        gain = capture.gain(index)
        known = source == "observed" or not np.isnan(gain)
        post = statistics_after_gain(corrected, given, gain) if known else TileStats.unknown(len(given.middles))
        return TileRecord(index, names[index], gain, given.stats, post, source)

    with threads(worker_count()) as run:
        return tuple(run(describe, range(len(capture.pre)), capture.pre))


def delta_maps(capture, downsample):
    """The delta map of the corrected tiles, and the same of the tiles as given.

    Parameters
    ----------
    capture : RunCapture
    downsample : int

    Returns
    -------
    (DeltaMap, DeltaMap)
        After and before the gain. Without a first-pass mosaic the reference of each is the tiles'
        own coadd before the gain. (None, None) for a mosaic smaller than one block, which has no map.

    Raises
    ------
    ValueError
        If tiles, WCS, reference and output shape do not fit together.
    """
    count = len(capture.tiles)
    if count != len(capture.tiles_wcs):
        raise ValueError(f"{count} tiles != {len(capture.tiles_wcs)} WCS")
    if min(capture.shape_out) < downsample:
        return None, None
    grid = CoarseGrid.of(capture.wcs, capture.shape_out, downsample)
    coverage = [None] * count if capture.tiles_coverage is None else capture.tiles_coverage

    def project(index):
        own = replace(grid, wcs=copied(grid.wcs))
        layers = capture.tiles[index], capture.corrected(index)[0]
        return project_layers(layers, capture.tiles_wcs[index], own, coverage[index])

    with threads(worker_count()) as run:
        given, corrected = zip(*run(project, range(count)), strict=True) if count else ((), ())
    if capture.first_pass is None:
        reference, base = "tiles", mean_of_tiles(given, grid)
    else:
        reference, base = "first_pass", grid.average(capture.first_pass)
    return compare_tiles(corrected, base, grid, reference), compare_tiles(given, base, grid, reference)


def tile_outlines(capture):
    """Edge of each tile on the sky, as `grid.tile_outline` gives it; () for no tiles."""
    pairs = zip(capture.tiles, capture.tiles_wcs, strict=True)
    return tuple(tile_outline(np.shape(tile)[:2], wcs) for tile, wcs in pairs)


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
    shape = {} if capture.shape_out is None else {"shape_out": capture.shape_out}
    return plain({**capture.settings, **shape, "downsample": downsample})


def findings_of(capture):
    """What is wrong with a second pass, from everything that was seen of it.

    Parameters
    ----------
    capture : RunCapture
        With the result of the pass, and the fingerprints of its inputs before it.

    Returns
    -------
    tuple of Finding
        Worst first, notes last.
    """
    mosaic, coverage = capture.result or (None, None)
    findings = diagnose(
        capture.tiles,
        capture.tiles_wcs,
        mosaic,
        coverage,
        capture.wcs,
        capture.shape_out,
        gains=capture.gains,
        gain_clip=capture.gain_clip,
        tiles_coverage=capture.tiles_coverage,
        tile_weights=capture.tile_weights,
        corrected=capture.observed,
        combine=capture.combine,
        fingerprints=(capture.fingerprints, capture.fingerprint()),
    )
    if mosaic is None or capture.first_pass is not None:
        return findings
    unseen = "The first-pass mosaic was not seen: the map holds the tiles against their own mean instead."
    return (*findings, untested(None, unseen, "map"))


def summary_of(findings, asked, ran):
    """One sentence on what was found, and the tile it is about.

    Parameters
    ----------
    findings : sequence of Finding
        Worst first.
    asked : bool
        Whether a diagnosis was asked for.
    ran : bool
        Whether the second pass gave a mosaic.

    Returns
    -------
    sentence : str
    worst : int or None
        Tile to look at first; None where none stands out.
    """
    verdict = verdict_of(findings)
    if asked and verdict in ("pipeline_bug", "residual"):
        return findings[0].message, findings[0].tile
    if not ran:
        return "The second pass gave no mosaic, the first pass stands: see the [TwoPass] lines above.", None
    if not asked:
        return "No delta map, so nothing was compared: set ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP=1.", None
    # Another reference of the map leaves no test out.
    open_questions = [finding for finding in findings if finding.kind == "undetermined" and finding.test != "map"]
    if verdict == "undetermined":
        return next(f.message for f in open_questions if f.tile is None and f.test == "residual"), None
    return _clean_summary(open_questions), None


def _clean_summary(open_questions):
    """What the tests that ran have shown, and the first that did not run; `open_questions` are the notes on those."""
    fell_out = {finding.test for finding in open_questions if finding.tile is None}
    alone = sum(finding.tile is not None for finding in open_questions)
    shown = [f"every tile but {alone} agrees with the others" if alone else "every tile agrees with the others"]
    if not fell_out & {"contract", "gains"}:
        shown.append("what went into the coadd is gain × tile")
    if "closure" not in fell_out:
        made = "a weighted mean of the tiles" if "gains" in fell_out else "what the recorded gains make of them"
        shown.append(f"the mosaic is {made}")
    text = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    if open_questions:
        return f"No fault found, as far as it could be tested: {text}. {open_questions[0].message}"
    return f"{text[0].upper()}{text[1:]}."
