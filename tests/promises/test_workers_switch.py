"""How many threads the diagnostics may use, and that it makes no difference how many."""

import contextlib
import contextvars
import logging
import os
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest

from helpers.logs import messages
from helpers.passes import Scene
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass import settings
from zemosaic_twopass.parallel import threads
from zemosaic_twopass.watch.build import tile_records
from zemosaic_twopass.watch.capture import RunCapture

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def cores(monkeypatch):
    """Pretend to have as many cores as wanted."""

    def have(count):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(count)), raising=False)

    monkeypatch.setattr(settings, "_complained", set())
    return have


@pytest.mark.parametrize(("text", "count", "expected"), [("", 8, 4), ("", 2, 2), ("1", 8, 1), ("6", 8, 6), ("9", 2, 2)])
def test_bounded_by_the_switch_and_the_cores(text, count, expected, cores, monkeypatch):
    cores(count)
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_WORKERS", text)
    assert settings.worker_count() == expected


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_bad_value_is_named_once(text, cores, monkeypatch, caplog):
    cores(3)
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_WORKERS", text)
    assert [settings.worker_count() for _ in range(3)] == [3, 3, 3]
    assert len(caplog.records) == 1
    assert f"ZEMOSAIC_TWO_PASS_DEBUG_WORKERS={text} cannot be read, 4 is used" in caplog.text


def test_an_error_comes_out_and_no_thread_is_left():
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), threads(3) as run:
        list(run(lambda value: 1 / value, [1, 2, 0, 4]))
    assert threading.active_count() == before
    with threads(1) as run:
        assert run is map


def test_threads_leave_the_callers_context_alone():
    variable = contextvars.ContextVar("ours", default=None)
    variable.set("kept")
    before = threading.active_count()
    with np.errstate(all="raise", under="warn"):
        errors = np.geterr()
        with threads(3) as run:
            assert list(run(lambda _: np.geterr(), range(3))) == [errors] * 3
        assert np.geterr() == errors
    assert threading.active_count() == before
    assert variable.get() == "kept"


class Loaded:
    """Tiles that are read when they are asked for; notes how many are there at a time at most."""

    def __init__(self, count):
        self.count, self.alive, self.most, self._lock = count, 0, 0, threading.Lock()

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        tile = np.full((40, 50, 3), index, np.float32)
        with self._lock:
            self.alive += 1
            self.most = max(self.most, self.alive)
        weakref.finalize(tile, self._gone)
        return tile

    def _gone(self):
        with self._lock:
            self.alive -= 1


@pytest.mark.parametrize("count", [1, 2])
def test_no_more_tiles_at_a_time_than_threads(count, cores, monkeypatch):
    cores(2)
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_WORKERS", str(count))
    tiles = Loaded(20)
    capture = RunCapture({"tiles": tiles})
    capture.observe_gains([1.5] * len(tiles))
    capture.describe(whole=True)
    assert [record.post.median[0] for record in tile_records(capture)] == [1.5 * index for index in range(20)]
    assert tiles.most <= count
    assert tiles.alive == 0


class Fetched(list):
    """Tiles of a call; notes how often each is asked for, by whom ever."""

    def __init__(self, tiles):
        super().__init__(tiles)
        self.count = [0] * len(tiles)

    def __getitem__(self, index):
        self.count[index] += 1
        return super().__getitem__(index)

    def __iter__(self):
        return (self[index] for index in range(len(self)))


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_pixels_are_fetched_once_before_the_body_and_four_times_after_it(rgb_scene, worker, tmp_path, level):
    """After it: their shapes, twice; all that is measured of them; the points of the closure."""
    logger = logging.Logger("fetched", level)

    def fetched(*probes):
        tiles = Fetched(rgb_scene.tiles)
        with contextlib.ExitStack() as stack:
            for probe in probes:
                stack.enter_context(probe)
            replace(rgb_scene, tiles=tiles).second_pass(worker, logger)
        return np.array(tiles.count)

    bare = fetched()
    clean = TwoPassProbe(worker, directory=tmp_path, strict=True)
    assert (fetched(clean) - bare).tolist() == [5] * len(rgb_scene.tiles)
    assert clean.reports[0].verdict != "pipeline_bug"


def test_any_number_gives_the_same_report_and_lines(worker, debug_log, cores, monkeypatch, tmp_path):
    cores(3)
    scene = Scene.make(3, rows=2, columns=2, shape=(340, 430), overlap=0.7)
    scene.tiles[2] = scene.tiles[2] + np.float32(30)
    found = []
    for count in ("1", "3"):
        monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_WORKERS", count)
        with TwoPassProbe(worker, directory=tmp_path, strict=True) as probe:
            scene.second_pass(worker, debug_log)
        (report,) = probe.reports
        delta = report.delta
        arrays = [array.tobytes() for array in (delta.delta, delta.signed, delta.count, delta.worst)]
        ours = messages(debug_log, "[TwoPassTile]") + messages(debug_log, "[TwoPassFinding]")
        found.append((repr(report.tiles), repr(report.findings), repr(report.summary), arrays, ours))
        debug_log.handlers[0].messages.clear()
    assert found[0] == found[1]
    assert report.findings[0].tile == 2
    assert len(ours) > 8
