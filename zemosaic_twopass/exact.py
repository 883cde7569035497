"""Sums with no rounding error but the last: that of `math.fsum`, to the bit, at the speed of arrays.

Terms are cut at a grid so coarse that adding up multiples of it loses no bit, in any order. What is cut off is
small, and the error of its sum smaller still (Rump, Ogita & Oishi 2008, Accurate floating-point summation, part I).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

# Bits of a significand, and exponent of the smallest number, of half and single precision.
_FLOATS = {2: (11, -24), 4: (24, -149)}
# Fewer terms than this are not worth a round of their own.
_FEW = 256
# Terms that are cut at a time, so that their copies take little room.
_CHUNK = 1 << 16
_SHIFT = 128
# Sums of up to 2^100 smaller numbers stay inside the range of float64.
_LARGEST = math.ldexp(1.0, 1023 - _SHIFT)


class ExactSum:
    """A sum that is put together piece by piece, in any order, and how far off it can be."""

    def __init__(self):
        self._parts = []
        self._error = 0.0
        self._plainly = True

    def add(self, values, least):
        """Take in a piece, unless +inf is in it.

        Parameters
        ----------
        values : ndarray, shape (n,)
            Numbers of any real dtype, n > 0; no NaN.
        least : numpy scalar
            The smallest of them, finite.

        Returns
        -------
        bool
            Whether all are finite and were taken in.
        """
        if self._plainly and values.dtype.itemsize <= 4:
            total = float(np.add.reduce(values, dtype=np.float64))
            if total == math.inf:
                return False
            self._plainly = _nothing_lost(total, least, values.size)
            if self._plainly:
                self._parts.append(total)
                return True
        largest = max(-float(least), float(np.maximum.reduce(values)))
        if largest == math.inf:
            return False
        if largest >= _LARGEST:
            self._error = math.inf
        elif largest > 0:
            for start in range(0, values.size, _CHUNK):
                self._add_in_parts(values[start : start + _CHUNK].astype(np.float64), largest)
        return True

    def _add_in_parts(self, terms, largest):
        sigma = _sigma(largest, terms.size)
        cut = _cut(terms, sigma)
        self._parts += float(np.add.reduce(cut)), float(np.add.reduce(terms))
        # n additions of at most n σ / 2^53, each off by at most 2^-53 of that.
        self._error += math.ldexp(sigma * terms.size**2, -106)

    def value(self):
        """The correctly rounded sum; None where the bounds leave it open."""
        low, high = (math.fsum([*self._parts, error]) for error in (-self._error, self._error))
        return low if low == high else None


def exact_mean(pieces):
    """Correctly rounded sum over number, whatever the values are, where `ExactSum` leaves it open.

    Parameters
    ----------
    pieces : iterable of ndarray, shape (n,)
        Finite numbers of any real dtype, at least one in all.

    Returns
    -------
    float
    """
    parts, count = [], 0
    for piece in pieces:
        parts += _exact_parts(piece.astype(np.float64))
        count += piece.size
    try:
        return math.fsum(parts) / count
    except OverflowError:
        return _mean_of_large(parts, count)


def _mean_of_large(parts, count):
    """`exact_mean` where a sum leaves the range of float64 on the way."""
    total = sum(map(Fraction, parts))
    try:
        return float(total) / count
    except OverflowError:
        return math.ldexp(float(total / (1 << _SHIFT)) / count, _SHIFT)


def _nothing_lost(total, least, count):
    """Whether no partial sum of numbers of at most 4 bytes needed more than the 53 bits of a float64."""
    if least.dtype.kind != "f":
        # 32 bits each.
        return count <= 1 << 21
    # Each is a multiple of the last place of the least one, and no partial sum exceeds the total.
    bits, smallest = _FLOATS[least.dtype.itemsize]
    place = math.frexp(least)[1] - bits if least else smallest
    return least >= 0 and total < math.ldexp(1.0, max(place, smallest) + 53)


def _sigma(largest, count):
    """A power of two of more than twice the sum of `count` magnitudes up to `largest`."""
    return math.ldexp(1.0, math.frexp(largest)[1] + count.bit_length() + 1)


def _cut(terms, sigma):
    """Take off `terms`, in place, their next multiples of the grid of `sigma`; return those."""
    cut = terms + sigma
    cut -= sigma
    terms -= cut
    return cut


def _exact_parts(terms):
    """Floats whose exact sum is that of an array, which is overwritten."""
    parts = []
    while terms.size > _FEW:
        largest = max(float(terms.max()), -float(terms.min()))
        if largest >= _LARGEST:
            break
        cut = _cut(terms, _sigma(largest, terms.size))
        parts.append(float(np.add.reduce(cut)))
        terms = terms[np.flatnonzero(terms)]
    return parts + terms.tolist()
