"""Diagnostics from tiles on disk and a finished first-pass mosaic: no second pass is run.

One tile after the other: read once, described, averaged and projected; what stays of it is small.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..console import silent
from ..diagnosis.evidence import gather
from ..diagnosis.examine import examine
from ..diagnosis.seams import Layout, Picture, seams_with_tiles
from ..diagnosis.seen import tell_of_tiles
from ..guard import log_failure
from ..measure.coarse import FACTOR
from ..measure.delta import compare_tiles
from ..measure.measurement import measure_all
from ..measure.stats import scan_as_given
from ..report.backdrop import Backdrop
from ..report.next_steps import MASTER_TILES
from ..report.report import TileRecord, TwoPassReport
from ..settings import LOGGER_NAME
from ..tiles.blocks import block_means
from ..tiles.images import TileError, open_image
from ..tiles.reading import warn_about
from ..tiles.tile_set import TileSet, tell_each
from .reference import fit_mosaic
from .seams import OtherTiles, check_coverage, seams_by_coverage
from .target import Target


def measure_given(placed, gain, target):
    """`measure_all` of a tile where it is good, float32(tile) × gain after it; only as given where the gain is NaN."""
    pixels, coverage = placed.tile.pixels, placed.tile.coverage
    if coverage is not None:
        # What fills the rest, zeros mostly, is no sky, and would be the minimum of every such tile.
        pixels = np.where(np.expand_dims(coverage > 0, tuple(range(2, pixels.ndim))), pixels, np.float32(np.nan))
    corrected = None if np.isnan(gain) else pixels * np.float32(gain)
    return measure_all(placed, gain, corrected, target.grid(), scan_as_given(pixels))


def replay(mosaic, paths, gains=None, coverage=None, *, downsample=8, run=map, tell=lambda record: None, stage=silent):
    """Report on tiles against a first-pass mosaic.

    Parameters
    ----------
    mosaic : path-like
        FITS image with a celestial WCS; read in bands.
    paths : sequence of path-like
        Master tiles. One that cannot be used when its turn comes is left out.
    gains : sequence of float, optional
        One a tile. Without them nothing is known of the tiles after their gain.
    coverage : path-like, optional
        Coverage of the mosaic. Where the tiles do not add up to it, its seams are measured by that alone, and
        `seams_by` in the settings says why.
    downsample : int, optional
        Reduction factor of the delta map, at least 1.
    run : callable, optional
        As `map`: where the work on each tile is done, results in the tiles' order.
    tell : callable, optional
        Called with each TileRecord, in order, as soon as it is there.
    stage : callable, optional
        As `console.stage`: is told what is being done.

    Returns
    -------
    report : TwoPassReport
        Its delta map is that of gain × tile, where gains are known, else that of the tiles as given. Its findings
        are those of the tiles as given, against one another; its seams those of the mosaic. A mosaic in another scale
        and level than the tiles is brought to theirs first; `mosaic_scale` and `mosaic_level` in its settings, one
        value a channel, say from what.
    left_out : list of str
        Why tiles were left out, naming each.

    Raises
    ------
    TileError
        If the mosaic cannot be used or does not go with the tiles, the gains are not one a tile, or no tile can be
        used.
    ValueError
        If `downsample` does not fit the mosaic.
    """
    known = gains is not None
    if known and len(gains) != len(paths):
        raise TileError(f"{len(gains)} gains != {len(paths)} tiles")
    with stage("mosaic"):
        target, grid, base, means = _reference(mosaic, downsample)
    measured, used, records, left_out = [], [], [], []
    found = TileSet.on_disk(paths, target, run).each(
        partial(measure_given, target=target), gains if known else [np.nan] * len(paths)
    )
    with stage("tiles", len(paths)) as step:
        for path, one in zip(paths, tell_each(found, step), strict=True):
            reason = str(one) if isinstance(one, TileError) else _unlike(path, one, len(means), target)
            if reason:
                left_out.append(reason)
                continue
            measured.append(one)
            used.append(path)
            records.append(TileRecord(len(records), one.name, one.gain, one.pre, one.post, one.source))
            tell(records[-1])
    if not records:
        raise TileError(left_out[0] if left_out else "no tiles: 0 files were given, at least 1 is needed")
    warn_about((path, remark) for path, one in zip(used, measured, strict=True) for remark in one.remarks)
    base, settings = _in_adu(base, means, measured, target)
    maps = _maps(measured, base, grid, known)
    tiles = TileSet.on_disk(used, target, run)
    with stage("tiles against one another"):
        found = examine(measured, tiles)
    with stage("evidence"):
        evidence = _evidence(found, tiles)
    with stage("seams"):
        seams, why = _seams(target, measured, found.corrected_tiles, coverage)
    if seams:
        found = replace(found, told=tell_of_tiles(found, seams["seams"][-1]))
    asked = {"mosaic": Path(mosaic).name, "shape_out": grid.shape_out, "downsample": grid.downsample}
    report = TwoPassReport.of(
        found,
        records,
        maps,
        evidence=evidence,
        **seams,
        outlines=tuple(one.outline for one in measured),
        settings=asked | settings | why,
        run=_folders(mosaic, used),
        after_gain=known,
    )
    return report, left_out


def _folders(mosaic, paths):
    """Last part of the name of the folder of the run, where it kept its tiles; else of their own, if it is one."""
    parents = {Path(path).absolute().parent for path in paths}
    if len(parents) != 1:
        return {}
    folder = parents.pop()
    if folder == Path(mosaic).absolute().parent / MASTER_TILES:
        return {"output": folder.parent.name}
    return {"tiles": folder.name}


def _evidence(found, tiles):
    """As `gather`; a finding stands without its picture too."""
    try:
        return gather(found, tiles)
    except Exception as error:
        log_failure(logging.getLogger(LOGGER_NAME), error)
        return ()


def _seams(target, measured, corrected_tiles, coverage):
    """The seams of the mosaic as `TwoPassReport.of` takes them, and in settings why not by the tiles.

    A report stands without them too.
    """
    why, footprints = {}, [one.footprint for one in measured]
    try:
        try:
            if coverage is not None:
                check_coverage(footprints, coverage, target.shape)
            layout = Layout(footprints)
            with open_image(target.mosaic) as (data, _, known):
                picture, backdrop = Picture.of(Path(target.mosaic).name, data, known), Backdrop.of(data)
                picture = layout.with_lines(picture, data, known)
            found = seams_with_tiles([picture], layout, corrected_tiles.in_boxes_of(measured))
        except OtherTiles as error:
            why = {"seams_by": f"by the coverage alone: {error}"}
            found, (backdrop,) = seams_by_coverage([target.mosaic], coverage)
    except Exception as error:
        log_failure(logging.getLogger(LOGGER_NAME), error)
        return {}, why
    picture = found.maps[-1].picture
    return {"seams": found.maps, "profiles": found.profiles, "backdrops": (backdrop,), "picture": picture}, why


def _reference(mosaic, downsample):
    """The `Target` of a mosaic, its grid, its block means there, and those of each channel by which it is fitted."""
    # In a function of its own, at whose end the file is no longer mapped into memory.
    with open_image(mosaic) as (data, header, coverage):
        target = Target(os.path.abspath(mosaic), header, data.shape[:2], downsample)
        grid = target.grid()
        return target, grid, grid.average(data, coverage), block_means(data, FACTOR, coverage)


def _unlike(path, one, channels, target):
    """Why a tile does not go with the mosaic; empty if it does."""
    if len(one.pre.median) == channels:
        return ""
    return f"{path}: {len(one.pre.median)} channels != {channels} of {Path(target.mosaic).name}"


def _in_adu(base, means, measured, target):
    """The block means of the mosaic in the tiles' adu, and what is to be said of its scale."""
    noise = float(np.nanmedian([one.noise for one in measured]))
    try:
        fit = fit_mosaic(means, [one.blocks for one in measured], noise)
    except TileError as error:
        raise TileError(f"{target.mosaic}: {error}") from None
    if fit is None:
        return base, {}
    with open_image(target.mosaic) as (data, _, coverage):
        base = fit.in_adu(block_means(data, target.downsample, coverage))
    return base, {"mosaic_scale": fit.scale.tolist(), "mosaic_level": fit.level.tolist()}


def _maps(measured, base, grid, known):
    """The delta map to show and the one of the tiles as given."""
    before = compare_tiles([one.layers[0] for one in measured], base, grid, "first_pass")
    if not known:
        return replace(before, tile_medians=(np.nan,) * len(measured)), before
    after = [one.layers[1] if len(one.layers) > 1 else None for one in measured]
    return compare_tiles(after, base, grid, "first_pass"), before
