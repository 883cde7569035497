"""One suite over every way of watching: nothing about the pipeline may differ."""

import contextlib
import inspect
import logging

import numpy as np
import pytest

import zemosaic_instrument
from helpers.logs import ListHandler, messages
from helpers.passes import SEAMS, digest, leave_out_pictures, load_copy, watched

KINDS = ["plain", "decorated_off", "decorated_on", "probed", "attached"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def plain():
    with pytest.MonkeyPatch.context() as patch, watched("plain", patch, None) as module:
        return module


@pytest.fixture(scope="module")
def bare(plain):
    """Gives what a call of the plain worker gives, and the random state after it; made once for each scene and call."""
    made = {}

    def bare_call(scene, call):
        key = scene.tiles[0].ndim, call
        if key not in made:
            digests = [digest(*getattr(scene, call)(plain)) for _ in range(2)]
            assert digests[0] == digests[1], "two bare runs differ: the comparison would prove nothing"
            made[key] = digests[0], np.random.get_state()[1:3]
        return made[key]

    return bare_call


@pytest.fixture(scope="module")
def lines_of_the_worker(plain, rgb_scene):
    logger = logging.Logger("bare", logging.DEBUG)
    logger.addHandler(ListHandler())
    rgb_scene.merged(plain, logger)
    return messages(logger)


def test_name_doc_and_signature(kind, plain, monkeypatch, tmp_path):
    with watched(kind, monkeypatch, tmp_path) as module:
        for name in SEAMS:
            original, seen = getattr(plain, name), getattr(module, name)
            assert seen.__name__ == original.__name__
            assert seen.__qualname__ == original.__qualname__
            assert seen.__doc__ == original.__doc__
            assert inspect.signature(seen) == inspect.signature(original)
            assert inspect.isfunction(seen)


@pytest.mark.parametrize("call", ["second_pass", "merged"])
def test_bytes_and_random_state(kind, call, bare, scene, monkeypatch, tmp_path, debug_log):
    given = scene.digest()
    expected, state = bare(scene, call)
    # Drawn where it is the whole way.
    if call == "second_pass":
        leave_out_pictures(monkeypatch)
    with watched(kind, monkeypatch, tmp_path) as module:
        result = getattr(scene, call)(module, debug_log)
    assert digest(*result) == expected
    after = np.random.get_state()[1:3]
    assert np.array_equal(after[0], state[0])
    assert after[1] == state[1]
    assert scene.digest() == given
    watching = kind not in ("plain", "decorated_off")
    assert bool(messages(debug_log, "[TwoPassTile]")) == watching
    assert (tmp_path / "twopass_delta_map.npy").exists() == watching


def test_own_lines_of_the_worker(kind, lines_of_the_worker, rgb_scene, no_pictures, monkeypatch, tmp_path, debug_log):
    with watched(kind, monkeypatch, tmp_path) as module:
        rgb_scene.merged(module, debug_log)
    assert [line for line in messages(debug_log) if line.startswith("[TwoPass] ")] == lines_of_the_worker
    assert len(lines_of_the_worker) > 5


def test_switch_off_is_the_plain_function(monkeypatch):
    def body():
        return None

    assert zemosaic_instrument.two_pass_diagnostics(body) is body
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "yes")
    assert zemosaic_instrument.two_pass_diagnostics(body) is not body
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "0")
    assert zemosaic_instrument.two_pass_diagnostics(body) is body


def test_worker_is_plain_with_the_switch_off(worker):
    assert type(worker.run_second_pass_coverage_renorm) is type(lambda: None)


@pytest.mark.parametrize("kind", ["probed", "attached"])
@pytest.mark.parametrize("failing", [False, True])
def test_leaving_restores_the_same_objects(kind, failing, monkeypatch, tmp_path):
    kept = {}
    real_init = zemosaic_instrument.TwoPassProbe.__init__

    def remember(self, module, **settings):
        kept.update(vars(module))
        real_init(self, module, **settings)

    monkeypatch.setattr(zemosaic_instrument.TwoPassProbe, "__init__", remember)
    leaving = pytest.raises(ZeroDivisionError) if failing else contextlib.nullcontext()
    with leaving, watched(kind, monkeypatch, tmp_path) as module:
        assert any(vars(module)[name] is not kept[name] for name in SEAMS)
        if failing:
            raise ZeroDivisionError
    assert all(vars(module)[name] is kept[name] for name in SEAMS)
    assert not any(owner == id(module) for owner, _ in zemosaic_instrument._patches)


def test_exception_of_the_body_is_its_own(kind, no_pictures, monkeypatch, tmp_path, rgb_scene):
    error = RuntimeError("from the body")

    class Broken:
        """A logger that fails at whatever is asked of it, ours and the body's own questions alike."""

        def __getattr__(self, name):
            raise error

    with watched(kind, monkeypatch, tmp_path, strict=False) as module:
        before = getattr(module, SEAMS[0])
        with pytest.raises(RuntimeError) as caught:
            rgb_scene.second_pass(module, Broken())
        assert caught.value is error
        assert [entry.name for entry in caught.traceback].count("__call__") == (kind in KINDS[2:])
        assert getattr(module, SEAMS[0]) is before


def test_decorated_function_gone_leaves_nothing(monkeypatch, tmp_path):
    module = load_copy("worker_for_decoration")
    kept = {name: vars(module)[name] for name in SEAMS}
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "1")
    monkeypatch.setattr(module, SEAMS[0], zemosaic_instrument.two_pass_diagnostics(kept[SEAMS[0]]))
    assert vars(module)[SEAMS[1]] is not kept[SEAMS[1]]
    monkeypatch.undo()
    assert {name: vars(module)[name] for name in SEAMS} == kept
    assert all(vars(module)[name] is kept[name] for name in SEAMS)
