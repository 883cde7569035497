"""Edges of two mosaics side by side: which go together, which changed, and what that comes to."""

from dataclasses import replace

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.seams import Edge, SeamMap, compare_seams

TILES = 4
NORMALS = (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)


def edges_of(rng, step=0.0, error=0.5, channels=3):
    """Four sides of two stretches of each of four tiles; steps scatter about `step` by their errors."""
    found = []
    for tile in range(TILES):
        for normal in NORMALS:
            for piece in (-60.0, 60.0):
                x, y = 300 * tile + 120 * normal[0] - piece * normal[1], 120 * normal[1] + piece * normal[0]
                steps = tuple((step + rng.normal(0, error, channels)).tolist())
                found.append(Edge(tile, (), x, y, normal, 110.0, steps, (error,) * channels, (4.0, 4.0), abs(step) / 4))
    return found


def map_of(edges):
    return SeamMap.of("m", edges, len(edges[0].step))


def test_of_two_equal_runs_nearly_all_edges_are_the_same():
    rng, same, total = np.random.default_rng(81), 0, 0
    results = []
    for _ in range(100):
        found = compare_seams(*(map_of(edges_of(rng, 2.0)) for _ in range(2)))
        assert len(found.changes) == 8 * TILES
        same, total = same + found.count("same"), total + len(found.changes)
        results.append(found.result)
    assert same >= 0.95 * total
    # One in a hundred is expected to have an edge that chance has changed; 0.25 and 2 of a hundred, of 400 each.
    assert results.count("same") >= 95


@pytest.mark.parametrize(("size", "verdict"), [(5.0, "worse"), (-5.0, "better")])
def test_a_step_put_into_one_edge_is_found_and_whose_it_is(size, verdict):
    rng = np.random.default_rng(3)
    first = edges_of(rng, 5.5 if size < 0 else 0.0)
    second = list(first)
    second[11] = replace(first[11], step=tuple(step + size for step in first[11].step))
    found = compare_seams(map_of(first), map_of(second))
    (change,) = found.largest_first()
    assert (change.verdict, change.first.tile, change.first.normal) == (verdict, 1, NORMALS[1])
    assert found.result == verdict
    np.testing.assert_allclose(change.step.growth, size, atol=2)
    # A step that only changes its sign is as large as it was.
    turned = [replace(edge, step=tuple(-step for step in edge.step)) for edge in first]
    assert compare_seams(map_of(first), map_of(turned)).count("same") == len(first)


def test_edges_go_together_on_another_grid_and_with_other_numbers():
    rng, turn = np.random.default_rng(4), np.deg2rad(117)
    first = edges_of(rng, 1.0)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([2.0, -2.0])
    second = []
    for edge in first[::-1]:
        x, y = axes @ (edge.x, edge.y) + (900, 40)
        normal = axes @ edge.normal / 2
        second.append(replace(edge, x=x, y=y, normal=tuple(normal), length=220.0, tile=TILES - 1 - edge.tile))

    def place(x, y):
        return tuple(np.linalg.inv(axes) @ (x - 900, y - 40))

    by_name = compare_seams(map_of(first), map_of(second), place, {n: TILES - 1 - n for n in range(TILES)})
    by_place = compare_seams(map_of(first), map_of(second), place, {})
    for found in (by_name, by_place):
        assert [change.first for change in found.changes] == first
        assert all(change.second.step == change.first.step for change in found.changes)
    # A tile of the same name tells an edge further off.
    moved = [replace(edge, x=edge.x + 20) for edge in first]
    assert len(compare_seams(map_of(first), map_of(moved)).changes) == len(first)
    assert len(compare_seams(map_of(first), map_of(moved), tiles={}).changes) < len(first)
    # The other side of a tile is not the same edge.
    other = [replace(edge, normal=tuple(-n for n in edge.normal)) for edge in first]
    assert not compare_seams(map_of(first), map_of(other)).changes


def test_what_is_not_known_is_not_judged():
    rng = np.random.default_rng(5)
    first = edges_of(rng)
    blank = [replace(edge, step=(np.nan,) * 3, error=(np.nan,) * 3, contrast=np.nan) for edge in first]
    found = compare_seams(map_of(first), map_of(blank))
    assert found.result == "unknown"
    assert found.count("unknown") == len(first)
    assert np.isnan(found.rms).all()
    one = [replace(edge, step=(edge.step[0], np.nan, np.nan)) for edge in first]
    assert compare_seams(map_of(first), map_of(one)).changes[0].step.channel == 0
    assert compare_seams(SeamMap.of("a", [], 3), map_of(first)).result == "unknown"


def test_the_score_is_the_rms_without_the_errors_and_its_error_is_true():
    rng, off = np.random.default_rng(6), []
    for _ in range(150):
        found = compare_seams(*(map_of(edges_of(rng, step, 0.5, channels=1)) for step in (3.0, 1.0)))
        off.append([(rms - true) / error for rms, error, true in zip(found.rms, found.error, (3, 1), strict=True)])
        assert found.result == "better"
    assert 0.8 < np.std(off, axis=0).min() <= np.std(off, axis=0).max() < 1.25
    assert np.abs(np.mean(off, axis=0)).max() < 0.3
