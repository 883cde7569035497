"""The decorator, probes one in the other, attach and detach, and the switches: what is put where, and put back."""

import functools
import pickle
import types

import numpy as np
import pytest

import zemosaic_instrument
from helpers import mini
from helpers.logs import messages
from helpers.passes import load_copy, probe_of
from zemosaic_instrument import AttachError, TwoPassProbe, attach, detach
from zemosaic_twopass.settings import LOGGER_NAME, Settings, is_switched_on

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_two_probes(tiny, tiles, debug_log):
    kept = tiny.run_second_pass_coverage_renorm, tiny.zemosaic_utils.reproject_and_coadd_wrapper
    first, second = probe_of(tiny), probe_of(tiny)
    with first:
        with second:
            mini.call(tiny, tiles, logger=debug_log)
        mini.call(tiny, tiles, logger=debug_log)
        assert tiny.run_second_pass_coverage_renorm is not kept[0]
    assert (len(first.reports), len(second.reports)) == (2, 1)
    assert first.reports[0].tiles == second.reports[0].tiles
    assert first.reports[1].tiles[0].post_source == "observed"
    assert len(messages(debug_log, "[TwoPassTile]")) == 12, "one line a fact, however many probes"
    assert (tiny.run_second_pass_coverage_renorm, tiny.zemosaic_utils.reproject_and_coadd_wrapper) == kept
    assert tiny.run_second_pass_coverage_renorm is kept[0]


def test_closing_the_first_of_two_probes(tiny, tiles, debug_log):
    kept = tiny.run_second_pass_coverage_renorm
    first, second = probe_of(tiny), probe_of(tiny)
    first.__enter__()
    second.__enter__()
    first.__exit__()
    mini.call(tiny, tiles, logger=debug_log)
    assert (len(first.reports), len(second.reports)) == (0, 1)
    assert second.reports[0].tiles[1].post_source == "observed"
    second.__exit__()
    assert tiny.run_second_pass_coverage_renorm is kept


def test_probe_on_a_decorated_worker(monkeypatch, tiles, debug_log):
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "1")
    source = "from zemosaic_instrument import two_pass_diagnostics\n" + mini.WORKER.replace(
        "def run_second", "@two_pass_diagnostics\ndef run_second"
    )
    module = mini.make(monkeypatch, source)
    decorated = module.run_second_pass_coverage_renorm
    with probe_of(module) as probe:
        mini.call(module, tiles, logger=debug_log)
    assert len(probe.reports) == 1
    assert len(messages(debug_log, "[TwoPassTile]")) == 6
    assert module.run_second_pass_coverage_renorm is decorated
    mini.call(module, tiles, logger=debug_log)
    assert len(messages(debug_log, "[TwoPassTile]")) == 12
    assert len(probe.reports) == 1


def test_attach_is_idempotent_and_detach_a_no_op_twice(tiny, tiles):
    kept = dict(vars(tiny))
    detach(tiny)
    probe = attach(tiny, delta_map=False)
    assert attach(tiny, delta_map=True) is probe
    mini.call(tiny, tiles)
    assert len(probe.reports) == 1
    detach(tiny)
    detach(tiny)
    assert all(vars(tiny)[name] is value for name, value in kept.items())
    mini.call(tiny, tiles)
    assert len(probe.reports) == 1


def test_attach_to_a_module_without_the_function():
    with pytest.raises(AttachError, match="zemosaic_old has no run_second_pass_coverage_renorm"):
        attach(types.ModuleType("zemosaic_old"))
    with pytest.raises(AttachError, match="has no run_second_pass"), TwoPassProbe(types.SimpleNamespace()):
        pass


def test_hooks_that_come_later_are_seen(monkeypatch, tiles, debug_log):
    module = mini.make(monkeypatch)
    gains = module.compute_per_tile_gains_from_coverage
    del module.compute_per_tile_gains_from_coverage
    with probe_of(module) as probe:
        module.compute_per_tile_gains_from_coverage = gains
        mini.call(module, tiles, logger=debug_log)
        assert module.compute_per_tile_gains_from_coverage is not gains
    assert probe.reports[0].tiles[1].gain == 1.125
    assert module.compute_per_tile_gains_from_coverage is gains


def test_wrapped_over_by_somebody_else(tiny, tiles, debug_log):
    import functools

    inner = tiny.run_second_pass_coverage_renorm
    probe = probe_of(tiny)
    with probe:
        ours = tiny.run_second_pass_coverage_renorm

        @functools.wraps(ours)
        def theirs(*args, **kwargs):
            return ours(*args, **kwargs)

        tiny.run_second_pass_coverage_renorm = theirs
        mini.call(tiny, tiles, logger=debug_log)
    assert len(probe.reports) == 1
    assert tiny.run_second_pass_coverage_renorm is theirs
    mini.call(tiny, tiles)
    assert len(probe.reports) == 1
    assert ours.__wrapped__ is inner


def test_something_of_the_users_in_its_place(tiny, tiles, debug_log, monkeypatch):
    """A stopwatch, say: the gains and planes are seen as before if it hands names on; if not, one line says why."""
    kept = tiny.run_second_pass_coverage_renorm
    names = ("tiles", "tiles_wcs", "final_wcs_p1", "coverage_p1", "shape_out")
    arguments = (tiles, [None] * len(tiles), None, np.ones((4, 4)), (4, 4))
    monkeypatch.setattr(tiny, kept.__name__, lambda *args, **kwargs: kept(*args, **kwargs))
    with probe_of(tiny, strict=False) as probe:
        tiny.run_second_pass_coverage_renorm(**dict(zip(names, arguments, strict=True)), logger=debug_log)
        assert [record.post_source for record in probe.reports[0].tiles] == ["observed"] * len(tiles)
        assert not probe.failures
        result, _ = tiny.run_second_pass_coverage_renorm(*arguments, logger=debug_log)
    assert len(result) == 3
    (failure,) = probe.failures
    assert "<lambda>" in failure
    assert "gives its arguments no names" in failure
    monkeypatch.setattr(tiny, kept.__name__, functools.wraps(kept)(lambda *args, **kwargs: kept(*args, **kwargs)))
    with probe_of(tiny) as probe:
        mini.call(tiny, tiles, logger=debug_log)
    assert probe.reports[0].tiles[0].post_source == "observed"


def test_watched_function_pickles_by_name(worker):
    with probe_of(worker):
        watched = worker.run_second_pass_coverage_renorm
        assert pickle.loads(pickle.dumps(watched)) is watched


def test_bad_downsample():
    with pytest.raises(ValueError, match="downsample 0 < 1"):
        TwoPassProbe(types.ModuleType("x"), downsample=0)


def test_settings(monkeypatch, tmp_path):
    assert not is_switched_on()
    for text, expected in [("1", True), ("TRUE", True), ("Yes ", True), ("on", True), ("off", False), ("", False)]:
        monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", text)
        assert is_switched_on() is expected
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DOWNSAMPLE", "4")
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(tmp_path))
    found = Settings.from_environment()
    assert (found.delta_map, found.downsample, found.directory) == (False, 4, tmp_path)


@pytest.mark.parametrize(
    ("name", "text"), [("", "perhaps"), ("_DELTA_MAP", "2"), ("_DOWNSAMPLE", "0"), ("_DOWNSAMPLE", "eight")]
)
def test_unreadable_setting_is_named_once(monkeypatch, caplog, name, text):
    monkeypatch.setattr("zemosaic_twopass.settings._complained", set())
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG" + name, text)
    with caplog.at_level("WARNING", LOGGER_NAME):
        settings = [(Settings.from_environment(), is_switched_on()) for _ in range(3)]
    assert settings[0][0].downsample == 8
    assert not settings[0][1]
    (record,) = caplog.records
    assert f"ZEMOSAIC_TWO_PASS_DEBUG{name}={text} " in record.getMessage()


def test_worker_imported_later_is_attached(monkeypatch):
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "1")
    tiny = mini.make(monkeypatch)
    zemosaic_instrument.attach_on_import(tiny)
    assert attach(tiny).delta_map is False
    detach(tiny)
    zemosaic_instrument.attach_on_import(types.ModuleType("half_imported"))
    decorated = load_copy("decorated_worker")
    before = decorated.run_second_pass_coverage_renorm
    zemosaic_instrument.attach_on_import(decorated)
    assert decorated.run_second_pass_coverage_renorm is before


def fail(*args):
    raise ValueError("ours")


@pytest.mark.parametrize("spoilt", ["description_of", "home_of", "hooks_of"])
def test_a_fault_of_ours_on_entering_is_one_warning(spoilt, tiny, tiles, debug_log, monkeypatch):
    """The program runs on unwatched, and can be attached to once the fault is gone."""
    kept = tiny.run_second_pass_coverage_renorm
    with monkeypatch.context() as patch:
        patch.setattr(f"zemosaic_twopass.watch.hooks.{spoilt}", fail)
        with TwoPassProbe(tiny, delta_map=False, logger=debug_log) as probe:
            mini.call(tiny, tiles, logger=debug_log)
        assert not probe.watching
        assert len(probe.reports) == 0
        (warning,) = messages(debug_log, level="WARNING")
        assert warning == "[TwoPassProbe] diagnostics failed: ValueError: ours"
        unwatched = attach(tiny, delta_map=False, logger=debug_log)
        assert not unwatched.watching
        assert tiny.run_second_pass_coverage_renorm is kept
        with pytest.raises(ValueError, match="ours"):
            probe_of(tiny).__enter__()
        with pytest.raises(ValueError, match="ours"):
            attach(tiny, strict=True)
    assert attach(tiny, delta_map=False, logger=debug_log).watching
    detach(tiny)
    assert tiny.run_second_pass_coverage_renorm is kept


def test_a_function_without_a_signature_does_not_stop_the_program(tiny, tiles, debug_log):
    """As one that lies about it: `inspect.signature` raises."""
    tiny.run_second_pass_coverage_renorm.__signature__ = "none"
    with TwoPassProbe(tiny, delta_map=False, logger=debug_log) as probe:
        mini.call(tiny, tiles)
    assert not probe.watching
    assert len(messages(debug_log, "[TwoPassProbe] diagnostics failed: ", level="WARNING")) == 1
