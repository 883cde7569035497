"""Thin lines along edges: no step, but seen as one."""

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.seams import Layout, Picture, Regions, compare_seams, seams_alone, seams_with_tiles
from zemosaic_twopass.diagnosis.seen import seam_words
from zemosaic_twopass.tiles.blocks import block_mean

NOISE = 4.0
# (rows, columns) of blocks: two halves, and one in the middle of both.
BOXES = ((0, 50), (0, 44)), ((0, 50), (36, 80)), ((10, 40), (18, 62))
SHAPE = 400, 640
TILE = slice(80, 320), slice(144, 496)


def scene(seed, put=lambda pixels: None, noise=NOISE):
    """A picture of a sky with stars, its pixels, and its tiles: what is put in is in the picture alone."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    pixels = 1000 + 0.05 * x + 30 * np.exp(-((x - 300) ** 2 + (y - 150) ** 2) / 8000) + rng.normal(0, noise, SHAPE)
    stars = rng.integers(3, 397, (300, 2))
    pixels[stars[:, 0], stars[:, 1]] += rng.exponential(400, 300)
    tiles = block_mean(pixels, 8)[np.newaxis]
    put(pixels)
    footprints = [
        ((slice(*rows), slice(*columns)), np.ones((rows[1] - rows[0], columns[1] - columns[0])))
        for rows, columns in BOXES
    ]
    return pixels.astype(np.float32)[..., np.newaxis], footprints, [tiles[(slice(None), *box)] for box, _ in footprints]


def measured(seed, put=lambda pixels: None):
    pixels, footprints, corrected = scene(seed, put)
    layout = Layout(footprints)
    picture = layout.with_lines(Picture.of("merged", pixels), pixels)
    return seams_with_tiles([picture], layout, corrected).maps[0]


def measured_alone(seed, put=lambda pixels: None):
    pixels, _, _ = scene(seed, put)
    coverage = np.zeros(SHAPE)
    for rows, columns in BOXES:
        coverage[rows[0] * 8 : rows[1] * 8, columns[0] * 8 : columns[1] * 8] += 1
    return seams_alone([(Picture.of("merged", pixels), pixels)], Regions.of_coverage(coverage)).maps[0]


def left_of_tile(edge):
    return abs(edge.x - 143.5) < 3 and abs(edge.normal[0]) > 0.9


@pytest.mark.parametrize("measure", [measured, measured_alone])
@pytest.mark.parametrize(("first", "width", "depth"), [(144, 1, -3.0), (143, 2, 2.0), (142, 3, -1.5)])
def test_a_line_is_found_with_its_depth_and_its_place(measure, first, width, depth):
    def put(pixels):
        pixels[TILE[0], first : first + width] += depth * NOISE

    found = measure(1, put)
    own = [edge for edge in found.edges if left_of_tile(edge)]
    others = [edge for edge in found.edges if not left_of_tile(edge)]
    assert len(own) >= 2
    assert {edge.look for edge in others} <= {"none", "noise"}
    for edge in own:
        assert (edge.look, edge.thin, edge.tone) == ("visible", True, "dark" if depth < 0 else "bright")
        assert abs(edge.line[0] - depth * NOISE) < max(4 * edge.line_error[0], 0.1 * abs(depth) * NOISE)
    assert found.picture == "visible"
    assert found.edges[found.worst] in own
    tone = "dark" if depth < 0 else "bright"
    assert seam_words(found.edges[found.worst]).startswith(f"A thin {tone} line, ")


@pytest.mark.parametrize("measure", [measured, measured_alone])
def test_where_there_is_no_line_none_is_seen(measure):
    z = []
    for seed in range(6):
        found = measure(seed)
        assert found.picture == "no_seam"
        z += [abs(edge.line[0]) / edge.line_error[0] for edge in found.edges]
    # Of six places the one that has most errors, but 0 where it lies between both sides.
    assert 0.5 < np.quantile(z, 0.683) < 1.5
    assert max(z) < 5


def put_groove(depth, sides=(-1, 1), half=12):
    """Along the left side of the tile, deepest at the edge and gone so many pixels away."""

    def put(pixels):
        away = np.arange(SHAPE[1]) - 143.5
        rows = depth * NOISE * np.clip(1 - np.abs(away) / half, 0, None)
        pixels[TILE[0]] += np.where(np.isin(np.sign(away), sides), rows, 0.0)

    return put


@pytest.mark.parametrize("measure", [measured, measured_alone])
@pytest.mark.parametrize(("depth", "half"), [(-3.0, 12), (4.0, 14), (-2.0, 16)])
def test_a_groove_along_an_edge_is_a_broad_line(measure, depth, half):
    found = measure(1, put_groove(depth, half=half))
    own = [edge for edge in found.edges if left_of_tile(edge)]
    assert {edge.look for edge in found.edges if not left_of_tile(edge)} <= {"none", "noise"}
    assert len(own) >= 2
    for edge in own:
        assert edge.look in ("faint", "visible")
        assert (edge.lined, edge.thin, edge.tone) == (True, False, "dark" if depth < 0 else "bright")
        # What is read is the mean of the pixels near the edge.
        assert 0.3 < edge.line[0] / (depth * NOISE) < 0.9
    tone = "dark" if depth < 0 else "bright"
    assert f"broad {tone} line, " in seam_words(found.edges[found.worst])


@pytest.mark.parametrize(("put", "furthest"), [(put_groove(-3.0), 17.0), (put_groove(-9.0, half=2), 5.5)])
def test_the_profile_of_a_line_shows_what_was_read(put, furthest):
    pixels, footprints, corrected = scene(1, put)
    layout = Layout(footprints)
    picture = layout.with_lines(Picture.of("merged", pixels), pixels)
    found = seams_with_tiles([picture], layout, corrected)
    (profile,) = (one for one in found.profiles if one.edge == found.maps[0].worst)
    edge = found.maps[0].edges[profile.edge]
    assert profile.distance[[0, -1]].tolist() == [-furthest, furthest]
    # Held against the side that is nearer to it.
    assert profile.value.min() - profile.value[[0, -1]].min() == pytest.approx(edge.line[0], abs=3 * edge.line_error[0])


@pytest.mark.parametrize("measure", [measured, measured_alone])
def test_what_fades_on_one_side_or_steps_is_no_broad_line(measure):
    def step(pixels):
        pixels[TILE] += 2 * NOISE

    for put in (put_groove(-3.0, sides=(1,)), put_groove(-3.0, sides=(-1,)), step):
        own = [edge for edge in measure(5, put).edges if left_of_tile(edge)]
        assert not any(edge.lined and not edge.thin for edge in own)


@pytest.mark.parametrize("soft", [1, 4, 8])
def test_a_step_however_soft_is_no_line(soft):
    def put(pixels):
        rise = np.clip((np.arange(SHAPE[1]) - 144 + soft / 2) / soft, 0, 1)
        pixels[TILE[0], : TILE[1].stop] += 4 * NOISE * rise[: TILE[1].stop]

    own = [edge for edge in measured(2, put).edges if left_of_tile(edge)]
    assert all(edge.look == "visible" and not edge.thin for edge in own)
    assert all(edge.line_contrast < 0.5 for edge in own)


def test_a_line_is_worse_than_the_step_that_went():
    def step(pixels):
        pixels[TILE] += 0.6 * NOISE

    def line(pixels):
        pixels[TILE[0], 143] -= 8 * NOISE

    found = compare_seams(measured(3, step), measured(3, line))
    assert found.rms[1] < found.rms[0]
    assert found.lines[1] > 2 * NOISE > found.lines[0]
    assert found.result == "worse"
    own = [change for change in found.changes if left_of_tile(change.first)]
    assert {change.verdict for change in own} == {"worse"}
    assert all(change.most is change.line for change in own)
    others = [change for change in found.changes if not left_of_tile(change.first) and change.first.tile == 2]
    assert {change.verdict for change in others} == {"better"}


def test_where_pixels_are_missing_at_the_edge_nothing_is_known_of_a_line():
    def put(pixels):
        pixels[TILE[0], 140:148] = np.nan

    own = [edge for edge in measured(4, put).edges if left_of_tile(edge)]
    assert all(np.isnan(edge.line[0]) or edge.line_px > 5 and not edge.lined for edge in own)


def test_an_edge_of_the_coverage_is_called_that():
    def put(pixels):
        pixels[TILE] += 4 * NOISE

    found = measured_alone(5, put)
    assert seam_words(found.edges[found.worst]).partition(", at ")[2].startswith("an edge of the coverage (x=")


def test_lines_are_the_same_however_the_pixels_lie_and_whatever_was_read_before():
    pixels, footprints, _ = scene(6)
    planes = np.concatenate([pixels, 2 * pixels], axis=2)
    covered = np.ones(SHAPE, dtype=bool)
    covered[120:200, 100:200] = False
    layout, wanted = Layout(footprints), {}
    for held in (None, covered):
        masked = planes if held is None else np.where(held[..., np.newaxis], planes, np.nan)
        wanted[held is None] = Layout(footprints).with_lines(Picture.of("merged", masked), masked).lines
        for image in (planes, np.moveaxis(np.moveaxis(planes, 2, 0).copy(), 0, 2)):
            found = layout.with_lines(Picture.of("merged", image, held), image, held).lines
            for own, other in zip(found, wanted[held is None], strict=True):
                np.testing.assert_array_equal(own.depth, other.depth)
                np.testing.assert_array_equal(own.level, other.level)
    assert any(
        np.isnan(own.depth).sum() < np.isnan(other.depth).sum() for own, other in zip(*wanted.values(), strict=True)
    )
