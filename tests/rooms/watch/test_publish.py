"""What a probe writes, and the lines that say so."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from helpers import mini
from helpers.logs import messages
from helpers.reports import SEAMS, WITHOUT_MAP, make_report, names
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.report.artefacts import ARTEFACTS, MAP_NAME, PAGE_NAME, TABLE_NAME
from zemosaic_twopass.report.evidence_picture import EVIDENCE_PICTURE
from zemosaic_twopass.report.lines import log_lines


def test_log_lines_name_directory_and_page(tmp_path):
    report = make_report()
    paths = report.write(tmp_path / "a b")
    levels, (delta, *_, files, verdict) = zip(*log_lines(report, paths), strict=True)
    assert (levels[0], set(levels[1:-1])) == (logging.DEBUG, {logging.INFO})
    assert verdict == report.verdict_line()
    assert delta.startswith(f"[TwoPassDelta] wrote delta map: {tmp_path / 'a b' / MAP_NAME} shape=")
    assert files == f'[TwoPassReport] dir="{tmp_path}/a b" page="{tmp_path}/a b/{PAGE_NAME}" files=10'
    assert log_lines(report, paths[:1])[-2][1].endswith(" page=- files=1")
    assert not any("[TwoPassReport]" in line or "[TwoPassDelta]" in line for _, line in log_lines(report, ()))


@pytest.mark.parametrize(
    ("verdict", "level"),
    [("clean", "INFO"), ("residual", "INFO"), ("undetermined", "INFO"), ("pipeline_bug", "WARNING")],
)
def test_only_a_fault_of_the_pipeline_is_a_warning(verdict, level):
    assert logging.getLevelName(log_lines(replace(make_report(), verdict=verdict), ())[-1][0]) == level


def test_probe_says_where_the_files_are(tiny, tmp_path, tiles, debug_log):
    with TwoPassProbe(tiny, delta_map=False, directory=tmp_path, strict=True) as probe:
        mini.call(tiny, tiles, logger=debug_log, sigma_px=np.float64(7), gain_clip=(0.5, 2))
    assert names(tmp_path) == WITHOUT_MAP - {EVIDENCE_PICTURE} - SEAMS
    assert messages(debug_log)[-2] == f"[TwoPassReport] dir={tmp_path} page={tmp_path / PAGE_NAME} files=4"
    assert probe.reports[0].settings == {"sigma_px": 7.0, "gain_clip": [0.5, 2], "shape_out": [4, 4], "downsample": 8}


def test_probe_goes_on_when_a_file_fails(tiny, tmp_path, monkeypatch, tiles, debug_log):
    def fail(report, path):
        raise OSError(28, "No space left on device")

    for name in (PAGE_NAME, TABLE_NAME):
        monkeypatch.setitem(ARTEFACTS, name, (ARTEFACTS[name][0], fail))
    with TwoPassProbe(tiny, delta_map=False, directory=tmp_path) as probe:
        mini.call(tiny, tiles, logger=debug_log)
    (warning,) = messages(debug_log, level="WARNING")
    assert f"{tmp_path}: files not written: {TABLE_NAME}, {PAGE_NAME}: OSError: No space left on device" in warning
    lines = messages(debug_log)
    assert f"[TwoPassReport] dir={tmp_path} page=- files=2" in lines
    assert any(line.startswith("[TwoPassVerdict]") for line in lines)
    assert len(probe.reports) == len(probe.failures) == 1


def test_probe_gives_the_outlines_of_its_tiles(worker, rgb_scene, tmp_path):
    with TwoPassProbe(worker, directory=tmp_path, strict=True) as probe:
        rgb_scene.merged(worker)
    (report,) = probe.reports
    for wcs, tile, outline in zip(rgb_scene.wcs, rgb_scene.tiles, report.outlines, strict=True):
        x, y = wcs.world_to_pixel_values(*outline[16])
        assert (x, y) == pytest.approx((tile.shape[1] - 0.5, tile.shape[0] - 0.5), abs=1e-3)
    assert report.settings["sigma_px"] == 12
