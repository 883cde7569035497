"""Tiles that no shift brings to the others, one of them or all: by stars alone, whose places are known."""

import numpy as np
import pytest

from helpers.scenes import Pass, blocks_without_stars
from zemosaic_twopass.diagnosis.registration import Shift, register, same_stars, shifts
from zemosaic_twopass.diagnosis.registration.adjustment import adjust
from zemosaic_twopass.diagnosis.registration.crops import take_out_distortions
from zemosaic_twopass.diagnosis.registration.findings import shift_findings
from zemosaic_twopass.diagnosis.registration.matching import Overlap, _balance
from zemosaic_twopass.diagnosis.registration.places import Places
from zemosaic_twopass.diagnosis.registration.stretches import (
    Stretch,
    Usual,
    beyond_the_usual,
    leans_on_one,
    measure_stretches,
    usual_stretch,
)
from zemosaic_twopass.measure.stars import Stars
from zemosaic_twopass.tiles.grid import pixels_between

SHAPE = (200, 240)
MIDDLE = np.array([SHAPE[1] - 1, SHAPE[0] - 1]) / 2
ERRORS = 0.02, 0.2


@pytest.fixture(scope="module")
def scene():
    return Pass.make(rows=3, columns=3, shape=SHAPE, overlap=0.45)


@pytest.fixture(scope="module")
def blocks(scene):
    return blocks_without_stars(scene)


def seen(scene, rng, moved, often=300):
    """Stars of all tiles, each `moved` by pixels of its tile from its middle, and the noise of its place."""
    height, width = scene.shape
    sky = rng.uniform(0, 1, (height * width // often, 2)) * (width, height)
    errors = np.exp(rng.uniform(*np.log(ERRORS), len(sky)))
    found = []
    for index, wcs in enumerate(scene.wcs):
        place = np.stack(pixels_between(scene.out, wcs, *sky.T), axis=1) - MIDDLE
        inside = (np.abs(place) < MIDDLE - 8).all(axis=1)
        place, own = place[inside], errors[inside]
        place = place + moved(index, place) + own[:, np.newaxis] * rng.normal(size=place.shape)
        order = np.argsort(own)
        found.append(Stars(np.stack(pixels_between(wcs, scene.out, *(place + MIDDLE).T), axis=1)[order], own[order]))
    return found


def turned(tile, degrees, scale, shift=(0.0, 0.0)):
    """One tile turned and scaled about its middle."""
    turn = np.deg2rad(degrees)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) - np.eye(2)
    return lambda index, place: (place @ matrix.T + shift) * (index == tile)


def bent(corner):
    """All tiles by the lens, by so many pixels in their corners."""
    return lambda index, place: corner * place * np.sum(place**2, axis=1, keepdims=True) / np.hypot(*MIDDLE) ** 3


def told_of(scene, found):
    axes = [np.eye(2)] * len(found)
    middles = [np.array(pixels_between(wcs, scene.out, *MIDDLE)) for wcs in scene.wcs]
    return [finding for _, finding in shift_findings(found, axes, middles)]


@pytest.mark.parametrize(
    ("degrees", "scale"), [(0.3, 1.0), (-0.15, 1.0), (0.0, 1.004), (0.0, 1.03), (0.2, 0.997), (1.2, 1.0), (1.2, 1.03)]
)
@pytest.mark.parametrize("tile", [4, 0, 7])
def test_a_tile_that_is_turned_or_scaled_is_named_and_no_other(scene, blocks, tile, degrees, scale):
    for seed in range(3):
        rng = np.random.default_rng([seed, tile])
        found = register(seen(scene, rng, turned(tile, degrees, scale, (0.4, -0.2))), blocks)
        own = found[tile].stretch
        assert [index for index, shift in enumerate(found) if shift.stretch] == [tile]
        assert not any(shift.matters for index, shift in enumerate(found) if index != tile)
        error = own.error / own.reach
        assert own.scale == pytest.approx(scale, abs=4 * error)
        assert own.turn == pytest.approx(degrees, abs=4 * np.rad2deg(error))


def test_what_leans_on_one_star_is_no_stretch(scene, blocks, monkeypatch):
    stars = seen(scene, np.random.default_rng(1), turned(3, 0.5, 1.0))
    monkeypatch.setattr(shifts, "leans_on_one", lambda index, *of: index == 3)
    assert register(stars, blocks)[3].stretch is None


def test_its_sentence(scene, blocks):
    found = register(seen(scene, np.random.default_rng(1), turned(3, 0.5, 1.0)), blocks)
    (finding,) = told_of(scene, found)
    assert (finding.kind, finding.tile) == ("astrometry", 3)
    assert "no shift mends it" in finding.message
    assert f"turned by {found[3].stretch.turn:+.3g} deg" in finding.message
    assert finding.value > found[3].stretch.size > 0.5
    assert finding.error < 0.1


def test_what_is_measured_of_sound_tiles_is_noise(scene, blocks):
    deviances = []
    for seed in range(25):
        stars = seen(scene, np.random.default_rng([seed, 5]), lambda index, place: 0.0)
        found = register(stars, blocks)
        assert not any(shift.stretch or shift.matters for shift in found)
        deviances += [own.significance**2 for own in measured(stars)]
    # Four terms, as chi squared has it.
    assert np.mean(deviances) == pytest.approx(4, rel=0.15)
    assert 8 < np.percentile(deviances, 95) < 11.5


def measured(stars):
    places, errors = (np.concatenate([getattr(own, name) for own in stars]) for name in ("places", "errors"))
    tiles = np.repeat(np.arange(len(stars)), [len(own) for own in stars])
    use, numbers = same_stars(places, tiles)
    fit = adjust(places[use], errors[use], tiles[use], numbers, len(stars))
    return measure_stretches(fit, places[use], tiles[use], numbers)[1]


def test_by_how_much_a_tile_is_stretched_does_not_depend_on_its_place(scene):
    """A shift of any tile changes nothing of what is measured beside it."""
    stars = seen(scene, np.random.default_rng(8), turned(4, 0.1, 1.001))
    moved = [Stars(own.places + 0.3 * (index % 3), own.errors) for index, own in enumerate(stars)]
    for one, other in zip(measured(stars), measured(moved), strict=True):
        assert one.matrix == pytest.approx(other.matrix, abs=2e-5)


def test_too_few_tiles_tell_nothing_of_the_usual_one(scene, blocks):
    stars = seen(scene, np.random.default_rng(2), turned(1, 0.5, 1.0))
    found = register(stars[:3], blocks[:3])
    assert not any(shift.stretch for shift in found)
    one = Stretch(np.zeros((2, 2)), 1.0, 0.1, 0.0, 1.0)
    assert usual_stretch([one, None, one, one]) == (0.0, 0)
    assert usual_stretch([one] * 4) == (0.0, 4)


@pytest.mark.parametrize("corner", [0.8, -2.5, 4.0])
def test_what_the_lens_does_to_all_tiles_is_one_finding_of_no_tile(scene, blocks, corner):
    found = register(seen(scene, np.random.default_rng(3), bent(corner)), blocks)
    (finding,) = told_of(scene, found)
    assert (finding.kind, finding.tile) == ("astrometry", None)
    assert "distortion" in finding.message
    assert finding.value == pytest.approx(max(np.hypot(*shift.pixels) for shift in found))


def test_a_tile_that_is_wrong_beside_it_keeps_its_own_finding(scene, blocks):
    lens, own = bent(1.5), turned(5, 0.0, 1.0, (3.0, -2.0))
    stars = seen(scene, np.random.default_rng(4), lambda index, place: lens(index, place) + own(index, place))
    findings = told_of(scene, register(stars, blocks))
    assert sorted(str(one.tile) for one in findings) == ["5", "None"]
    assert next(one for one in findings if one.tile == 5).value == pytest.approx(np.hypot(3, 2), abs=0.4)


def test_single_tiles_that_lie_aside_are_no_distortion(scene, blocks):
    """Two corners that lie further out, as by a distortion, and no other."""
    out = {0: (-1.5, -1.5), 2: (1.5, -1.5), 6: (-1.5, 1.5), 8: (1.5, 1.5)}
    for pair in ((0, 8), (2, 6), (0, 2)):
        own = {index: out[index] for index in pair}
        stars = seen(
            scene, np.random.default_rng(6), lambda index, place, own=own: np.array(own.get(index, (0.0, 0.0)))
        )
        assert {one.tile for one in told_of(scene, register(stars, blocks))} == set(pair)


def test_overlaps_of_one_tile_that_disagree_move_no_other():
    """Of four tiles in a square the first lies 2 px aside for one neighbour and -2 px for the other."""
    overlaps = [
        Overlap((0, 1), np.array([2.0, 0.0]), 9),
        Overlap((0, 2), np.array([-2.0, 0.0]), 9),
        Overlap((1, 3), np.zeros(2), 9),
        Overlap((2, 3), np.zeros(2), 9),
        Overlap((1, 2), np.zeros(2), 9),
    ]
    # Along the surest the third tile came by the first.
    shifts = np.array([[0.0, 0.0], [-2.0, 0.0], [2.0, 0.0], [-2.0, 0.0]])
    balanced = shifts + _balance(overlaps, shifts)
    assert balanced[1:] == pytest.approx(np.tile(balanced[1], (3, 1)), abs=0.1)
    assert balanced[0] == pytest.approx(balanced[1], abs=0.3)


def shifts_of(pixels, stretched=None):
    """Shifts of tiles that stars join, known to a hundredth of a pixel."""
    group, sure = tuple(range(len(pixels))), Stretch(np.eye(2) * 0.01, 100.0, 0.01, 50.0, 0.0)
    return [
        Shift(np.array(own, float), np.eye(2) * 1e-4, 1e3, group, len(pixels), sure if index == stretched else None)
        for index, own in enumerate(pixels)
    ]


def test_a_row_that_lies_aside_is_no_distortion():
    middles = [np.array([x, y]) for y in (100.0, 300.0) for x in (100.0, 300.0)]
    shifts = shifts_of([(0, 0), (0, 0), (1, 0.5), (1, 0.5)])
    found, left = take_out_distortions(shifts, middles)
    assert found == []
    assert left == shifts


def test_a_distortion_that_is_no_straight_line_is_one_all_the_same():
    """What it leaves matters, but is a small part of what it takes out."""
    middles = [np.array([x, y]) for y in (100.0, 300.0, 500.0) for x in (100.0, 300.0, 500.0)]
    pixels = [0.005 * (1 + 0.12 * (-1) ** index) * (own - 300) for index, own in enumerate(middles)]
    found, left = take_out_distortions(shifts_of(pixels), middles)
    assert len(found) == 1
    assert not any(shift is not None and shift.matters for shift in left)


def test_what_stars_of_one_place_have_in_common_makes_a_stretch_less_sure(scene):
    stars = seen(scene, np.random.default_rng(8), turned(4, 0.3, 1.0))
    places, errors = (np.concatenate([getattr(own, name) for own in stars]) for name in ("places", "errors"))
    tiles = np.repeat(np.arange(len(stars)), [len(own) for own in stars])
    use, numbers = same_stars(places, tiles)
    shared = places[use], tiles[use], numbers
    fit = adjust(places[use], errors[use], tiles[use], numbers, len(stars))
    own, together = measure_stretches(fit, *shared)[1][4], Places(*shared, fit.slope)
    alone, in_places, usual = (
        beyond_the_usual(own, 4, fit, shared, together, Usual(place, stretch, 9))
        for place, stretch in ((0.0, 0.0), (0.2**2, 0.0), (0.0, 0.2**2))
    )
    assert alone.significance == pytest.approx(own.significance, rel=0.02)
    assert alone.error == pytest.approx(own.error, rel=0.02)
    assert in_places.significance < 0.5 * alone.significance
    # Of a size drawn at random, four components share the square of it.
    assert usual.error**2 == pytest.approx(alone.error**2 + 0.2**2 / 2, rel=0.02)


def test_a_turned_tile_is_told_beside_a_distortion():
    middles = [np.array([x, y]) for y in (100.0, 300.0, 500.0) for x in (100.0, 300.0, 500.0)]
    pixels = [0.005 * (own - 300) for own in middles]
    pixels[2] = pixels[2] + 0.1
    found, left = take_out_distortions(shifts_of(pixels, stretched=2), middles)
    assert len(found) == 1
    assert left[2].stretch is not None


@pytest.mark.parametrize("column", [0.0, 130.0])
def test_a_strip_of_tiles_is_distorted_along_itself(column):
    """Across it nothing is told; nor is where all of its tiles have their middle in the first column."""
    middles = [np.array([column, 200.0 * index + 130]) for index in range(5)]
    found, left = take_out_distortions(shifts_of([(0, 0.005 * (own[1] - 530)) for own in middles]), middles)
    assert len(found) == 1
    assert not any(shift is not None and shift.matters for shift in left)


def test_what_stars_do_not_tell_beside_the_shifts_is_not_measured():
    """A tile that shares five stars with four that nothing else ties: their shifts explain all of it."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        places = np.repeat(rng.uniform(0, 200, (5, 2)), 2, axis=0) + rng.normal(0, 0.03, (10, 2))
        tiles, numbers = np.array([0, 1, 0, 1, 0, 2, 0, 3, 0, 4]), np.repeat(np.arange(5), 2)
        fit = adjust(places, np.full(10, 0.03), tiles, numbers, 5)
        with np.errstate(all="raise"):
            assert measure_stretches(fit, places, tiles, numbers)[1] == [None] * 5


@pytest.mark.parametrize(("turn", "aside", "leans"), [(0.004, 0.0, 0), (0.0, 0.5, 1), (0.0, 1.0, 1)])
def test_a_stretch_that_leans_on_one_star_is_none(turn, aside, leans):
    """One star far from the rest, on its own lever, is as good as a turn of all of them, until it is left out."""
    found = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        sky = np.concatenate([rng.uniform(0, 60, (12, 2)), [[55, 200], [10, 170]][: 2 if turn else 1]])
        places, tiles = np.repeat(sky, 3, axis=0), np.tile(np.arange(3), len(sky))
        own, far = tiles == 0, places[:, 1] == 200
        places = places + rng.normal(0, 0.05, places.shape)
        places[own] += turn * (sky - sky.mean(axis=0)) @ [[0, 1], [-1, 0]]
        places[own & far, 0] += aside
        shared = places, tiles, np.repeat(np.arange(len(sky)), 3)
        found.append(leans_on_one(0, adjust(places, np.full(len(places), 0.05), *shared[1:], 3), shared))
    assert np.mean(found) == pytest.approx(leans, abs=0.1)


@pytest.mark.parametrize("seed", [5, 6, 35])
def test_a_tile_that_is_scaled_moves_no_other_where_few_stars_join_them(seed):
    """Along the surest overlaps half of the mosaic came by it, and stayed as far aside as its side is."""
    scene = Pass.make(rows=3, columns=3, shape=SHAPE, overlap=0.22)
    stars = seen(scene, np.random.default_rng([seed, 9]), turned(1, 0.0, 1.014), often=500)
    found = register(stars, blocks_without_stars(scene))
    assert [index for index, shift in enumerate(found) if shift and (shift.matters or shift.stretch)] == [1]
