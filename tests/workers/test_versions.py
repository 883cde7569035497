"""Every signature that the second pass has had, attached to from outside."""

import sys
import types

import numpy as np
import pytest

from helpers import old_workers
from helpers.passes import digest
from zemosaic_instrument import TwoPassProbe, attach, detach
from zemosaic_twopass import tile_statistics
from zemosaic_twopass.synthetic.sky import synthetic_tiles

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]

NAMES = ("run_second_pass_coverage_renorm", "compute_per_tile_gains_from_coverage")
GAINS = (1.0, 1.125, 1.25, 1.375)


def load(monkeypatch, version, threaded=False, names=("zemosaic_worker",)):
    """The miniature worker of a version under one or more names, with one utilities module between them."""
    utilities = types.ModuleType("zemosaic_utils")
    exec(old_workers.UTILITIES, vars(utilities))
    monkeypatch.setitem(sys.modules, "zemosaic_utils", utilities)
    modules = []
    for name in names:
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(old_workers.source(version, threaded), name, "exec"), vars(module))
        modules.append(module)
    return modules


@pytest.fixture(scope="module")
def masters():
    return synthetic_tiles(rows=2, columns=2, shape=(40, 50))


def call(module, masters, channels=3, logger=None, gpu=False):
    tiles = [m.pixels if channels == 3 else np.ascontiguousarray(m.pixels[..., 0]) for m in masters]
    extra = {"use_gpu_two_pass": True} if gpu else {}
    return module.run_second_pass_coverage_renorm(
        tiles,
        [m.wcs for m in masters],
        masters[0].wcs,
        np.ones((40, 50), np.float32),
        (40, 50),
        sigma_px=5,
        gain_clip=(0.5, 2.0),
        logger=logger,
        **extra,
    )


@pytest.mark.parametrize("version", old_workers.SIGNATURES)
@pytest.mark.parametrize("threaded", [False, True], ids=["serial", "threads"])
@pytest.mark.parametrize("channels", [1, 3], ids=["mono", "rgb"])
def test_observed_and_left_as_it_was(monkeypatch, masters, debug_log, tmp_path, version, threaded, channels):
    (module,) = load(monkeypatch, version, threaded)
    kept = {name: vars(module)[name] for name in NAMES}
    coadd = module.zemosaic_utils.reproject_and_coadd_wrapper
    bare = digest(*call(module, masters, channels))
    with TwoPassProbe(module, directory=tmp_path, downsample=4, strict=True) as probe:
        assert digest(*call(module, masters, channels, debug_log)) == bare
    (report,) = probe.reports
    for record, master, gain in zip(report.tiles, masters, GAINS, strict=True):
        data = master.pixels if channels == 3 else master.pixels[..., 0]
        assert record.gain == gain
        assert record.post_source == "observed"
        assert record.post == tile_statistics(data * np.float32(gain))
    assert report.delta.reference == "tiles"
    assert (tmp_path / "twopass_delta_map.npy").exists()
    assert all(vars(module)[name] is value for name, value in kept.items())
    assert module.zemosaic_utils.reproject_and_coadd_wrapper is coadd


@pytest.mark.parametrize("version", old_workers.SIGNATURES)
def test_what_is_said_on_attaching(monkeypatch, caplog, version):
    (module,) = load(monkeypatch, version)
    with caplog.at_level("INFO", "ZeMosaicWorker"):
        attach(module)
        detach(module)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"[TwoPassProbe] attached to zemosaic_worker since={version[:10]} ")
    sees = "gains,corrected_tiles" if version in old_workers.WITHOUT_CALLER else "gains,corrected_tiles,first_pass"
    missing = "first_pass" if version in old_workers.WITHOUT_CALLER else "-"
    assert f" sees={sees} missing={missing} file=" in line


def test_first_pass_from_the_caller(monkeypatch, masters, debug_log, tmp_path):
    (module,) = load(monkeypatch, "2025-12-23", threaded=True)
    mosaic = masters[0].pixels
    with TwoPassProbe(module, directory=tmp_path, downsample=4, strict=True) as probe:
        module._apply_two_pass_coverage_renorm_if_requested(
            mosaic,
            np.ones((40, 50), np.float32),
            two_pass_enabled=True,
            two_pass_sigma_px=5,
            gain_clip_tuple=(0.5, 2.0),
            final_output_wcs=masters[0].wcs,
            final_output_shape_hw=(40, 50),
            logger=debug_log,
            collected_tiles=[(m.pixels, m.wcs) for m in masters],
        )
    (report,) = probe.reports
    assert report.delta.reference == "first_pass"
    assert report.before.tile_medians[0] == pytest.approx(0, abs=1e-6)
    assert {tile.post_source for tile in report.tiles} == {"observed"}
    assert report.tiles[2].post == tile_statistics(masters[2].pixels * np.float32(1.25))


def test_channels_that_are_tried_twice(monkeypatch, masters, debug_log):
    """The graphics card fails and every channel comes again: keyed by channel, nothing is counted twice."""
    (module,) = load(monkeypatch, "2025-11-20")
    with TwoPassProbe(module, delta_map=False, strict=True) as probe:
        call(module, masters, logger=debug_log, gpu=True)
    assert [tile.post_source for tile in probe.reports[0].tiles] == ["observed"] * 4
    assert probe.reports[0].tiles[3].post == tile_statistics(masters[3].pixels * np.float32(1.375))


def test_two_names_and_one_utilities_module(monkeypatch, masters, debug_log):
    first, second = load(monkeypatch, "2025-12-23", names=("zemosaic_worker", "zemosaic.zemosaic_worker"))
    assert first.zemosaic_utils is second.zemosaic_utils
    coadd = first.zemosaic_utils.reproject_and_coadd_wrapper
    probes = [attach(module, delta_map=False, strict=True) for module in (first, second)]
    call(first, masters, logger=debug_log)
    detach(first)
    assert first.zemosaic_utils.reproject_and_coadd_wrapper is not coadd, "the other one still needs it"
    call(second, masters, logger=debug_log)
    call(first, masters, logger=debug_log)
    detach(second)
    assert [len(probe.reports) for probe in probes] == [1, 1]
    assert all(tile.post_source == "observed" for probe in probes for tile in probe.reports[0].tiles)
    assert first.zemosaic_utils.reproject_and_coadd_wrapper is coadd


def test_worker_without_gains_or_utilities(monkeypatch, masters, debug_log, caplog):
    """What can be observed still is: here nothing but the call itself."""
    module = types.ModuleType("zemosaic_worker")
    module.run_second_pass_coverage_renorm = lambda tiles, tiles_wcs, *args, **kwargs: (tiles[0], None)
    with caplog.at_level("INFO"), TwoPassProbe(module, delta_map=False, strict=True) as probe:
        module.run_second_pass_coverage_renorm([masters[0].pixels], [masters[0].wcs], logger=debug_log)
    assert "sees=- missing=gains,corrected_tiles,first_pass" in caplog.text
    (tile,) = probe.reports[0].tiles
    assert tile.pre == tile_statistics(masters[0].pixels)
    assert np.isnan(tile.gain)
    assert tile.post_source == "derived"


def reload(module, version="2025-12-23"):
    exec(old_workers.source(version), vars(module))


@pytest.mark.parametrize("replace", [reload, lambda m: setattr(m, NAMES[0], lambda *args, **kwargs: "other")])
def test_replaced_at_run_time(monkeypatch, masters, debug_log, caplog, replace):
    (module,) = load(monkeypatch, "2025-12-23")
    probe = attach(module, delta_map=False, strict=True)
    call(module, masters, logger=debug_log)
    replace(module)
    theirs = vars(module)[NAMES[0]]
    caplog.clear()
    for _ in range(3):
        call(module, masters)
        module.zemosaic_utils.reproject_and_coadd_wrapper([np.ones((2, 2))], [None], (2, 2))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        f"[TwoPassProbe] {NAMES[0]} of zemosaic_worker was replaced and is not watched any more: attach again"
    ]
    assert len(probe.reports) == 1
    detach(module)
    assert vars(module)[NAMES[0]] is theirs


def test_attach_again_after_a_reload(monkeypatch, masters, debug_log):
    (module,) = load(monkeypatch, "2025-12-23")
    attach(module, delta_map=False)
    reload(module)
    detach(module)
    kept = {name: vars(module)[name] for name in NAMES}
    probe = attach(module, delta_map=False, strict=True)
    call(module, masters, logger=debug_log)
    assert probe.reports[0].tiles[1].post_source == "observed"
    detach(module)
    assert all(vars(module)[name] is value for name, value in kept.items())


def test_reload_of_the_inner_functions_only(monkeypatch, masters, debug_log):
    (module,) = load(monkeypatch, "2025-12-23")
    with TwoPassProbe(module, delta_map=False, strict=True) as probe:
        fresh = lambda tiles, tiles_wcs, *args, **kwargs: [2.0] * len(tiles)  # noqa: E731
        module.compute_per_tile_gains_from_coverage = fresh
        call(module, masters, logger=debug_log)
    assert [tile.gain for tile in probe.reports[0].tiles] == [2.0] * 4
    assert module.compute_per_tile_gains_from_coverage is fresh


def test_inner_function_replaced_under_two_probes(monkeypatch, masters, debug_log):
    (module,) = load(monkeypatch, "2025-12-23")

    def fresh(tiles, tiles_wcs, *args, **kwargs):
        return [2.0] * len(tiles)

    with (
        TwoPassProbe(module, delta_map=False, strict=True) as first,
        TwoPassProbe(module, delta_map=False, strict=True) as second,
    ):
        module.compute_per_tile_gains_from_coverage = fresh
        call(module, masters, logger=debug_log)
        assert module.compute_per_tile_gains_from_coverage is not fresh
    assert [probe.reports[0].tiles[3].gain for probe in (first, second)] == [2.0, 2.0]
    assert module.compute_per_tile_gains_from_coverage is fresh
