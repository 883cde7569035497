"""What a probe sees of a call, and what happens when something fails."""

import logging

import numpy as np
import pytest

from helpers import mini
from helpers.logs import ListHandler, messages
from helpers.passes import probe_of
from zemosaic_twopass import tile_statistics
from zemosaic_twopass.settings import LOGGER_NAME
from zemosaic_twopass.watch import run

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_what_a_probe_sees(tiny, tiles, debug_log):
    with probe_of(tiny) as probe:
        mini.call(tiny, tiles, logger=debug_log)
    (report,) = probe.reports
    assert [tile.gain for tile in report.tiles] == [1.0, 1.125, 1.25]
    for record, tile in zip(report.tiles, tiles, strict=True):
        assert record.pre == tile_statistics(tile)
        assert record.post == tile_statistics(tile * record.gain)
        assert record.post_source == "observed"
        assert record.name is None
    lines = messages(debug_log, "[TwoPassTile]")
    assert len(lines) == 6
    assert lines[2].startswith("[TwoPassTile] pre_gain idx=1 id=- gain=1.125 valid=1 min=[")
    assert lines[3].startswith("[TwoPassTile] post_gain idx=1 id=- gain=1.125 valid=1 min=[")
    assert lines[3].endswith(" source=observed")
    assert messages(debug_log)[-1].startswith(
        "[TwoPassVerdict] undetermined picture=unknown tiles=3 findings=0 worst_idx=- "
    )


def test_the_truly_corrected_tile_is_seen(tiny, tiles, debug_log, monkeypatch):
    """A gain that is recorded but not applied: the observed statistics are those of the plain tile."""
    source = mini.WORKER.replace("* float(gain)", "* 1.0")
    assert source != mini.WORKER
    module = mini.make(monkeypatch, source)
    with probe_of(module) as probe:
        mini.call(module, tiles, logger=debug_log)
    assert probe.reports[0].tiles[2].gain == 1.25
    assert probe.reports[0].tiles[2].post == tile_statistics(tiles[2])


def test_called_once_with_the_callers_own_objects(tiny, tiles):
    tiles_wcs = [object() for _ in tiles]
    with probe_of(tiny):
        result = mini.call(tiny, tiles, tiles_wcs)
    ((seen_tiles, seen_wcs),) = tiny.calls
    assert seen_tiles is tiles
    assert seen_wcs is tiles_wcs
    assert isinstance(result, tuple)


def test_return_object_and_exception_are_the_bodys_own(monkeypatch, tiles):
    marker = object()
    error = KeyError("mine")
    source = "def run_second_pass_coverage_renorm(tiles, tiles_wcs, fail=False):\n    return answer(fail)"
    module = mini.make(monkeypatch, source)

    def answer(fail):
        if fail:
            raise error
        return marker

    module.answer = answer
    with probe_of(module, strict=False) as probe:
        assert module.run_second_pass_coverage_renorm(tiles, [None] * 3) is marker
        with pytest.raises(KeyError) as caught:
            module.run_second_pass_coverage_renorm(tiles, [None] * 3, fail=True)
        with pytest.raises(TypeError, match="unexpected keyword"):
            module.run_second_pass_coverage_renorm(tiles, wrong=1)
    assert caught.value is error
    assert len(caught.traceback) == 4
    assert len(probe.reports) == 3


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_no_statistics_below_debug(tiny, tiles, level, monkeypatch):
    logger = logging.Logger("quiet", level)
    called = []
    monkeypatch.setattr("zemosaic_twopass.watch.capture.scan_as_given", called.append)
    with probe_of(tiny) as probe:
        mini.call(tiny, tiles, logger=logger)
    assert not called
    assert probe.reports[0].tiles == ()


def test_logger_of_the_call_else_the_workers(tiny, tiles, debug_log):
    worker_logger = logging.getLogger(LOGGER_NAME)
    handler = ListHandler()
    before = worker_logger.level
    worker_logger.addHandler(handler)
    worker_logger.setLevel(logging.DEBUG)
    try:
        with probe_of(tiny):
            mini.call(tiny, tiles, logger=None)
            count = len(handler.messages)
            mini.call(tiny, tiles, logger=debug_log)
        with probe_of(tiny, logger=debug_log):
            mini.call(tiny, tiles, logger=None)
    finally:
        worker_logger.removeHandler(handler)
        worker_logger.setLevel(before)
    assert count == 10
    assert len(handler.messages) == count
    # What was attached to is said on entering, and again when a pass begins.
    assert len(messages(debug_log)) == 9 + 10


def test_names(tiny, tiles, debug_log):
    with probe_of(tiny, names=["a.fits", "my tile.fits", 'q".fits']) as probe:
        mini.call(tiny, tiles, logger=debug_log)
        mini.call(tiny, tiles[:2], logger=debug_log)
    assert [tile.name for tile in probe.reports[0].tiles] == ["a.fits", "my tile.fits", 'q".fits']
    assert [tile.name for tile in probe.reports[1].tiles] == [None, None]
    lines = messages(debug_log, "[TwoPassTile] pre_gain")
    assert "id=a.fits " in lines[0]
    assert 'id="my tile.fits" ' in lines[1]
    assert 'id="q\\".fits" ' in lines[2]


def test_lines_when_the_body_fails(tiny, tiles, debug_log):
    def fail_at(stage):
        def hook(now):
            if now == stage:
                raise OSError(stage)

        return hook

    with probe_of(tiny) as probe:
        for stage in ("gains", "coadd"):
            with pytest.raises(OSError, match=stage):
                mini.call(tiny, tiles, logger=debug_log, hook=fail_at(stage))
        tiny.compute_per_tile_gains_from_coverage = lambda *args, **kwargs: 1 / 0
        with pytest.raises(ZeroDivisionError):
            mini.call(tiny, tiles, logger=debug_log)
    sources = [[(tile.gain, tile.post_source) for tile in report.tiles] for report in probe.reports]
    assert sources[0] == [(1.0, "derived"), (1.125, "derived"), (1.25, "derived")]
    assert sources[1] == [(1.0, "observed"), (1.125, "observed"), (1.25, "observed")]
    assert str(sources[2]) == "[(nan, 'derived'), (nan, 'derived'), (nan, 'derived')]"
    assert len(messages(debug_log, "[TwoPassTile]")) == 18
    assert "gave no mosaic" in messages(debug_log)[-1]
    assert "gain=nan valid=nan min=[nan,nan,nan]" in messages(debug_log, "[TwoPassTile] post_gain")[-1]


def test_interrupt_passes_without_a_report(tiny, tiles, debug_log):
    def interrupt(stage):
        raise KeyboardInterrupt

    with probe_of(tiny) as probe:
        with pytest.raises(KeyboardInterrupt):
            mini.call(tiny, tiles, logger=debug_log, hook=interrupt)
        assert not probe.reports
        mini.call(tiny, tiles, logger=debug_log)
    assert len(probe.reports) == 1


def test_interrupt_before_the_body_leaves_nothing_behind(tiny, tiles, debug_log, monkeypatch):
    def interrupt(tile):
        raise KeyboardInterrupt

    tiles_wcs = [None] * len(tiles)
    with probe_of(tiny) as probe:
        with monkeypatch.context() as patch:
            patch.setattr("zemosaic_twopass.watch.capture.scan_as_given", interrupt)
            with pytest.raises(KeyboardInterrupt):
                mini.call(tiny, tiles, tiles_wcs, logger=debug_log)
        assert not tiny.calls
        assert not run._running
        mini.call(tiny, tiles, tiles_wcs, logger=debug_log)
        assert tiny.calls[0][1] is tiles_wcs
    assert {tile.post_source for tile in probe.reports[0].tiles} == {"observed"}


def test_short_gain_list_is_one_warning(tiny, tiles, debug_log):
    tiny.compute_per_tile_gains_from_coverage = lambda tiles, tiles_wcs, *args, **kwargs: [2.0, 2.0]
    with probe_of(tiny, strict=False) as probe:
        mini.call(tiny, tiles, logger=debug_log)
    assert [tile.post_source for tile in probe.reports[0].tiles] == ["observed", "observed", "derived"]
    (warning,) = messages(debug_log, level="WARNING")
    assert warning.startswith("[TwoPassProbe] diagnostics failed: TileError: gain list: 2 values != 3 tiles")
    assert list(probe.failures) == ["TileError: gain list: 2 values != 3 tiles"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda tiles, wcs: (tiles, wcs[:2]), "3 tiles != 2 WCS"),
        (lambda tiles, wcs: ([tiles[0][..., 0], *tiles[1:]], wcs), "tile 1: 3 channels != 1"),
        (lambda tiles, wcs: ([tiles[0].ravel(), *tiles[1:]], wcs), r"2 or 3 axes are needed, not 1"),
    ],
)
def test_bad_tiles_are_one_warning(tiny, tiles, debug_log, spoil, words):
    given = spoil(tiles, [None] * 3)
    outcome = []
    for probed in (False, True):
        with probe_of(tiny, strict=False, delta_map=True) if probed else pytest.MonkeyPatch.context():
            try:
                outcome.append(repr(mini.call(tiny, *given, logger=debug_log)))
            except Exception as error:
                outcome.append(repr(error))
    assert outcome[0] == outcome[1]
    (warning,) = messages(debug_log, level="WARNING")
    assert words in warning


def test_failure_is_logged_once_and_does_not_get_out(tiny, tiles, debug_log, monkeypatch):
    monkeypatch.setattr("zemosaic_twopass.watch.capture.RunCapture.observe_gains", lambda *a: 1 / 0)
    monkeypatch.setattr("zemosaic_twopass.watch.capture.RunCapture.observe_planes", lambda *a: 1 / 0)
    bare = mini.call(tiny, tiles)
    with probe_of(tiny, strict=False) as probe:
        result = mini.call(tiny, tiles, logger=debug_log)
    assert np.array_equal(result[0], bare[0])
    (warning,) = messages(debug_log, level="WARNING")
    assert warning == "[TwoPassProbe] diagnostics failed: ZeroDivisionError: division by zero"
    assert any("Traceback" in line and "division by zero" in line for line in messages(debug_log, level="DEBUG"))
    assert len(probe.failures) == 1
    with probe_of(tiny) as probe, pytest.raises(ZeroDivisionError):
        mini.call(tiny, tiles)


def test_warnings_as_errors_do_not_get_out(tiny, debug_log):
    # pytest turns every warning into an error here; all-NaN and empty tiles must not cause one.
    strange = [np.full((4, 5, 3), np.nan, np.float32), np.zeros((0, 5, 3), np.float32)]
    with probe_of(tiny) as probe:
        mini.call(tiny, strange, logger=debug_log)
    assert [tile.post.valid_fraction for tile in probe.reports[0].tiles] == [0, 0]


def test_reports_are_bounded(tiny, tiles):
    with probe_of(tiny) as probe:
        for _ in range(20):
            mini.call(tiny, tiles)
    assert len(probe.reports) == 16
