"""The footprints of tiles on a grid, and the edges that they make in its mosaics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...tiles.planes import channels_last
from .lines import LineReader
from .regions import Regions
from .stretches import Stretches, stretches_of
from .strips import BLOCK, Strips


@dataclass(frozen=True, eq=False)
class Ground:
    """Edges, and where the strips beside them lie.

    Attributes
    ----------
    regions : Regions
    stretches : Stretches
    strips : Strips
    line_reader : LineReader
    """

    regions: Regions
    stretches: Stretches
    strips: Strips
    line_reader: LineReader


class Layout:
    """Footprints, with the edges kept that were asked for.

    Parameters
    ----------
    footprints : sequence of ((tuple of slice, ndarray of shape (h, w)) or None)
        One a tile, as `Regions.of_footprints` takes them, in blocks.
    """

    def __init__(self, footprints):
        self.footprints = tuple(footprints)
        # Grounds of each part of a second pass, held so that no other has its identity, and of no part.
        self._grounds = {}

    def under(self, picture):
        """The `Ground` of a picture: one for all, but for the edges of a second pass that has only a part of one."""
        part, shape = picture.part if _ends(picture) else None, picture.value.shape[1:]
        key = id(part), shape
        if key not in self._grounds:
            regions = Regions.of_footprints(self.footprints, shape, BLOCK, part)
            stretches = stretches_of(regions)
            own = regions, stretches, Strips.of_blocks(stretches, regions), LineReader(stretches, regions)
            self._grounds[key] = part, Ground(*own)
        return self._grounds[key][1]

    def with_lines(self, picture, pixels, coverage=None):
        """A picture with the lines along its edges, read off the pixels that it was made of.

        Parameters
        ----------
        picture : Picture
        pixels : array_like, shape (H, W) or (H, W, C)
        coverage : array_like, shape (H, W), optional
            Where it is not positive there is nothing.

        Returns
        -------
        Picture
        """
        ground = self.under(picture)
        if not len(ground.stretches):
            return picture
        return replace(picture, lines=ground.line_reader.read(channels_last(pixels), coverage))


def _ends(picture):
    """Whether the second pass's part ends within what the picture covers."""
    if picture.part is None:
        return False
    inside = picture.part[np.isfinite(picture.value).all(axis=0)] > 0.5
    return inside.any() and not inside.all()
