"""The error of a shift where stars do not scatter as the noise of the pixels has it: colours, places, bright stars."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import Pass, blocks_without_stars
from zemosaic_twopass.diagnosis.registration import register
from zemosaic_twopass.diagnosis.registration.adjustment import adjust
from zemosaic_twopass.diagnosis.registration.places import Places
from zemosaic_twopass.measure.stars import Stars
from zemosaic_twopass.tiles.grid import pixels_between

SHAPE = (200, 240)
ERRORS = 0.02, 0.2


@pytest.fixture(scope="module")
def scene():
    """Six tiles; of their stars only where they are seen is drawn."""
    return Pass.make(rows=2, columns=3, shape=SHAPE, overlap=0.5)


@pytest.fixture(scope="module")
def blocks(scene):
    return blocks_without_stars(scene)


def seen(scene, rng, moved=lambda tile, x, y: (0 * x, 0 * x)):
    """Stars of all tiles, each `moved` in pixels of its tile, and the noise of its place."""
    height, width = scene.shape
    sky = rng.uniform(0, 1, (height * width // 400, 2)) * (width, height)
    errors = np.exp(rng.uniform(*np.log(ERRORS), len(sky)))
    found = []
    for index, wcs in enumerate(scene.wcs):
        x, y = pixels_between(scene.out, wcs, *sky.T)
        inside = (np.abs(x - SHAPE[1] / 2) < SHAPE[1] / 2 - 8) & (np.abs(y - SHAPE[0] / 2) < SHAPE[0] / 2 - 8)
        x, y, own = x[inside], y[inside], errors[inside]
        aside = np.array(moved(index, x, y)) + own * rng.normal(size=(2, len(x)))
        order = np.argsort(own)
        places = np.stack(pixels_between(wcs, scene.out, *(np.stack([x, y]) + aside)), axis=1)
        found.append(Stars(places[order], own[order]))
    return found


def waves(rng, size):
    """What lies over a tile and is as long as it: each tile has its own, of so many pixels in each direction."""
    ways, phases = rng.uniform(0, 2 * np.pi, (2, 6, 2))

    def moved(tile, x, y):
        along = (np.cos(way) * x + np.sin(way) * y for way in ways[tile])
        return [np.sqrt(2) * size * np.sin(one / 30 + phase) for one, phase in zip(along, phases[tile], strict=True)]

    return moved


def test_what_stars_of_one_place_have_in_common_is_no_shift(scene, blocks):
    accused, z = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = register(seen(scene, rng, waves(rng, 0.15)), blocks)
        accused += any(shift.matters for shift in found)
        z += [shift.z for shift in found]
    assert accused == 0
    assert 0.5 < np.std(z) < 1.4


def test_stars_that_scatter_by_themselves_have_nothing_in_common(scene, blocks):
    z, error = [], []
    for seed in range(40):
        found = register(seen(scene, np.random.default_rng(seed)), blocks)
        z += [shift.z for shift in found]
        error += [shift.error for shift in found]
    assert 0.75 < np.std(z) < 1.2
    assert np.median(error) < 0.012


def test_a_shift_is_found_beside_them(scene, blocks):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        own = waves(rng, 0.1)
        moved = lambda tile, x, y, own=own: np.array(own(tile, x, y)) + 0.7 * (tile == 4)  # noqa: E731
        found = register(seen(scene, rng, moved), blocks)
        assert [index for index, shift in enumerate(found) if shift.matters] == [4]
        assert np.hypot(*found[4].pixels) == pytest.approx(0.7 * np.sqrt(2), abs=3 * found[4].error)


def test_places_tell_how_large_it_is(scene):
    """Two tiles on one another: four stars in each of 9 x 9 places, whose tiles agree but for it."""
    rng, told = np.random.default_rng(3), []
    corner = np.stack(np.meshgrid(np.arange(9), np.arange(9)), axis=-1).reshape(-1, 2)
    for _ in range(30):
        sky = (corner[:, np.newaxis] + rng.uniform(0.1, 0.9, (81, 4, 2))) * 30
        common = 0.1 * rng.normal(size=(81, 1, 2, 2))
        places = sky[:, :, np.newaxis] + common + 0.03 * rng.normal(size=(81, 4, 2, 2))
        entries = np.tile([0, 1], 324), np.repeat(np.arange(324), 2)
        fit = adjust(places.reshape(-1, 2), np.full(648, 0.03), *entries, 2)
        own = Places(places.reshape(-1, 2), *entries, fit.slope)
        told.append(own.variance(fit.pulls, fit.inverse, fit.excess))
    # Its places are larger, three across what is seen, and hold nine of these.
    assert np.sqrt(np.mean(told)) == pytest.approx(0.1 / 3, rel=0.35)


def test_too_few_places_tell_nothing():
    entries = np.tile([0, 1], 5), np.repeat(np.arange(5), 2)
    places = np.repeat(np.random.default_rng(1).uniform(0, 50, (5, 2)), 2, axis=0)
    fit = adjust(places, np.full(10, 0.1), *entries, 2)
    assert Places(places, *entries, fit.slope).variance(fit.pulls, fit.inverse, fit.excess) == 0


def test_a_tile_whose_colours_lie_the_other_way_is_not_accused(scene, blocks):
    """Upside down: its stars lie 0.1 px beside those of the others by the weights of the colours, and that is said."""
    stars = seen(scene, np.random.default_rng(5), lambda tile, x, y: (0 * x + 0.1 * (tile == 2), 0 * x))
    assert [index for index, shift in enumerate(register(stars, blocks)) if shift.matters] == [2]
    sides = [(0.05 - 0.1 * (tile == 2)) * np.array([1.0, 0.0]) for tile in range(6)]
    own = [replace(one, beside=side, beside_error=0.005) for one, side in zip(stars, sides, strict=True)]
    found = register(own, blocks)
    assert not any(shift.matters for shift in found)
    assert found[2].error == pytest.approx(0.1, abs=0.02)
    # What all have alike moves none against the others; nor does what is no more than its error.
    alike = [replace(one, beside=np.array([0.1, 0.0]), beside_error=0.005) for one in stars]
    unsure = [replace(one, beside=side, beside_error=0.1) for one, side in zip(stars, sides, strict=True)]
    for others in (alike, unsure):
        assert [index for index, shift in enumerate(register(others, blocks)) if shift.matters] == [2]
    # A shift beyond it is one.
    far = seen(scene, np.random.default_rng(5), lambda tile, x, y: (0 * x + 1.0 * (tile == 2), 0 * x))
    far = [replace(one, beside=side, beside_error=0.005) for one, side in zip(far, sides, strict=True)]
    assert [index for index, shift in enumerate(register(far, blocks)) if shift.matters] == [2]


def test_bright_stars_count_no_more_than_they_know():
    """Beside its noise each place has 0.1 px: weighted by the noise alone the few brightest would tell all."""
    rng, off, best = np.random.default_rng(6), [], []
    for _ in range(60):
        sky, errors = rng.uniform(0, 100, (60, 2)), np.exp(rng.uniform(*np.log([0.005, 0.3]), 60))
        true = np.repeat(np.hypot(errors, 0.1), 2)
        places = np.repeat(sky, 2, axis=0) + true[:, np.newaxis] * rng.normal(size=(120, 2))
        entries = np.tile([0, 1], 60), np.repeat(np.arange(60), 2)
        for found, known in ((off, np.repeat(errors, 2)), (best, true)):
            fit = adjust(places, known, *entries, 2)
            found.append(fit.shifts[0] - fit.shifts[1])
    assert np.std(off) < 1.15 * np.std(best)
