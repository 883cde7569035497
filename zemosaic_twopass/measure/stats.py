"""Statistics of one tile: minimum, mean and median of each channel over its finite pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..tiles.planes import real_planes
from .scan import scan_tile


@dataclass(frozen=True)
class TileStats:
    """What one tile holds, channel by channel.

    Attributes
    ----------
    valid_fraction : float
        Share of the pixels that are finite in every channel; NaN for a tile that was not
        seen, 0 for one without pixels.
    minimum, mean, median : tuple of float
        One value a channel in the unit of the tile (adu); NaN where no pixel of it is finite.
    """

    valid_fraction: float
    minimum: tuple[float, ...]
    mean: tuple[float, ...]
    median: tuple[float, ...]

    @classmethod
    def unknown(cls, channels):
        """Statistics of a tile that could not be seen: NaN throughout."""
        blank = (np.nan,) * channels
        return cls(np.nan, blank, blank, blank)


@dataclass(frozen=True)
class TileScan:
    """Statistics of a tile, and what those of the tile after a gain are found by.

    Attributes
    ----------
    stats : TileStats
    middles : tuple of (float, float)
        The two middle values of each channel, whose mean is its median.
    """

    stats: TileStats
    middles: tuple[tuple[float, float], ...]


def tile_statistics(array):
    """Minimum, mean and median of each channel of a tile, over its finite pixels.

    Minimum and median are exact: the least value as it stands; the middle value, or for an even count the mean of the
    two middle ones taken in float64. The mean is the sum in float64, of 1024 values at a time and pairwise of those
    sums, over the number of values: off from the true one by less than 1e-12 times the mean of the absolute values, so
    that where positive and negative values cancel the relative error can be larger. Numbers that float64 cannot hold,
    integers beyond 2⁵³ and longer floats, are rounded to it first. The same array gives the same bits, whatever the
    number of threads.

    Parameters
    ----------
    array : array_like, shape (H, W) or (H, W, C)
        Any real dtype, byte order and strides; any C. Not written to. NaN and
        infinities count as not valid.

    Returns
    -------
    TileStats
        For an array with no pixel the valid fraction is 0 and every value is NaN.

    Raises
    ------
    ValueError
        If `array` has neither two nor three axes.
    TypeError
        If its values are not real numbers.
    """
    return scan_as_given(array).stats


def scan_as_given(array):
    """`tile_statistics`, with the middle values: a TileScan."""
    return _scan(_as_numbers(array))


def statistics_after_gain(array, given, gain):
    """`tile_statistics` of a tile after its gain, to the bit, in less time by those before.

    Rounding keeps the order: the middle values of float32(tile) × gain are the products of those of the tile. There
    they are looked for, by counting in the array itself, so that nothing is taken for granted of it. One that is
    something else is scanned anew.

    Parameters
    ----------
    array : array_like, shape (H, W) or (H, W, C)
        As for `tile_statistics`; quicker if its values are float32.
    given : TileScan
        Scan of the tile before its gain.
    gain : float
        NaN where it is not known.

    Returns
    -------
    TileStats

    Raises
    ------
    ValueError, TypeError
        As `tile_statistics`.
    """
    array = _as_numbers(array)
    foretold = array.dtype.newbyteorder("=") == np.float32 and array.shape[2] == len(given.middles) and gain > 0
    # Products out of range are no numbers to find, and the array tells.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return _scan(array, np.float32(given.middles) * np.float32(gain) if foretold else None).stats


def _as_numbers(array):
    """A tile of shape (H, W, C) whose values are integers or floats of at most 8 bytes."""
    array = real_planes(array, "tile")
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if array.dtype.itemsize > 8:
        # What is beyond the range of float64 becomes infinite, and so not valid.
        with np.errstate(over="ignore", under="ignore"):
            array = array.astype(np.float64)
    return array


def _scan(array, brackets=None):
    pixels, channels = array.shape[0] * array.shape[1], array.shape[2]
    if array.size == 0:
        blank = (np.nan,) * channels
        return TileScan(TileStats(0.0, blank, blank, blank), ((np.nan, np.nan),) * channels)
    valid, minimum, mean, middles = scan_tile(array, brackets)
    return TileScan(TileStats(valid / pixels, minimum, mean, tuple(map(_mean_of_two, middles))), middles)


def _mean_of_two(middle):
    lower, upper = middle
    total = lower + upper
    return (total / 2 if math.isfinite(total) else lower / 2 + upper / 2) + 0.0
