"""Tile statistics against numpy on the same finite values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zemosaic_twopass import TileStats, tile_statistics

DTYPES = ["<f4", ">f4", "<f8", "f2", "u1", ">i2", "i4", "u2"]


def oracle(array):
    """(valid fraction, min, mean, median) by numpy, channel by channel, in float64."""
    array = array[..., np.newaxis] if array.ndim == 2 else array
    columns = []
    for channel in range(array.shape[2]):
        values = array[..., channel].astype(np.float64)
        values = values[np.isfinite(values)]
        columns.append((values.min(), values.mean(), np.median(values)) if values.size else (np.nan,) * 3)
    valid = np.isfinite(array.astype(np.float64)).all(axis=2).mean() if array.size else 0.0
    return valid, *zip(*columns, strict=True)


def elements(dtype):
    if np.dtype(dtype).kind != "f":
        return None
    width = 8 * np.dtype(dtype).itemsize
    # numpy's own mean warns of overflow where the sum of a channel leaves float64.
    bound = min(float(np.finfo(dtype).max) / 4, 1e300)
    return st.one_of(st.floats(-bound, bound, width=width), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_equal_to_numpy(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=9))
    array = data.draw(hnp.arrays(dtype, shape, elements=elements(dtype)))
    array = data.draw(st.sampled_from([array, array[::-1], array[:, ::2], np.asfortranarray(array)]))
    before = array.tobytes()
    found = tile_statistics(array)
    valid, minimum, mean, median = oracle(array)
    assert found.valid_fraction == valid
    np.testing.assert_array_equal(found.minimum, minimum)
    np.testing.assert_array_equal(found.median, median)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12, atol=1e-300)
    assert array.tobytes() == before


def test_known_values():
    tile = np.array([[[1, 10], [2, np.nan]], [[3, 30], [np.inf, 50]]], dtype=np.float32)
    assert tile_statistics(tile) == TileStats(0.5, (1.0, 10.0), (2.0, 30.0), (2.0, 30.0))


def test_median_of_even_count_is_taken_in_float64():
    pair = np.array([[1.0, np.nextafter(np.float32(1), np.float32(2))]], dtype=np.float32)
    assert tile_statistics(pair).median[0] == 1 + 2**-24


@pytest.mark.parametrize("shape", [(0, 5), (0, 5, 3), (4, 0, 1)])
def test_empty_tile(shape):
    found = tile_statistics(np.empty(shape))
    channels = shape[2] if len(shape) == 3 else 1
    assert found.valid_fraction == 0
    for values in (found.minimum, found.mean, found.median):
        np.testing.assert_array_equal(values, [np.nan] * channels)


def test_tile_without_channels():
    assert tile_statistics(np.empty((3, 4, 0))) == TileStats(0.0, (), (), ())


def test_all_nan():
    found = tile_statistics(np.full((3, 4, 2), np.nan))
    assert found.valid_fraction == 0
    np.testing.assert_array_equal(found.median, [np.nan, np.nan])


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros(4), ValueError, r"\(4,\).*not 1"),
        (np.zeros((1, 2, 3, 4)), ValueError, r"not 4"),
        (np.zeros((2, 2), complex), TypeError, "complex128"),
        (np.array([["a"]]), TypeError, "real numbers"),
    ],
)
def test_bad_input(array, error, words):
    with pytest.raises(error, match=words):
        tile_statistics(array)
