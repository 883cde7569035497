"""One pass over a tile in pieces that fit the cache: counts, minima, sums, and the values around the middle."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

# Pixels sampled to bracket a median, at most and as a part of all, and how far the bracket reaches on each side in
# standard errors of the sample's rank: of values in random order the median escapes one time in twenty. It is then
# looked for beside it in one more pass, which costs less than all would pay for a wider bracket.
_SAMPLE = 1 << 15
_PART = 16
_THIN = 32
_RANKS = 2.0
# Pixels in a piece: few enough for a cache, and so many that threads, each with its own tile, seldom wait for one
# another between two of NumPy's loops. With a quarter of it two threads take as long as one.
_PIECE = 1 << 18
# Values that are added up in one go: so few that the mean keeps its bound in whatever order NumPy takes them.
_ROW = 1 << 10
# Share of finite values from which on those that are not are cleared by a mask.
_DENSE = 0.9
# Values that may be kept however small the tile is.
_KEPT_VALUES = 1 << 12
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
    tile = _trim(tile)
    expected = _brackets(tile) if brackets is None else brackets
    room, valid = _Room(tile), 0
    channels = [_Channel(tile[..., index], *bracket, room) for index, bracket in enumerate(expected)]
    # Comparisons meet NaN; sums may leave the range of float64, and the mean is then taken otherwise.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # Piece by piece, for the channels of it lie side by side in memory.
        for box in _boxes(tile.shape):
            found = [channel.take(box) for channel in channels]
            masks = [finite for finite in found if finite is not None]
            valid += int(np.count_nonzero(reduce(np.logical_and, masks))) if masks else _pixels(tile[box])
        if brackets is not None and not all(channel.hit() for channel in channels):
            return scan_tile(tile)
        columns = [(channel.least(), channel.mean(), channel.middle()) for channel in channels]
    return valid, *zip(*columns, strict=True)


class _Room:
    """Where one piece after the other is looked at: its values, and answers for each of them."""

    def __init__(self, tile):
        size = min(_pixels(tile), _PIECE)
        self._values = np.empty(size, tile.dtype.newbyteorder("="))
        self._answers = np.empty((2, size), bool)

    def read(self, plane, box):
        """A piece of a channel, shape (n,): a copy that the next one overwrites."""
        part = plane[box]
        values = self._values[: part.size]
        np.copyto(values.reshape(part.shape), part)
        return values

    def answers(self, count):
        """Two arrays of bool, shape (count,)."""
        return self._answers[0, :count], self._answers[1, :count]


class _Channel:
    """What is known of one channel of a tile; grows with every piece that it takes.

    Parameters
    ----------
    plane : ndarray, shape (H, W)
    low, high : numpy scalar
        The bracket that its middle values are looked for in.
    room : _Room
        Which all channels share.
    """

    def __init__(self, plane, low, high, room):
        self._plane, self._low, self._high, self._room = plane, low, high, room
        self._count = self._below = self._within = 0
        self._least, self._gaps = math.inf, False
        self._sums = []
        self._inside, self._most = [], max(plane.size // 8, _KEPT_VALUES)

    def take(self, box):
        """Note a piece; return where it is finite, None for everywhere."""
        values = self._room.read(self._plane, box)
        # NaN and -inf come through a minimum, +inf through a sum: most pieces have none, and are asked no more.
        # Where the one before had some, so has this one.
        least, finite = math.nan if self._gaps else np.minimum.reduce(values), None
        if not math.isfinite(least):
            finite, least = np.isfinite(values), np.fmin.reduce(values)
        if least == -math.inf:
            # It would count as below the bracket; NaN and +inf do not.
            np.copyto(values, math.nan, where=~finite)
            least = np.fmin.reduce(values)
        self._compare(values, *self._room.answers(values.size))
        if finite is None:
            total = _sum(values)
            finite = None if math.isfinite(total) else np.isfinite(values)
        if finite is not None:
            _clear(values, finite)
            total = _sum(values)
        # In this order NaN is not less.
        self._least = min(self._least, float(least))
        self._sums.append(total)
        count = values.size if finite is None else int(np.count_nonzero(finite))
        self._count += count
        self._gaps = count < values.size
        return finite

    def _compare(self, values, below, up_to):
        """Count the values below the bracket and in it, and keep the latter if they are not too many."""
        np.less(values, self._low, out=below)
        np.less_equal(values, self._high, out=up_to)
        before = int(np.count_nonzero(below))
        within = int(np.count_nonzero(up_to)) - before
        self._below += before
        self._within += within
        if self._within > self._most:
            self._inside.clear()
        # One value leaves nothing to keep, two that were foretold seldom anything in a piece.
        elif within and self._low < self._high:
            # Quicker than the mask as index where few are true.
            self._inside.append(values.take(np.flatnonzero(np.greater(up_to, below, out=below))))

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
        known = self._low == self._high or (self._low < self._high and self._within <= self._most)
        return not self._count or (known and self._below <= first and last < self._below + self._within)

    def middle(self):
        """The two middle values; NaN for no value."""
        if not self._count:
            return math.nan, math.nan
        if not self.hit():
            self._look_beside()
        if not self.hit():
            self._inside.clear()
            return self._middle_of_all()
        if self._low == self._high:
            return (float(self._low) + 0.0,) * 2
        return _at_middle(np.concatenate(self._inside), [rank - self._below for rank in self._ranks()])

    def _look_beside(self):
        """Count once more with a bracket that reaches further, to the side on which the middle values are."""
        width = float(self._high) - float(self._low)
        # One that holds a single value has no width to go by, and one that holds too many would hold more.
        if not (width > 0 and self._within <= self._most):
            return
        first, last = self._ranks()
        low = self._low - width if first < self._below else self._low
        high = self._high + width if last >= self._below + self._within else self._high
        # A bound can leave the range of integers: those are held against float64.
        dtype = self._low.dtype if self._low.dtype.kind == "f" else np.dtype(np.float64)
        self._low, self._high = dtype.type(low), dtype.type(high)
        self._below = self._within = 0
        self._inside.clear()
        for values in self._finite_pieces():
            self._compare(values, *self._room.answers(values.size))

    def _middle_of_all(self):
        """The middle values, whatever the bracket was; needs the room of one channel."""
        values, filled = np.empty(self._count, self._plane.dtype.newbyteorder("=")), 0
        for piece in self._finite_pieces():
            values[filled : filled + piece.size] = piece
            filled += piece.size
        return _at_middle(values, self._ranks())

    def _ranks(self):
        return (self._count - 1) // 2, self._count // 2

    def _finite_pieces(self):
        for box in _boxes(self._plane.shape):
            values = self._room.read(self._plane, box)
            yield values if self._count == self._plane.size else values.take(np.flatnonzero(np.isfinite(values)))


def _sum(values):
    """The sum in float64, a fifth quicker than NumPy's for float32; not finite where one of the values is not."""
    whole = values.size - values.size % _ROW
    rows = np.einsum("ij->i", values[:whole].reshape(-1, _ROW), dtype=np.float64)
    return np.add.reduce(rows) + np.add.reduce(values[whole:], dtype=np.float64)


def _clear(values, keep):
    """Set floats to 0 but where they are to be kept."""
    if np.count_nonzero(keep) > _DENSE * keep.size:
        np.copyto(values, 0, where=~keep)
    else:
        # Their bits times 0 or 1: of scattered gaps a mask takes ten times as long.
        bits = values.view(f"u{values.itemsize}")
        np.multiply(bits, keep, out=bits)


def _pixels(tile):
    return tile.shape[0] * tile.shape[1]


def _trim(tile):
    """The tile without those rows and columns at its edges in which nothing is finite, but one pixel at least."""
    for _ in range(2):
        first, last = 0, tile.shape[0]
        while last - first > 1 and not np.isfinite(tile[first]).any():
            first += 1
        while last - first > 1 and not np.isfinite(tile[last - 1]).any():
            last -= 1
        # Then the same of its columns, and back.
        tile = tile[first:last].swapaxes(0, 1)
    return tile


def _boxes(shape):
    """Boxes, a piece each, that fill an array of that shape; of a row or more, unless a row is longer."""
    height, width = shape[:2]
    across = min(width, _PIECE)
    down = _PIECE // across
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield slice(top, top + down), slice(left, left + across)


def _brackets(tile):
    """Two values a channel that its median lies between, unless the sample deceives."""
    pixels = _pixels(tile)
    step = max(1, math.isqrt(pixels // min(_SAMPLE, max(pixels // _PART, _KEPT_VALUES))))
    sample = tile[::step, ::step].astype(tile.dtype.newbyteorder("="))
    return [_bracket(sample[..., index]) for index in range(tile.shape[2])]


def _bracket(sample):
    values = sample[np.isfinite(sample)]
    if not values.size:
        # Holds nothing, so that the median is looked for elsewhere.
        return values.dtype.type(1), values.dtype.type(0)
    reach = _RANKS * math.sqrt(values.size) / 2 + 1
    middle = values.size / 2
    return _at_ranks(values, max(0, int(middle - reach)), min(values.size - 1, int(middle + reach)))


def _at_ranks(values, first, last):
    """The values of two ranks that are not far apart; `values` is reordered."""
    thin = np.sort(values[::_THIN])
    reach = _RANKS * math.sqrt(thin.size) / 2 + 1
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
