"""Nothing of a call outlives it through us: tiles, corrected tiles, planes, mosaics, lists."""

import contextlib
import gc
import logging
import os
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest

from helpers import bystander, mini
from helpers.bystander import failing, functions_of, modules_on_the_path
from helpers.replay import Night
from zemosaic_instrument import TwoPassProbe

pytestmark = pytest.mark.usefixtures("no_pictures")

MODULES = modules_on_the_path()


class KeepingHandler(logging.Handler):
    """Keeps records as they are, as those of test tools, queues and memory handlers do."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


class WeakList(list):
    """A list that can be watched for its end."""


@pytest.fixture
def keeping_log():
    logger = logging.Logger("keeping", logging.DEBUG)
    logger.addHandler(KeepingHandler())
    return logger


@pytest.fixture(autouse=True)
def no_collector():
    """What is only in a cycle is kept too, until the collector happens to come."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def spy_on(utilities):
    """Weak references to every plane that a coadd is given, and to the tile that it lies in."""
    inner, seen = utilities.reproject_and_coadd_wrapper, []

    def reproject_and_coadd_wrapper(data_list, wcs_list, shape_out, **kwargs):
        seen.extend(weakref.ref(item) for plane in data_list for item in (plane, plane.base))
        return inner(data_list, wcs_list, shape_out, **kwargs)

    utilities.reproject_and_coadd_wrapper = reproject_and_coadd_wrapper
    return seen


def alive(references):
    return sum(reference() is not None for reference in references)


@pytest.fixture(scope="module")
def night():
    """Its coadd is spied on in `night.seen`."""
    night = Night.make(fault="mask")
    night.seen = spy_on(night.worker.zemosaic_utils)
    return night


def call_night(night, logger):
    """A call on arrays of its own; weak references to all of them, none of which the caller keeps."""
    scene = night.scene
    given = [tile.copy() for tile in scene.tiles]
    mosaic, weights = scene.mosaic.copy(), scene.weights.copy()
    night.seen.clear()
    own = replace(scene, tiles=given, mosaic=mosaic, weights=weights)
    result = Night(night.worker, own).call(logger)
    assert len(night.seen) == 2 * len(given)
    return [weakref.ref(item) for item in (*given, mosaic, weights, *result)] + night.seen


def test_spy_sees_what_is_kept(night, keeping_log, monkeypatch):
    """The other way round: one reference more, and it is found."""
    kept = []
    monkeypatch.setattr("zemosaic_twopass.watch.capture.RunCapture.close", lambda capture: kept.append(capture))
    with TwoPassProbe(night.worker, delta_map=False):
        assert alive(call_night(night, keeping_log)) == 2 * 3 + 3 + 2 + 2
    kept.clear()


@pytest.mark.parametrize("delta_map", [True, False])
@pytest.mark.parametrize("probes", [1, 2])
def test_after_the_call(delta_map, probes, night, keeping_log, tmp_path):
    with contextlib.ExitStack() as stack:
        for _ in range(probes):
            probe = TwoPassProbe(night.worker, delta_map=delta_map, directory=tmp_path, strict=True)
            stack.enter_context(probe)
        references = call_night(night, keeping_log)
        assert alive(references) == 0
    assert len(probe.reports) == 1
    assert len(probe.reports[0].tiles) == 3


def reached_functions(night, logger, delta_map):
    """(module, function) of all of ours that a call runs through."""
    with TwoPassProbe(night.worker, delta_map=delta_map):
        codes = bystander.reached(lambda: call_night(night, logger))
    named = [(module.__name__, item) for module in MODULES for item in functions_of(module).values()]
    outermost = {
        "quietly",
        "call_observer",
        "observe_gains",
        "observe_coadd",
        "observe_caller",
        "observe_post_stack",
        "__init__",
        "__call__",
        "close",
        "drop",
    }
    return [(name, f) for name, f in named if f.__code__ in codes and f.__name__ not in outermost]


@pytest.mark.no_cover
@pytest.mark.parametrize("delta_map", [False, True])
def test_after_a_function_failed(delta_map, night, keeping_log):
    """Without a map every function; with one a function of each folder of the package that it takes."""
    chosen = reached_functions(night, keeping_log, delta_map)
    if delta_map:
        chosen = list({name.rpartition(".")[0]: (name, function) for name, function in reversed(chosen)}.values())
    kept = {}
    with TwoPassProbe(night.worker, delta_map=delta_map) as probe:
        for _, function in chosen:
            with failing(function, error=ValueError) as count:
                references = call_night(night, keeping_log)
                assert count() > 0
            if alive(references):
                kept[function.__qualname__] = alive(references)
    assert not kept
    assert len(chosen) > (8 if delta_map else 20)
    assert len(probe.failures) > 0
    assert any("diagnostics failed" in record.getMessage() for record in keeping_log.handlers[0].records)


def test_after_the_disk_was_full(night, keeping_log, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *args: 1 / 0)
    with TwoPassProbe(night.worker, directory=tmp_path) as probe:
        references = call_night(night, keeping_log)
        assert alive(references) == 0
    assert len(probe.failures) == 1


def test_after_a_strict_error_was_let_go(night, keeping_log, monkeypatch):
    monkeypatch.setattr("zemosaic_twopass.watch.publish.tile_records", lambda *args: 1 / 0)
    night.seen.clear()
    with TwoPassProbe(night.worker, strict=True) as probe:
        try:
            night.call(keeping_log)
        except ZeroDivisionError as error:
            found = str(error)
        assert alive(night.seen) == 0
    assert found == "division by zero"
    assert len(probe.failures) == 1


@pytest.fixture
def tiny(monkeypatch):
    tiny = mini.make(monkeypatch)
    tiny.seen = spy_on(tiny.zemosaic_utils)
    return tiny


def call_tiny(tiny, tiles_wcs, logger, hook=None, error=None):
    """A call of the miniature worker; weak references to what it was given and made."""
    tiles = [np.ones((4, 5, 3), np.float32) for _ in range(2)]
    tiny.seen.clear()
    try:
        mini.call(tiny, tiles, tiles_wcs, logger=logger, hook=hook)
    except BaseException as raised:
        assert isinstance(raised, error or ())
    tiny.calls.clear()
    return [weakref.ref(item) for item in (*tiles, tiles_wcs)] + tiny.seen


def test_while_the_caller_goes_on(tiny, keeping_log):
    """Verdict and files wait until it returns; but for both mosaics the pass has been let go of by then."""
    left = []

    def second_pass():
        left.append(alive(call_tiny(tiny, WeakList([None, None]), keeping_log)))

    with TwoPassProbe(tiny, delta_map=False, strict=True) as probe:
        tiny._apply_two_pass_coverage_renorm_if_requested(None, None, call=second_pass)
    assert left == [0]
    assert len(probe.reports) == 1


@pytest.mark.parametrize("stage", ["gains", "coadd"])
@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt, SystemExit])
def test_after_the_body_raised(stage, error, tiny, keeping_log):
    def hook(now):
        if now == stage:
            raise error

    with TwoPassProbe(tiny, delta_map=False, strict=True) as probe:
        references = call_tiny(tiny, WeakList([None, None]), keeping_log, hook, error)
        assert alive(references) == 0
        assert len(tiny.seen) == (12 if stage == "coadd" else 0)
    assert len(probe.reports) == (error in (ValueError, MemoryError))


def test_after_an_observer_raised(tiny, keeping_log, monkeypatch):
    """Out of the observer's frame, where the planes are."""

    def observe_planes(capture, planes):
        whole = [plane.base for plane in planes]
        raise ValueError(whole)

    monkeypatch.setattr("zemosaic_twopass.watch.capture.RunCapture.observe_planes", observe_planes)
    with TwoPassProbe(tiny, delta_map=False) as probe:
        references = call_tiny(tiny, WeakList([None, None]), keeping_log)
        assert alive(references) == 0
    assert len(probe.failures) == 1


def test_after_two_passes_that_share_a_list(tiny, keeping_log):
    shared = WeakList([None, None])
    barrier = threading.Barrier(2, timeout=60)
    references = [weakref.ref(shared)]

    def work(tiles_wcs):
        tiles = [np.ones((4, 5, 3), np.float32) for _ in range(2)]
        mini.call(tiny, tiles, tiles_wcs, logger=keeping_log, hook=lambda stage: barrier.wait())
        references.extend(map(weakref.ref, tiles))

    with TwoPassProbe(tiny, delta_map=False, strict=True) as probe:
        threads = [threading.Thread(target=work, args=(shared,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tiny.calls.clear()
        del shared
        references += tiny.seen
        assert len(references) == 1 + 4 + 24
        assert alive(references) == 0
    assert len(probe.reports) == 2
