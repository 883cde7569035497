"""The steps that are in a picture, where footprints end.

In: mosaics as `Picture`, and the block means of tiles with what is wrong with them, or regions by footprints or a
coverage map. Out: one `SeamMap` a mosaic, each edge an `Edge`, and what lies across the worst. Doors:
`seams_with_tiles`, `seams_alone`.
"""

from .measured import Seams, seams_alone, seams_with_tiles
from .picture import Picture
from .records import PICTURES, SURE, Edge, Profile, SeamMap
from .regions import Regions

__all__ = ["PICTURES", "SURE", "Edge", "Picture", "Profile", "Regions", "SeamMap", "Seams", "seams_alone"]
__all__ += ["seams_with_tiles"]
