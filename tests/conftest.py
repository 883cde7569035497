"""Fixtures that the tests share."""

import logging
import sys
import tempfile

import numpy as np
import pytest

from helpers import mini
from helpers.logs import ListHandler
from helpers.passes import Scene, leave_out_pictures, load_copy

# Helpers that compare: what differs is to be seen where it fails.
pytest.register_assert_rewrite("helpers.comparing", "helpers.untrusted", "helpers.watching")


@pytest.fixture(scope="session", params=[1, 3], ids=["mono", "rgb"])
def scene(request):
    return Scene.make(request.param)


@pytest.fixture(scope="session")
def rgb_scene():
    return Scene.make(3)


@pytest.fixture(scope="session", autouse=True)
def quiet_environment():
    """No switch of the developer's own shell reaches a test, or what a module makes for its tests."""
    with pytest.MonkeyPatch.context() as patch:
        for suffix in ("", "_DELTA_MAP", "_DOWNSAMPLE", "_DIR", "_WORKERS", "_KEEP"):
            patch.delenv("ZEMOSAIC_TWO_PASS_DEBUG" + suffix, raising=False)
        yield


@pytest.fixture(autouse=True)
def temporary_folder(monkeypatch, tmp_path_factory):
    """Files that go to the default folder go to one that pytest clears away."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.getbasetemp()))


@pytest.fixture
def no_pictures(monkeypatch):
    leave_out_pictures(monkeypatch)


@pytest.fixture
def tiny(monkeypatch):
    """A miniature worker, whose second pass takes no time."""
    return mini.make(monkeypatch)


@pytest.fixture
def tiles():
    """Three tiles for it."""
    rng = np.random.default_rng(5)
    return [rng.normal(100, 3, (4, 5, 3)).astype(np.float32) for _ in range(3)]


@pytest.fixture
def worker():
    """A fresh copy of our worker, the switch off."""
    yield load_copy("fresh_worker")
    del sys.modules["fresh_worker"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def odd_worker():
    yield load_copy("odd_worker")
    del sys.modules["odd_worker"]


@pytest.fixture
def debug_log():
    """A logger at DEBUG, and the list that its messages go to."""
    logger = logging.Logger("debug", logging.DEBUG)
    logger.addHandler(ListHandler())
    return logger
