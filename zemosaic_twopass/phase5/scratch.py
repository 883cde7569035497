"""What a coadd does not hold in memory: sequences that make their items when asked, and a temporary file."""

from __future__ import annotations

import operator
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Bytes: arrays begin at a line of the cache.
_ALIGNMENT = 64


class OnDemand(Sequence):
    """A sequence whose items are made when they are asked for, and not kept.

    Parameters
    ----------
    count : int
    item : callable
        From an index, 0 to count - 1, to the item.
    """

    def __init__(self, count, item):
        self._indices, self._item = range(count), item

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self._item(number) for number in self._indices[index]]
        return self._item(self._indices[operator.index(index)])


class Slot(NamedTuple):
    """Where an array lies in a `Scratch`.

    Attributes
    ----------
    offset : int
        In bytes.
    shape : tuple of int
    dtype : numpy.dtype
    """

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype


class Scratch:
    """A file in the temporary folder for arrays that are wanted again; a context.

    It has no name where the system allows that, and vanishes when it is closed or the process ends, however it ends.
    Not to be used by two threads at a time.
    """

    def __init__(self):
        self._file, self._end = None, 0

    def __enter__(self):
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *error):
        self._file.close()

    def put(self, array):
        """Write an array; a `Slot`. `OSError` where the disk is full."""
        array = np.ascontiguousarray(array)
        # Aligned, after bytes too: what is mapped is computed with.
        offset = -(-self._end // _ALIGNMENT) * _ALIGNMENT
        self._end = offset + array.nbytes
        self._file.seek(offset)
        self._file.write(array)
        # Whole on the disk before it is mapped: a page that found no room there would end the process.
        self._file.flush()
        return Slot(offset, array.shape, array.dtype)

    def read(self, slot):
        """The array of a slot, in memory of its own; `OSError` where the file does not have it whole."""
        array = np.empty(slot.shape, slot.dtype)
        self._file.seek(slot.offset)
        if self._file.readinto(array) != array.nbytes:
            raise OSError(f"temporary file: fewer than {array.nbytes} bytes at {slot.offset}")
        return array

    def view(self, slot):
        """The array of a slot, read-only, in memory only as far as it is looked at and as long as it is held."""
        return np.asarray(np.memmap(self._file, slot.dtype, "r", slot.offset, slot.shape))

    def move(self, array):
        """An array that lies in the file instead of memory: the system writes it back there when it runs short.

        It stays good when the file is closed, as long as somebody holds it or a view of it.
        """
        slot = self.put(array)
        return np.asarray(np.memmap(self._file, slot.dtype, "r+", slot.offset, slot.shape))
