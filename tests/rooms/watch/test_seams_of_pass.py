"""The seams of a pass while an application runs: where they are, in which stage, and that they cost nothing else."""

import functools
import importlib
import json
import pkgutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from helpers import bystander
from helpers.bystander import failing, functions_of, goes_up
from helpers.logs import messages
from helpers.passes import Scene, digest
from helpers.replay import Night
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.diagnosis import explained, seams, seen
from zemosaic_twopass.diagnosis.contract import part_of
from zemosaic_twopass.diagnosis.seams import measured
from zemosaic_twopass.report.lines import log_lines
from zemosaic_twopass.watch import seams as stages

pytestmark = pytest.mark.usefixtures("no_pictures")
CALLER = "_apply_two_pass_coverage_renorm_if_requested"
STAGES = ["first_pass", "second_pass", "merged"]
STEP = 30.0
# Of the mosaic: in the middle of where all four tiles are.
COLUMN = 240


@pytest.fixture(scope="module")
def night():
    return Scene.make(3, shape=(240, 330), overlap=0.5)


def watched(worker, night, log, directory, strict=True):
    with TwoPassProbe(worker, directory=directory, strict=strict) as probe:
        result = night.merged(worker, log)
    (report,) = probe.reports
    return report, result


def outlined(night, tile):
    """Which pixels of the mosaic a tile covers, borders without coverage aside."""
    _, _, wcs, shape = night.first
    rows, columns = np.indices(shape)
    x, y = night.wcs[tile].world_to_pixel_values(*wcs.pixel_to_world_values(columns, rows))
    return map_coordinates(night.coverage[tile].astype(float), (y, x), order=1) > 0.5


def near(edge, inside, reach):
    """Whether some of the pixels around the middle of an edge are inside of something, and some are not."""
    x, y = round(edge.x), round(edge.y)
    part = inside[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
    return part.any() and not part.all()


def adding(monkeypatch, worker, change):
    """Let the caller do something to what it returns."""
    original = getattr(worker, CALLER)

    @functools.wraps(original)
    def caller(*args, **kwargs):
        mosaic, *rest = original(*args, **kwargs)
        return (change(mosaic), *rest)

    monkeypatch.setattr(worker, CALLER, caller)


def test_of_a_sound_pass_every_stage_is_without_a_seam(worker, night, debug_log, tmp_path):
    report, _ = watched(worker, night, debug_log, tmp_path)
    assert [seams.mosaic for seams in report.seams] == STAGES
    assert {seams.picture for seams in report.seams} == {report.picture} == {"no_seam"}
    assert all(len(seams.edges) >= 8 for seams in report.seams)
    assert "picture=no_seam" in messages(debug_log, "[TwoPassVerdict]")[0]


def test_a_step_that_the_caller_makes_is_in_what_it_returned_and_at_its_place(
    worker, night, debug_log, tmp_path, monkeypatch
):
    inside = outlined(night, 2)
    adding(monkeypatch, worker, lambda mosaic: mosaic + STEP * inside[..., np.newaxis].astype(np.float32))
    report, _ = watched(worker, night, debug_log, tmp_path)
    assert [seams.picture for seams in report.seams] == ["no_seam", "no_seam", "visible"]
    assert report.picture == "visible"
    seen = [edge for edge in report.seams[-1].edges if edge.look == "visible"]
    # Tile 0 ends beside tile 2 along a part of the way.
    assert len([edge for edge in seen if edge.tile == 2]) >= 3
    for edge in seen:
        assert near(edge, inside, 5)
        assert np.allclose(edge.step, STEP, rtol=0.1)
    elsewhere = [edge for edge in report.seams[-1].edges if not near(edge, inside, 20)]
    assert len(elsewhere) > len(seen)
    assert max(edge.contrast for edge in elsewhere if edge.look != "unknown") < 0.1
    # All at INFO, and a warning of what is seen.
    lines = [entry for entry in debug_log.handlers[0].messages if entry[1].startswith("[TwoPassSeam]")]
    assert [level for level, _ in lines] == ["INFO"] * 3
    assert [text.split()[1] for _, text in lines] == [f"mosaic={name}" for name in STAGES]
    worst = report.seams[-1].edges[report.seams[-1].worst]
    assert worst in seen
    assert f" worst_idx={worst.tile} x={worst.x:.0f} y={worst.y:.0f}" in lines[-1][1]
    (verdict,) = messages(debug_log, "[TwoPassVerdict]", level="WARNING")
    assert verdict.startswith(f"[TwoPassVerdict] {report.verdict} picture=visible ")
    assert log_lines(report, ())[-1][1] == verdict


def test_a_first_pass_that_the_second_lies_beside_is_measured_where_it_stands(worker, night, debug_log, tmp_path):
    # As an application leaves it that crops the tiles, and with them what it made of them.
    right, up, step = 9, 6, 8.0
    inside = outlined(night, 2)
    mosaic, coverage, wcs, shape = night.first
    seen = mosaic + step * inside[..., np.newaxis].astype(np.float32)
    cropped = replace(night, first=(seen[up:, right:], coverage[up:, right:], wcs, shape))
    report, (result, *_) = watched(worker, cropped, debug_log, tmp_path)
    assert np.array_equal(result, cropped.first[0], equal_nan=True)
    assert {finding.kind for finding in report.findings} >= {"pass_misregistration", "second_pass_unused"}
    assert [(one.mosaic, one.picture) for one in report.seams] == [
        ("first_pass", "visible"),
        ("second_pass", "no_seam"),
        ("merged", "visible"),
    ]
    edges = [edge for edge in report.seams[-1].edges if edge.look == "visible"]
    assert len([edge for edge in edges if edge.tile == 2]) >= 3
    for edge in edges:
        assert near(edge, inside[up:, right:], 5)
        assert np.allclose(edge.step, step, rtol=0.1)
    (verdict,) = messages(debug_log, "[TwoPassVerdict]", level="WARNING")
    assert verdict.split()[2] == "picture=visible" and "A visible seam, " in verdict
    # What was not merged is drawn where it would lie.
    second = report.backdrops[1].grey
    assert (second[-up:] == 255).all() and (second[:, -right:] == 255).all() and (second < 255).any()


def test_a_merge_of_passes_beside_each_other_is_measured_where_it_is_all_but_all_the_second(
    worker, night, debug_log, tmp_path
):
    mosaic, *rest = night.first
    beside = replace(night, first=(np.roll(mosaic, (6, -9), axis=(0, 1)), *rest))
    report, _ = watched(worker, beside, debug_log, tmp_path)
    assert "pass_misregistration" in {finding.kind for finding in report.findings}
    assert [(one.mosaic, one.picture) for one in report.seams] == [(name, "no_seam") for name in STAGES]


def test_of_a_merge_of_passes_beside_each_other_nothing_is_known(worker, night, debug_log, tmp_path, monkeypatch):
    mosaic, *rest = night.first
    first = np.roll(mosaic, (6, -9), axis=(0, 1))
    half = (np.arange(first.shape[1]) < COLUMN)[:, np.newaxis]
    adding(monkeypatch, worker, lambda merged: np.where(half, first, merged))
    report, _ = watched(worker, replace(night, first=(first, *rest)), debug_log, tmp_path)
    assert ([one.mosaic for one in report.seams], report.picture) == (STAGES[:2], "unknown")


def test_the_json_holds_every_edge(worker, night, debug_log, tmp_path):
    report, _ = watched(worker, night, debug_log, tmp_path)
    found = json.loads((tmp_path / "twopass_report.json").read_text())
    assert found["picture"] == report.picture
    for entry, own in zip(found["seams"], report.seams, strict=True):
        assert (entry["mosaic"], entry["worst"], tuple(entry["rms"])) == (own.mosaic, own.worst, own.rms)
        for one, edge in zip(entry["edges"], own.edges, strict=True):
            assert (one["tile"], one["x"], one["y"], tuple(one["normal"])) == (edge.tile, edge.x, edge.y, edge.normal)
            assert one["step"] == [step if np.isfinite(step) else None for step in edge.step]
            expected = [step if np.isfinite(step) else None for step in edge.expected or ()]
            assert one["expected"] == (expected or None)


def with_steps_after(monkeypatch, worker, change):
    """Give the worker what newer ones have around the caller."""

    def post_stack(*args, **kwargs):
        mosaic, coverage = getattr(worker, CALLER)(*args, **kwargs)
        return change(mosaic), coverage, None

    monkeypatch.setattr(worker, "_apply_phase5_post_stack_pipeline", post_stack, raising=False)


def through_steps(worker, night, log, directory, **settings):
    own = SimpleNamespace(**{CALLER: lambda *args, **kwargs: worker._apply_phase5_post_stack_pipeline(*args, **kwargs)})
    with TwoPassProbe(worker, directory=directory, **settings) as probe:
        result = night.merged(own, log)
    (report,) = probe.reports
    return report, result


def test_what_is_made_of_the_merge_is_the_last_stage(worker, night, debug_log, tmp_path, monkeypatch):
    inside = outlined(night, 2)
    with_steps_after(monkeypatch, worker, lambda mosaic: mosaic + np.float32(STEP) * inside[..., np.newaxis])
    report, _ = through_steps(worker, night, debug_log, tmp_path, strict=True)
    assert [own.mosaic for own in report.seams] == [*STAGES, "final"]
    assert [own.picture for own in report.seams] == ["no_seam"] * 3 + ["visible"]
    assert report.picture == "visible"
    assert report.merge.share > 0.99
    assert len(messages(debug_log, "[TwoPassVerdict]")) == 1


def test_steps_after_the_merge_that_raise_or_are_cancelled(worker, night, debug_log, tmp_path, monkeypatch):
    def fail(mosaic):
        raise error

    with_steps_after(monkeypatch, worker, fail)
    for error, said in ((OSError("disk"), 1), (KeyboardInterrupt(), 0)):
        debug_log.handlers[0].messages.clear()
        with (
            TwoPassProbe(worker, directory=tmp_path, strict=True) as probe,
            pytest.raises(type(error)) as caught,
        ):
            own = SimpleNamespace(**{CALLER: worker._apply_phase5_post_stack_pipeline})
            night.merged(own, debug_log)
        assert caught.value is error
        assert [[one.mosaic for one in report.seams] for report in probe.reports] == [STAGES] * said
        assert len(messages(debug_log, "[TwoPassVerdict]")) == said


def test_the_last_stage_that_fails_leaves_the_others(worker, night, debug_log, tmp_path, monkeypatch):
    with_steps_after(monkeypatch, worker, lambda mosaic: mosaic)
    with failing(stages.see_final, error=ValueError) as count:
        report, _ = through_steps(worker, night, debug_log, tmp_path)
    assert count() == 1
    assert [own.mosaic for own in report.seams] == STAGES
    assert len(messages(debug_log, "[TwoPassProbe] diagnostics failed: ", "WARNING")) == 1
    assert len(messages(debug_log, "[TwoPassVerdict]")) == 1


def test_a_part_that_ends_within_a_tile_is_an_edge_of_no_tile(worker, night, debug_log, tmp_path, monkeypatch):
    """The caller takes the second pass, a step higher, on the left only."""

    def renormed(own, *args, **kwargs):
        mosaic, coverage = own(*args, **kwargs)
        return mosaic + np.float32(STEP), coverage

    def merged(own, first, second):
        left = np.arange(first[0].shape[1])[:, np.newaxis] < COLUMN
        return (np.where(left, second[0], first[0]), first[1]), 0.5

    for name, function in (("run_second_pass_coverage_renorm", renormed), ("merge_passes", merged)):
        original = getattr(worker, name)
        monkeypatch.setattr(worker, name, functools.wraps(original)(functools.partial(function, original)))
    report, (mosaic, _) = watched(worker, night, debug_log, tmp_path)
    ends = [edge for edge in report.seams[-1].edges if edge.tile is None]
    assert ends and {edge.look for edge in ends} == {"visible"}
    for edge in ends:
        assert abs(edge.x - (COLUMN - 0.5)) < 1.5
        assert edge.normal[0] > 0.99
        assert np.allclose(edge.step, STEP, atol=2)
    assert not [edge for seams in report.seams[:2] for edge in seams.edges if edge.tile is None]


@pytest.mark.parametrize("function", [stages.Stages.see, stages.Stages.measure, measured.seams_with_tiles])
def test_seams_that_fail_take_nothing_else_with_them(worker, night, debug_log, tmp_path, function):
    bare = digest(*night.merged(worker, debug_log))
    whole, _ = watched(worker, night, debug_log, tmp_path / "whole")
    debug_log.handlers[0].messages.clear()
    with failing(function, error=ValueError) as count:
        report, result = watched(worker, night, debug_log, tmp_path / "failed", strict=False)
    assert count() > 0
    assert digest(*result) == bare
    assert (report.seams, report.picture) == ((), "unknown")
    assert len(messages(debug_log, "[TwoPassProbe] diagnostics failed: ValueError: injected", "WARNING")) == 1
    assert (report.verdict, report.findings, report.merge) == (whole.verdict, whole.findings, whole.merge)
    assert np.array_equal(report.delta.delta, whole.delta.delta)
    found = json.loads((tmp_path / "failed" / "twopass_report.json").read_text())
    assert (found["picture"], found["seams"]) == ("unknown", [])


@pytest.mark.slow
@pytest.mark.no_cover
def test_each_of_their_functions_fails(debug_log, tmp_path):
    """By one kind of error each, in rotation: neither the pipeline nor the verdict differs."""
    # Its coadd is looked up, and its edges are long enough to be read.
    night = Night.make(columns=3, shape=(120, 160), fault="offset")
    bare = digest(*night.call(debug_log))

    def watched_night(strict):
        with TwoPassProbe(night.worker, directory=tmp_path, strict=strict) as probe:
            result = night.call(debug_log)
        (report,) = probe.reports
        return report, result

    def told(report):
        # Where the seam of a fault is, is not known without them.
        return report.verdict, [(one.kind, one.tile, one.value, one.sigma) for one in report.findings]

    wholes = []
    codes = bystander.reached(lambda: wholes.append(watched_night(strict=True)[0]))
    (whole,) = wholes
    modules = [importlib.import_module(f"{seams.__name__}.{one.name}") for one in pkgutil.iter_modules(seams.__path__)]
    found = [
        own
        for module in (stages, explained, seen, *modules)
        for name, own in functions_of(module).items()
        if own.__code__ in codes and not goes_up(module, name)
    ]
    assert len(found) > 60
    for number, function in enumerate(found):
        debug_log.handlers[0].messages.clear()
        with failing(function, error=(ValueError, TypeError, MemoryError, RuntimeWarning)[number % 4]) as count:
            report, result = watched_night(strict=False)
        assert count() > 0, function
        assert digest(*result) == bare, function
        assert told(report) == told(whole), function
        assert report.delta is not None and len(report.evidence) == len(whole.evidence), function
        assert len(messages(debug_log, "[TwoPassProbe] diagnostics failed: ", "WARNING")) == 1, function


def test_which_pixels_are_the_second_passes():
    first, second = np.zeros((3, 4, 2)), np.ones((3, 4, 2))
    second[0, 0] = np.nan
    first[0, 1] = np.nan
    returned = second.copy()
    returned[0, 0], returned[1], returned[2] = first[0, 0], first[1] + 0.4, first[2] + 0.01
    expected = np.ones((3, 4), dtype=bool)
    expected[0, 0] = expected[2] = False
    assert np.array_equal(part_of(first, second, returned), expected)
    # Where both are the same nothing ends.
    assert part_of(second, second, second).all()
