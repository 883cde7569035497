"""What is read beside edges, where no edge is: light that bends there is in the errors of the columns only by half."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...measure.robust import MEDIAN_SQUARE, SQUARE_CHANCE
from .fit import Filters, along
from .strips import Strips

# So far from the edge, in pixels, to either side: near enough to be like it, and half of a strip away from it.
_AWAY = -48.0, 48.0
# Cells on both sides that such a place must have, and edges that are looked beside at most.
_CELLS, _MOST_EDGES = 4, 100


@dataclass(frozen=True, eq=False)
class Beside:
    """Places within one region, read as if an edge were there.

    Attributes
    ----------
    places : tuple of (Strips, Filters)
    """

    places: tuple[tuple[Strips, Filters], ...]

    @classmethod
    def of(cls, stretches, regions):
        """Look beside some of the stretches, on both sides of each.

        Parameters
        ----------
        stretches : Stretches
        regions : Regions
        """
        some, found = slice(None, None, 1 + (len(stretches) - 1) // _MOST_EDGES), []
        for away, own in zip(_AWAY, (stretches.inside, stretches.outside), strict=True):
            x, y = np.column_stack([stretches.x, stretches.y]).T + away * stretches.normal.T
            moved = replace(
                stretches,
                x=x[some],
                y=y[some],
                length=stretches.length[some],
                normal=stretches.normal[some],
                inside=own[some],
                outside=own[some],
            )
            strips = Strips.of_blocks(moved, regions)
            sides = [(strips.known & side).sum(axis=-1) for side in (strips.distance < 0, strips.distance > 0)]
            strips = strips.at(np.median(np.minimum(*sides), axis=1) >= _CELLS)
            found.append((strips, Filters.of(strips)))
        return cls(tuple(found))

    def excess(self, off, floor):
        """How many times the errors the steps there are, of all channels; 1 where they are no more than chance makes.

        Parameters
        ----------
        off : ndarray, shape (C, h, w)
            As the edges themselves are read from it.
        floor : ndarray, shape (C,)
            What is in the errors beside the scatter of the columns.
        """
        squares, count = [], 0
        for strips, filters in self.places:
            step, error = along(filters.read(strips.of(off)), filters.gain)
            square = step**2 / (error**2 + floor**2)
            squares.append(square[np.isfinite(square)])
            count += np.isfinite(square).any(axis=1).sum()
        if not count:
            return 1.0
        found = np.median(np.concatenate(squares)) / MEDIAN_SQUARE
        # The channels of one place show the same light.
        return float(np.sqrt(found)) if found > 1 + SQUARE_CHANCE / np.sqrt(count) else 1.0
