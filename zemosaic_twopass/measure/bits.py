"""The bits of a tile: whether they are what they were, and what a gain makes of them."""

from __future__ import annotations

import zlib

import numpy as np

from ..tiles.planes import channels_last

# Values that are held against one another at a time.
_PIECE = 1 << 18


def fingerprint(array):
    """A short hash over shape, dtype and bytes of an array.

    CRC-32 sees any change of up to 32 bits in a row, and any other but for one in 2³².

    Parameters
    ----------
    array : array_like

    Returns
    -------
    int
    """
    array = np.asarray(array)
    code = zlib.crc32(f"{array.dtype.str}{array.shape}".encode())
    if array.flags.c_contiguous:
        return zlib.crc32(array.view(np.uint8).data if array.ndim else array.tobytes(), code)
    for part in array:
        # A part at a time: a copy of the whole is never made.
        code = zlib.crc32(np.ascontiguousarray(part).tobytes(), code)
    return code


def is_product(corrected, tile, gain):
    """Whether a tile after its gain is float32(tile) × gain in every bit.

    Where it is not, a zero or a NaN may still be as good. By a few rows at a time, which stay in the cache: several
    times as quick as to make the whole product.

    Parameters
    ----------
    corrected, tile : array_like, shape (H, W) or (H, W, C)
        An axis of length 1 more or less is none; other shapes are no product.
    gain : float

    Returns
    -------
    bool
    """
    given, seen = channels_last(tile), channels_last(corrected)
    if given.shape != seen.shape:
        return False
    rows = max(1, _PIECE // max(1, given[:1].size))
    room = np.empty((min(rows, len(given)), *given.shape[1:]), np.float32)
    for top in range(0, len(given), rows):
        part, other = (array[top : top + rows].astype(np.float32, copy=False) for array in (given, seen))
        expected = np.multiply(part, np.float32(gain), out=room[: len(part)])
        if not np.array_equal(expected.view(np.uint32), other.view(np.uint32)):
            return False
    return True
