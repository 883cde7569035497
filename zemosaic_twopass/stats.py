"""Statistics of one tile: minimum, mean and median of each channel over its finite pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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

    The minimum is exact in the tile's own dtype; the mean is accumulated in float64; the
    median is the middle value, or for an even count the mean of the two middle values taken in
    float64, as `numpy.median` gives it for the same values in float64.

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
    array = np.asarray(array)
    if array.ndim not in (2, 3):
        raise ValueError(f"tile of shape {array.shape}: 2 or 3 axes are needed, not {array.ndim}")
    if array.dtype.kind not in "buif":
        raise TypeError(f"tile of dtype {array.dtype}: real numbers are needed")
    if array.ndim == 2:
        array = array[..., np.newaxis]
    valid = np.ones(array.shape[:2], dtype=bool)
    columns = []
    for channel in range(array.shape[2]):
        plane = array[..., channel]
        finite = np.isfinite(plane)
        valid &= finite
        columns.append(_describe(plane[finite]))
    minimum, mean, median = zip(*columns, strict=True) if columns else ((), (), ())
    fraction = np.count_nonzero(valid) / valid.size if valid.size and columns else 0.0
    return TileStats(fraction, minimum, mean, median)


def _describe(values):
    """(minimum, mean, median) of a one-dimensional array of finite values, in any order."""
    if values.size == 0:
        return np.nan, np.nan, np.nan
    mean = values.mean(dtype=np.float64)
    upper = values.size // 2
    lower = (values.size - 1) // 2
    # The array is our own copy, so it may be partitioned in place.
    values.partition((lower, upper) if lower != upper else upper)
    median = (float(values[lower]) + float(values[upper])) / 2
    return float(values[: upper + 1].min()), float(mean), median
