"""Tiles that lie beside where their own WCS puts them: which, how far, how surely; and never one that does not."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs.utils import pixel_to_pixel
from reproject.mosaicking import find_optimal_celestial_wcs

from helpers.scenes import NOISE, Pass, named
from zemosaic_twopass.diagnosis.examination import verdict_of
from zemosaic_twopass.diagnosis.registration import move_wcs, register
from zemosaic_twopass.diagnosis.registration.adjustment import adjust
from zemosaic_twopass.diagnosis.registration.matching import same_stars
from zemosaic_twopass.measure.coarse import project_blocks
from zemosaic_twopass.measure.stars import find_stars
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.records import Tile, TileList


@pytest.fixture(scope="module")
def scene():
    return Pass.make(rows=2, columns=3, shape=(200, 240), overlap=0.6)


def at(angle, size):
    return size * np.array([np.cos(angle), np.sin(angle)])


def registered(scene, shifts=(), tiles=None, coverage=None):
    """Shifts of a scene some of whose WCS are wrong by what is given, in mosaic pixels."""
    wcs = list(scene.wcs)
    tiles, coverage = tiles or scene.tiles, coverage or scene.coverage
    for index, pixels in dict(shifts).items():
        wcs[index] = beside(scene, index, -np.asarray(pixels))
    seen = list(TileList(tiles, wcs, coverage))
    stars = [find_stars(tile, scene.out) for tile in seen]
    return register(
        stars, [project_blocks(tile, Place.of(tile.shape, tile.wcs, scene.shape, scene.out)) for tile in seen]
    )


def beside(scene, index, pixels):
    """The WCS of a tile of a scene put beside its place."""
    return move_wcs(Tile(scene.tiles[index], scene.wcs[index]), scene.out, pixels)


def wrong(found):
    return [index for index, shift in enumerate(found) if shift is not None and shift.matters]


def is_as_put(shift, pixels):
    error = np.sqrt(np.diag(shift.covariance))
    return bool(np.all(np.abs(shift.pixels - pixels) < np.maximum(0.1 * np.hypot(*pixels), 3 * error)))


@pytest.mark.parametrize(("size", "tile", "angle"), [(0.12, 1, 2.0), (0.5, 4, 5.5), (2.0, 0, 4.0), (20.0, 5, 1.0)])
def test_a_shift_of_any_size_and_direction(scene, size, tile, angle):
    found = registered(scene, {tile: at(angle, size)})
    assert wrong(found) == [tile]
    assert is_as_put(found[tile], at(angle, size))


@pytest.mark.parametrize("tiles", [(1, 4), (0, 1), (2, 3)])
def test_two_tiles_with_shifts_of_their_own(scene, tiles):
    put = {tiles[0]: at(0.7, 9.0), tiles[1]: at(3.5, 1.4)}
    found = registered(scene, put)
    assert wrong(found) == sorted(tiles)
    assert all(is_as_put(found[tile], pixels) for tile, pixels in put.items())


def test_nothing_else_reads_as_a_shift(scene):
    ramp = np.linspace(-0.5, 0.5, scene.tiles[2].shape[1]) * 80 * NOISE
    for change in (lambda t: t + ramp, lambda t: 3 * t, lambda t: 0.1 * t, lambda t: t + 500 * NOISE):
        tiles = list(scene.tiles)
        tiles[2] = change(tiles[2]).astype(np.float32)
        assert wrong(registered(scene, tiles=tiles)) == []
        found = registered(scene, {2: at(2.5, 3.0)}, tiles)
        assert wrong(found) == [2]
        assert is_as_put(found[2], at(2.5, 3.0))


def test_z_of_clean_tiles(scene):
    rng = np.random.default_rng(8)
    sky = synthetic_tiles(rows=2, columns=3, shape=(200, 240), overlap=0.6, noise=0.0)
    scene = replace(scene, wcs=[tile.wcs for tile in sky], coverage=[tile.coverage for tile in sky])
    scene.out, scene.shape = find_optimal_celestial_wcs([((200, 240), own) for own in scene.wcs])
    z = []
    for _ in range(12):
        tiles = [tile.pixels[..., 0] + rng.normal(0, NOISE, (200, 240)) for tile in sky]
        found = registered(scene, tiles=tiles)
        assert wrong(found) == []
        z += [shift.z for shift in found]
    assert 0.75 < np.std(z) < 1.25


def test_two_tiles_alone_no_third_says_which():
    pair = Pass.make(rows=1, columns=2, shape=(200, 240), overlap=0.7)
    pair.wcs[1] = beside(pair, 1, [-1.5, 2.0])
    findings = [finding for finding in pair.coadd().diagnose() if finding.kind == "astrometry"]
    assert named(findings) == [("astrometry", None)]
    assert findings[0].value == pytest.approx(2.5, abs=0.1)
    assert "Tiles 0 and 1 differ by 2.5" in findings[0].message


def test_finding_and_verdict():
    scene = Pass.make(rows=2, columns=2, shape=(200, 240), overlap=0.6)
    scene.wcs[3] = beside(scene, 3, [4.0, -3.0])
    findings = [finding for finding in scene.coadd().diagnose() if finding.kind not in ("gain_seam", "undetermined")]
    assert named(findings) == [("astrometry", 3)]
    assert findings[0].value == pytest.approx(5.0, abs=0.1)
    assert "solve it anew" in findings[0].message
    x, y = re.search(r"x (\S+), y (\S+)\)", findings[0].message).groups()
    assert (float(x), float(y)) == pytest.approx((-4.0, 3.0), abs=0.05)
    assert verdict_of(findings) == "residual"


def test_tiles_without_stars_have_no_shift(scene):
    rng = np.random.default_rng(1)
    tiles = [rng.normal(1000, NOISE, tile.shape).astype(np.float32) for tile in scene.tiles]
    assert registered(scene, tiles=tiles) == [None] * 6
    blank = [np.full(tile.shape, np.nan, np.float32) for tile in scene.tiles]
    assert registered(scene, tiles=blank) == [None] * 6
    assert len(find_stars(Tile(np.full((9, 12), 5.0), scene.wcs[0]), scene.out)) == 0


def test_small_tiles_that_share_a_third():
    small = Pass.make(rows=3, columns=3, shape=(128, 128), overlap=0.34, seed=5)
    found = registered(small, {4: at(0.4, 6.0)})
    assert wrong(found) == [4]
    assert is_as_put(found[4], at(0.4, 6.0))


def test_places_of_stars_are_unbiased():
    rng = np.random.default_rng(2)
    scene = Pass.make(rows=1, columns=1, shape=(64, 64))
    rows, columns = np.indices((300, 300), dtype=float)
    truth = np.stack(np.meshgrid(np.arange(20, 290, 30.0), np.arange(20, 290, 30.0)), axis=-1).reshape(-1, 2)
    truth += rng.uniform(-0.5, 0.5, truth.shape)
    sky = sum(400 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.2**2)) for x, y in truth)
    sky += 0.3 * columns
    expected = np.stack(pixel_to_pixel(scene.wcs[0], scene.out, *truth.T), axis=1)
    z = []
    for _ in range(5):
        found = find_stars(Tile(sky + rng.normal(0, NOISE, sky.shape), scene.wcs[0]), scene.out)
        assert len(found) == len(truth)
        near = np.argmin(np.hypot(*np.moveaxis(found.places[:, np.newaxis] - expected, 2, 0)), axis=1)
        z.append((found.places - expected[near]) / found.errors[:, np.newaxis])
    assert 0.85 < np.std(z) < 1.2
    assert np.abs(np.mean(z, axis=(0, 1))).max() < 0.2


def test_the_same_stars_of_three_tiles():
    places = np.array([[0, 0], [50, 0], [0.4, 0], [50.5, 0.2], [90, 3], [0.1, 0.3], [51.1, 0], [50.3, 0]])
    use, numbers = same_stars(places, np.array([0, 0, 1, 1, 1, 2, 2, 2]))
    # Of the two that the third tile has near the second star the closer one is the same.
    assert [sorted(use[numbers == number]) for number in (0, 1)] == [[0, 2, 5], [1, 3, 7]]
    assert same_stars(places[:1], np.zeros(1, int))[0].size == 0
    assert same_stars(np.empty((0, 2)), np.empty(0, int))[0].size == 0


def test_adjustment_of_tiles_that_are_put_beside_each_other():
    rng = np.random.default_rng(4)
    truth = np.array([[0.3, -0.1], [-0.2, 0.4], [-0.1, -0.3]])
    sky, errors = rng.uniform(0, 100, (40, 2)), rng.uniform(0.05, 0.2, (40, 3))
    z = []
    for _ in range(60):
        places = sky[:, np.newaxis] + truth + rng.normal(size=(40, 3, 2)) * errors[..., np.newaxis]
        places[::8, 1] += 5
        found = adjust(places.reshape(-1, 2), errors.ravel(), np.tile([0, 1, 2], 40), np.repeat(np.arange(40), 3), 3)
        contrast = np.array([1.0, 0, -1])
        covariance, freedom = found.covariance(contrast)
        assert freedom > 10
        z.append((contrast @ found.shifts - truth[0] + truth[2]) / np.sqrt(np.diag(covariance)))
    assert 0.8 < np.std(z) < 1.2
    assert adjust(np.empty((0, 2)), np.empty(0), np.empty(0, int), np.empty(0, int), 2).counts.tolist() == [0, 0]


def test_a_moved_wcs_puts_the_stars_where_they_belong(scene):
    right = beside(scene, 1, [3.0, -2.0])
    before, after = (np.array(pixel_to_pixel(wcs, scene.out, 30.0, 50.0)) for wcs in (scene.wcs[1], right))
    np.testing.assert_allclose(before - after, [3.0, -2.0], atol=1e-3)


def test_more_tiles_need_a_surer_shift(scene):
    shift = next(shift for shift in registered(scene, {0: at(1.0, 0.12)}) if shift.matters)
    assert not replace(shift, tested=10**9 * int(1 / max(shift.chance, 1e-300))).matters
    assert replace(shift, freedom=0.5).chance == 1.0


def test_doubled_stars_come_before_a_step_in_the_sky():
    scene = Pass.make(rows=2, columns=3, shape=(200, 240), overlap=0.6)
    scene.tiles[0] = scene.tiles[0] + np.float32(3 * NOISE)
    scene.wcs[4] = beside(scene, 4, [1.2, -1.6])
    findings = [finding for finding in scene.coadd().diagnose() if finding.kind in ("astrometry", "offset")]
    assert named(findings) == [("astrometry", 4), ("offset", 0)]


def test_where_most_stars_fit_to_the_last_bit_the_others_count_too():
    """Three pairs of tiles that share one star each, and one that shares two, which do not quite agree."""
    places = np.array([[0.0, 0.0], [1.0, 2.0]] * 3 + [[5.0, 5.0], [5.3, 5.0], [9.0, 9.0], [9.1, 9.0]])
    tiles = np.array([0, 1, 2, 3, 4, 5, 6, 7, 6, 7])
    fit = adjust(places, np.full(10, 0.05), tiles, np.repeat(np.arange(5), 2), 8)
    apart = fit.shifts[1::2] - fit.shifts[::2]
    np.testing.assert_allclose(apart, [[1, 2]] * 3 + [[0.2, 0]], atol=1e-6)
