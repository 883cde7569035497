"""How bright tiles are: offset, gain and slope of all of them at once, and a bow that they have in common.

In: blocks of the tiles and the noise of their pixels. Out: a `Solution`, its findings, and what takes them out of a
tile again; the scales of the tiles from fluxes of the stars that they share. Door: the names below.
"""

from .classify import level_findings, limits, near_levels
from .correction import Correction, correction_of, correction_of_light
from .illumination import Curvature
from .levelling import level_tiles
from .solution import Solution, solve, with_kinds_of
from .tile_fit import TileFit
from .unevenness import Unevenness, uneven_findings
from .zero_points import FEWEST_STARS, StarScales, star_scales

__all__ = [
    "FEWEST_STARS",
    "Correction",
    "Curvature",
    "Solution",
    "StarScales",
    "TileFit",
    "Unevenness",
    "correction_of",
    "correction_of_light",
    "level_findings",
    "level_tiles",
    "limits",
    "near_levels",
    "solve",
    "star_scales",
    "uneven_findings",
    "with_kinds_of",
]
