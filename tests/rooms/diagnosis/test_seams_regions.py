"""Where edges lie, whose they are, and what is no edge."""

import numpy as np

from zemosaic_twopass.diagnosis.seams.regions import Regions
from zemosaic_twopass.diagnosis.seams.stretches import LONGEST, SHORTEST, stretches_of
from zemosaic_twopass.diagnosis.seams.strips import beyond_slivers


def turned(angle, middle, size, shape, step):
    """Share of cells that a rectangle covers, (x, y) and (width, height) in pixels, and its box: all of the grid."""
    y, x = np.indices([n * step for n in shape]) - np.reshape(middle[::-1], (2, 1, 1))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = (np.abs(u) < size[0] / 2) & (np.abs(v) < size[1] / 2)
    share = inside.reshape(shape[0], step, shape[1], step).mean(axis=(1, 3))
    return (slice(0, shape[0]), slice(0, shape[1])), share


def test_a_turned_tile_within_another_has_four_sides_in_stretches():
    shape, angle, middle, size = (60, 80), 0.2, (320.0, 240.0), (360.0, 280.0)
    everything = (slice(0, 60), slice(0, 80)), np.ones(shape)
    for step in (1, 8):
        cells = tuple(n * 8 // step for n in shape)
        all_of_it = everything if step == 8 else ((slice(0, cells[0]), slice(0, cells[1])), np.ones(cells))
        tile = turned(angle, middle, size, cells, step)
        found = stretches_of(Regions.of_footprints([all_of_it, None, tile], cells, step))
        assert set(found.tile) == {2}
        assert set(found.neighbours) == {(0,)}
        assert np.all((found.length >= SHORTEST) & (found.length <= LONGEST + 8))
        assert 0.8 < found.length.sum() / (2 * sum(size)) < 1.02
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        along = found.normal @ axes.T
        assert np.all(np.abs(along).max(axis=1) > 0.99)
        # How far out along its normal, in half sides.
        out = np.sum(found.normal * (np.column_stack([found.x, found.y]) - middle), axis=1)
        half = np.where(np.abs(along[:, 0]) > 0.9, size[0] / 2, size[1] / 2)
        assert np.abs(out - half).max() < (0.7 if step == 1 else 1.5)


def test_an_edge_is_cut_where_the_others_change_and_none_is_at_the_border():
    shape = (40, 60)
    boxes = ((0, 40), (0, 30)), ((0, 40), (20, 60)), ((14, 40), (5, 55))
    footprints = [(tuple(slice(*part) for part in box), np.ones([b - a for a, b in box])) for box in boxes]
    found = stretches_of(Regions.of_footprints(footprints, shape, 8))
    top = [index for index, tile in enumerate(found.tile) if tile == 2 and found.normal[index][1] < -0.9]
    assert {found.neighbours[index] for index in top} == {(0,), (0, 1), (1,)}
    np.testing.assert_allclose(found.y[top], 14 * 8 - 0.5, atol=1)
    assert found.x.min() > 8 * 5 - 8
    assert found.y.max() < 8 * 40 - 8


def test_regions_of_a_coverage_map():
    coverage = np.zeros((300, 400))
    coverage[10:290, 20:250] += 1
    coverage[10:290, 150:380] += 1
    coverage[50, 60] = np.nan
    # The last frames of a stack: coverage falls off over a few pixels.
    coverage[:, 146:150] += np.array([0.2, 0.4, 0.6, 0.8])
    found = stretches_of(Regions.of_coverage(coverage))
    assert len(found) == 4
    assert set(found.tile) == {None}
    assert set(found.neighbours) == {()}
    left = found.x < 200
    np.testing.assert_allclose(found.normal[left], [[-1, 0]] * left.sum(), atol=1e-6)
    np.testing.assert_allclose(found.normal[~left], [[1, 0]] * (~left).sum(), atol=1e-6)
    np.testing.assert_allclose(found.x[left], 147.5, atol=2)
    np.testing.assert_allclose(found.x[~left], 249.5, atol=0.01)


def test_a_coverage_without_edges():
    rows, columns = np.indices((200, 200))
    assert len(stretches_of(Regions.of_coverage(1.0 + 0.05 * columns + 0.05 * rows))) == 0
    assert len(stretches_of(Regions.of_coverage(np.full((200, 200), np.nan)))) == 0
    assert len(stretches_of(Regions.of_coverage(np.ones((200, 200))))) == 0
    assert len(stretches_of(Regions.of_footprints([], (20, 20), 8))) == 0


def test_a_sliver_gives_way_to_what_most_of_its_strip_shows():
    """Of two that are shown as often the one with the lower label, whatever the order of the cells."""
    labels = np.random.default_rng(7).integers(0, 4, (60, 5, 6)).astype(np.uint32) * np.uint32(1 << 30)
    distance = np.broadcast_to([-20.0, -12.0, -4.0, 4.0, 12.0, 60.0], labels.shape)
    own = np.full(60, 7, dtype=np.uint32)
    for side, found in zip((distance < 0, distance > 0), beyond_slivers(labels, distance, (own, own)), strict=True):
        for index, shown in enumerate(found):
            values, count = np.unique(
                labels[index][(side & (np.abs(distance) <= 40))[index] & (labels[index] > 0)], return_counts=True
            )
            assert shown == (values[np.argmax(count)] if len(values) else 7)


def test_edges_at_both_ends_of_a_mosaic_stay_apart_and_go_to_the_first_tile_that_ends_there():
    shape, inner = (40, 50), (slice(0, 40), slice(1, 49))
    everything = (slice(0, 40), slice(0, 50)), np.ones(shape)
    own = inner, np.ones((40, 48))
    found = stretches_of(Regions.of_footprints([everything, own, own], shape, 8))
    assert set(found.x) == {7.5, 391.5} and len(found) == 4
    assert set(found.tile) == {1} and set(found.neighbours) == {(0, 2)}
