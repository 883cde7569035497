"""Noise of the blocks of each tile, by what neighbours differ by."""

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.photometry.block_noise import estimate_noise
from zemosaic_twopass.diagnosis.photometry.overlaps import Layout

SHAPE, TILES = (20, 30), 5
CELLS = SHAPE[0] * SHAPE[1]


def estimated(size, told=None):
    """Noise of tiles that all lie on the same cells; left of each block are units of its error, shape (N, CELLS)."""
    corner, whole = np.zeros((2, TILES), dtype=int), np.array([SHAPE[::-1]] * TILES).T
    layout = Layout(SHAPE, np.arange(TILES + 1) * CELLS, np.tile(np.arange(CELLS), TILES), corner, whole)
    told = np.full(TILES, 0.8 * CELLS) if told is None else np.array(told)
    one = np.ones(TILES)
    return estimate_noise(layout, np.ravel(size), np.ones(TILES * CELLS), 2 * one, 2 * one, told)


@pytest.fixture
def size():
    return np.random.default_rng(4).normal(0, 1, (TILES, CELLS))


def test_it_is_what_blocks_scatter_by_and_what_is_usual_counts(size):
    size[3] *= 1.5
    scale, freedom = estimated(size)
    np.testing.assert_allclose(scale / 2, [1, 1, 1, 1.5, 1], rtol=0.1)
    assert (freedom > 50).all()


def test_light_that_is_steep_from_block_to_block_is_not_noise(size):
    """Else the light of a cloud would hide in errors as large."""
    size[1] += 10 * np.abs(np.arange(CELLS) % 30 - 15)
    scale, _ = estimated(size)
    usual = np.median(scale)
    assert scale[1] <= 5 * usual
    assert np.all(scale[[0, 2, 3, 4]] < 2 * 2)


def test_a_tile_that_makes_the_sky_alone_takes_the_usual_noise_and_harms_no_other(size):
    size[2] = 0.0
    with np.errstate(all="raise"):
        scale, freedom = estimated(size, [400.0, 400.0, 0.0, 400.0, 400.0])
    np.testing.assert_allclose(scale / 2, 1, rtol=0.1)
    assert freedom[2] == 0
