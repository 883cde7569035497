"""The temporary file: what is put there comes back, and nothing of it stays on the disk."""

import tempfile

import numpy as np
import pytest

from zemosaic_twopass.phase5.scratch import OnDemand, Scratch


def test_on_demand():
    made = []
    squares = OnDemand(4, lambda index: made.append(index) or index**2)
    assert len(squares) == 4
    assert not made
    assert squares[-1] == 9
    assert list(squares) == [0, 1, 4, 9]
    with pytest.raises(IndexError):
        squares[4]
    assert squares[1:3] == [1, 4]
    with pytest.raises(TypeError):
        squares["1"]


def test_arrays_come_back():
    rng = np.random.default_rng(1)
    arrays = [
        rng.normal(size=(5, 7)),
        rng.random((3, 4, 3)).astype(np.float32)[..., ::2],
        rng.random((3, 3)) > 0.5,
        rng.normal(size=4),
    ]
    with Scratch() as scratch:
        slots = [scratch.put(array) for array in arrays]
        for slot, array in zip(slots, arrays, strict=True):
            for found in (scratch.read(slot), scratch.view(slot)):
                np.testing.assert_array_equal(found, array)
                assert found.dtype == array.dtype
                assert found.flags.aligned, "after bytes too"
            scratch.read(slot)[:] = 0
            with pytest.raises(ValueError, match="read-only"):
                scratch.view(slot)[:] = 0
            np.testing.assert_array_equal(scratch.read(slot), array)


def test_moved_arrays_can_be_written_and_do_not_overlap():
    with Scratch() as scratch:
        moved = [scratch.move(np.full((50, 3), float(number))) for number in range(4)]
        moved[1] += 0.5
        del moved[2]
        moved.append(scratch.move(np.full((50, 3), 7.0)))
        scratch.put(np.zeros((50, 3)))
    assert [float(array.min()) for array in moved] == [float(array.max()) for array in moved] == [0, 1.5, 3, 7]


def test_nothing_stays_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ZeroDivisionError), Scratch() as scratch:
        array = scratch.move(np.ones(1000))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    assert array.sum() == 1000


def test_an_array_that_is_not_there_whole_is_an_error():
    with Scratch() as scratch:
        slot = scratch.put(np.arange(5.0))
        with pytest.raises(OSError, match="fewer than 48 bytes at 0"):
            scratch.read(slot._replace(shape=(6,)))
