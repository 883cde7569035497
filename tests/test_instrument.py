"""The decorator, the probe, attach and detach: what is seen, and what happens when something fails."""

import logging
import pickle
import threading
import types

import mini
import numpy as np
import pytest
from conftest import ListHandler, load_copy, messages

import zemosaic_instrument
from zemosaic_instrument import AttachError, TwoPassProbe, attach, detach
from zemosaic_twopass import tile_statistics
from zemosaic_twopass.artefacts import ARTEFACTS
from zemosaic_twopass.capture import RunCapture
from zemosaic_twopass.pictures import MAP_PICTURE, TILES_PICTURE
from zemosaic_twopass.run import Run
from zemosaic_twopass.settings import LOGGER_NAME, Settings, switched_on


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """They take a second each and are not the subject here."""
    for name in (MAP_PICTURE, TILES_PICTURE):
        monkeypatch.setitem(ARTEFACTS, name, (lambda report: False, None))


@pytest.fixture
def tiny(monkeypatch):
    return mini.make(monkeypatch)


@pytest.fixture
def tiles():
    rng = np.random.default_rng(5)
    return [rng.normal(100, 3, (4, 5, 3)).astype(np.float32) for _ in range(3)]


def probe_of(module, **settings):
    return TwoPassProbe(module, **{"delta_map": False, "strict": True, **settings})


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
    assert messages(debug_log)[-1].startswith("[TwoPassVerdict] undetermined tiles=3 findings=0 worst_idx=- ")


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
    monkeypatch.setattr("zemosaic_twopass.run.tile_statistics", called.append)
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
    assert count == 9
    assert len(handler.messages) == count
    assert len(messages(debug_log)) == 17


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
    monkeypatch.setattr("zemosaic_twopass.capture.RunCapture.observe_gains", lambda *a: 1 / 0)
    monkeypatch.setattr("zemosaic_twopass.capture.RunCapture.observe_planes", lambda *a: 1 / 0)
    bare = mini.call(tiny, tiles)
    with probe_of(tiny, strict=False) as probe:
        result = mini.call(tiny, tiles, logger=debug_log)
    assert np.array_equal(result[0], bare[0])
    (warning,) = messages(debug_log, level="WARNING")
    assert "ZeroDivisionError: division by zero\nTraceback" in warning
    assert len(probe.failures) == 1
    with probe_of(tiny) as probe, pytest.raises(ZeroDivisionError):
        mini.call(tiny, tiles)


def test_warnings_as_errors_do_not_get_out(tiny, debug_log):
    # pytest turns every warning into an error here; all-NaN and empty tiles must not cause one.
    strange = [np.full((4, 5, 3), np.nan, np.float32), np.zeros((0, 5, 3), np.float32)]
    with probe_of(tiny) as probe:
        mini.call(tiny, strange, logger=debug_log)
    assert [tile.post.valid_fraction for tile in probe.reports[0].tiles] == [0, 0]


def test_first_pass_and_strangers_are_told_apart(tiny, tiles, debug_log):
    utilities = tiny.zemosaic_utils
    other = [tile[..., 0] * 1000 for tile in tiles]

    def intrude(stage):
        utilities.reproject_and_coadd_wrapper(other, [None] * 3, (4, 4))
        utilities.reproject_and_coadd_wrapper(data_list=other, wcs_list=tuple([None] * 3), shape_out=(4, 4))

    with probe_of(tiny) as probe:
        utilities.reproject_and_coadd_wrapper(other, [None] * 3, (4, 4))
        mini.call(tiny, tiles, logger=debug_log, hook=intrude)
    assert [tile.post for tile in probe.reports[0].tiles] == [
        tile_statistics(tile * gain) for tile, gain in zip(tiles, (1.0, 1.125, 1.25), strict=True)
    ]


@pytest.mark.parametrize("shared", [True, False], ids=["one list", "two lists"])
def test_two_runs_at_the_same_time(tiny, debug_log, shared):
    """Each inner call must find its own run, even where both carry the same WCS list."""
    one = [None, None]
    barrier = threading.Barrier(2, timeout=20)
    sets = [[np.full((4, 5), 10.0 * (k + 1), np.float32)] * 2 for k in range(2)]
    with probe_of(tiny) as probe:
        threads = [
            threading.Thread(
                target=mini.call,
                args=(tiny, tiles, one if shared else [None, None]),
                kwargs={"logger": debug_log, "hook": lambda stage: barrier.wait()},
            )
            for tiles in sets
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(probe.reports) == 2
    assert {r.tiles[1].pre.median[0]: r.tiles[1].post.median[0] for r in probe.reports} == {10: 11.25, 20: 22.5}
    assert {tile.post_source for report in probe.reports for tile in report.tiles} == {"observed"}


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


def test_seams_that_come_later_are_seen(monkeypatch, tiles, debug_log):
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


def test_reports_are_bounded(tiny, tiles):
    with probe_of(tiny) as probe:
        for _ in range(20):
            mini.call(tiny, tiles)
    assert len(probe.reports) == 16


def test_watched_function_pickles_by_name(worker):
    with probe_of(worker):
        watched = worker.run_second_pass_coverage_renorm
        assert pickle.loads(pickle.dumps(watched)) is watched


def test_bad_downsample():
    with pytest.raises(ValueError, match="downsample 0 < 1"):
        TwoPassProbe(types.ModuleType("x"), downsample=0)


def test_reference_is_the_callers_mosaic_else_the_tiles(worker, rgb_scene, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("zemosaic_twopass.delta.CoarseGrid.average", lambda grid, mosaic: seen.append(mosaic) or 1 / 0)
    with TwoPassProbe(worker, directory=tmp_path) as probe:
        rgb_scene.merged(worker)
        assert seen[0] is rgb_scene.first[0]
        rgb_scene.second_pass(worker)
    assert len(seen) == 1
    assert probe.reports[-1].delta.reference == "tiles"
    assert (tmp_path / "twopass_delta_map.npy").exists()


def test_threaded_channels_are_observed(worker, rgb_scene, debug_log):
    _, coverage, wcs, shape = rgb_scene.first
    with probe_of(worker) as probe:
        worker.run_second_pass_coverage_renorm(
            rgb_scene.tiles,
            rgb_scene.wcs,
            wcs,
            coverage,
            shape,
            sigma_px=5,
            gain_clip=(0.5, 2),
            logger=debug_log,
            parallel_plan={"cpu_workers": 3},
        )
    assert {tile.post_source for tile in probe.reports[0].tiles} == {"observed"}


def test_settings(monkeypatch, tmp_path):
    assert not switched_on()
    for text, expected in [("1", True), ("TRUE", True), ("Yes ", True), ("on", True), ("off", False), ("", False)]:
        monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", text)
        assert switched_on() is expected
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
        settings = [(Settings.from_environment(), switched_on()) for _ in range(3)]
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


def test_run_is_empty_after_the_call(tiny, tiles, monkeypatch):
    kept = []
    opened = Run.opened

    def keep(*args):
        kept.append(opened(*args))
        return kept[-1]

    monkeypatch.setattr(Run, "opened", keep)
    with probe_of(tiny):
        mini.call(tiny, tiles)
    (run,) = kept
    assert vars(run.capture) == vars(RunCapture({}))


def test_corrected_tile_is_the_coadds_own_array():
    tile = np.ones((3, 4, 3), np.float32)
    whole = tile * 2
    capture = RunCapture({"tiles": [tile, tile[..., 0], tile]})
    for channel in (2, 0, 1):
        planes = [whole[..., channel], whole[..., 1].copy(), np.moveaxis(whole, 2, 0)[channel].copy()]
        capture.observe_planes(planes)
    assert capture.corrected(0)[0] is whole
    assert capture.corrected(1)[1] == "observed"
    assert capture.corrected(2)[1] == "derived", "copies of planes do not say which channel they are"
    apart = RunCapture({"tiles": [tile]})
    two = whole.copy()
    for channel, source in enumerate((whole, two, whole)):
        apart.observe_planes([source[..., channel]])
    found, source = apart.corrected(0)
    assert source == "observed"
    assert found is not whole
    np.testing.assert_array_equal(found, whole)
