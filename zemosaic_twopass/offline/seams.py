"""The seams of finished mosaics on disk: by the tiles that they are of, by a coverage map, or by a folder of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..console import silent
from ..diagnosis.comparison import CorrectedTiles, compare
from ..diagnosis.gains import Gains
from ..diagnosis.seams import Layout, Picture, Regions, seams_alone, seams_with_tiles
from ..measure.coarse import FACTOR
from ..measure.measurement import measure_tile
from ..report.backdrop import Backdrop
from ..tiles.blocks import block_mean
from ..tiles.images import TileError, open_image
from ..tiles.planes import channels_last
from ..tiles.tile_set import TileSet, results, tell_each
from .target import Target

# A coverage that is 0 on more of what the mosaic holds counts from 0 what is covered once.
_UNCOVERED = 0.01
# This share of the blocks that tiles cover may be covered otherwise than the coverage has it.
_OTHERWISE = 0.02
# In units of what one tile adds.
_OFF_COVERAGE = 0.3
_PURE, _MOST_PIXELS = 0.02, 20_000


class OtherTiles(TileError):
    """Tiles that are not what a mosaic was made of, or not all of what they were then."""


def seams_by_coverage(mosaics, coverage, stage=silent):
    """The seams of mosaics by themselves, at the edges that their coverage map has.

    Parameters
    ----------
    mosaics : sequence of path-like
        FITS images; read in parts where the file allows it.
    coverage : path-like
        FITS image of two axes: count of tiles, or sum of weights, of every pixel of the mosaics. One that is 0 where
        the first mosaic holds something is read as if all of that were covered once more.
    stage : callable, optional
        As `console.stage`: is told what is being done.

    Returns
    -------
    seams : Seams
    backdrops : list of Backdrop
        One a mosaic.

    Raises
    ------
    TileError
        If a file cannot be used, or a mosaic and the coverage have different shapes; names both.
    """
    with open_image(coverage) as (data, _, _):
        if data.ndim != 2:
            raise TileError(f"coverage of shape {data.shape}: 2 axes are needed, not {data.ndim}")
        level = np.array(data, dtype=np.float32)
    backdrops = []

    def pictures():
        for path in mosaics:
            with open_image(path) as (data, _, _):
                if data.shape[:2] != level.shape:
                    raise TileError(f"shape {data.shape[:2]} != {level.shape} of the coverage {coverage}")
                backdrops.append(Backdrop.of(data))
                with stage(f"seams of {Path(path).name}"):
                    yield Picture.of(Path(path).name, data), channels_last(data)

    return seams_alone(pictures(), Regions.of_coverage(_from_one(level, mosaics[0]))), backdrops


def _from_one(level, mosaic):
    """A coverage map as it was before its smallest value was taken from it, as some programs do to all they write."""
    with open_image(mosaic) as (data, _, _):
        first = channels_last(data)[..., 0]
        if first.shape != level.shape:
            return level
        held = np.isfinite(first) & (first != 0)
    lost = held & ~(level > 0)
    return np.where(held, level + 1, level) if lost.sum() > _UNCOVERED * held.sum() else level


def seams_of_run(found, stage=silent):
    """The seams of the mosaic of a run by what its folder has: by the tiles, or where they cannot be used by coverage.

    Parameters
    ----------
    found : OutputFolder
    stage : callable, optional
        As `console.stage`: is told what is being done.

    Returns
    -------
    seams : Seams
    backdrops : list of Backdrop
        One.
    remarks : list of str
        Why the tiles were not used; empty where they were.

    Raises
    ------
    TileError
        As `seams_by_tiles` and `seams_by_coverage`, and where neither tiles nor coverage are there.
    """
    remarks = []
    if found.tiles:
        try:
            return *seams_by_tiles([found.mosaic], found.tiles, found.coverage, stage), remarks
        except OtherTiles as error:
            remarks.append(f"by the coverage alone: {error}")
    if found.coverage is None:
        raise TileError(f"{found.mosaic}: where footprints end is not known: neither coverage nor tiles are there")
    return *seams_by_coverage([found.mosaic], found.coverage, stage), remarks


def seams_by_tiles(mosaics, tiles, coverage=None, stage=silent):
    """The seams of mosaics against the sky that their tiles show together.

    Parameters
    ----------
    mosaics : sequence of path-like
        FITS images on one grid; the first must have a celestial WCS.
    tiles : sequence of path-like
        Master tiles; read one at a time.
    coverage : path-like, optional
        Coverage of the mosaics, to hold the tiles against.
    stage : callable, optional
        As `console.stage`: is told what is being done.

    Returns
    -------
    seams : Seams
    backdrops : list of Backdrop
        One a mosaic.

    Raises
    ------
    TileError
        If a file cannot be used, or mosaics or channels do not go together; names both values. `OtherTiles` where the
        coverage is not that of such tiles.
    """
    pictures, backdrops, target = [], [], None
    for path in mosaics:
        with open_image(path) as (data, header, alpha):
            target = target or Target(str(Path(path).absolute()), header, data.shape[:2], 1)
            pictures.append(Picture.of(Path(path).name, data, alpha))
            backdrops.append(Backdrop.of(data))
            if data.shape[:2] != target.shape or len(pictures[-1].value) != len(pictures[0].value):
                raise TileError(f"shape {data.shape} does not go with {target.shape} of {mosaics[0]}")
    placed = TileSet.on_disk(tiles, target, map)
    with stage("tiles", len(tiles)) as step:
        looks = results(tell_each(placed.each(measure_tile), step))
    for path, look in zip(tiles, looks, strict=True):
        if len(look.noise) != len(pictures[0].value):
            raise TileError(f"{path}: {len(look.noise)} channels != {len(pictures[0].value)} of {mosaics[0]}")
    if coverage is not None:
        check_coverage([look.footprint for look in looks], coverage, target.shape)
    with np.errstate(all="ignore"), stage("tiles against one another"):
        surveyed = compare(looks, placed)
    unknown = np.full(len(looks), np.nan)
    corrected = CorrectedTiles.of(surveyed, Gains(unknown, unknown, unknown)).in_boxes_of(looks)
    with stage("seams"):
        layout = Layout(look.footprint for look in looks)
        pictures = [_with_lines(path, picture, layout) for path, picture in zip(mosaics, pictures, strict=True)]
        return seams_with_tiles(pictures, layout, corrected), backdrops


def _with_lines(path, picture, layout):
    """A `Picture` of a mosaic on disk with the thin lines along the edges of a `Layout`."""
    with open_image(path) as (data, _, alpha):
        return layout.with_lines(picture, data, alpha)


def check_coverage(footprints, coverage, shape):
    """Refuse tiles whose footprints, each with a weight of its own, do not add up to a coverage map."""
    with open_image(coverage) as (data, _, _):
        if data.shape != shape:
            raise TileError(f"coverage of shape {data.shape} != {shape} of the mosaic")
        level = block_mean(np.nan_to_num(np.asarray(data, dtype=np.float32)), FACTOR)
    layers = [_layer(footprint, level.shape) for footprint in footprints]
    # Where a tile ends in a block nobody knows to the pixel.
    pure = np.logical_and.reduce([(layer < _PURE) | (layer > 1 - _PURE) for layer in layers])
    known = np.flatnonzero(pure & np.logical_or.reduce([layer > 0.5 for layer in layers]))
    known = known[:: max(1, len(known) // _MOST_PIXELS)]
    shares, level = np.stack([layer.ravel()[known] for layer in layers], axis=1), level.ravel()[known]
    weights, *_ = np.linalg.lstsq(shares, level, rcond=None)
    off = np.mean(np.abs(shares @ weights - level) > _OFF_COVERAGE * np.median(weights)) if len(known) else 1.0
    if off > _OTHERWISE:
        raise OtherTiles(
            f"the tiles do not add up to {Path(coverage).name} in {off:.0%} of what they cover: "
            "cropped before they were coadded, or others"
        )


def _layer(footprint, shape):
    """How much of each block of a mosaic a tile covers, shape (h, w)."""
    layer = np.zeros(shape, dtype=np.float32)
    if footprint is not None:
        layer[footprint[0]] = footprint[1]
    return layer
