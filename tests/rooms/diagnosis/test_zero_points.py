"""Scales of tiles from the stars that they share: those that were put in, with errors that are true."""

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.photometry import star_scales
from zemosaic_twopass.measure.fluxes import Fluxes

SCALES = np.array([1.0, 1.0, 1.3, 0.97, 1.0])


def fluxes_of(flux, error, growth=1.0):
    """`Fluxes` of one channel, of which each star tells what lies outside to 3 %."""
    flux, error, growth = (np.broadcast_to(own, np.shape(flux)) for own in (flux, error, growth))
    return Fluxes(0, flux, error, growth, 0.03 * growth)


def measured(seed, stars=40, scales=SCALES, error=0.03, spoiled=0.0, growth=0.0, crowded=0.0):
    """Arguments of `star_scales`: every star is in every second tile or so, some of them far off.

    Tiles with a wide aperture hold more of their stars, and tell that less lies outside. In a crowded field there are
    neighbours outside, of each star its own.
    """
    rng = np.random.default_rng(seed)
    bright = 10 ** rng.uniform(3, 5, stars)
    seen = rng.random((len(scales), stars)) < 0.6
    beside = 1 + crowded * np.random.default_rng(seed + 1000).exponential(size=stars)
    fluxes, tiles, numbers = [], [], []
    for index, (scale, own) in enumerate(zip(scales, seen, strict=True)):
        wide = growth * rng.normal()
        flux = scale * bright[own] * np.exp(rng.normal(0, error, own.sum()) + wide)
        flux = np.where(rng.random(own.sum()) < spoiled, 1.5 * flux, flux)[:, np.newaxis]
        outside = 1.1 * beside[own] * np.exp(rng.normal(0, 0.03, own.sum()) - wide)
        fluxes.append(fluxes_of(flux, error * flux, outside[:, np.newaxis]))
        tiles.append(np.full(own.sum(), index))
        numbers.append(np.flatnonzero(own))
    entries = np.arange(sum(map(len, tiles)))
    return fluxes, entries, np.concatenate(tiles), np.concatenate(numbers)


@pytest.mark.parametrize(
    ("spoiled", "growth", "crowded"), [(0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.05, 0.0), (0.0, 0.05, 0.3)]
)
def test_scales_and_their_errors(spoiled, growth, crowded):
    z = []
    for seed in range(60):
        scales = star_scales(*measured(seed, spoiled=spoiled, growth=growth, crowded=crowded))
        left, error = scales.against_others(SCALES[:, np.newaxis])
        assert (scales.counts > 10).all()
        z.append(left / error)
    # The others' median is noisier than their mean; pixels are allowed for that are not in these.
    assert 0.6 < np.std(z) < 1.3
    assert np.abs(np.mean(z)) < 0.25


def test_a_factor_that_is_right_leaves_nothing_and_a_wrong_one_itself():
    scales = star_scales(*measured(3, stars=80))
    given, error = (layer[:, 0] for layer in scales.against_others(np.ones((5, 1))))
    assert given[2] == pytest.approx(np.log(1.3), abs=4 * error[2])
    assert error[2] < 0.03
    wrong = np.ones((5, 1))
    wrong[2], wrong[0] = 1.3, 2.0
    left = scales.against_others(wrong)[0][:, 0]
    assert abs(left[2]) < 4 * error[2]
    assert left[0] == pytest.approx(-np.log(2), abs=4 * error[0])


@pytest.mark.parametrize("ratio", [1, 30, 300])
def test_a_tile_that_knows_its_stars_far_better_than_the_other(ratio):
    """Rounding is no scale that both have in common: that is 0, and without an error."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        part = 10 ** rng.uniform(-4, -3, 40)[:, np.newaxis]
        bright = 10 ** rng.uniform(3, 5, 40)[:, np.newaxis]
        fluxes = [fluxes_of(1.2 * bright, part * 1.2 * bright), fluxes_of(bright, ratio * part * bright)]
        scales = star_scales(fluxes, np.arange(80), np.repeat([0, 1], 40), np.tile(np.arange(40), 2))
        np.testing.assert_allclose(scales.logarithm[:, 0], np.array([0.5, -0.5]) * np.log(1.2), atol=1e-8)
        assert abs(scales.covariance[0]).max() < 0.05


def test_two_stars_say_nothing():
    fluxes, entries, tiles, numbers = measured(4)
    few = np.flatnonzero(tiles == 3)[2:]
    keep = np.setdiff1d(entries, few)
    scales = star_scales(fluxes, keep, tiles[keep], numbers[keep])
    assert scales.counts[3] == 0
    assert np.isnan(scales.against_others(np.ones((5, 1)))[0][3])
    assert np.isfinite(scales.against_others(np.ones((5, 1)))[0][[0, 1, 2, 4]]).all()


def test_tiles_that_no_stars_join_are_not_compared():
    one, other = measured(5, scales=SCALES[:2]), measured(6, scales=SCALES[2:4])
    shift = len(one[1])
    tiles = np.concatenate([one[2], other[2] + 2])
    numbers = np.concatenate([one[3], other[3] + 1000])
    scales = star_scales([*one[0], *other[0]], np.concatenate([one[1], other[1] + shift]), tiles, numbers)
    left, error = (layer[:, 0] for layer in scales.against_others(np.ones((4, 1))))
    assert np.abs(left[:2]).max() < 4 * error[:2].max()
    np.testing.assert_allclose(np.abs(left[2:]), np.log(1.3 / 0.97), atol=4 * error[2:].max())


def test_stars_without_an_error_are_measured_without_a_warning():
    """Where whole numbers are coarser than the noise a background shows none."""
    fluxes, *shared = measured(4)
    exact = [Fluxes(0, one.flux, 0 * one.error, one.growth, one.growth_error) for one in fluxes]
    with np.errstate(all="raise"):
        left, error = star_scales(exact, *shared).against_others(SCALES[:, np.newaxis])
    assert np.abs(left).max() < 0.05
    assert (error > 0).all()


def test_no_stars_at_all():
    nothing = np.zeros(0, dtype=int)
    scales = star_scales([Fluxes.none(3), Fluxes.none(3)], nothing, nothing, nothing)
    assert not scales.counts.any()
    assert np.isnan(scales.against_others(np.ones((2, 3)))).all()


@pytest.mark.parametrize(("links", "joined"), [(1, False), (2, False), (3, True)])
def test_two_halves_that_fewer_than_three_stars_join_are_not_joined(links, joined):
    """One of them may be anything, and would give half of the mosaic a scale."""
    tiles = np.array([0, 1] * 6 + [2, 3] * 6 + [1, 2] * links)
    numbers = np.concatenate([np.repeat(np.arange(12), 2), np.repeat(12 + np.arange(links), 2)])
    order = np.argsort(tiles, kind="stable")
    flux = [np.full((np.count_nonzero(tiles == own), 1), 1000.0) for own in range(4)]
    fluxes = [fluxes_of(own, 0.01 * own) for own in flux]
    scales = star_scales(fluxes, np.arange(len(tiles)), tiles[order], numbers[order])
    assert (scales.groups[0, 0] == scales.groups[3, 0]) == joined
    assert scales.counts[:, 0].tolist() == [6, 6 + joined * links, 6 + joined * links, 6]
    assert np.isfinite(scales.logarithm).all()


def test_a_bright_star_in_two_halves_that_are_not_joined_tells_in_both():
    # Tiles 0 and 1, and 2 and 3, share three faint stars of their own and one that all four have.
    flux, error = np.array([300.0, 300, 300, 1e5])[:, np.newaxis], np.array([20.0, 20, 20, 100])[:, np.newaxis]
    scales = np.array([1.0, 1.5, 1.0, 2.0])
    fluxes = [fluxes_of(scale * flux, error) for scale in scales]
    numbers = np.array([[0, 1, 2, 6]] * 2 + [[3, 4, 5, 6]] * 2)
    found = star_scales(fluxes, np.arange(16), np.repeat(np.arange(4), 4), numbers.ravel())
    assert found.counts[:, 0].tolist() == [4, 4, 4, 4]
    assert found.groups[0, 0] == found.groups[1, 0] != found.groups[2, 0] == found.groups[3, 0]
    left, _ = found.against_others(1.0)
    np.testing.assert_allclose(left[[1, 3], 0], np.log([1.5, 2.0]), rtol=1e-6)
    # Without it the error of three faint stars would be 5 %.
    assert (np.sqrt(np.diagonal(found.covariance[0])) < 0.03).all()
