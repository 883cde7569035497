"""The gains of a pass that is over, for `replay`: from the report of a run."""

from __future__ import annotations

import json

import numpy as np

from ..files import read_text_within_bounds
from ..tiles.images import TileError


def gains_from_report(path, names):
    """Gains of tiles by their names, from the JSON report of a run.

    Parameters
    ----------
    path : path-like
    names : sequence of str
        File names of the tiles without their folders.

    Returns
    -------
    list of float
        NaN for a gain that the report does not know.

    Raises
    ------
    TileError
        If it is not such a report, or a tile is not in it once.
    OSError, ValueError
        As `files.read_text_within_bounds`.
    """
    text = read_text_within_bounds(path)
    try:
        tiles = json.loads(text)["tiles"]
        found = [(tile["name"], np.nan if tile["gain"] is None else float(tile["gain"])) for tile in tiles]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise TileError(f"{path}: not the JSON report of a run: {type(error).__name__}: {str(error)[:200]}") from None
    gains = []
    for name in names:
        own = [gain for other, gain in found if other == name]
        if len(own) != 1:
            raise TileError(f"{path}: {len(own)} tiles are called {name}, 1 is needed")
        gains.append(own[0])
    return gains
