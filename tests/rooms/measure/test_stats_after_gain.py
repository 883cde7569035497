"""Statistics after the gain, found by those before it: those of the array itself, whatever it is."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zemosaic_twopass import tile_statistics
from zemosaic_twopass.measure import scan
from zemosaic_twopass.measure.stats import scan_as_given, statistics_after_gain

GAINS = (0.85, 0.9, 1.0, 1.18, 1e-30, 1e30)
OTHER_GAINS = (0.0, -1.0, np.nan, np.inf, 1e-50, 1e300)
FLOAT32 = st.floats(width=32) | st.integers(-3, 3) | st.sampled_from([np.nan, np.inf, -np.inf, 1.0, -0.0])


def assert_same(corrected, tile, gain):
    with np.errstate(all="raise"):
        found = statistics_after_gain(corrected, scan_as_given(tile), gain)
    # By text: NaN is the same as NaN there, and -0 not as 0.
    assert repr(found) == repr(tile_statistics(corrected))


def with_gain(tile, gain):
    with np.errstate(all="ignore"):
        return tile.astype(np.float32) * np.float32(gain)


def sky(dtype="f4", seed=2):
    tile = np.random.default_rng(seed).normal(1000, 30, (90, 77, 3)).astype(dtype)
    if tile.dtype.kind == "f":
        tile[:5], tile[:, -9:] = np.nan, np.nan
    return tile


@pytest.mark.parametrize("size", ["one piece", "many pieces"])
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_same_as_of_the_array_itself(data, size, monkeypatch):
    monkeypatch.setattr(scan, "_PIECE", 32 if size == "many pieces" else 1 << 18)
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=9))
    tile, another = (data.draw(hnp.arrays("f4", shape, elements=FLOAT32)) for _ in range(2))
    gain = data.draw(st.sampled_from(GAINS + OTHER_GAINS))
    assert_same(with_gain(tile, gain), tile, gain)
    assert_same(another, tile, gain)


def bits_flipped(corrected, where, bit):
    corrected.view(np.uint32)[where] ^= np.uint32(1 << bit)


CHANGES = {
    "one bit": bits_flipped,
    "NaN put": lambda corrected, where, bit: corrected.__setitem__(where, np.nan),
    "infinite": lambda corrected, where, bit: corrected.__setitem__(where, (-1) ** bit * np.inf),
    "NaN removed": lambda corrected, where, bit: corrected.__setitem__(np.isnan(corrected), bit),
    "minus nothing": lambda corrected, where, bit: corrected.__setitem__(where, -0.0),
    "least": lambda corrected, where, bit: corrected.__setitem__(where, np.float32(-3e38)),
    "channels swapped": lambda corrected, where, bit: corrected.__setitem__(..., corrected[..., ::-1].copy()),
    "pixels swapped": lambda corrected, where, bit: corrected.__setitem__(..., np.roll(corrected, bit, axis=1)),
}


@pytest.mark.parametrize("size", ["one piece", "many pieces"])
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_change_of_one_pixel(data, size, monkeypatch):
    """Wherever it is, and by however little: also where the tile as given is changed with it, after its scan."""
    monkeypatch.setattr(scan, "_PIECE", 32 if size == "many pieces" else 1 << 18)
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)))
    levels = st.sampled_from([1.0, 2.0, 3.0, 1000.0, 2.0**-146, 2.0**127, np.nan]) | st.integers(0, 4)
    tile = data.draw(hnp.arrays("f4", shape, elements=levels))
    gain = data.draw(st.sampled_from(GAINS))
    change = CHANGES[data.draw(st.sampled_from(sorted(CHANGES)))]
    where = tuple(data.draw(st.integers(0, side - 1)) for side in shape)
    bit = data.draw(st.integers(0, 31))
    corrected, before = with_gain(tile, gain), scan_as_given(tile)
    if data.draw(st.booleans()):
        change(tile, where, bit)
        corrected = with_gain(tile, gain)
    else:
        change(corrected, where, bit)
    with np.errstate(all="raise"):
        found = statistics_after_gain(corrected, before, gain)
    assert repr(found) == repr(tile_statistics(corrected))


@pytest.mark.parametrize("gain", [0.9, 1e-38, 1e-44, 1e38])
@pytest.mark.parametrize("rank", ["least", "middle"])
def test_the_pixel_that_matters_changed_by_one_bit(gain, rank):
    """It is seen in the least and the middle pixel, where products leave the range as well."""
    tile = sky()
    corrected, before = with_gain(tile, gain), scan_as_given(tile)
    values = np.where(np.isfinite(corrected[..., 1]), corrected[..., 1], np.float32(np.inf))
    order = np.argsort(values, axis=None)
    at = order[0 if rank == "least" else np.count_nonzero(np.isfinite(values)) // 2]
    row, column = np.unravel_index(at, values.shape)
    for bit in range(32):
        changed = corrected.copy()
        bits_flipped(changed, (row, column, 1), bit)
        with np.errstate(all="raise"):
            found = statistics_after_gain(changed, before, gain)
        assert repr(found) == repr(tile_statistics(changed))


@pytest.mark.parametrize("gain", GAINS)
@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8", "f2", "u2", "i8"])
def test_no_second_look_where_the_gain_was_applied(dtype, gain, monkeypatch):
    tile = sky(dtype)
    before, corrected = scan_as_given(tile), with_gain(tile, gain)
    expected = repr(tile_statistics(corrected))
    monkeypatch.setattr(scan, "_bracket", None)
    assert repr(statistics_after_gain(corrected, before, gain)) == expected


@pytest.mark.parametrize("gain", OTHER_GAINS)
def test_gains_that_are_none(gain):
    pair = np.array([[0.0, 1.0]], np.float32)
    for tile in (sky(), pair):
        assert_same(with_gain(tile, gain), tile, gain)
        assert_same(tile, tile, gain)


@pytest.mark.parametrize(
    "change",
    [
        lambda corrected: corrected / np.float32(0.9),
        lambda corrected: np.roll(corrected, 1, axis=2),
        lambda corrected: np.where(np.isfinite(corrected), corrected, 0),
        lambda corrected: np.where(corrected > 950, corrected, np.nan),
        lambda corrected: np.full_like(corrected, np.nan),
        lambda corrected: np.full_like(corrected, 7),
        lambda corrected: corrected[..., :2],
        lambda corrected: corrected[..., 0],
        lambda corrected: corrected[:0],
        lambda corrected: corrected.astype(np.float64) * (1 + 1e-9),
        lambda corrected: corrected.astype(np.int32) if np.isfinite(corrected).all() else corrected,
    ],
)
def test_something_else_is_scanned_anew(change):
    assert_same(change(with_gain(sky(), 0.9)), sky(), 0.9)
    whole = np.nan_to_num(sky(), nan=500)
    assert_same(change(with_gain(whole, 0.9)), whole, 0.9)


def test_each_of_the_two_middle_values_is_multiplied():
    """The product of the median would be another number."""
    tile = np.array([[1.0, np.nextafter(np.float32(1), np.float32(2)), 0.5, 2.0]], np.float32)
    corrected = with_gain(tile, 0.9)
    found = statistics_after_gain(corrected, scan_as_given(tile), 0.9)
    assert found.median == (float(corrected[0, 0]) / 2 + float(corrected[0, 1]) / 2,)
    assert found.median[0] != np.float32(scan_as_given(tile).stats.median[0]) * np.float32(0.9)


def test_a_tile_that_was_changed_meanwhile():
    """Nothing is concluded from the tile itself, which may no longer be what it was."""
    tile = sky()
    before = scan_as_given(tile)
    tile **= 2
    corrected = with_gain(tile, 0.9)
    assert statistics_after_gain(corrected, before, 0.9) == tile_statistics(corrected)
