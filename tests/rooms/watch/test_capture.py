"""Which planes, gains and mosaics belong to which call, and that nothing of it is kept."""

import threading

import numpy as np
import pytest

from helpers import mini
from helpers.passes import probe_of
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass import tile_statistics
from zemosaic_twopass.watch.capture import RunCapture
from zemosaic_twopass.watch.run import Run

pytestmark = pytest.mark.usefixtures("no_pictures")


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


def test_reference_is_the_callers_mosaic_else_the_tiles(worker, rgb_scene, tmp_path, monkeypatch):
    seen = []
    average = "zemosaic_twopass.measure.delta.CoarseGrid.average"
    monkeypatch.setattr(average, lambda grid, mosaic: seen.append(mosaic) or 1 / 0)
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


def test_run_is_empty_after_the_call(tiny, tiles, monkeypatch):
    kept = []
    opened = Run.begin

    def keep(*args):
        kept.append(opened(*args))
        return kept[-1]

    monkeypatch.setattr(Run, "begin", keep)
    with probe_of(tiny):
        mini.call(tiny, tiles)
    (run,) = kept
    empty = run.capture.second_pass
    assert (len(empty.tiles), len(empty.tiles.wcs), empty.planes, empty.gains) == (0, 0, {}, None)
    unseen = (empty.mosaic, empty.coverage, empty.first_pass, empty.first_coverage, empty.wcs, empty.before)
    assert unseen == (None,) * 6
    assert (run.capture.scans, run.capture.settings) == ((), {})


def test_corrected_tile_is_the_coadds_own_array():
    tile = np.ones((3, 4, 3), np.float32)
    whole = tile * 2
    capture = RunCapture({"tiles": [tile, tile[..., 0], tile]})
    for channel in (2, 0, 1):
        planes = [whole[..., channel], whole[..., 1].copy(), np.moveaxis(whole, 2, 0)[channel].copy()]
        capture.observe_planes(planes)
    assert capture.second_pass.apply_gain(0)[0] is whole
    assert capture.second_pass.apply_gain(1)[1] == "observed"
    assert capture.second_pass.apply_gain(2)[1] == "derived", "copies of planes do not say which channel they are"
    apart = RunCapture({"tiles": [tile]})
    two = whole.copy()
    for channel, source in enumerate((whole, two, whole)):
        apart.observe_planes([source[..., channel]])
    found, source = apart.second_pass.apply_gain(0)
    assert source == "observed"
    assert found is not whole
    np.testing.assert_array_equal(found, whole)
