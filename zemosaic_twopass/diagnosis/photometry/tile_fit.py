"""What the solution says of each tile: level, scale and slopes with their errors, faulty or not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# Above this part of noise in what the gain is told by, it is not told.
STRUCTURE = 0.1
# In units of the error that a term would have if the other tiles had none.
_LOOSE = 10.0


@dataclass(frozen=True, eq=False)
class TileFit:
    """One tile as given, less what all tiles have in common, against the others: what is seen of each of its terms.

    Each term is that of the kinds the tile has and, where it has not got its kind, what it would be if it had:
    the others with what they have, solved anew. What no data can tell, a constant, a plane, a gain common to all
    tiles that hang together, is settled so that as many of them as possible have none; where fewer than a third have
    none, by the median tile.

    A term of which that tile could have any at nearly no cost is 0, its error NaN.

    Attributes
    ----------
    offset, offset_error : ndarray, shape (C,)
        What the tile is too bright by, whatever the cause, at the median level of the sky where it meets others and in
        the middle of what it knows, in adu.
    gain, gain_error : ndarray, shape (C,)
        Factor of its structure less 1; NaN where the sky has too little structure to tell.
    slope_x, slope_x_error, slope_y, slope_y_error : ndarray, shape (C,)
        Rise along columns and rows of the mosaic from end to end of what the tile knows, in adu.
    overlaps : int
        How many tiles it rests on.
    offset_agrees, gain_agrees : ndarray, shape (C,)
        A term no larger than this agrees with none: it is too small to matter, or not sure; NaN where not known.
    shift_x, shift_y, shift_error : float
        How far what is seen lies to the right of, and above, where its WCS says, in mosaic pixels, and the error of
        each; NaN where it has too few stars in common with others.
    """

    offset: np.ndarray
    offset_error: np.ndarray
    gain: np.ndarray
    gain_error: np.ndarray
    slope_x: np.ndarray
    slope_x_error: np.ndarray
    slope_y: np.ndarray
    slope_y_error: np.ndarray
    overlaps: int
    offset_agrees: np.ndarray
    gain_agrees: np.ndarray
    shift_x: float = np.nan
    shift_y: float = np.nan
    shift_error: float = np.nan

    @property
    def seen(self):
        """Offset, gain and slopes, as `terms.at_level` has them at the tile's level; shape (C, 4)."""
        return np.stack([self.offset, self.gain, self.slope_x, self.slope_y], axis=1)

    @property
    def errors(self):
        """Standard errors of `seen`."""
        return np.stack([self.offset_error, self.gain_error, self.slope_x_error, self.slope_y_error], axis=1)

    def with_limits(self, sure, large):
        """The fit along with what agrees: so many errors, and sizes that matter; both shape (2, C), offset and gain."""
        errors = np.stack([self.offset_error, self.gain_error])
        agrees = np.where(np.isfinite(sure * errors), np.fmax(sure * errors, large), np.nan)
        return replace(self, offset_agrees=agrees[0], gain_agrees=agrees[1])

    def with_shift(self, shift):
        """The fit along with a `registration.Shift`."""
        x, y = (float(pixels) for pixels in shift.pixels)
        return replace(self, shift_x=x, shift_y=y, shift_error=shift.error)


def tile_fits(channels, states, tested, neighbours):
    """Fits of all tiles.

    Parameters
    ----------
    channels : sequence of Channel
    states : sequence
        State of each channel, with the `equations` at the solution, the part of the gains' diagonal that is `flat`, and
        whose gains are `told`.
    tested : ndarray of bool, shape (N,)
    neighbours : sequence of tuple of int
        Tiles that each tile shares blocks with.

    Returns
    -------
    tuple of (TileFit or None)
        None for a tile that is not tested.
    """
    fits = [_channel_fit(channel, state) for channel, state in zip(channels, states, strict=True)]
    unknown = np.full((2, len(fits)), np.nan)
    return tuple(
        TileFit(*np.array([fit[:, index] for fit in fits]).T, len(neighbours[index]), *unknown) if known else None
        for index, known in enumerate(tested)
    )


def terms_inside(equations):
    """Terms of the tiles that are inside, as `TileTerms` has them: (N, 4), and their covariance, (N, 4, 4)."""
    found = np.zeros(equations.active.shape)
    spread = np.full((*found.shape, found.shape[-1]), np.nan)
    for index, (block, right) in enumerate(zip(*equations.blocks(), strict=True)):
        columns = np.flatnonzero(equations.active[index])
        value, covariance = _estimate(block, right, columns)
        found[index, columns], spread[index][np.ix_(columns, columns)] = value, covariance
    return found, spread


def _channel_fit(channel, state):
    """Offset, gain, slopes, each with its error after it, of one channel; shape (8, N)."""
    found = np.full((8, channel.count), np.nan)
    block, right = state.equations.blocks()
    for index in np.flatnonzero(state.equations.alone[:, 0] > 0):
        there = set(np.flatnonzero(state.equations.active[index]).tolist())
        level = channel.level[index]
        tied = 1 in there and 0 not in there
        # What stars alone say of a gain is not surer because the level would say the same if there were no offset.
        apart = not tied or state.flat[index] == 0
        for row, more, weights in (
            (0, () if tied else (0,), {0: 1.0, 1: level}),
            (2, (0, 1) if apart else (), {1: 1.0}),
            (4, (2, 3), {2: 1.0}),
            (6, (2, 3), {3: 1.0}),
        ):
            if row == 2 and not state.told[index]:
                continue
            columns = sorted(there.union(more))
            value, covariance = _estimate(block[index], right[index], columns)
            along = np.array([weights.get(column, 0.0) for column in columns])
            variance = along @ covariance @ along
            loose = variance * state.equations.alone[index, row // 2] >= _LOOSE**2
            if there.issuperset(more) or (variance > 0 and not loose):
                found[row : row + 2, index] = along @ value, np.sqrt(variance)
            else:
                found[row, index] = 0.0
        # Noise in the sky is no structure: it makes the error small and, of a gain that is not in, the value.
        share = state.flat[index] * found[3, index] ** 2
        if share > STRUCTURE and 1 not in there:
            found[2:4, index] = np.nan
        elif not tied and share > 0:
            found[2 if 1 not in there else 3 : 4, index] /= 1 - share
    return found


def _estimate(block, right, columns):
    """Terms of some columns of a tile and their covariance; NaN where the data do not tell."""
    inner = block[np.ix_(columns, columns)]
    try:
        covariance = np.linalg.inv(inner)
    except np.linalg.LinAlgError:
        return np.zeros(len(columns)), np.full(inner.shape, np.nan)
    return covariance @ right[columns], covariance
