"""Exact checks: fingerprints, gain lists, corrected planes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zemosaic_twopass.diagnosis.contract import checks
from zemosaic_twopass.diagnosis.contract.checks import check_corrected, check_gains, check_inputs, fingerprints
from zemosaic_twopass.measure import bits
from zemosaic_twopass.tiles.records import SecondPass, TileList

GAINS = [1.05, 0.93, 1.0, 1.11]


@pytest.fixture
def tile():
    found = np.random.default_rng(4).normal(1000, 30, (40, 50, 3)).astype(np.float32)
    found[3:6] = np.nan
    return found


def hashed(pixels, coverages=None, first_coverage=None):
    tiles = TileList(pixels, [None] * len(pixels), coverages)
    return fingerprints(SecondPass(tiles, first_coverage=first_coverage))


def kinds(findings):
    return [(finding.kind, finding.tile) for finding in findings]


@given(st.integers(0, 39), st.integers(0, 49), st.integers(0, 2), st.integers(0, 31))
def test_one_bit_of_one_pixel_is_seen(row, column, channel, bit):
    array = np.arange(40 * 50 * 3, dtype=np.float32).reshape(40, 50, 3)
    before = hashed([array, array])
    changed = array.copy()
    changed.view(np.uint32)[row, column, channel] ^= np.uint32(1 << bit)
    assert kinds(check_inputs(before, hashed([array, changed]))) == [("input_mutated", 1)]


@pytest.mark.parametrize("view", [np.s_[:, ::-1], np.s_[::2, 1::3], np.s_[..., 1], np.s_[:0], np.s_[5, 5]])
def test_views_and_odd_layouts(tile, view):
    part = tile[view]
    before = hashed([part], [np.asfortranarray(part)])
    assert before == hashed([part], [np.asfortranarray(part)])
    if part.size:
        part[(0,) * part.ndim] = 7
        assert kinds(check_inputs(before, hashed([part], [part]))) == [("input_mutated", 0), ("input_mutated", 0)]


def test_dtype_byte_order_and_shape_count():
    array = np.zeros((4, 6), np.float32)
    variants = [array, array.astype(">f4"), array.astype(np.int32), array.reshape(6, 4), array.astype(float)]
    assert len({hashed([v])["tile", 0] for v in variants}) == len(variants)


def test_every_input_has_its_name():
    tiles, masks, coverage = [np.zeros((3, 3))], [None], np.ones((5, 5))
    before = hashed(tiles, masks, coverage)
    assert set(before) == {("tile", 0), ("first-pass coverage", None)}
    coverage[2, 2] = np.nan
    (finding,) = check_inputs(before, hashed(tiles, masks, coverage))
    assert finding.tile is None
    assert "First-pass coverage is not what it was" in finding.message


def test_nothing_is_copied_whole(tile):
    import tracemalloc

    big = np.zeros((2000, 2000), np.float32)
    tracemalloc.start()
    hashed([big, big.T, big[::2]])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < big.nbytes / 20


def test_good_gains():
    assert check_gains([0.9, 1.1], 2, (0.85, 1.18)) == []
    assert check_gains(None, 3) == []


@pytest.mark.parametrize("gain", [np.nan, np.inf, 0.0, -1.0])
def test_gain_that_is_none(gain):
    (finding,) = check_gains([0.9, gain], 2)
    assert (finding.kind, finding.tile) == ("gain_invalid", 1)
    assert f"{gain:.6g}" in finding.message


def test_length_clip_and_guard():
    assert kinds(check_gains([0.9], 2)) == [("gain_invalid", None)]
    found = check_gains([0.85, 1.18 - 1e-8, 1.0, 1.17], 4, (1.18, 0.85))
    assert kinds(found) == [("clip_saturated", 0), ("clip_saturated", 1), ("gain_guard", 2)]


def test_right_gain_bit_for_bit(tile):
    for index, gain in enumerate(GAINS):
        assert check_corrected(index, tile, tile * np.float32(gain), GAINS) is None
    assert check_corrected(0, tile[..., 0], tile[..., :1] * np.float32(GAINS[0]), GAINS) is None
    assert check_corrected(0, tile.astype(float), (tile.astype(float) * GAINS[0]).astype(np.float32), GAINS) is None


@pytest.mark.parametrize(
    ("applied", "kind"),
    [(1.0, "gain_not_applied"), (GAINS[1], "gain_swapped"), (1.3, "gain_mismatch"), (1.0504, "gain_mismatch")],
)
def test_wrong_gain(tile, applied, kind):
    finding = check_corrected(0, tile, tile * np.float32(applied), GAINS)
    assert (finding.kind, finding.tile) == (kind, 0)
    assert finding.value == pytest.approx(applied, rel=1e-6)
    assert "recorded is 1.05" in finding.message


def test_more_than_a_gain(tile):
    half = tile * np.float32(GAINS[0])
    half[:, :20] *= np.float32(1.01)
    assert check_corrected(0, tile, half, GAINS).kind == "not_closed"
    assert check_corrected(0, tile, np.roll(tile, 1, axis=1), GAINS).kind == "not_closed"
    assert check_corrected(0, tile, tile[:-1], GAINS).message.endswith("(39, 50, 3) != (40, 50, 3) as given.")


def test_mask(tile):
    corrected = tile * np.float32(GAINS[1])
    corrected[10:20, 10:20] = np.nan
    finding = check_corrected(1, tile, corrected, GAINS)
    assert finding.kind == "mask_bug"
    assert finding.value == pytest.approx(100 / 2000)
    filled = np.nan_to_num(tile * np.float32(GAINS[1]), nan=0.0)
    assert check_corrected(1, tile, filled, GAINS).kind == "mask_bug"


@pytest.mark.parametrize("value", [0.0, 65535.0])
def test_pixels_filled_with_a_constant(tile, value):
    corrected = tile * np.float32(GAINS[1])
    corrected[10:20, 10:20] = value
    finding = check_corrected(1, tile, corrected, GAINS)
    assert (finding.kind, finding.tile) == ("mask_bug", 1)
    known = np.count_nonzero(np.isfinite(tile))
    assert finding.value == pytest.approx(10 * 10 * 3 / known)
    assert "one constant" in finding.message
    corrected[10:20, 10:15] = value + 1
    assert check_corrected(1, tile, corrected, GAINS).kind == "not_closed"
    assert check_corrected(1, tile, np.full_like(tile, value), GAINS).kind != "gain_mismatch"


@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8", "u2", "i8"])
@pytest.mark.parametrize(
    "change",
    [
        lambda corrected: None,
        lambda corrected: corrected.view(np.uint32).__setitem__((-1, -1, -1), 0x7FC00001),
        lambda corrected: corrected.__setitem__(corrected == 0, -0.0),
        lambda corrected: corrected.__setitem__((7, 8, 2), np.nextafter(corrected[7, 8, 2], np.float32(0))),
        lambda corrected: corrected.__setitem__((7, 8, 2), corrected[7, 8, 2] * np.float32(1.1)),
        lambda corrected: corrected.__setitem__((7, 8, 2), np.nan),
        lambda corrected: corrected.__setitem__(np.isnan(corrected), 5),
        lambda corrected: corrected.__setitem__(..., corrected[..., ::-1].copy()),
        lambda corrected: corrected.__setitem__(..., corrected * np.float32(1.2)),
    ],
)
def test_a_look_at_the_bits_says_what_the_product_says(tile, change, dtype, monkeypatch):
    """All finite or not, in one piece or in rows."""
    tile[9, 9] = 0
    given = (tile if np.dtype(dtype).kind == "f" else np.nan_to_num(tile)).astype(dtype)
    corrected = given.astype(np.float32) * np.float32(GAINS[1])
    change(corrected)
    found = [check_corrected(1, given, corrected, GAINS)]
    monkeypatch.setattr(bits, "_PIECE", 400)
    found.append(check_corrected(1, given, corrected, GAINS))
    found.append(check_corrected(1, given, corrected.astype(">f4"), GAINS))
    monkeypatch.setattr(checks, "is_product", lambda *arrays: False)
    found.append(check_corrected(1, given, corrected, GAINS))
    assert len(set(map(repr, found))) == 1


def test_plane_as_it_should_be_is_not_multiplied_whole(tile, monkeypatch):
    corrected = tile * np.float32(GAINS[1])
    monkeypatch.setattr(checks.np, "isfinite", None)
    monkeypatch.setattr(checks, "beyond_rounding", None)
    tracemalloc.start()
    large, seen = (np.tile(array, (16, 16, 1)) for array in (tile, corrected))
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    assert check_corrected(1, large, seen, GAINS) is None
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 0.5 * large.nbytes


@pytest.mark.parametrize("shape", [(0, 5000, 3), (5, 0, 3), (0, 0)])
def test_tile_without_pixels(shape):
    empty = np.empty(shape, np.float32)
    assert check_corrected(0, empty, empty, GAINS) is None


def test_tile_of_nan_says_nothing(tile):
    blank = np.full_like(tile, np.nan)
    assert check_corrected(0, blank, blank, GAINS) is None
