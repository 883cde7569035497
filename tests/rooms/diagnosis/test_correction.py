"""What was found in a tile, taken out of it again, gives the tile without it."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import NOISE, Pass
from zemosaic_twopass.diagnosis.comparison import corrections
from zemosaic_twopass.diagnosis.photometry import Correction
from zemosaic_twopass.synthetic.surveys import survey

LARGE = {"rows": 2, "columns": 3, "shape": (240, 300), "overlap": 0.6, "seed": 7, "channels": 3}
PARTS = np.array([1.0, -2.0, 0.5])


@pytest.fixture(scope="module")
def clean():
    return Pass.make(**LARGE)


@pytest.fixture(scope="module")
def faulty(clean):
    """One tile with an offset, one scaled, one that slopes, one that has all of it; another in every channel."""
    scene = Pass.make(**LARGE)
    slope = np.linspace(-0.5, 0.5, 300)[:, np.newaxis] * 40 * PARTS
    scene.tiles[0] = scene.tiles[0] + np.float32(20 * PARTS)
    scene.tiles[2] = scene.tiles[2] * np.float32(1 + 0.05 * PARTS)
    scene.tiles[3] = (scene.tiles[3] + slope).astype(np.float32)
    scene.tiles[5] = (scene.tiles[5] * (1 - 0.04 * PARTS) + 15 + slope).astype(np.float32)
    return survey(scene.second_pass())


def test_the_blocks_become_those_of_the_sound_tiles(clean, faulty):
    sound = survey(clean.second_pass())
    for index, own in enumerate(corrections(faulty)):
        left = own.of_blocks(faulty.looks[index].blocks) - sound.looks[index].blocks.value
        assert own.empty == (index in (1, 4))
        # A twentieth of the noise of a pixel anywhere in the tile, and nothing at all where nothing was found.
        assert np.nanmax(np.abs(np.nanmedian(left, axis=(1, 2)))) < 0.05 * NOISE
        assert not own.empty or np.nanmax(np.abs(left)) == 0


def test_terms_are_what_was_put_in_within_their_errors(faulty):
    found = corrections(faulty)
    assert (np.abs(found[0].offset - 20 * PARTS) < 5 * found[0].offset_error).all()
    assert (np.abs(found[2].factor - 1 - 0.05 * PARTS) < 5 * found[2].factor_error + 5e-4).all()
    assert np.isnan(found[0].factor_error).all()
    assert (found[0].factor == 1).all()
    np.testing.assert_allclose(found[3].slope[:, 0], 40 * PARTS, atol=2.0)
    assert (found[3].slope_error > 0).all()


def test_as_pixel_times_gain_plus_offset(faulty):
    own = corrections(faulty)[5]
    gain, gain_error, offset, offset_error = own.multiplier()
    values = np.linspace(500.0, 2000.0, 7) * np.ones((3, 1))
    middle = own.extent.mean(axis=0)
    by_hand = values * gain[:, np.newaxis] + offset[:, np.newaxis]
    np.testing.assert_allclose(own.take_out(values, *middle), by_hand, rtol=1e-12)
    assert (gain_error > 0).all()
    # Drawn at random with their errors, offsets scatter as the error says.
    rng = np.random.default_rng(3)
    drawn = -rng.normal(own.offset[0], own.offset_error[0], 20_000) / rng.normal(
        own.factor[0], own.factor_error[0], 20_000
    )
    assert np.std(drawn) == pytest.approx(offset_error[0], rel=0.05)


def test_slopes_run_from_edge_to_edge_of_what_the_tile_knows(faulty):
    own = corrections(faulty)[3]
    first, last = own.extent
    values = np.zeros((3, 2))
    ends = own.take_out(values, np.array([first[0], last[0]]), np.full(2, own.extent[:, 1].mean()))
    np.testing.assert_allclose(ends[:, 0] - ends[:, 1], own.slope[:, 0] / own.factor, rtol=1e-9)


def test_nothing_is_taken_out_of_nothing():
    own = replace(Correction.nothing(2), extent=np.array([[0, 0], [9, 9]]))
    values = np.array([[1.0, np.nan], [3.0, 4.0]])
    np.testing.assert_array_equal(own.take_out(values, np.zeros(2), np.zeros(2)), values)
    assert own.empty
    assert np.isnan(own.multiplier()[1]).all() and np.isnan(own.multiplier()[3]).all()


def test_a_tile_that_could_not_be_compared_has_none():
    alone = Pass.make(rows=1, columns=2, shape=(120, 150))
    alone.wcs[1] = alone.wcs[1].deepcopy()
    alone.wcs[1].wcs.crval = (10.0, 60.0)
    assert corrections(survey(alone.second_pass())) == [None, None]
