"""The sky that tiles show together, and how a mosaic lies to it."""

from __future__ import annotations

import numpy as np

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD, MEDIAN_SQUARE, SQUARE_CHANCE
from .fit import along

_WHOLE = 0.98
_ROUNDS = 8
_CLIP = 5.0
_MOST_BLOCKS = 10_000


def sky_of(footprints, corrected, shape, channels):
    """Mean of the tiles that know all of a block.

    Parameters
    ----------
    footprints, corrected
        As of `measured.seams_with_tiles`.
    shape : tuple of int
        (h, w) of the grid.
    channels : int

    Returns
    -------
    sky : ndarray, shape (C, h, w)
        In adu; NaN where no tile does.
    depth : ndarray, shape (h, w)
        How many.
    """
    total, depth = np.zeros((channels, *shape)), np.zeros(shape)
    for footprint, blocks in zip(footprints, corrected, strict=True):
        if footprint is None or blocks is None:
            continue
        (rows, columns), share = footprint
        known = (share >= _WHOLE) & np.isfinite(blocks).all(axis=0)
        total[:, rows, columns] += np.where(known, blocks, 0.0)
        depth[rows, columns] += known
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(depth > 0, total / depth, np.nan), depth


def match(value, sky):
    """A mosaic in the adu of the sky: its scale by what changes from block to block, where no seam is.

    The scale is the ratio of the scatters of mosaic and sky, outliers left out: noise that only one of them has draws
    it neither way.

    Parameters
    ----------
    value, sky : ndarray, shape (C, h, w)

    Returns
    -------
    value : ndarray, shape (C, h, w)
        Divided by the scale.
    scale : ndarray, shape (C,)
        1 where too little is known.
    """
    scale = np.ones(len(value))
    for channel, (own, true) in enumerate(zip(value, sky, strict=True)):
        y, x = np.diff(own, axis=1).ravel(), np.diff(true, axis=1).ravel()
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        # Enough for a tenth of a per cent.
        known = known[:: max(1, len(known) // _MOST_BLOCKS)]
        y, x = y[known], x[known]
        usual = [median_of_known(np.abs(steps)) for steps in (x, y)]
        if len(x) < 2 or not min(usual) > 0:
            continue
        ratio = usual[1] / usual[0]
        for _ in range(_ROUNDS):
            off = np.abs(y - ratio * x)
            near = (off <= _CLIP * GAUSSIAN_MAD * median_of_known(off)).astype(float)
            square = near @ x**2
            if square > 0:
                ratio = np.sqrt(near @ y**2 / square)
        scale[channel] = ratio
    return value / scale[:, np.newaxis, np.newaxis], scale


def excess(stretches, strips, filters, sky):
    """The error that the sky brings in, shape (C,): how far tiles lie off it at their own edges, beyond the noise.

    Where a tile that was not put right to the last ends, the mean of the tiles has a step too.

    Parameters
    ----------
    stretches : Stretches
    strips : Strips
    filters : Filters
    sky : (footprints, corrected, sky, depth)
        As `sky_of` takes and gives them.
    """
    footprints, corrected, mean, depth = sky
    own = np.array([-1 if tile is None else tile for tile in stretches.tile], dtype=int)
    steps = np.full((len(own), len(mean), strips.known.shape[1]), np.nan)
    inside = np.where(strips.distance < 0, filters.step, 0.0)
    for tile in np.unique(own[own >= 0]):
        if corrected[tile] is None:
            continue
        chosen = own == tile
        rows, columns, part = strips.rows[chosen], strips.columns[chosen], inside[chosen]
        (down, across), _ = footprints[tile]
        part[(rows < down.start) | (rows >= down.stop) | (columns < across.start) | (columns >= across.stop)] = 0.0
        rows, columns = np.clip(rows, down.start, down.stop - 1), np.clip(columns, across.start, across.stop - 1)
        here = (rows - down.start) * (across.stop - across.start) + columns - across.start
        flat = rows * mean.shape[2] + columns
        off = np.stack([one.take(here) - other.take(flat) for one, other in zip(corrected[tile], mean, strict=True)])
        off = np.sum(np.where(part != 0, part * off / (depth[rows, columns] - 1), 0.0), axis=-1)
        steps[chosen] = np.moveaxis(off, 0, 1)
    steps[np.broadcast_to(~np.isfinite(filters.gain)[:, np.newaxis], steps.shape)] = np.nan
    step, error = along(steps, filters.gain)
    found = np.zeros(len(mean))
    for channel in range(len(mean)):
        known = np.isfinite(step[:, channel]) & np.isfinite(error[:, channel])
        if known.any():
            square = np.median(step[known, channel] ** 2) / MEDIAN_SQUARE
            usual = np.median(error[known, channel] ** 2)
            # More than chance makes of so few.
            if square > usual * (1 + SQUARE_CHANCE / np.sqrt(known.sum())):
                found[channel] = square - usual
    return np.sqrt(found)
