"""The one form of what a tile has: what is seen at a level of the sky and what is there at a sky of 0 are one thing."""

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.terms import TileTerms, at_level, at_zero, size_of


@pytest.fixture
def terms():
    rng = np.random.default_rng(11)
    root = rng.normal(0, 1, (3, 4, 4))
    return TileTerms(rng.normal(0, [20, 0.1, 5, 5], (3, 4)), root @ np.swapaxes(root, 1, 2))


def test_what_is_seen_is_what_the_tile_shows_of_a_sky_of_that_level(terms):
    level = np.array([800.0, 0.0, -3.0])
    shown = terms.offset + terms.factor * level
    seen = at_level(terms.value, level)
    np.testing.assert_allclose(level + seen[:, 0], shown, rtol=1e-12)
    np.testing.assert_array_equal(seen[:, 1:], terms.value[:, 1:])
    np.testing.assert_allclose(at_zero(seen, level), terms.value, atol=1e-12)


def test_the_multiplier_takes_offset_and_factor_out(terms):
    sky = np.linspace(0, 1000, 5)
    gain, _, offset, _ = terms.multiplier()
    for channel in range(3):
        shown = terms.offset[channel] + terms.factor[channel] * sky
        np.testing.assert_allclose(gain[channel] * shown + offset[channel], sky, atol=1e-9)


def test_with_another_gain_all_else_looks_the_same_at_its_level(terms):
    level, other = np.array([500.0, 900.0, 10.0]), np.full((3, 4), 0.25)
    changed = terms.with_seen((1,), other, level)
    np.testing.assert_array_equal(changed.value[:, 1], 0.25)
    np.testing.assert_allclose(at_level(changed.value, level)[:, 0], at_level(terms.value, level)[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(changed.slope, terms.slope)


def test_sizes_and_their_errors(terms):
    errors = np.sqrt(np.diagonal(terms.covariance, axis1=1, axis2=2))
    np.testing.assert_array_equal(terms.errors, errors)
    value, error = size_of(terms.value, errors, (0,))
    np.testing.assert_array_equal([value, error], [terms.offset, terms.offset_error])
    size, error = size_of(terms.value, errors, (2, 3))
    expected = np.hypot(*(terms.slope * terms.slope_error).T) / np.hypot(*terms.slope.T)
    np.testing.assert_allclose([size, error], [np.hypot(*terms.slope.T), expected], rtol=1e-12)
    # Of no slope nobody knows where it leads.
    size, error = size_of(np.zeros((1, 4)), np.full((1, 4), 3.0), (2, 3))
    assert (size, error) == (0, pytest.approx(np.hypot(3, 3)))


def test_what_is_not_there_is_nothing_and_has_no_error():
    none = TileTerms(np.zeros((2, 4)), np.full((2, 4, 4), np.nan))
    assert not none.offset.any() and (none.factor == 1).all() and not none.slope.any() and not none.shift.any()
    for errors in (none.errors, none.shift_error, *none.multiplier()[1::2]):
        assert np.isnan(errors).all()
