"""Does a correction help where it was not fitted? The steps of every tile on parts that were left out of the fit.

The mosaic is cut into cells of half a tile, as a checkerboard. What was found is fitted anew on the cells of one
colour, and judged on those of the other: stretches of an overlap that are too far away to share its noise, or a
structure that happens to look like a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..tiles.grid import common_part
from .comparison import corrections
from .photometry import solve, with_kinds_of

# Of the blocks of a stretch, and of all that a tile is judged by in a channel.
_FEWEST = 6
_FEWEST_OF_TILE = 20
_LEAST_SIDE = 3


@dataclass(frozen=True)
class HeldOut:
    """Steps from one tile to its neighbours on blocks that were left out of the fit.

    Attributes
    ----------
    before, after : float
        Root mean square over stretches and channels, in units of the noise of a pixel: the tile as given, and with
        what was found in it taken out; its neighbours with what was found in them taken out. NaN where it cannot be
        judged.
    blocks : int
        How many blocks that rests on, in the channel that has most.
    """

    before: float
    after: float
    blocks: int

    @property
    def smaller(self):
        """Whether the steps are smaller after; not where they cannot be judged."""
        return self.blocks >= _FEWEST_OF_TILE and self.after < self.before


def held_out_steps(surveyed, shape_out):
    """Steps of every tile before and after, on blocks left out of the fit.

    Parameters
    ----------
    surveyed : Survey
        What was found in it is fitted again on half of the blocks, twice; which tile has which kind stays.
    shape_out : tuple of int
        (H, W) of the mosaic.

    Returns
    -------
    list of HeldOut
        One a tile.
    """
    count, channels = surveyed.solution.noise.shape
    squares, blocks = np.zeros((2, count, channels)), np.zeros((count, channels), dtype=int)
    side = _side(surveyed.looks)
    for colour in (0, 1):
        found = _fitted_without(surveyed, shape_out, side, colour)
        given = [own.blocks and own.blocks.value for own in surveyed.curved]
        mended = [
            None if look.blocks is None or own is None else own.of_blocks(look.blocks)
            for look, own in zip(surveyed.looks, found, strict=True)
        ]
        for index, other, parts, cells in _meetings(surveyed.looks, mended, side, colour):
            here, there = ((slice(None), *part) for part in parts)
            neighbour = mended[other][there]
            both = np.stack([given[index][here] - neighbour, mended[index][here] - neighbour])
            for cell in np.unique(cells[cells >= 0]):
                for channel in range(channels):
                    left = both[:, channel, cells == cell]
                    left = left[:, np.isfinite(left).all(axis=0)]
                    if left.shape[1] >= _FEWEST:
                        squares[:, index, channel] += left.shape[1] * np.median(left, axis=1) ** 2
                        blocks[index, channel] += left.shape[1]
    total = np.maximum(blocks.sum(axis=1), 1)
    sizes = np.sqrt(np.sum(squares / surveyed.solution.noise**2, axis=2) / total)
    return [
        HeldOut(*map(float, sizes[:, index]), int(blocks[index].max()))
        if blocks[index].any()
        else HeldOut(np.nan, np.nan, 0)
        for index in range(count)
    ]


def _side(looks):
    """(rows, columns) of a cell in blocks: half of what a tile usually knows."""
    shapes = [look.blocks.value.shape[1:] for look in looks if look.blocks is not None]
    return np.maximum(np.rint(np.median(shapes, axis=0) / 2).astype(int), _LEAST_SIDE)


def _cells(box, side):
    """Number and colour of the cell that each block of a box lies in."""
    rows, columns = (np.arange(part.start, part.stop) // own for part, own in zip(box, side, strict=True))
    return rows[:, np.newaxis] * 65536 + columns, (rows[:, np.newaxis] + columns) % 2


def _fitted_without(surveyed, shape_out, side, colour):
    """Corrections fitted without the blocks of one colour: of every tile the kinds that it has."""
    looks = []
    for look, fit in zip(surveyed.looks, surveyed.solution.fits, strict=True):
        # One that is not in the solution, as where light lies on it that no term explains, is no measure of the others.
        look = look if fit is not None else replace(look, blocks=None)
        if look.blocks is not None:
            value = np.where(_cells(look.blocks.box, side)[1] == colour, np.nan, look.blocks.value)
            look = replace(look, blocks=replace(look.blocks, value=value))
        looks.append(look)
    half = solve([(look.blocks, look.noise) for look in looks], shape_out, surveyed.solution.stars)
    half = with_kinds_of(half, surveyed.solution.inside)
    return corrections(replace(surveyed, looks=tuple(looks), solution=half, uneven=()))


def _meetings(looks, mended, side, colour):
    """(tile, neighbour, blocks of both where they meet, cells of a colour there or −1), each way."""
    for index, look in enumerate(looks):
        for other, neighbour in enumerate(looks):
            if other == index or mended[index] is None or mended[other] is None:
                continue
            parts = common_part(look.blocks.box, neighbour.blocks.box)
            if parts is not None:
                number, shade = (layer[parts[0]] for layer in _cells(look.blocks.box, side))
                yield index, other, parts, np.where(shade == colour, number, -1)
