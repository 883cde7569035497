"""How bright tiles are: offset, gain and slope of all of them at once, and a bow that they have in common.

In: blocks of the tiles and the noise of their pixels. Out: a `Solution`, its findings, and what takes them out of a
tile again. Door: the names below.
"""

from .classify import level_findings, limits, near_levels
from .correction import Correction
from .illumination import Curvature, flattened
from .solution import Solution, solve
from .tile_fit import TileFit

__all__ = [
    "Correction",
    "Curvature",
    "Solution",
    "TileFit",
    "flattened",
    "level_findings",
    "limits",
    "near_levels",
    "solve",
]
