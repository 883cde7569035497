"""The seams of finished mosaics on disk: by the tiles that they were made of, or by a coverage map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..diagnosis.comparison import Mended, compare
from ..diagnosis.gains import Gains
from ..diagnosis.seams import Picture, Regions, seams_alone, seams_with_tiles
from ..measure.measurement import measure_tile
from ..report.seam_picture import Backdrop
from ..tiles.images import TileError, open_image
from ..tiles.planes import channels_last
from ..tiles.tile_set import TileSet, results
from .replay import Target


def seams_by_coverage(mosaics, coverage):
    """The seams of mosaics by themselves, at the edges that their coverage map has.

    Parameters
    ----------
    mosaics : sequence of path-like
        FITS images; read in parts where the file allows it.
    coverage : path-like
        FITS image of two axes: count of tiles, or sum of weights, of every pixel of the mosaics.

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
                yield Picture.of(Path(path).name, data), channels_last(data)

    return seams_alone(pictures(), Regions.of_coverage(level)), backdrops


def seams_by_tiles(mosaics, tiles):
    """The seams of mosaics against the sky that their tiles show together.

    Parameters
    ----------
    mosaics : sequence of path-like
        FITS images on one grid; the first must have a celestial WCS.
    tiles : sequence of path-like
        Master tiles; read one at a time.

    Returns
    -------
    seams : Seams
    backdrops : list of Backdrop
        One a mosaic.

    Raises
    ------
    TileError
        If a file cannot be used, or mosaics or channels do not go together; names both values.
    """
    pictures, backdrops, target = [], [], None
    for path in mosaics:
        with open_image(path) as (data, header, coverage):
            target = target or Target(str(Path(path).absolute()), header, data.shape[:2], 1)
            pictures.append(Picture.of(Path(path).name, data, coverage))
            backdrops.append(Backdrop.of(data))
            if data.shape[:2] != target.shape or len(pictures[-1].value) != len(pictures[0].value):
                raise TileError(f"shape {data.shape} does not go with {target.shape} of {mosaics[0]}")
    placed = TileSet.on_disk(tiles, target, map)
    looks = results(placed.each(measure_tile))
    for path, look in zip(tiles, looks, strict=True):
        if len(look.noise) != len(pictures[0].value):
            raise TileError(f"{path}: {len(look.noise)} channels != {len(pictures[0].value)} of {mosaics[0]}")
    with np.errstate(all="ignore"):
        surveyed = compare(looks, placed)
    unknown = np.full(len(looks), np.nan)
    corrected = Mended.of(surveyed, Gains(unknown, unknown, unknown)).in_boxes_of(looks)
    return seams_with_tiles(pictures, [look.footprint for look in looks], corrected), backdrops
