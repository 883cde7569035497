"""Tiles that were made to order, compared as a pass compares them."""

from __future__ import annotations

from ..diagnosis.comparison import compare
from ..measure.measurement import measure_tile
from ..tiles.mosaic import MosaicGrid
from ..tiles.records import SecondPass, TileList
from ..tiles.tile_set import TileSet


def make_pass(tiles):
    """Make a pass of tiles of which nothing else is known, on the smallest grid that holds them.

    Parameters
    ----------
    tiles : sequence of Tile

    Returns
    -------
    SecondPass
    """
    grid = MosaicGrid.make([tile.shape for tile in tiles], [tile.wcs for tile in tiles])
    return SecondPass(TileList.of(tiles), grid.wcs(), grid.shape)


def survey(second_pass):
    """Compare the tiles of a pass as they were given; neither mosaic nor gains are looked at.

    Parameters
    ----------
    second_pass : SecondPass

    Returns
    -------
    Survey
    """
    tiles = TileSet.of_pass(second_pass)
    return compare(tiles.each(measure_tile), tiles)
