"""Fits of tiles against the others: unbiased, honest about their errors, and not fooled by a neighbour."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import NOISE, Pass

from zemosaic_twopass.diagnosis.kinds import tile_findings
from zemosaic_twopass.diagnosis.levels import joint_planes
from zemosaic_twopass.diagnosis.residual import huber_fit, information
from zemosaic_twopass.diagnosis.survey import survey
from zemosaic_twopass.measure.coarse import FACTOR, pixel_noise, project_blocks
from zemosaic_twopass.tiles.records import Tile


@pytest.fixture(scope="module")
def scene():
    return Pass.make(rows=2, columns=2, shape=(340, 430), overlap=0.7).coadd()


def surveyed(scene, change=None, tile=0):
    tiles = list(scene.tiles)
    if change is not None:
        tiles[tile] = change(tiles[tile]).astype(np.float32)
    states, _ = survey(replace(scene, tiles=tiles).second_pass())
    return states


def test_z_of_the_huber_fit_is_normal():
    rng = np.random.default_rng(5)
    z = []
    for _ in range(300):
        x = np.stack([np.ones(600), rng.normal(size=600)], axis=1)
        # Neighbours share half of their noise: errors that took them as independent would be too small.
        clusters = np.repeat(np.arange(60), 10)
        noise = rng.normal(size=600) + rng.normal(size=60)[clusters]
        terms, covariance, _ = huber_fit(x, x @ [3.0, -2.0] + noise, clusters)
        z.append((terms - [3, -2]) / np.sqrt(np.diag(covariance)))
    assert 0.9 < np.std(z) < 1.15
    assert abs(np.mean(z)) < 0.15


def test_huber_fit_bears_outliers():
    rng = np.random.default_rng(6)
    x = np.stack([np.ones(800), np.linspace(-1, 1, 800)], axis=1)
    values = x @ [1.0, 0.5] + rng.normal(0, 0.1, 800)
    values[::20] += 1000
    terms, covariance, scale = huber_fit(x, values, np.arange(800) // 20)
    np.testing.assert_allclose(terms, [1.0, 0.5], atol=0.05)
    assert scale == pytest.approx(0.1, rel=0.2)
    assert np.sqrt(covariance[0, 0]) < 0.02


def test_huber_fit_of_nothing_but_zeros():
    terms, covariance, scale = huber_fit(np.zeros((50, 2)), np.zeros(50), np.arange(50) // 10)
    np.testing.assert_array_equal(terms, 0)
    assert np.isinf(np.diag(covariance)).all()
    assert scale == 0


def test_information_of_a_term_that_nothing_is_known_of_is_zero():
    covariance = np.array([[4.0, 0, 1], [0, np.inf, 0], [1, 0, 2.0]])
    expected = np.zeros((3, 3))
    expected[::2, ::2] = np.linalg.inv(covariance[::2, ::2])
    np.testing.assert_allclose(information(covariance), expected)
    np.testing.assert_array_equal(information(np.diag([0.0, np.inf])), np.zeros((2, 2)))
    np.testing.assert_array_equal(information(np.full((2, 2), np.inf)), np.zeros((2, 2)))


def test_clean_tiles_have_small_z(scene):
    rng = np.random.default_rng(8)
    z = []
    for _ in range(6):
        # Half the noise is drawn anew: the sky and what it does to the fits stay.
        again = replace(scene, tiles=[t + rng.normal(0, NOISE, t.shape).astype(np.float32) for t in scene.tiles])
        z += [state.fits[0].z for state in surveyed(again)]
    assert 0.8 < np.std(z) < 1.6
    assert np.abs(z).max() < 5
    assert all(tile_findings(index, state) == [] for index, state in enumerate(surveyed(scene)))


@pytest.mark.parametrize("tile", [0, 3])
def test_offset_is_unbiased_and_stays_where_it_is(scene, tile):
    states = surveyed(scene, lambda t: t + 12, tile)
    for index, state in enumerate(states):
        expected = 12 if index == tile else 0
        assert abs(state.terms(0)[0] - expected) < max(5 * np.sqrt(state.fits[0].covariance[0, 0]), 0.05 * NOISE)


def test_leave_one_out_is_not_diluted(scene):
    # Against the coadd that holds the tile itself a share of the offset would be missing.
    plain = surveyed(scene)[1].terms(0)[0]
    assert surveyed(scene, lambda t: t + 2.0, 1)[1].terms(0)[0] - plain == pytest.approx(2.0, abs=0.1)


def test_gain_and_gradient_are_told_apart(scene):
    scaled = surveyed(scene, lambda t: t * 1.1, 2)[2].terms(0)
    level = surveyed(scene)[2].fits[0].level
    assert scaled[0] == pytest.approx(0.1 * level, rel=0.05)
    assert scaled[1] == pytest.approx(0.1, abs=0.03)
    sloping = surveyed(scene, lambda t: t + np.linspace(-20, 20, t.shape[0])[:, np.newaxis], 2)[2].terms(0)
    assert np.hypot(*sloping[2:4]) == pytest.approx(40, rel=0.15)
    assert abs(sloping[1]) < 0.03


@pytest.mark.parametrize("axis", [0, 1])
def test_shift_has_its_direction(scene, axis):
    tiles = list(scene.tiles)
    tiles[1] = np.roll(tiles[1], 1, axis=axis)
    moved = replace(scene, tiles=tiles).coadd()
    shift = survey(moved.second_pass())[0][1].shift
    # The tile is turned by a few degrees at most; columns are x, rows are y.
    along, across = (shift.pixels[1], shift.pixels[0]) if axis == 0 else (shift.pixels[0], shift.pixels[1])
    assert abs(along) == pytest.approx(0.85, abs=0.25)
    assert abs(across) < 0.2
    assert shift.significance > 10


def test_noise_is_that_of_a_pixel(scene):
    for tile in scene.tiles:
        assert pixel_noise(tile)[0] == pytest.approx(NOISE, rel=0.05)
    assert np.isnan(pixel_noise(np.full((5, 5), np.nan))).all()


def test_blocks_are_means_of_what_the_coadd_sees(scene):
    tile = project_blocks(Tile(scene.tiles[0], scene.wcs[0], scene.coverage[0]), scene.mosaic, scene.out)
    alone = Pass([scene.tiles[0]], [scene.wcs[0]], [scene.coverage[0]], scene.out, scene.shape, [1.0]).coadd()
    rows, columns = 20, 20
    block = tuple(
        slice((part.start + n) * FACTOR, (part.start + n + 1) * FACTOR)
        for part, n in zip(tile.box, (rows, columns), strict=True)
    )
    assert tile.value[0, rows, columns] == pytest.approx(float(alone.mosaic[block].mean()), abs=2e-3)
    image = alone.mosaic[..., 0].astype(float)
    grid_y, grid_x = (np.arange(part.start, part.stop) for part in block)
    slope = (image[np.ix_(grid_y, grid_x + 1)] - image[np.ix_(grid_y, grid_x - 1)]) / 2
    assert tile.dx[0, rows, columns] == pytest.approx(slope.mean(), abs=2e-3)


def test_tile_off_the_mosaic(scene):
    far = scene.wcs[0].deepcopy()
    far.wcs.crval = far.wcs.crval + [20, 0]
    assert project_blocks(Tile(scene.tiles[0], far), scene.mosaic, scene.out) is None


def test_every_tile_with_a_level_of_its_own():
    scene = Pass.make(rows=3, columns=3, shape=(340, 430), overlap=0.7, seed=5)
    levels = np.random.default_rng(9).normal(0, 15, 9)
    scene.tiles = [(tile + level).astype(np.float32) for tile, level in zip(scene.tiles, levels, strict=True)]
    scene.mosaic = np.zeros((*scene.shape, 1), np.float32)
    states, _ = survey(scene.second_pass())
    found = np.array([state.terms(0)[0] for state in states])
    assert np.std(found - found.mean() - levels + levels.mean()) < 0.05 * NOISE


@pytest.mark.parametrize("index", [0, 4])
def test_joint_planes_leave_the_fault_where_it_is(index):
    rng = np.random.default_rng(3)
    boxes = [(slice(r, r + 40), slice(c, c + 60)) for r in (0, 18, 36) for c in (0, 27, 54)]
    sky = rng.normal(1000, 5, (80, 120))
    maps = [sky[box] + rng.normal(0, 1, (40, 60)) for box in boxes]
    assert np.abs(joint_planes(maps, boxes, 8.0)).max() < 0.5
    v, u = np.meshgrid(np.linspace(-0.5, 0.5, 40), np.linspace(-0.5, 0.5, 60), indexing="ij")
    maps[index] = maps[index] + 20 + 7 * u - 3 * v
    planes = joint_planes(maps, boxes, 8.0)
    np.testing.assert_allclose(planes[index], [20, 7, -3], atol=0.6)
    assert np.abs(np.delete(planes, index, axis=0)).max() < 0.5


def test_joint_planes_of_too_few_tiles():
    boxes = [(slice(0, 30), slice(0, 30)), (slice(0, 30), slice(10, 40)), None]
    maps = [np.zeros((30, 30)), np.full((30, 30), 5.0), None]
    assert (joint_planes(maps, boxes, 1.0) == 0).all()
    assert (joint_planes([None], [None], 1.0) == 0).all()
