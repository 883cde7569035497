"""Steps put into mosaics, and what is read off them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from zemosaic_twopass.diagnosis.seams import Edge, Layout, Picture, Regions, SeamMap, seams_alone, seams_with_tiles
from zemosaic_twopass.diagnosis.seams.alone import of_their_line
from zemosaic_twopass.diagnosis.seams.stretches import Stretches
from zemosaic_twopass.measure.coarse import CoarseTile

SHAPE = (56, 80)
NOISE = 4.0
# (rows, columns) of blocks: four corners and one in the middle.
BOXES = (
    ((0, 34), (0, 46)),
    ((0, 34), (30, 80)),
    ((22, 56), (0, 46)),
    ((22, 56), (30, 80)),
    ((10, 46), (16, 64)),
)


def made(seed, weights=None, noise=NOISE / 8):
    """Tiles in blocks with noise of their own, and a mean of them, shape (2, h, w)."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    sky = 1000 + 0.1 * x + 30 * np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 400) + np.zeros((2, 1, 1))
    sky[:, 12, 20] += 400.0
    sky = sky + rng.normal(0, 3, SHAPE)
    tiles, total, weight = [], np.zeros_like(sky), np.zeros(SHAPE)
    for index, (rows, columns) in enumerate(BOXES):
        box = slice(*rows), slice(*columns)
        share = np.ones((2, rows[1] - rows[0], columns[1] - columns[0]))
        value = sky[:, box[0], box[1]] + rng.normal(0, noise, share.shape)
        tiles.append(CoarseTile(box, value, 0 * value, 0 * value, 0 * value, share))
        own = 1.0 if weights is None else weights[index]
        total[:, box[0], box[1]] += own * value
        weight[box] += own
    return tiles, total / weight


def footprints(tiles):
    return [tile.footprint for tile in tiles]


def measured(tiles, mosaic, part=None):
    picture = Picture("merged", mosaic, np.full_like(mosaic, NOISE), part)
    (found,) = seams_with_tiles([picture], Layout(footprints(tiles)), [tile.value for tile in tiles]).maps
    return found


def of_middle(found):
    return [edge for edge in found.edges if edge.tile == 4]


UNEVEN = (1.0, 2.0, 0.6, 1.5, 0.8)


@pytest.mark.parametrize("size", [0.1, 0.3, 1.0, 3.0])
def test_a_step_all_round_a_tile_in_one_channel_is_found_with_its_size(size):
    tiles, mosaic = made(1, UNEVEN)
    mosaic[1][tiles[4].box] += size * NOISE
    found = measured(tiles, mosaic)
    own, others = of_middle(found), [edge for edge in found.edges if edge.tile != 4]
    assert len(own) >= 12
    looks = [edge.look for edge in own]
    if size == 1.0:
        # As many are read a little larger as smaller, and the structure of the sky takes nothing away.
        assert set(looks) == {"faint", "visible"}
        assert looks.count("visible") >= 0.3 * len(looks)
    else:
        assert set(looks) == {{0.1: "none", 0.3: "none", 3.0: "visible"}[size]}
    for edge in own:
        assert abs(edge.step[1] - size * NOISE) < max(0.1 * size * NOISE, 4 * edge.error[1])
        assert abs(edge.step[0]) < 4.5 * edge.error[0]
    assert np.mean([edge.step[1] > 5 * edge.error[1] for edge in own]) > (0.3 if size < 0.2 else 0.95)
    assert max(edge.contrast for edge in others) < 0.2
    assert found.edges[found.worst] in own
    assert found.picture == {0.1: "no_seam", 0.3: "no_seam", 1.0: "visible", 3.0: "visible"}[size]


def test_a_step_along_one_side_is_at_that_side():
    tiles, mosaic = made(2)
    rows, columns = tiles[4].box
    mosaic[:, rows, columns] += 3 * NOISE * np.linspace(1, 0, columns.stop - columns.start)
    found = measured(tiles, mosaic)
    left = [edge for edge in of_middle(found) if edge.normal[0] < -0.9]
    right = [edge for edge in of_middle(found) if edge.normal[0] > 0.9]
    assert all(edge.look == "visible" and abs(edge.step[0] / NOISE - 3) < 0.1 for edge in left)
    assert all(edge.look == "none" and abs(edge.step[0]) < 0.1 * NOISE for edge in right)
    assert all(abs(edge.x - (8 * 16 - 0.5)) < 1 for edge in left)


def test_without_a_step_errors_are_honest():
    z = []
    for seed in range(8):
        found = measured(*made(seed, UNEVEN, NOISE))
        assert found.picture == "no_seam"
        assert found.visible == 0
        z += [step / error for edge in found.edges for step, error in zip(edge.step, edge.error, strict=True)]
    assert 0.85 < np.quantile(np.abs(z), 0.683) < 1.15
    assert np.mean(np.abs(z) > 4) < 0.01


def test_errors_are_honest_where_light_bends_that_is_in_no_tile():
    """Alike in all columns of an edge, so their scatter does not tell of it."""
    z = []
    for seed in range(8):
        tiles, mosaic = made(seed, UNEVEN)
        light = gaussian_filter(np.random.default_rng(100 + seed).normal(size=SHAPE), 3)
        found = measured(tiles, mosaic + 0.5 * NOISE * light / light.std())
        assert not any(edge.seen for edge in found.edges)
        z += [step / error for edge in found.edges for step, error in zip(edge.step, edge.error, strict=True)]
    assert 0.8 < np.quantile(np.abs(z), 0.683) < 1.4


def test_of_a_mean_of_the_tiles_the_noise_goes():
    plain, uneven = (measured(*made(3, weights, NOISE / 2)) for weights in (None, UNEVEN))
    error = [np.median([edge.error for edge in found.edges]) for found in (plain, uneven)]
    assert error[0] < 0.6 * error[1]


def test_of_a_mean_of_the_very_tiles_a_step_is_known_to_the_rounding_of_its_pixels():
    """Levels that were matched leave true steps of a hundredth of the noise: they are read, and none is a seam."""
    tiles, mosaic = made(3)
    mosaic[(slice(None), *tiles[4].box)] += 0.02 * NOISE
    found = measured(tiles, mosaic)
    errors = np.array([edge.error for edge in found.edges])
    np.testing.assert_allclose(errors.min(axis=0), np.finfo(np.float32).eps * 1004, rtol=0.05)
    for edge in of_middle(found):
        assert np.all(np.abs(np.subtract(edge.step, 0.02 * NOISE)) < 5 * np.array(edge.error) + 1e-4 * NOISE)
    assert found.picture == "no_seam"


def test_the_same_mosaic_under_another_name_has_the_same_edges():
    tiles, mosaic = made(3, UNEVEN)
    picture = Picture("second_pass", mosaic, np.full_like(mosaic, NOISE))
    pictures = [picture, replace(picture, name="merged"), replace(picture, name="c", value=mosaic + 0)]
    own = [tile.value for tile in tiles]
    found = seams_with_tiles(pictures, Layout(footprints(tiles)), own)
    assert [seams.mosaic for seams in found.maps] == ["second_pass", "merged", "c"]
    assert found.maps[0].edges is found.maps[1].edges is not found.maps[2].edges
    assert found.maps[1].edges == found.maps[2].edges
    assert {profile.mosaic for profile in found.profiles} == {"second_pass", "merged", "c"}


def test_a_normalised_mosaic_is_measured_in_the_tiles_adu():
    tiles, mosaic = made(4)
    mosaic[0][tiles[4].box] += 2 * NOISE
    scale, level = 1 / 65535, 0.1
    picture = Picture("m.fits", scale * mosaic + level, np.full_like(mosaic, scale * NOISE))
    (found,) = seams_with_tiles([picture], Layout(footprints(tiles)), [tile.value for tile in tiles]).maps
    own = of_middle(found)
    np.testing.assert_allclose([edge.step[0] for edge in own], 2 * NOISE, rtol=0.03)
    np.testing.assert_allclose([edge.noise for edge in own], NOISE, rtol=0.03)


@pytest.mark.parametrize("width", [10, 30])
def test_a_ramp_is_found_with_its_height(width):
    tiles, mosaic = made(5)
    rows, columns = tiles[4].box
    inside = [np.minimum(np.arange(n), np.arange(n)[::-1]) * 8 + 4 for n in (rows.stop - rows.start, 48)]
    mosaic[:, rows, columns] += 2 * NOISE * np.clip(np.minimum.outer(*inside) / width, 0, 1)
    own = of_middle(measured(tiles, mosaic))
    assert np.mean([abs(edge.step[0] / (2 * NOISE) - 1) < 0.3 for edge in own]) > 0.9


def test_the_end_of_the_second_pass_within_a_tile_is_an_edge_of_no_tile():
    tiles, mosaic = made(6)
    part = np.zeros(SHAPE)
    part[26:30, :] = 1.0
    part[14:42, 38:41] = 1.0
    mosaic[:, part > 0] += 2 * NOISE
    part[26, :] = 0.7
    found = measured(tiles, mosaic, part)
    none = [edge for edge in found.edges if edge.tile is None and np.isfinite(edge.contrast)]
    assert none
    assert all(abs(edge.step[0] - 2 * NOISE) < 0.3 for edge in none)
    assert all(edge.look != "visible" for edge in of_middle(found) if edge.length > 100)
    assert not [edge for edge in measured(tiles, mosaic).edges if edge.tile is None]


def test_tiles_that_do_not_go_together_are_refused_and_nothing_is_no_seam():
    tiles, mosaic = made(7)
    with pytest.raises(ValueError, match="5 footprints != 4 corrected"):
        seams_with_tiles([Picture("a", mosaic, mosaic)], Layout(footprints(tiles)), [tile.value for tile in tiles[:4]])
    assert seams_with_tiles([], Layout([]), []).maps == ()
    found = measured(tiles[:1], np.where(np.arange(80) < 46, mosaic, np.nan))
    assert (found.edges, found.worst, found.picture) == ((), None, "unknown")
    nothing = Picture("a", mosaic * np.nan, mosaic * np.nan)
    (found,) = seams_with_tiles([nothing], Layout(footprints(tiles)), [tile.value for tile in tiles]).maps
    assert {edge.look for edge in found.edges} == {"unknown"}
    assert found.picture == "unknown"


def alone(seed, step=0.0, sides=(1.0, 1.0), nebula=0.0):
    """A picture whose left and right half have their own noise, and the edge between them, turned by 10°."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((400, 480))
    inside = (x - 240) + 0.18 * (y - 200) < 0
    pixels = 500 + 0.02 * x + nebula * np.sin(x / 25) * np.cos(y / 19)
    pixels += np.where(inside, step, 0) + rng.normal(0, NOISE, x.shape) * np.where(inside, *sides)
    stars = rng.integers(0, 400, (120, 2))
    pixels[stars[:, 0], stars[:, 1]] += 2000
    coverage = np.where(inside, 2.0, 1.0)
    coverage[:, :8] = 0
    pixels[:, :8] = np.nan
    pixels = pixels.astype(np.float32)[..., np.newaxis]
    (found,) = seams_alone([(Picture.of("a", pixels), pixels)], Regions.of_coverage(coverage)).maps
    return found


def test_on_a_picture_by_itself_a_step_is_read_at_an_oblique_edge():
    found = alone(1, 1.5 * NOISE)
    assert len(found.edges) == 3
    for edge in found.edges:
        np.testing.assert_allclose(edge.normal, np.array([1, 0.18]) / np.hypot(1, 0.18), atol=0.02)
        assert abs((edge.x - 240 + 0.5) + 0.18 * (edge.y - 200)) < 1.5
        assert abs(edge.step[0] - 1.5 * NOISE) < 3.5 * edge.error[0]
        assert edge.tile is None
    assert found.picture == "visible"


def test_where_nothing_but_the_noise_changes_it_is_said():
    found = alone(2, sides=(0.5, 1.0))
    assert {edge.look for edge in found.edges} == {"noise"}
    assert found.picture == "no_seam"
    for edge in found.edges:
        np.testing.assert_allclose(edge.noise, (0.5 * NOISE, NOISE), rtol=0.15)


def test_structure_of_the_sky_hides_a_step():
    flat, nebula = alone(3, NOISE), alone(3, NOISE, nebula=25.0)
    assert np.median([edge.contrast for edge in nebula.edges]) < 0.6 * np.median([edge.contrast for edge in flat.edges])


def test_scores():
    def edge(step, error, contrast, length=100.0):
        return Edge(0, (1,), 0.0, 0.0, (1.0, 0.0), length, (step,), (error,), (1.0, 1.0), contrast)

    found = SeamMap.of("m", [edge(3.0, 0.1, 1.5), edge(4.0, 2.0, 2.0), edge(0.1, 0.1, 0.05, 200.0)], 1)
    assert [own.look for own in found.edges] == ["visible", "none", "none"]
    assert (found.worst, found.visible, found.picture) == (0, 0.25, "visible")
    expected = (100 * (9 - 0.01) + 100 * (16 - 4) + 200 * 0) / 400
    np.testing.assert_allclose(found.rms, np.sqrt(expected), rtol=1e-6)
    assert SeamMap.of("m", [edge(0.6, 0.1, 0.6)], 1).picture == "faint"
    assert SeamMap.of("m", [edge(0.6, 0.9, 0.6)], 1).picture == "unknown", "a step of the noise would not be told"


@pytest.mark.parametrize("shape", [(60, 60), (400, 60)])
@pytest.mark.parametrize("pixels", ["noise", "one value", "nothing", "a dead channel"])
def test_a_small_picture_and_one_without_noise_are_no_failure(shape, pixels):
    """Nothing is known beside the edge there, or all that is known is the same."""
    image = np.random.default_rng(5).normal(500, NOISE, (*shape, 2)).astype(np.float32)
    if pixels != "noise":
        image[..., slice(0, 1) if pixels == "a dead channel" else slice(None)] = np.nan if pixels == "nothing" else 7.0
    coverage = np.where(np.arange(shape[1]) < shape[1] / 2, 2.0, 1.0) * np.ones(shape)
    (found,) = seams_alone([(Picture.of("a", image), image)], Regions.of_coverage(coverage)).maps
    assert len(found.edges) > 0
    assert found.picture in ("no_seam", "unknown")


@pytest.mark.parametrize("shape", [(16, 2), (2, 16), (3, 3)])
def test_a_mosaic_narrower_than_a_block_has_none(shape):
    assert Picture.of("merged", np.ones(shape)).value.size == 0


def side_by_side(seed, step, nebula=8.0):
    """A picture on a nebula, one straight edge of four stretches in its middle, by its coverage."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((620, 400))
    noise = rng.normal(0, NOISE, x.shape)
    sky = gaussian_filter(rng.normal(0, 1, x.shape), 20)
    pixels = 500 + nebula * NOISE * sky / sky.std() + noise + np.where(x < 200, step, 0)
    pixels = pixels.astype(np.float32)[..., np.newaxis]
    coverage = np.where(x < 200, 2.0, 1.0)
    (found,) = seams_alone([(Picture.of("a", pixels), pixels)], Regions.of_coverage(coverage)).maps
    return found


def test_of_a_picture_by_itself_a_side_is_sure_that_no_part_of_it_is():
    sure, sizes = [], []
    for seed in range(6):
        found = side_by_side(seed, NOISE)
        sure += [edge.sigma >= 5 for edge in found.edges]
        sizes += [edge.step[0] / NOISE for edge in found.edges]
        alone_sure = [abs(edge.step[0]) >= 5 * edge.error[0] for edge in found.edges]
        assert sum(alone_sure) <= sum(sure)
    assert np.mean(sure) > 0.6
    np.testing.assert_allclose(np.mean(sizes), 1, atol=0.15)


def test_on_a_nebula_errors_are_honest():
    found = [side_by_side(seed, 0.0) for seed in range(12)]
    z = [edge.step[0] / edge.error[0] for one in found for edge in one.edges]
    assert 0.6 < np.quantile(np.abs(z), 0.683) < 1.4
    assert {one.picture for one in found} <= {"no_seam", "unknown"}
    assert max(edge.along_sigma for one in found for edge in one.edges) < 5


def test_one_part_of_a_side_makes_no_other_sure():
    stretches = Stretches(
        *np.array([[200.0] * 4, [100.0, 220.0, 340.0, 460.0], [120.0] * 4]),
        np.tile([1.0, 0.0], (4, 1)),
        *(np.ones((2, 4), dtype=np.uint32)),
        (None,) * 4,
        ((),) * 4,
    )
    error = np.ones((4, 1))
    lone = of_their_line(stretches, np.array([[20.0], [0.5], [0.2], [-0.4]]), error)
    assert lone.max() < 2
    all_of_it = of_their_line(stretches, np.array([[2.8], [2.7], [2.6], [-0.1]]), error)
    assert np.all(all_of_it[:3] > 3.9)
    assert all_of_it[3] == 0
