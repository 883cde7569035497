"""Where tiles lie, and the second pass on the first, by the stars that they share.

In: stars and blocks of the tiles, or both mosaics. Out: a `Shift` of each tile, and what is found, or nearly found, in
it; what is found of the pass. Door: the names below.
"""

from .findings import near_shift, shift_findings, stranger_findings
from .matching import RADIUS, same_stars
from .passes import PassShift, compare_passes
from .shifts import Shift, move_wcs, register
from .strangers import Stranger, find_strangers

__all__ = [
    "RADIUS",
    "PassShift",
    "Shift",
    "Stranger",
    "compare_passes",
    "move_wcs",
    "near_shift",
    "register",
    "same_stars",
    "shift_findings",
    "stranger_findings",
    "find_strangers",
]
