"""Means over blocks against loops and against one another."""

import numpy as np
import pytest

from zemosaic_twopass.tiles.blocks import block_mean, block_means


@pytest.mark.parametrize("shape", [(16, 24), (17, 31), (17, 31, 3), (2100, 5, 3)])
def test_block_mean_against_a_loop(shape):
    rng = np.random.default_rng(4)
    image = rng.normal(100, 5, shape).astype(np.float32)
    image[rng.random(shape) < 0.2] = np.nan
    image[rng.random(shape) < 0.02] = np.inf
    found = block_mean(image, 4)
    flat = image.astype(float) if image.ndim == 2 else np.where(np.isfinite(image), image, np.nan).mean(axis=2)
    assert found.shape == (shape[0] // 4, shape[1] // 4)
    for (row, column), value in np.ndenumerate(found):
        block = flat[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        block = block[np.isfinite(block)]
        expected = block.mean() if block.size >= 8 else np.nan
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_block_means_are_those_of_each_channel():
    rng = np.random.default_rng(7)
    image = rng.normal(100, 5, (45, 67, 3)).astype(">f4")
    image[rng.random(image.shape) < 0.2] = np.nan
    image[:20, :30] = rng.normal(100, 5, (20, 30, 3))
    coverage = rng.random(image.shape[:2]) > 0.05
    coverage[:20, :30] = True
    for own in (None, coverage):
        found = block_means(image, 8, own)
        assert found.shape == (3, 5, 8)
        wanted = [block_mean(image[..., channel], 8, own) for channel in range(3)]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        assert np.isfinite(found).any()
    image[8:16, 8:16, 1] = np.nan
    lacking = block_means(image, 8)[:, 1, 1]
    assert np.isfinite(lacking).tolist() == [True, False, True]
    assert np.isnan(block_mean(image, 8)[1, 1])


def test_block_mean_half_of_a_block_is_enough_and_less_is_not():
    image = np.full((2, 4), np.nan)
    image[0, :2], image[0, 2] = 7.0, 7.0
    np.testing.assert_array_equal(block_mean(image, 2), [[7.0, np.nan]])


def test_block_mean_counts_uncovered_pixels_as_missing():
    image = np.array([[1.0, 3.0], [100.0, 100.0]])
    np.testing.assert_array_equal(block_mean(image, 2, np.array([[1, 1], [0, np.nan]])), [[2.0]])
    with pytest.raises(ValueError, match=r"\(1, 2\) != tile shape \(2, 2\)"):
        block_mean(image, 2, np.ones((1, 2)))


def test_block_mean_smaller_than_a_block_is_empty():
    assert block_mean(np.ones((3, 9)), 4).shape == (0, 2)


def test_block_mean_needs_every_channel():
    image = np.array([[[1.0, 2.0, 6.0], [1.0, np.nan, 2.0], [np.inf, -np.inf, 0.0]]])
    np.testing.assert_array_equal(block_mean(image, 1), [[3.0, np.nan, np.nan]])
    with pytest.raises(ValueError, match="not 1"):
        block_mean(np.ones(3), 1)


@pytest.mark.parametrize("factor", [1, 3, 8])
def test_block_mean_of_any_strides_and_dtype(factor):
    image = np.random.default_rng(6).integers(0, 200, (50, 70, 3))
    expected = block_mean(image.astype(np.float64), factor)
    for other in (image.astype(">f4"), image.astype("u1"), image.astype("f2"), np.asfortranarray(image.astype("f4"))):
        np.testing.assert_array_equal(block_mean(other, factor), expected)
    np.testing.assert_array_equal(block_mean(image[::-1, ::-1].copy()[::-1, ::-1], factor), expected)
