"""How many threads the diagnostics may use."""

import os
import threading

import pytest

from zemosaic_twopass import settings
from zemosaic_twopass.parallel import threads


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
