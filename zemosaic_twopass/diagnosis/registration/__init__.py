"""Where tiles lie, by the stars that they share: all tiles at once.

In: stars and blocks of the tiles. Out: a `Shift` of each and what is found, or nearly found, in it. Door: the names
below.
"""

from .findings import near_shift, shift_findings
from .matching import RADIUS
from .shifts import Shift, moved, register

__all__ = ["RADIUS", "Shift", "moved", "near_shift", "register", "shift_findings"]
