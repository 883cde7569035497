"""Names of tiles and folders from the application around a second pass: by identity, never by position."""

import copy
import gc
import json
import sys
import types
import weakref

import numpy as np
import pytest
from astropy.wcs import WCS

from helpers.bystander import failing, functions_of
from helpers.logs import messages
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.report.artefacts import JSON_NAME, PAGE_NAME
from zemosaic_twopass.watch import hooks, host

pytestmark = pytest.mark.usefixtures("no_pictures")

# What an application is around its second pass, by what is known of it; `arrange` is the test's own.
WORKER = """
import copy

import numpy as np

def compute_per_tile_gains_from_coverage(tiles, tiles_wcs, final_wcs, coverage_p1, *, sigma_px, gain_clip):
    return [1.0] * len(tiles)

def run_second_pass_coverage_renorm(
    tiles, tiles_wcs, final_wcs_p1, coverage_p1, shape_out, *, sigma_px=1, gain_clip=(0.5, 2), logger=None
):
    compute_per_tile_gains_from_coverage(tiles, tiles_wcs, None, None, sigma_px=1, gain_clip=gain_clip)
    return np.zeros((*shape_out, 1), np.float32), np.ones(shape_out, np.float32)

def assemble_final_mosaic_reproject_coadd(master_tile_fits_with_wcs_list, shape_out, *, collect_tile_data=None):
    collect_tile_data[:] = arrange([(np.ones((6, 8), np.float32), wcs) for _, wcs in master_tile_fits_with_wcs_list])
    return "mosaic"

def _load_master_tiles_for_two_pass(master_tile_fits_with_wcs_list, *, crop):
    loaded = arrange([(np.ones((6, 8), np.float32), wcs) for _, wcs in master_tile_fits_with_wcs_list])
    return [entry[0] for entry in loaded], [entry[1] for entry in loaded], [None for _ in loaded]

def run_hierarchical_mosaic(input_folder, output_folder, listed, logger=None, incremental=False):
    if incremental:
        tiles, tiles_wcs, _ = _load_master_tiles_for_two_pass(listed, crop=True)
    else:
        collected = []
        assemble_final_mosaic_reproject_coadd(listed, (6, 8), collect_tile_data=collected)
        tiles, tiles_wcs = [entry[0] for entry in collected], [entry[1] for entry in collected]
    return run_second_pass_coverage_renorm(tiles, tiles_wcs, None, None, (6, 8), logger=logger)
"""


def tangent(index):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cd = (10 + index / 8, 40), (4, 3), [[-0.001, 0], [0, 0.001]]
    return wcs


def listed(count=3):
    return [(f"/night/tiles/master tile_{index:03d}.fits", tangent(index)) for index in range(count)]


@pytest.fixture
def application(monkeypatch):
    module = types.ModuleType("zemosaic_worker")
    module.arrange = list
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(WORKER, vars(module))
    return module


def run(application, tiles, logger, probe=None, **kwargs):
    """Names in the report of a run."""
    with probe or TwoPassProbe(application, delta_map=False, strict=True) as probe:
        application.run_hierarchical_mosaic("/night/lights/", "/night/out", tiles, logger, **kwargs)
    assert not probe.failures
    return [tile.name for tile in probe.reports[-1].tiles]


WAYS = pytest.mark.parametrize("incremental", [False, True], ids=["assembly", "loader"])


@WAYS
@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (list, "012"),
        (lambda tiles: tiles[::-1], "210"),
        (lambda tiles: tiles[1:], "12"),
        (lambda tiles: tiles[::2], "02"),
    ],
    ids=["as listed", "reversed", "first skipped", "second skipped"],
)
def test_order_does_not_matter(application, debug_log, arrange, expected, incremental):
    application.arrange = arrange
    names = run(application, listed(), debug_log, incremental=incremental)
    assert names == [f"master tile_00{digit}.fits" for digit in expected]


@WAYS
def test_shallow_copies_are_known_by_what_they_share(application, debug_log, incremental):
    """Also of two that are equal: nothing but identity tells them apart."""
    application.arrange = lambda tiles: [(pixels, copy.copy(wcs)) for pixels, wcs in reversed(tiles)]
    tiles = [("a.fits", tangent(0)), ("b.fits", tangent(0))]
    assert run(application, tiles, debug_log, incremental=incremental) == ["b.fits", "a.fits"]


def cropped(tiles):
    found = []
    for pixels, wcs in tiles:
        own = copy.deepcopy(wcs)
        own.wcs.crpix -= 1
        found.append((pixels[1:-1, 1:-1], own))
    return found


def test_cropped_copies_are_known_by_their_solution(application, debug_log):
    application.arrange = lambda tiles: cropped(tiles)[::-1]
    names = run(application, listed(), debug_log, incremental=True)
    assert names == [f"master tile_00{index}.fits" for index in (2, 1, 0)]


@pytest.mark.parametrize("written", ["crval", "cd", "ctype"])
def test_a_copy_with_another_solution_is_not_known(application, debug_log, written):
    def arrange(tiles):
        tiles = cropped(tiles)
        inner = tiles[1][1].wcs
        changed = {"crval": (10.125001, 40), "cd": inner.cd * 1.001, "ctype": ("RA---SIN", "DEC--SIN")}
        setattr(inner, written, changed[written])
        return tiles

    application.arrange = arrange
    names = run(application, listed(), debug_log, incremental=True)
    assert names == ["master tile_000.fits", None, "master tile_002.fits"]


def test_two_with_one_solution_are_not_told_apart(application, debug_log):
    application.arrange = cropped
    tiles = [("a.fits", tangent(0)), ("b.fits", tangent(1)), ("c.fits", tangent(0))]
    assert run(application, tiles, debug_log, incremental=True) == [None, "b.fits", None]
    lines = messages(debug_log, "[TwoPassTile]")
    assert [line.split()[3] for line in lines if "pre_gain" in line] == ["id=-", "id=b.fits", "id=-"]


@WAYS
def test_one_object_under_two_paths_has_no_name(application, debug_log, incremental):
    wcs = tangent(0)
    assert run(application, [("a.fits", wcs), ("b.fits", wcs)], debug_log, incremental=incremental) == [None, None]


def test_the_latest_list_counts(application, debug_log):
    wcs = tangent(0)
    assert run(application, [("a.fits", wcs)], debug_log) == ["a.fits"]
    assert run(application, [("b.fits", wcs)], debug_log) == ["b.fits"]
    assert run(application, [(None, wcs)], debug_log) == [None]


def test_names_that_are_given_stand(application, debug_log):
    probe = TwoPassProbe(application, delta_map=False, strict=True, names=["x", "y", "z"])
    assert run(application, listed(), debug_log, probe) == ["x", "y", "z"]
    # One that is not meant for so many tiles does not.
    probe = TwoPassProbe(application, delta_map=False, strict=True, names=["x", "y"])
    assert run(application, listed(1), debug_log, probe) == ["master tile_000.fits"]


def test_lines_table_page_and_json(application, debug_log, tmp_path):
    probe = TwoPassProbe(application, delta_map=False, strict=True, directory=tmp_path)
    run(application, listed(), debug_log, probe)
    (report,) = probe.reports
    lines = messages(debug_log, "[TwoPassTile]")
    assert lines[2].startswith('[TwoPassTile] pre_gain idx=1 id="master tile_001.fits" gain=1 ')
    assert list(report.to_table()["id"]) == [f"master tile_00{index}.fits" for index in range(3)]
    found = json.loads((tmp_path / JSON_NAME).read_text())
    assert found["run"] == report.run == {"input": "lights", "output": "out"}
    assert found["tiles"][2]["name"] == "master tile_002.fits"
    page = (tmp_path / PAGE_NAME).read_text()
    assert "run: input lights, output out</p>" in page
    for file in tmp_path.iterdir():
        assert b"/night" not in file.read_bytes(), "reports are sent to others"


def test_run_is_over_when_it_has_ended(application, debug_log):
    tiles = listed()
    run(application, tiles, debug_log)
    with TwoPassProbe(application, delta_map=False, strict=True) as probe:
        application.run_second_pass_coverage_renorm(
            [np.ones((6, 8))], [tiles[0][1]], None, None, (6, 8), logger=debug_log
        )
    assert probe.reports[0].run == {}
    application.arrange = None
    with TwoPassProbe(application, delta_map=False, strict=True), pytest.raises(TypeError, match="not callable"):
        application.run_hierarchical_mosaic("in", "out", tiles)
    assert host.run_under_way() == {}


def test_folders_that_are_no_paths(application, debug_log):
    with TwoPassProbe(application, delta_map=False, strict=True) as probe:
        application.run_hierarchical_mosaic(None, types.SimpleNamespace(), listed(), debug_log)
        application.run_hierarchical_mosaic("lights", "", listed(), debug_log)
    assert [report.run for report in probe.reports] == [{}, {"input": "lights"}]


def test_what_is_no_wcs_has_no_name(application, debug_log):
    """Neither what nothing can refer to weakly, nor what is equal but no WCS."""
    assert run(application, [("a.fits", None), ("b.fits", 5), ("c.fits", "c")], debug_log) == [None] * 3


def test_nothing_of_a_run_is_kept(application, debug_log):
    tiles = listed()
    references = [weakref.ref(wcs) for _, wcs in tiles]
    application.arrange = cropped
    gc.collect()
    gc.disable()
    try:
        with TwoPassProbe(application, delta_map=False, strict=True):
            for incremental in (False, True):
                application.run_hierarchical_mosaic("in", "out", tiles, debug_log, incremental)
            del tiles
            assert [reference() for reference in references] == [None] * 3
            assert len(host._names) == 0
    finally:
        gc.enable()


def test_all_is_put_back_and_nothing_else_is_said(application, debug_log):
    kept = dict(vars(application))
    with TwoPassProbe(application, delta_map=False, strict=True, logger=debug_log):
        assert all(vars(application)[name] is not kept[name] for name in host.OBSERVERS)
    assert all(vars(application)[name] is value for name, value in kept.items())
    (line,) = messages(debug_log)
    assert " sees=gains missing=corrected_tiles,first_pass file=" in line
    assert hooks.sort_shown({"gains"}) == (("gains",), ("corrected_tiles", "first_pass"))


# Nothing of ours is above these.
OUTERMOST = {"observe_assembly", "observe_loader", "observe_host"}


@pytest.mark.parametrize("error", [ValueError, TypeError, MemoryError, RuntimeWarning])
@pytest.mark.parametrize("name", sorted(set(functions_of(host)) - OUTERMOST))
def test_each_function_fails(application, debug_log, caplog, name, error):
    """The run goes on and has its report; the tiles have no names, and one line says why."""
    application.arrange = cropped
    with TwoPassProbe(application, delta_map=False) as probe, failing(functions_of(host)[name], error=error) as count:
        for incremental in (False, True):
            mosaic, _ = application.run_hierarchical_mosaic("in", "out", listed(), debug_log, incremental)
            assert mosaic.shape == (6, 8, 1)
        assert count() > 0
    assert len(probe.reports) == 2
    assert all(len(report.tiles) == 3 for report in probe.reports)
    assert all(report.verdict == "undetermined" for report in probe.reports)
    warned = messages(debug_log, level="WARNING") + [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warned
    assert all(text.startswith("[TwoPassProbe] diagnostics failed: ") for text in warned)
