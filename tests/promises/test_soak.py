"""Many second passes in threads and in processes, while probes come and go.

Bounded by default; `make soak` runs the same with many more of them.
"""

import gc
import json
import logging
import multiprocessing
import sys
import threading
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import zemosaic_instrument
from helpers import mini
from helpers.bystander import differences, surroundings
from helpers.logs import ListHandler
from zemosaic_instrument import TwoPassProbe, attach, detach
from zemosaic_twopass import tile_statistics
from zemosaic_twopass.report import artefacts
from zemosaic_twopass.report.artefacts import JSON_NAME
from zemosaic_twopass.watch import hooks, run

THREADS = 4
GAINS = (1.0, 1.125)
SIZES = [pytest.param(25, id="short"), pytest.param(400, marks=pytest.mark.soak, id="long")]


def tiles_of(number):
    """Two tiles that no other pass has."""
    pattern = np.random.default_rng(number).uniform(0, 0.25, (2, 4, 5, 3))
    return list((number + pattern).astype(np.float32))


def wrong_passes(module, numbers, logger, shared=None):
    """Run passes, all on one WCS list or each on its own; those whose result is not to the bit what it should be."""
    wrong = []
    for number in numbers:
        # In the middle of the pass the others have their turn.
        result, _ = mini.call(module, tiles_of(number), shared, logger=logger, hook=lambda stage: time.sleep(0))
        corrected = [tile * np.float32(gain) for tile, gain in zip(tiles_of(number), GAINS, strict=True)]
        planes = [(sum(float(tile[..., channel].sum()) for tile in corrected), 2) for channel in range(3)]
        if result.tobytes() != np.array(planes).tobytes():
            wrong.append(number)
    return wrong


def check_own_tiles(report, observed=True):
    """The report is of one pass and of no other; gives its number."""
    number = int(report.tiles[0].pre.minimum[0])
    tiles = tiles_of(number)
    assert [record.pre for record in report.tiles] == [tile_statistics(tile) for tile in tiles]
    if observed:
        corrected = [tile * np.float32(gain) for tile, gain in zip(tiles, GAINS, strict=True)]
        assert [record.post for record in report.tiles] == [tile_statistics(tile) for tile in corrected]
        assert {record.post_source for record in report.tiles} == {"observed"}
    return number


def attached():
    """Identities of all that is watched; a decorated function of another test may still wait for the collector."""
    gc.collect()
    probes = [*hooks.open_probes, *run._running.values(), *zemosaic_instrument._attached.values()]
    return {*map(id, probes), *zemosaic_instrument._patches}


def nothing_is_attached(module, kept, before):
    return all(vars(module)[name] is value for name, value in kept.items()) and attached() <= before


def come_and_go(module, logger, ended):
    """Open and close probes, attach and detach, until told to stop and at least a few times; their reports."""
    reports, turn = [], 0
    while turn < 5 or not ended.is_set():
        turn += 1
        first, second = (TwoPassProbe(module, delta_map=False, logger=logger, strict=True) for _ in range(2))
        with first:
            probe = attach(module, delta_map=False, logger=logger)
            second.__enter__()
        detach(module)
        second.__exit__()
        reports += [*first.reports, *second.reports, *probe.reports]
    return reports


@pytest.fixture
def few_files(monkeypatch):
    """Only one file, which every report has: many passes, not many pages."""
    monkeypatch.setattr("zemosaic_twopass.report.artefacts.ARTEFACTS", {JSON_NAME: artefacts.ARTEFACTS[JSON_NAME]})


@pytest.fixture
def log():
    logger = logging.Logger("soak", logging.DEBUG)
    logger.addHandler(ListHandler())
    return logger


@pytest.fixture
def eager_threads():
    """Threads change over a hundred times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(before)


def run_threads(module, size, log):
    """Passes in threads, every second thread on a WCS list that it shares; what those saw that came and went."""
    ended, shared = threading.Event(), [None, None]
    with ThreadPoolExecutor(THREADS + 1) as pool:
        passing = [
            pool.submit(wrong_passes, module, range(t * size, (t + 1) * size), log, shared if t % 2 else None)
            for t in range(THREADS)
        ]
        visiting = pool.submit(come_and_go, module, log, ended)
        try:
            assert [future.result() for future in passing] == [[]] * THREADS
        finally:
            ended.set()
        return visiting.result()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("steady", [True, False], ids=["one stays", "none stays"])
def test_threads(steady, size, tiny, log, eager_threads, few_files):
    kept, watched = dict(vars(tiny)), attached()
    utilities = dict(vars(tiny.zemosaic_utils))
    # What earlier tests left to be collected may hold files open.
    gc.collect()
    before = surroundings()
    probe = TwoPassProbe(tiny, delta_map=False, strict=True)
    probe.reports = deque()
    if steady:
        with probe:
            visitors = run_threads(tiny, size, log)
        assert sorted(check_own_tiles(report) for report in probe.reports) == list(range(THREADS * size))
    else:
        visitors = run_threads(tiny, size, log)
    for report in visitors:
        # Where no probe stays, what was watched may be let go of in the middle of a pass.
        check_own_tiles(report, observed=steady)
    assert [text for level, text in log.handlers[0].messages if level == "WARNING"] == []
    assert nothing_is_attached(tiny, kept, watched)
    assert nothing_is_attached(tiny.zemosaic_utils, utilities, watched)
    changed = differences(before, surroundings())
    assert not changed, changed


def work(numbers, directory):
    """In a process of its own: passes in two threads, each pass with files of its own."""
    log = logging.Logger("soak", logging.DEBUG)
    log.addHandler(ListHandler())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(directory))
        # No pictures: matplotlib keeps the fonts open, a pair for each of the last threads that drew.
        kinds = {name: kind for name, kind in artefacts.ARTEFACTS.items() if not name.endswith(".png")}
        patch.setattr("zemosaic_twopass.report.artefacts.ARTEFACTS", kinds)
        tiny = mini.make(patch)
        kept, watched = dict(vars(tiny)), attached()
        with TwoPassProbe(tiny, delta_map=False, directory=directory / "first", strict=True):
            # What is imported late, and stays open, is there now.
            wrong_passes(tiny, [0], log)
        gc.collect()
        before = surroundings()
        attach(tiny, delta_map=False)
        with ThreadPoolExecutor(2) as pool:
            halves = [pool.submit(wrong_passes, tiny, numbers[half::2], log) for half in range(2)]
            wrong = [number for half in halves for number in half.result()]
        detach(tiny)
        changed = differences(before, surroundings())
        warnings = [text for level, text in log.handlers[0].messages if level == "WARNING"]
        return wrong, warnings, changed, nothing_is_attached(tiny, kept, watched)


@pytest.mark.parametrize("size", [pytest.param(6, id="short"), pytest.param(100, marks=pytest.mark.soak, id="long")])
def test_processes(size, tmp_path):
    spans = [range(start, start + size) for start in (0, size)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for outcome in pool.map(work, spans, [tmp_path] * 2):
            assert outcome == ([], [], "", True)
    texts = [path.read_text() for path in tmp_path.glob("runs/*/twopass_report.json")]
    minima = [json.loads(text)["tiles"][0]["pre"]["minimum"][0] for text in texts]
    assert sorted(map(int, minima)) == list(range(2 * size))
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
