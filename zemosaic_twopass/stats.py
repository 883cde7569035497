"""Statistics of one tile: minimum, mean and median of each channel over its finite pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .planes import real_planes
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


def tile_statistics(array):
    """Minimum, mean and median of each channel of a tile, over its finite pixels.

    Minimum and median are exact: the least value as it stands; the middle value, or for an even count the mean of the
    two middle ones taken in float64. The mean is the sum, pairwise in float64, over the number of values: off from
    the true one by less than 1e-12 times the mean of the absolute values, so that where positive and negative values
    cancel the relative error can be larger. Numbers that float64 cannot hold, integers beyond 2⁵³ and longer floats,
    are rounded to it first. The same array gives the same bits, whatever the number of threads.

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
    array = real_planes(array, "tile")
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if array.dtype.itemsize > 8:
        # What is beyond the range of float64 becomes infinite, and so not valid.
        with np.errstate(over="ignore", under="ignore"):
            array = array.astype(np.float64)
    if array.size == 0:
        return TileStats(0.0, *((np.nan,) * array.shape[2],) * 3)
    valid, *columns = scan_tile(array)
    return TileStats(valid / (array.shape[0] * array.shape[1]), *columns)
