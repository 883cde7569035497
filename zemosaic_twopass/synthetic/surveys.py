"""Tiles that were made to order, compared as a pass compares them."""

from __future__ import annotations

from ..diagnosis.comparison import compare
from ..measure.measurement import measure_tile
from ..tiles.tile_set import TileSet


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
