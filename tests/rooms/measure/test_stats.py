"""Tile statistics against numpy on the same finite values to the bit, means against their exact value."""

import decimal
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zemosaic_twopass import TileStats, tile_statistics
from zemosaic_twopass.measure import scan

DTYPES = ["<f4", ">f4", "<f8", ">f8", "f2", ">f2", "u1", ">i2", "i4", "u2", "i8", "?"]
ORDERS = {
    "as it is": lambda a: a,
    "reversed": lambda a: a[::-1],
    "every other": lambda a: a[:, ::2],
    "backwards": lambda a: a[::-1, ::-1],
    "fortran": np.asfortranarray,
    "channels first": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -1, 0)), 0, -1),
    "sorted": lambda a: np.sort(a, axis=None).reshape(a.shape),
    "sorted down": lambda a: np.sort(a, axis=None)[::-1].reshape(a.shape),
    "constant": lambda a: np.broadcast_to(a.reshape(-1)[:1], a.shape),
    "two values": lambda a: np.resize(a.reshape(-1)[:2], a.shape),
}


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces and samples so small that a tile of a few hundred pixels has many, and samples that often mislead."""
    monkeypatch.setattr(scan, "_PIECE", 32)
    monkeypatch.setattr(scan, "_SAMPLE", 16)
    monkeypatch.setattr(scan, "_THIN", 4)
    monkeypatch.setattr(scan, "_RANKS", 0.5)


def oracle(array):
    """(valid fraction, min, mean, median) of the values in float64, and how far off the mean may be, by channel."""
    array = array[..., np.newaxis] if array.ndim == 2 else array
    columns = []
    for channel in range(array.shape[2]):
        plane = array[..., channel]
        values = plane[np.isfinite(plane)].astype(np.float64)
        middle = np.sort(values)[[(values.size - 1) // 2, values.size // 2]].tolist() if values.size else ()
        median = float(sum(map(Fraction, middle)) / 2)
        columns.append((values.min(), *exact_mean(values), median) if values.size else (np.nan,) * 4)
    valid = np.isfinite(array).all(axis=2).mean() if array.size else 0.0
    minimum, mean, bound, median = zip(*columns, strict=True)
    return (valid, minimum, mean, median), bound


def exact_mean(values):
    """The mean, and 1e-12 of the mean magnitude, at least the smallest number."""
    try:
        mean, magnitude = (math.fsum(terms.tolist()) / values.size for terms in (values, np.abs(values)))
    except OverflowError:
        # All digits of any float64, and of sums of many.
        with decimal.localcontext(decimal.Context(prec=3000)):
            numbers = [*map(decimal.Decimal, values.tolist())]
            mean, magnitude = (float(sum(terms) / len(numbers)) for terms in (numbers, map(abs, numbers)))
    return mean, max(1e-12 * magnitude, 5e-324)


def assert_equals_oracle(array):
    found = tile_statistics(array)
    (valid, minimum, mean, median), bound = oracle(array)
    assert found.valid_fraction == valid
    np.testing.assert_array_equal(found.minimum, minimum)
    np.testing.assert_array_equal(found.median, median)
    for value, true, most in zip(found.mean, mean, bound, strict=True):
        assert abs(value - true) <= most or np.isnan([value, true]).all()
    return found


def elements(dtype):
    if np.dtype(dtype).kind != "f":
        return None
    width = 8 * np.dtype(dtype).itemsize
    info = np.finfo(dtype)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, float(info.max), float(info.smallest_subnormal)]
    return st.one_of(st.floats(width=width), st.sampled_from(special), st.integers(-3, 3))


@pytest.mark.parametrize("size", ["one piece", "many pieces"])
@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_equal_to_the_oracle(data, size, request):
    if size == "many pieces":
        request.getfixturevalue("small_pieces")
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=13))
    array = data.draw(hnp.arrays(dtype, shape, elements=elements(dtype)))
    array = ORDERS[data.draw(st.sampled_from(sorted(ORDERS)))](array)
    before = array.tobytes()
    with np.errstate(all="raise"):
        found = assert_equals_oracle(array)
    assert array.tobytes() == before
    assert not any(math.copysign(1, v) < 0 for v in found.minimum + found.mean + found.median if v == 0)


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


def large(order, dtype="f4"):
    """A tile of a size that is met; every value in the bracket's sample may lie."""
    rng = np.random.default_rng(7)
    tile = rng.normal(1000, 30, (420, 510, 3))
    if order == "sample deceives":
        # What a grid of every second row and column sees is not what is there.
        tile[::2, ::2] = 5
    elif order == "zero in the middle":
        tile -= 1000
    elif order == "all magnitudes":
        tile = np.exp(rng.uniform(-80, 80, tile.shape)) * rng.choice([-1, 1], tile.shape)
    elif order == "gaps":
        tile[rng.random(tile.shape) < 0.3] = np.nan
        tile[5, 5], tile[6, 6] = np.inf, -np.inf
        tile[..., 2] = np.nan
    elif order == "cancels":
        tile[1::2] = -tile[::2]
    return tile.astype(dtype)


FLOATS_ONLY = ("all magnitudes", "gaps")
LARGE = ["plain", "sample deceives", "zero in the middle", *FLOATS_ONLY, "cancels", *sorted(ORDERS)]


@pytest.mark.parametrize(
    ("order", "dtype"),
    [(order, dtype) for order in LARGE for dtype in ("f4", ">f8", "i2") if dtype != "i2" or order not in FLOATS_ONLY],
)
def test_large_tiles_in_one_piece_and_in_several(order, dtype, monkeypatch):
    tile = ORDERS.get(order, lambda a: a)(large(order, dtype))
    assert_equals_oracle(tile)
    monkeypatch.setattr(scan, "_PIECE", 1 << 16)
    assert_equals_oracle(tile)


def test_medians_just_beside_the_bracket(small_pieces):
    rng = np.random.default_rng(11)
    for _ in range(500):
        assert_equals_oracle(rng.permutation(99 * 2).reshape(9, 11, 2).astype(np.float32))


def test_medians_beside_the_bracket_take_one_more_pass(small_pieces, monkeypatch):
    """Not a copy of all values, which costs five times as much; integers at the end of their range among them."""
    rng = np.random.default_rng(12)
    beside, copied = [], []
    look, copy = scan._Channel._look_beside, scan._Channel._middle_of_all
    monkeypatch.setattr(scan._Channel, "_look_beside", lambda channel: (beside.append(1), look(channel))[1])
    monkeypatch.setattr(scan._Channel, "_middle_of_all", lambda channel: (copied.append(1), copy(channel))[1])
    for dtype in ("f2", "f4", ">f8", "u1", "i2", "i8"):
        for _ in range(50):
            array = rng.normal(100, 30, (20, 22, 2)).clip(0, 255).astype(dtype)
            assert_equals_oracle(array)
            assert_equals_oracle(np.iinfo(dtype).max - array if array.dtype.kind in "iu" else -array)
    assert len(copied) < len(beside) / 2 > 50


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_scattered_gaps(dtype):
    """However many they are, and whatever stands in them."""
    rng = np.random.default_rng(13)
    for share in (0.01, 0.2, 0.9):
        tile = rng.normal(100, 30, (300, 310, 2)).astype(dtype)
        tile[rng.random(tile.shape) < share] = np.nan
        tile[rng.random(tile.shape) < share / 9] = np.inf
        tile[rng.random(tile.shape) < share / 9] = -np.inf
        assert_equals_oracle(tile)


def test_the_same_bits_wherever_the_array_lies():
    values = np.random.default_rng(14).normal(1000, 30, 3 * 90 * 110 + 16).astype("f4")
    found = set()
    for start in range(16):
        moved = np.empty_like(values)[start : start + 3 * 90 * 110].reshape(90, 110, 3)
        moved[:] = values[: moved.size].reshape(moved.shape)
        found.add(tile_statistics(moved))
        found.add(tile_statistics(moved.astype(np.float64)))
    assert len(found) == 1


def test_random_bits():
    """Any bit pattern is a number or not one, signalling NaN among them; nothing warns or raises."""
    bits = np.random.default_rng(3).bytes(300 * 500 * 3 * 8)
    for dtype in ("<f2", ">f4", "<f4", "<f8"):
        tile = np.frombuffer(bits, dtype, 300 * 500 * 3).reshape(300, 500, 3)
        with np.errstate(all="raise"):
            assert_equals_oracle(tile)


def test_mean_near_the_end_of_float64():
    tile = np.full((20, 20, 3), 1.7e308)
    tile[..., 1] *= -1
    tile[10:, :, 2] *= -1
    tile[5, 5] = np.nan
    with np.errstate(all="raise"):
        assert_equals_oracle(tile)


def test_mean_of_minus_nothing():
    (mean,) = tile_statistics([[-5e-324, 0.0]]).mean
    assert math.copysign(1, mean) == 1


def test_numbers_that_float64_cannot_hold_are_rounded_first():
    assert tile_statistics(np.full((1, 3), 2**53 + 1)).mean == (2.0**53,)
    longer = np.array([[1, 2, 4]], np.longdouble)
    assert tile_statistics(longer) == TileStats(1.0, (1.0,), (7 / 3,), (2.0,))


@pytest.mark.skipif(np.finfo(np.longdouble).max <= np.finfo(float).max, reason="no longer floats here")
def test_numbers_beyond_float64_are_not_valid():
    beyond = np.array([[1, 2, 4, np.finfo(np.longdouble).max]])
    with np.errstate(all="raise"):
        assert tile_statistics(beyond) == TileStats(0.75, (1.0,), (7 / 3,), (2.0,))


def test_mean_of_more_integers_than_float64_can_add_up():
    tile = np.full((1 << 11, 1 << 11), np.iinfo(np.uint32).max, dtype=np.uint32)
    tile[0, 0] -= 1
    assert tile_statistics(tile).mean == pytest.approx([int(tile[1, 1]) - 1 / tile.size], rel=1e-12)


def test_extra_memory_is_less_than_a_channel():
    tile = large("plain").repeat(3, axis=0).repeat(3, axis=1)
    deceiving = np.sort(tile.reshape(-1, 3), axis=0).reshape(tile.shape)
    deceiving[:: scan.math.isqrt(tile[..., 0].size // scan._SAMPLE)] = 1
    for array in (tile, deceiving):
        tile_statistics(array)
        tracemalloc.start()
        tile_statistics(array)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1.35 * array[..., 0].nbytes


def test_mean_of_halves_of_all_sizes():
    """float16 has more bits between its smallest and its largest numbers than one float64 keeps of their sum."""
    rng = np.random.default_rng(3)
    tile = np.ldexp(rng.uniform(1, 2, (400, 500, 1)), rng.integers(-24, 15, (400, 500, 1))).astype("f2")
    tile[::2] = 65504
    tile[1::200] = 2.0**-24
    assert_equals_oracle(tile)


def test_mean_of_many_pieces(small_pieces):
    """Sums of sums: what each piece loses must not pile up."""
    assert_equals_oracle(np.random.default_rng(5).normal(1000, 30, (600, 500, 1)))


def test_edges_that_hold_nothing_are_not_scanned(monkeypatch):
    """But for a channel that is there alone; nothing but NaN leaves one pixel to look at."""
    tile = np.random.default_rng(9).normal(1000, 30, (40, 50, 3))
    tile[:3], tile[-2:], tile[:, :5], tile[:, -1:] = np.nan, np.inf, -np.inf, np.nan
    scanned, boxes = [], scan._boxes
    monkeypatch.setattr(scan, "_boxes", lambda shape: (scanned.append(shape), boxes(shape))[1])
    assert_equals_oracle(tile)
    tile[1, 2, 0] = 7
    assert assert_equals_oracle(tile).minimum[0] == 7
    assert_equals_oracle(np.full((4, 5, 2), np.nan))
    assert scanned[0] == (35, 44, 3)
    assert scanned[1] == (37, 47, 3)
    assert scanned[2] == (1, 1, 2)
