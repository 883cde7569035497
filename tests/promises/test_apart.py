"""The thread in which files are made: what it knows, what comes back, and what an interrupt does to it."""

import os
import signal
import sys
import threading

import numpy as np
import pytest

from helpers import mini
from helpers.logs import messages
from helpers.passes import probe_of
from zemosaic_twopass.parallel import apart
from zemosaic_twopass.report.artefacts import ARTEFACTS, JSON_NAME

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_no_frame_below_is_the_callers():
    def frames():
        found, frame = [], sys._getframe()
        while frame is not None:
            found.append(frame.f_code.co_name)
            frame = frame.f_back
        return found

    assert "test_no_frame_below_is_the_callers" in frames()
    assert "test_no_frame_below_is_the_callers" not in apart(frames)


def test_results_errors_and_error_handling_pass():
    def divide(a, b):
        assert threading.current_thread() is not threading.main_thread()
        return np.float64(a) / b

    assert apart(divide, 1, 2) == 0.5
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        apart(divide, 1, 0)
    with np.errstate(divide="ignore"):
        assert apart(divide, 1, 0) == np.inf


def test_without_threads_it_is_done_here(monkeypatch):
    def refuse(*args):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", refuse)
    assert apart(threading.current_thread) is threading.current_thread()


@pytest.mark.skipif(os.name == "nt", reason="signals to a thread are POSIX")
def test_interrupt_while_files_are_written(request, tiny, tiles, tmp_path, monkeypatch, debug_log):
    """It passes, to the pipeline, at once; the files are whole all the same."""
    has, write = ARTEFACTS[JSON_NAME]
    go_on, done, writers = threading.Event(), threading.Event(), []
    # Tests that a shell runs in the background are begun with interrupts off.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def slow(report, path):
        writers.append(threading.current_thread())
        # A real one, delivered to the thread that waits.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert go_on.wait(60)
        write(report, path)
        done.set()

    monkeypatch.setitem(ARTEFACTS, JSON_NAME, (has, slow))
    with probe_of(tiny, directory=tmp_path) as probe:
        with pytest.raises(KeyboardInterrupt):
            mini.call(tiny, tiles, logger=debug_log)
        assert not (tmp_path / JSON_NAME).exists()
        go_on.set()
        assert done.wait(60)
        writers[0].join(60)
        assert (tmp_path / JSON_NAME).exists()
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        monkeypatch.setitem(ARTEFACTS, JSON_NAME, (has, write))
        mini.call(tiny, tiles, logger=debug_log)
    assert len(probe.reports) == 2
    assert messages(debug_log, level="WARNING") == []
