"""Stars as a second witness of a scale: where the sky tells nothing, tells too much, or tells something else."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.flat_skies import LEVEL, SHAPE, flat_tiles, found, surveyed
from zemosaic_twopass.diagnosis.photometry import StarScales
from zemosaic_twopass.diagnosis.photometry.witness import Witness, with_gain_errors

ODD = 4


def with_odd(tiles, change):
    pixels = tiles[ODD].pixels.astype(float)
    changed = list(tiles)
    changed[ODD] = replace(tiles[ODD], pixels=change(pixels).astype(np.float32))
    return changed


@pytest.mark.parametrize("factor", [0.3, 0.5, 1.2, 2.0, 4.0])
def test_a_factor_on_a_flat_sky(factor):
    found_in = found(surveyed(with_odd(flat_tiles(3), lambda pixels: factor * pixels)))
    assert list(found_in) == [("gain_residual", ODD)]
    finding = found_in["gain_residual", ODD]
    assert finding.value == pytest.approx(factor - 1, abs=4 * finding.error)
    assert finding.error < 0.05 * factor
    assert "stars that it shares" in finding.message


def test_stars_by_one_factor_and_sky_by_another():
    """Moonlight on a longer exposure."""
    seen = found(surveyed(with_odd(flat_tiles(4), lambda pixels: 1.35 * (pixels - LEVEL) + 1280)))
    assert set(seen) == {("gain_residual", ODD), ("offset", ODD)}
    assert seen["gain_residual", ODD].value == pytest.approx(0.35, abs=0.06)
    assert seen["offset", ODD].value == pytest.approx(280, abs=3)


def test_a_factor_where_the_sky_was_subtracted():
    """No step anywhere: only its stars are brighter."""
    seen = found(surveyed(with_odd(flat_tiles(5, level=0.0), lambda pixels: 1.5 * pixels)))
    assert list(seen) == [("gain_residual", ODD)]
    assert seen["gain_residual", ODD].value == pytest.approx(0.5, abs=0.06)


def test_a_tile_in_units_of_its_own():
    seen = found(surveyed(with_odd(flat_tiles(6, nebula=20.0), lambda pixels: pixels / 65535)))
    assert list(seen) == [("gain_residual", ODD)]
    assert 1 + seen["gain_residual", ODD].value == pytest.approx(1 / 65535, rel=0.05)


@pytest.mark.parametrize("nebula", [0.0, 20.0])
@pytest.mark.parametrize("unit", [1 / 65535, 257.0])
def test_a_tile_in_units_of_its_own_without_a_star(unit, nebula):
    """Its level and its noise are both as far off."""
    seen = found(surveyed(with_odd(flat_tiles(6, stars=0, nebula=nebula), lambda pixels: unit * pixels)))
    assert list(seen) == [("gain_residual", ODD)]
    assert 1 + seen["gain_residual", ODD].value == pytest.approx(unit, rel=0.01)
    assert "too few stars (0) to" in seen["gain_residual", ODD].message


@pytest.mark.parametrize("height", [20.0, 60.0])
def test_light_that_is_no_term_is_no_factor(height):
    """A glow in a corner: a factor explains it best, and the stars know that there is none."""
    rows, columns = np.indices(SHAPE)
    glow = height * np.exp(-(rows**2 + columns**2) / 2 / 70.0**2)[..., np.newaxis]
    survey = surveyed(with_odd(flat_tiles(7, nebula=15.0), lambda pixels: pixels + glow))
    assert not any(kind == "gain_residual" for kind, _ in found(survey))


def test_without_stars_the_sky_alone_speaks_and_says_so():
    seen = found(surveyed(with_odd(flat_tiles(8, stars=0, nebula=60.0), lambda pixels: 1.3 * pixels)))
    assert seen["gain_residual", ODD].value == pytest.approx(0.3, abs=0.01)
    assert "by the sky alone" in seen["gain_residual", ODD].message


@pytest.mark.parametrize("stars", [0, 2])
def test_without_stars_on_a_flat_sky_an_offset_may_be_a_factor_and_that_is_said(stars):
    seen = found(surveyed(with_odd(flat_tiles(8, stars=stars), lambda pixels: 1.2 * pixels)))
    assert list(seen) == [("offset", ODD)]
    message = seen["offset", ODD].message
    assert "a factor of 1.2 would look the same" in message
    assert "too few stars (0) to tell" in message


def test_one_channel_tells_what_two_do_not():
    tiles = flat_tiles(9, stars=0, channels=3, nebula=60.0, colours=(0.0, 1.0, 0.0))
    seen = found(surveyed(with_odd(tiles, lambda pixels: 1.3 * pixels)))
    assert seen["gain_residual", ODD].value == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("stars", [0, 8, 150])
def test_sound_tiles_of_few_or_many_stars(stars):
    for seed in range(4):
        assert not found(surveyed(flat_tiles(20 + seed, stars=stars, channels=3)))


def test_what_stars_say_does_not_ask_for_a_common_scale():
    stars = StarScales.none(4, 1)
    stars.logarithm[:3, 0], stars.covariance[0, :3, :3] = (0.0, 0.0, 0.4), 1e-4 * np.eye(3)
    witness = Witness.of(stars, 0, np.ones(4, bool), np.full(4, np.nan))
    np.testing.assert_allclose(witness.information @ np.ones(4), 0, atol=1e-6)
    np.testing.assert_allclose(witness.gains(), [0, 0, np.expm1(0.4), 0])
    np.testing.assert_array_equal(witness.told, [True, True, True, False])
    assert (witness.find_contradicted(1.3 * (1 + witness.gains()) - 1) < 1).all()
    assert np.flatnonzero(witness.find_contradicted(np.zeros(4)) > 1).tolist() == [2]
    matrix, score = np.zeros((4, 7, 4, 7)), np.zeros((4, 7))
    witness.enter(matrix, score, np.zeros(4), 2.0)
    change = np.linalg.pinv(matrix[:, 1, :, 1]) @ score[:, 1]
    np.testing.assert_allclose(change[:3] - change[0], [0, 0, 0.4], atol=1e-9)


def test_a_gain_that_the_sky_tells_has_an_error_of_its_own_beside_the_noise():
    """As one more unknown of each tile, of so large an error, that the sky takes for its gain."""
    rng, unsure = np.random.default_rng(4), np.array([0.01, 0.0, 0.03])
    design = rng.normal(size=(60, 21))
    values = rng.normal(size=60)
    matrix, score = (design.T @ design).reshape(3, 7, 3, 7), (design.T @ values).reshape(3, 7)
    own, right = with_gain_errors(matrix, score, unsure, 2.0)
    wide = np.hstack([design, design[:, [1, 15]]])
    normal = wide.T @ wide + np.diag([0.0] * 21 + [2.0 / 0.01**2, 2.0 / 0.03**2])
    best = np.linalg.solve(normal, wide.T @ values)[:21]
    np.testing.assert_allclose(np.linalg.solve(own.reshape(21, 21), right.ravel()), best, rtol=1e-5)
    spread = np.linalg.inv(normal)[:21, :21]
    np.testing.assert_allclose(np.linalg.inv(own.reshape(21, 21)), spread, rtol=1e-4, atol=1e-8)
    same = with_gain_errors(matrix, score, np.zeros(3), 1.0)
    assert same[0] is matrix
    assert same[1] is score


def test_sound_star_fields_of_unequal_seeing_are_not_called_scaled():
    """Blocks cut a star otherwise in each: on a flat sky that was a gain of 1 to 2 per cent at ten sigma."""
    rows, columns = np.indices(SHAPE)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        places, flux = rng.uniform(0, 600, (2, 220)), 10 ** rng.uniform(3, 5, 220)
        tiles = []
        for number, tile in enumerate(flat_tiles(50 + seed, stars=0)):
            width = rng.uniform(2.2, 3.4) / 1.0196
            top, left = 140 * (number // 3), 150 * (number % 3)
            image = tile.pixels.astype(float)
            for x, y, one in zip(*places, flux, strict=True):
                away = (rows + top - y) ** 2 + (columns + left - x) ** 2
                image[..., 0] += np.where(away < 900, one * 2 / np.pi / width**2 * (1 + away / width**2) ** -3.0, 0)
            tiles.append(replace(tile, pixels=image.astype(np.float32)))
        assert list(found(surveyed(with_odd(tiles, lambda pixels: 0.5 * pixels)))) == [("gain_residual", ODD)]
