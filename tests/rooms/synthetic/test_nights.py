"""The simulator of nights: frames behind a Bayer mask, stacked; faults are what was ordered and nothing else."""

import numpy as np
import pytest

from zemosaic_twopass.synthetic.camera import debayer
from zemosaic_twopass.synthetic.night_sky import BAYER
from zemosaic_twopass.synthetic.nights import TileFault, faults_everywhere, night_tiles, with_fault

SMALL = {"grid": (2, 2), "shape": (64, 80), "frames": 2}


@pytest.fixture(scope="module")
def night():
    return night_tiles(7, **SMALL)


def test_the_same_seed_gives_the_same_night(night):
    state = np.random.get_state()[1].tobytes()
    again, other = night_tiles(7, **SMALL), night_tiles(8, **SMALL)
    assert all(a.pixels.tobytes() == b.pixels.tobytes() for a, b in zip(night.tiles, again.tiles, strict=True))
    assert all(a.pixels.tobytes() != b.pixels.tobytes() for a, b in zip(night.tiles, other.tiles, strict=True))
    assert np.random.get_state()[1].tobytes() == state


def test_a_tile_is_known_where_a_frame_reaches(night):
    for tile in night.tiles:
        assert tile.pixels.shape == (64, 80, 3)
        assert set(np.unique(tile.coverage)) <= {0.0, 0.5, 1.0}
        np.testing.assert_array_equal(np.isfinite(tile.pixels).all(axis=2), tile.coverage > 0)
        assert (tile.coverage == 1).mean() > 0.5


def test_faults_are_all_that_differs(night):
    faults = {1: TileFault(offset=9.0, gain=0.02, slope=(4.0, -6.0))}
    faulty = night_tiles(7, **SMALL, faults=faults)
    assert [truth.fault for truth in faulty.truth] == [TileFault(), faults[1], TileFault(), TileFault()]
    assert [truth.seeing for truth in faulty.truth] == [truth.seeing for truth in night.truth]
    for index, (own, plain) in enumerate(zip(faulty.tiles, night.tiles, strict=True)):
        expected = with_fault(plain, faults[1]) if index == 1 else plain
        np.testing.assert_array_equal(own.pixels, expected.pixels)
    change = faulty.tiles[1].pixels - 1.02 * night.tiles[1].pixels
    known = np.isfinite(change[..., 0])
    rows, columns = np.linspace(-0.5, 0.5, 64)[:, np.newaxis], np.linspace(-0.5, 0.5, 80)
    np.testing.assert_allclose(change[known][:, 0], (9.0 + 4.0 * columns - 6.0 * rows)[known], atol=1e-2)


def test_a_shift_moves_the_sky_and_not_the_wcs():
    here = night_tiles(7, **SMALL, noise=False).tiles[2]
    there = night_tiles(7, **SMALL, noise=False, faults={2: TileFault(shift=(4.0, 0.0))}).tiles[2]
    assert there.wcs.to_header_string() == here.wcs.to_header_string()
    inside = np.s_[20:44, 30:60]
    moved = np.nanmedian(np.abs(there.pixels - np.roll(here.pixels, 4, axis=1))[inside])
    assert moved < 0.2 * np.nanmedian(np.abs(there.pixels - here.pixels)[inside])


def test_debayering_leaves_three_flat_colours_as_they_are():
    colours = np.array([300.0, 500.0, 200.0], dtype=np.float32)
    frame = np.tile(colours[BAYER], (5, 6))
    np.testing.assert_array_equal(debayer(frame), np.broadcast_to(colours[:, None, None], (3, 10, 12)))


def test_faults_everywhere_have_the_sizes_that_are_asked_for():
    faults = faults_everywhere(3, 400, offset=5.0, gain=0.02, slope=3.0)
    assert faults == faults_everywhere(3, 400, offset=5.0, gain=0.02, slope=3.0)
    assert np.std([fault.offset for fault in faults.values()]) == pytest.approx(5.0, rel=0.1)
    assert np.std([fault.gain for fault in faults.values()]) == pytest.approx(0.02, rel=0.1)
    assert np.std([fault.slope for fault in faults.values()]) == pytest.approx(3.0, rel=0.1)
