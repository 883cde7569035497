"""Medians of what is known: those of `numpy.nanmedian`, and no warning where nothing is."""

import numpy as np
import pytest

from zemosaic_twopass.measure.median import median_of_known


@pytest.mark.parametrize("size", [1, 2, 7, 8, 600])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_medians_are_those_of_numpy_to_the_bit(size, missing):
    rng = np.random.default_rng(size)
    values = rng.normal(1000, 8, (3, 40, size))
    values[rng.random(values.shape) < missing] = np.nan
    # One is known in each, at least.
    values[..., size // 2] = 1000.0
    np.testing.assert_array_equal(median_of_known(values), np.nanmedian(values, axis=-1))


def test_of_nothing_it_is_nothing():
    values = np.full((2, 5), np.nan)
    values[0, 3] = 7.0
    np.testing.assert_array_equal(median_of_known(values), [7.0, np.nan])
