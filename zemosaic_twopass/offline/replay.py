"""Diagnostics from tiles on disk and a finished first-pass mosaic: no second pass is run.

One tile after the other: read once, described, averaged and projected; what stays of it is small.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..diagnosis.comparison import TileLook, look_at
from ..diagnosis.evidence import gather
from ..diagnosis.examination import summary_of, verdict_of
from ..diagnosis.examine import examine_tiles
from ..diagnosis.registration import moved
from ..guard import log_failure
from ..measure.coarse import FACTOR
from ..measure.delta import CoarseGrid, compare_tiles, project_layers
from ..measure.sampling import sample_tile
from ..measure.stats import TileStats, scan_as_given, statistics_after_gain
from ..report.report import TileRecord, TwoPassReport
from ..settings import LOGGER_NAME
from ..tiles.grid import tile_outline
from ..tiles.headers import celestial_wcs
from ..tiles.images import TileError, open_image
from ..tiles.place import Place
from ..tiles.reading import read_master_tile, read_with_remarks, warn_of
from .reference import channel_means, fit_mosaic

_CLEAN = "Every tile agrees with the others; what a second pass makes of them was not looked at."


@dataclass(frozen=True, eq=False)
class Look:
    """What is kept of one tile.

    Attributes
    ----------
    name : str
        File name without its folder.
    gain : float
        NaN where none is known.
    pre, post : TileStats
        Of the tile as given and of gain × tile; the latter NaN throughout where no gain is known.
    layers : tuple of ((tuple of slice, ndarray) or None)
        Both on the coarse grid, as `delta.project_layers` gives them; only the first where no gain is known.
    outline : ndarray, shape (32, 2)
        As `grid.tile_outline` gives it.
    against : TileLook
        What the tile is compared with the others by.
    remarks : list of str
        As `headers.wcs_remarks` gives them.
    """

    name: str
    gain: float
    pre: TileStats
    post: TileStats
    layers: tuple
    outline: np.ndarray
    against: TileLook
    remarks: list


@dataclass(frozen=True)
class Target:
    """A mosaic and its coarse grid, in a form that gives the same grid to the bit in every process.

    Attributes
    ----------
    mosaic : str
        Absolute path.
    header : str
        FITS header of the mosaic.
    shape : tuple of int
        (H, W) of the mosaic.
    downsample : int
    """

    mosaic: str
    header: str
    shape: tuple[int, int]
    downsample: int

    def wcs(self):
        """The WCS of the mosaic; raises as `headers.celestial_wcs` does."""
        return celestial_wcs(self.header, self.shape)

    def grid(self):
        """The `CoarseGrid`; raises as `CoarseGrid.of` and `headers.celestial_wcs` do."""
        return CoarseGrid.of(self.wcs(), self.shape, self.downsample)


def look_at_tile(path, gain, target):
    """Read one tile and keep what a report needs of it.

    Parameters
    ----------
    path : path-like
        Master tile, as for `tiles.read_master_tile`.
    gain : float
        NaN where none is known.
    target : Target

    Returns
    -------
    Look

    Raises
    ------
    TileError
        If the file cannot be used; the message names it.
    """
    tile, remarks = read_with_remarks(path)
    layers, given = [tile.pixels], scan_as_given(tile.pixels)
    post = TileStats.unknown(len(given.middles))
    if not np.isnan(gain):
        layers.append(tile.pixels * np.float32(gain))
        post = statistics_after_gain(layers[1], given, gain)
    place = Place.of(tile.shape, tile.wcs, target.shape, target.wcs())
    return Look(
        tile.name,
        gain,
        given.stats,
        post,
        tuple(project_layers(layers, tile, place, target.grid())),
        tile_outline(tile.shape, tile.wcs),
        look_at(tile, target.wcs(), place),
        remarks,
    )


def try_tile(path, gain, target):
    """`look_at_tile`, or the reason as text where the tile cannot be used."""
    try:
        return look_at_tile(path, gain, target)
    except TileError as error:
        return str(error)


def try_moved(path, pixels, target):
    """`TileLook` of a tile that is seen beside its place, put right; the reason as text where it cannot be used."""
    try:
        tile = read_master_tile(path)
    except TileError as error:
        return str(error)
    right = replace(tile, wcs=moved(tile, target.wcs(), pixels))
    return look_at(right, target.wcs(), Place.of(right.shape, right.wcs, target.shape, target.wcs()))


def try_samples(path, places, target):
    """`TileSamples` of a tile at (rows, columns) of the mosaic; the reason as text where it cannot be used."""
    try:
        tile = read_master_tile(path)
    except TileError as error:
        return str(error)
    return sample_tile(tile, Place.of(tile.shape, tile.wcs, target.shape, target.wcs()), places)


def replay(mosaic, paths, gains=None, *, downsample=8, run=map, tell=lambda record: None):
    """Report on tiles against a first-pass mosaic.

    Parameters
    ----------
    mosaic : path-like
        FITS image with a celestial WCS; read in bands.
    paths : sequence of path-like
        Master tiles. One that cannot be used when its turn comes is left out.
    gains : sequence of float, optional
        One a tile. Without them nothing is known of the tiles after their gain.
    downsample : int, optional
        Reduction factor of the delta map, at least 1.
    run : callable, optional
        As `map`: where the work on each tile is done, results in the tiles' order.
    tell : callable, optional
        Called with each TileRecord, in order, as soon as it is there.

    Returns
    -------
    report : TwoPassReport
        Its delta map is that of gain × tile, where gains are known, else that of the tiles as given. Its findings
        are those of the tiles as given, against one another. A mosaic in another scale and level than the tiles is
        brought to theirs first; `mosaic_scale` and `mosaic_level` in its settings, one value a channel, say from what.
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
    target, grid, base, means = _reference(mosaic, downsample)
    looks, used, records, left_out = [], [], [], []
    found = run(partial(try_tile, target=target), paths, gains if known else [np.nan] * len(paths))
    for path, look in zip(paths, found, strict=True):
        reason = look if isinstance(look, str) else _unlike(path, look, len(means), target)
        if reason:
            left_out.append(reason)
            continue
        looks.append(look)
        used.append(path)
        records.append(TileRecord(len(records), look.name, look.gain, look.pre, look.post, "derived"))
        tell(records[-1])
    if not records:
        raise TileError(left_out[0] if left_out else "no tiles: 0 files were given, at least 1 is needed")
    warn_of((path, remark) for path, look in zip(used, looks, strict=True) for remark in look.remarks)
    base, settings = _in_adu(base, means, looks, target)
    delta, before = _maps(looks, base, grid, known)
    found = examine_tiles(
        [look.against for look in looks],
        grid.shape_out,
        lambda wrong, pixels: run(partial(try_moved, target=target), [used[index] for index in wrong], pixels),
        [look.gain for look in looks],
    )

    def sample(indices, places):
        return run(partial(try_samples, target=target), [used[index] for index in indices], places)

    findings = found.findings
    summary, worst = summary_of(findings, True)
    report = TwoPassReport(
        tuple(replace(record, fit=fit) for record, fit in zip(records, found.fits, strict=True)),
        delta,
        before,
        findings,
        verdict_of(findings),
        worst,
        summary if findings else _CLEAN,
        evidence=_evidence(found, sample),
        outlines=tuple(look.outline for look in looks),
        settings={
            "mosaic": Path(mosaic).name,
            "shape_out": grid.shape_out,
            "downsample": grid.downsample,
            **settings,
        },
        after_gain=known,
    )
    return report, left_out


def _evidence(found, sample):
    """As `gather`; a finding stands without its picture too."""
    try:
        return gather(found, sample)
    except Exception as error:
        log_failure(logging.getLogger(LOGGER_NAME), error)
        return ()


def _reference(mosaic, downsample):
    """The `Target` of a mosaic, its grid, its block means there, and those of each channel by which it is fitted."""
    # In a function of its own, at whose end the file is no longer mapped into memory.
    with open_image(mosaic) as (data, header, coverage):
        target = Target(os.path.abspath(mosaic), header, data.shape[:2], downsample)
        grid = target.grid()
        return target, grid, grid.average(data, coverage), channel_means(data, FACTOR, coverage)


def _unlike(path, look, channels, target):
    """Why a tile does not go with the mosaic; empty if it does."""
    if len(look.pre.median) == channels:
        return ""
    return f"{path}: {len(look.pre.median)} channels != {channels} of {Path(target.mosaic).name}"


def _in_adu(base, means, looks, target):
    """The block means of the mosaic in the tiles' adu, and what is to be said of its scale."""
    noise = float(np.nanmedian([look.against.noise for look in looks]))
    try:
        fit = fit_mosaic(means, [look.against.blocks for look in looks], noise)
    except TileError as error:
        raise TileError(f"{target.mosaic}: {error}") from None
    if fit is None:
        return base, {}
    with open_image(target.mosaic) as (data, _, coverage):
        base = fit.in_adu(channel_means(data, target.downsample, coverage))
    return base, {"mosaic_scale": fit.scale.tolist(), "mosaic_level": fit.level.tolist()}


def _maps(looks, base, grid, known):
    """The delta map to show and the one of the tiles as given."""
    before = compare_tiles([look.layers[0] for look in looks], base, grid, "first_pass")
    if not known:
        return replace(before, tile_medians=(np.nan,) * len(looks)), before
    after = [look.layers[1] if len(look.layers) > 1 else None for look in looks]
    return compare_tiles(after, base, grid, "first_pass"), before
