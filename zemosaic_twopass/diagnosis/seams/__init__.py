"""The steps that are in a picture, where footprints end.

In: mosaics as `Picture`, and the block means of tiles with what is wrong with them, or regions by footprints or a
coverage map. Out: one `SeamMap` a mosaic, each edge an `Edge`, and what lies across the worst; of two maps, what has
changed. Doors: `seams_with_tiles`, `seams_alone`, `compare_seams`. What is expected of the mosaics of a pass comes of
its `Makings`.
"""

from .alone import seams_alone
from .changes import Change, Comparison, compare_seams
from .edges import Left
from .layout import Layout
from .makings import Makings
from .measured import Seams, seams_with_tiles
from .picture import Picture
from .records import FAINT, PICTURES, SURE, VISIBLE, Edge, Profile, SeamMap
from .regions import Regions
from .sky import match, sky_of

__all__ = ["FAINT", "PICTURES", "SURE", "VISIBLE", "Change", "Comparison", "Edge", "Layout", "Left", "Makings"]
__all__ += [
    "Picture",
    "Profile",
    "Regions",
    "SeamMap",
    "Seams",
    "compare_seams",
    "match",
    "seams_alone",
    "seams_with_tiles",
]
__all__ += ["sky_of"]
