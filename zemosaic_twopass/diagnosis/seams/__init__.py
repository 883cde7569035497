"""The steps that are in a picture, where footprints end.

In: mosaics as `Picture`, and the block means of tiles with what is wrong with them, or regions by footprints or a
coverage map. Out: one `SeamMap` a mosaic, each edge an `Edge`, and what lies across the worst. Doors:
`seams_with_tiles`, `seams_alone`. What is expected of the mosaics of a pass comes of its `Makings`.
"""

from .makings import Makings
from .measured import Left, Seams, seams_alone, seams_with_tiles
from .picture import Picture
from .records import FAINT, PICTURES, SURE, VISIBLE, Edge, Profile, SeamMap
from .regions import Regions
from .sky import sky_of

__all__ = ["FAINT", "PICTURES", "SURE", "VISIBLE", "Edge", "Left", "Makings", "Picture", "Profile", "Regions"]
__all__ += ["SeamMap", "Seams", "seams_alone", "seams_with_tiles", "sky_of"]
