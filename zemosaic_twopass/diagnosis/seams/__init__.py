"""The steps that are in a picture, where footprints end.

In: mosaics as `Picture`, and the block means of tiles with what is wrong with them, or regions by footprints or a
coverage map. Out: one `SeamMap` a mosaic, each edge an `Edge`, and what lies across the worst; of two maps, what has
changed. Doors: `seams_with_tiles`, `seams_alone`, `compare_seams`.
"""

from .changes import Change, Comparison, compare_seams
from .measured import Seams, seams_alone, seams_with_tiles
from .picture import Picture
from .records import PICTURES, SURE, Edge, Profile, SeamMap
from .regions import Regions
from .sky import matched

__all__ = ["PICTURES", "SURE", "Change", "Comparison", "Edge", "Picture", "Profile", "Regions", "SeamMap"]
__all__ += ["Seams", "compare_seams", "matched", "seams_alone", "seams_with_tiles"]
