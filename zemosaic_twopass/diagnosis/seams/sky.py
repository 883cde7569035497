"""The sky that tiles show together, and how a mosaic lies to it."""

from __future__ import annotations

import numpy as np

from .fit import along, middle

_MAD = 1.4826
_WHOLE = 0.98
_ROUNDS = 8
_CLIP = 5.0
_MOST = 20_000
# The median of a squared Gaussian.
_MEDIAN_SQUARE = 0.4549


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


def matched(value, sky):
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
        known = known[:: max(1, len(known) // _MOST)]
        y, x = y[known], x[known]
        spread = middle(np.abs(x)), middle(np.abs(y))
        if len(x) < 2 or not min(spread) > 0:
            continue
        ratio = spread[1] / spread[0]
        for _ in range(_ROUNDS):
            off = np.abs(y - ratio * x)
            near = off <= _CLIP * _MAD * middle(off)
            square = np.sum(x[near] ** 2)
            if square > 0:
                ratio = np.sqrt(np.sum(y[near] ** 2) / square)
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
    channels, own = len(mean), np.array([-1 if tile is None else tile for tile in stretches.tile], dtype=int)
    found = [np.zeros((0, channels))], [np.zeros((0, channels))]
    inside = filters.step * (strips.distance < 0)
    for tile in np.unique(own[own >= 0]):
        if corrected[tile] is None:
            continue
        chosen = own == tile
        rows, columns = strips.rows[chosen], strips.columns[chosen]
        (down, across), _ = footprints[tile]
        part = inside[chosen].copy()
        part[(rows < down.start) | (rows >= down.stop) | (columns < across.start) | (columns >= across.stop)] = 0.0
        blocks = np.clip(rows, down.start, down.stop - 1), np.clip(columns, across.start, across.stop - 1)
        local = blocks[0] - down.start, blocks[1] - across.start
        off = (corrected[tile][:, local[0], local[1]] - mean[:, blocks[0], blocks[1]]) / (depth[blocks] - 1)
        steps = np.sum(np.where(part != 0, part * off, 0.0), axis=-1)
        steps = np.where(np.isfinite(filters.gain[chosen]), steps, np.nan)
        step, error = along(np.moveaxis(steps, 0, 1), filters.gain[chosen])
        found[0].append(step)
        found[1].append(error)
    step, error = (np.concatenate(part).T for part in found)
    square = middle(np.where(np.isfinite(step), step**2, np.nan)) / _MEDIAN_SQUARE if step.size else np.zeros(channels)
    usual = middle(error**2) if step.size else np.zeros(channels)
    return np.sqrt(np.maximum(np.nan_to_num(square - usual), 0.0))
