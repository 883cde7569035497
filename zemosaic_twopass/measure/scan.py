"""One pass over a tile in pieces that fit the cache: counts, minima, sums, and the values around the middle."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

# Pixels sampled to bracket a median, at most and as a part of all, and how far the bracket reaches on each side in
# standard errors of the sample's rank: values in random order escape it three times in a thousand.
_SAMPLE = 1 << 16
_PART = 16
_THIN = 32
_REACH = 3.0
# Pixels in a piece: few enough for a cache, and so many that threads, each with its own tile, seldom wait for one
# another between two of NumPy's loops. With a quarter of it two threads take as long as one.
_PIECE = 1 << 18
# Values that may be kept however small the tile is.
_FEW = 1 << 12
# What numbers whose sum is beyond float64 are multiplied with: it is in range for any number of them.
_SMALL = 2.0**-64


def scan_tile(tile, brackets=None):
    """Describe every channel of a tile over its finite pixels.

    Parameters
    ----------
    tile : ndarray, shape (H, W, C)
        At least one pixel and channel; integers or floats of any byte order and strides. Not written to.
    brackets : ndarray, shape (C, 2), optional
        Lowest and highest value that the middle ones of each channel are expected to be, in the tile's own dtype; by
        a sample unless given. The result is the same: where one is wrong the tile is scanned anew.

    Returns
    -------
    valid : int
        Number of pixels that are finite in every channel.
    minima, means : tuple of float
        One a channel; NaN where no pixel of it is finite. A zero is +0. The means as `stats.tile_statistics` says.
    middles : tuple of (float, float)
        The two middle values of each channel, the same one twice for an odd count.
    """
    planes = [tile[..., index] for index in range(tile.shape[2])]
    expected = map(_bracket, planes) if brackets is None else brackets
    channels = [_Channel(plane, *bracket) for plane, bracket in zip(planes, expected, strict=True)]
    buffer, valid = _buffer(planes[0]), 0
    # Comparisons meet NaN; sums may leave the range of float64, and the mean is then taken otherwise.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # Piece by piece, for the channels of it lie side by side in memory.
        for box in _boxes(tile.shape):
            finite = (channel.take(_read(channel.plane, box, buffer)) for channel in channels)
            valid += int(np.count_nonzero(reduce(np.logical_and, finite)))
        if brackets is not None and not all(channel.hit() for channel in channels):
            return scan_tile(tile)
        columns = [(channel.least(), channel.mean(), channel.middle()) for channel in channels]
    return valid, *zip(*columns, strict=True)


class _Channel:
    """What is known of one channel of a tile; grows with every piece that it takes.

    Parameters
    ----------
    plane : ndarray, shape (H, W)
    low, high : numpy scalar
        The bracket that its middle values are looked for in.
    """

    def __init__(self, plane, low, high):
        self.plane, self._low, self._high = plane, low, high
        self._count = self._below = self._within = 0
        self._least = math.inf
        self._sums = []
        self._inside, self._room = [], max(plane.size // 8, _FEW)

    def take(self, values):
        """Note a piece, which may be overwritten; return where it is finite."""
        finite = np.isfinite(values)
        count = int(np.count_nonzero(finite))
        least = np.fmin.reduce(values)
        if least == -math.inf:
            # It would count as below the bracket; NaN and +inf do not.
            np.copyto(values, math.nan, where=~finite)
            least = np.fmin.reduce(values)
        # In this order NaN is not less.
        self._least = min(self._least, float(least))
        self._compare(values)
        if count < values.size:
            np.copyto(values, 0, where=~finite)
        self._sums.append(np.add.reduce(values, dtype=np.float64))
        self._count += count
        return finite

    def _compare(self, values):
        """Count the values below the bracket and in it, and keep the latter if they are not too many."""
        below, up_to = values < self._low, values <= self._high
        before = int(np.count_nonzero(below))
        within = int(np.count_nonzero(up_to)) - before
        self._below += before
        self._within += within
        if self._within > self._room:
            self._inside.clear()
        # Of one value there is nothing to keep, of two that were foretold seldom anything in a piece.
        elif within and self._low < self._high:
            # Quicker than the mask as index where few are true.
            self._inside.append(values[np.flatnonzero(np.greater(up_to, below))])

    def least(self):
        """The minimum; NaN for no value."""
        return self._least + 0.0 if self._count else math.nan

    def mean(self):
        """The sum over the number of values; NaN for no value."""
        if not self._count:
            return math.nan
        total = float(np.add.reduce(self._sums))
        if math.isfinite(total):
            return total / self._count + 0.0
        sums = [np.add.reduce(piece * _SMALL) for piece in self._finite_pieces()]
        return float(np.add.reduce(sums)) / self._count / _SMALL + 0.0

    def hit(self):
        """Whether the middle values, if there are any, are in the bracket and known."""
        first, last = self._ranks()
        # A bracket of products out of range may be NaN, which is neither.
        known = self._low == self._high or (self._low < self._high and self._within <= self._room)
        return not self._count or (known and self._below <= first and last < self._below + self._within)

    def middle(self):
        """The two middle values; NaN for no value."""
        if not self._count:
            return math.nan, math.nan
        if not self.hit():
            self._inside.clear()
            return self._middle_of_all()
        if self._low == self._high:
            return (float(self._low) + 0.0,) * 2
        return _at_middle(np.concatenate(self._inside), [rank - self._below for rank in self._ranks()])

    def _middle_of_all(self):
        """The middle values, whatever the bracket was; needs the room of one channel."""
        values, filled = np.empty(self._count, self._low.dtype), 0
        for piece in self._finite_pieces():
            values[filled : filled + piece.size] = piece
            filled += piece.size
        return _at_middle(values, self._ranks())

    def _ranks(self):
        return (self._count - 1) // 2, self._count // 2

    def _finite_pieces(self):
        buffer = _buffer(self.plane)
        for box in _boxes(self.plane.shape):
            values = _read(self.plane, box, buffer)
            finite = np.isfinite(values)
            yield values if finite.all() else values[finite]


def _boxes(shape):
    """Boxes, a piece each, that fill an array of that shape; of a row or more, unless a row is longer."""
    height, width = shape[:2]
    across = min(width, _PIECE)
    down = _PIECE // across
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield slice(top, top + down), slice(left, left + across)


def _buffer(plane):
    return np.empty(min(plane.size, _PIECE), plane.dtype.newbyteorder("="))


def _read(plane, box, buffer):
    """A piece of a channel, shape (n,): a copy that the next one overwrites."""
    part = plane[box]
    values = buffer[: part.size]
    np.copyto(values.reshape(part.shape), part)
    return values


def _bracket(plane):
    """Two values that the median lies between, unless the sample deceives."""
    step = max(1, math.isqrt(plane.size // min(_SAMPLE, max(plane.size // _PART, _FEW))))
    values = plane[::step, ::step].astype(plane.dtype.newbyteorder("="))
    values = values[np.isfinite(values)]
    if not values.size:
        # Holds nothing, so that the median is looked for elsewhere.
        return values.dtype.type(1), values.dtype.type(0)
    reach = _REACH * math.sqrt(values.size) / 2 + 1
    middle = values.size / 2
    return _at_ranks(values, max(0, int(middle - reach)), min(values.size - 1, int(middle + reach)))


def _at_ranks(values, first, last):
    """The values of two ranks that are not far apart; `values` is reordered."""
    thin = np.sort(values[::_THIN])
    reach = _REACH * math.sqrt(thin.size) / 2 + 1
    low, high = thin[max(0, int(first / _THIN - reach))], thin[min(thin.size - 1, int(last / _THIN + reach))]
    below = np.count_nonzero(values < low)
    inside = values[(low <= values) & (values <= high)]
    if below <= first and last < below + inside.size:
        values, first, last = inside, first - below, last - below
    # One after the other: numpy takes twice as long for two ranks at once.
    values.partition(last)
    if first < last:
        values[:last].partition(first)
    return values[[first, last]]


def _at_middle(values, ranks):
    """The values of two ranks, the same or neighbours, as floats; `values` is reordered."""
    values.partition(ranks[1])
    upper = lower = float(values[ranks[1]])
    if ranks[0] < ranks[1]:
        lower = float(values[: ranks[1]].max())
    return lower + 0.0, upper + 0.0
