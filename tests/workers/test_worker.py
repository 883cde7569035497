"""Our worker's second pass against its definition, done slowly and in full."""

import numpy as np
import pytest
from reproject import reproject_interp
from scipy.ndimage import gaussian_filter

from helpers.logs import messages
from helpers.passes import CLIP, SIGMA, Scene
from zemosaic_twopass.phase5.renorm import merge_passes, scale_coverage, weigh_inputs
from zemosaic_twopass.tiles.images import TileError


def gains_by_definition(shapes, tiles_wcs, wcs, coverage, sigma, clip, masks):
    """Every mask on the whole mosaic, as the definition says, without any box."""
    coverage = np.where(np.isfinite(coverage), coverage, 0).astype(np.float32)
    valid = coverage > 0
    total = gaussian_filter(np.where(valid, coverage, 0).astype(np.float32), sigma, truncate=4)
    share = gaussian_filter(valid.astype(np.float32), sigma, truncate=4)
    with np.errstate(divide="ignore", invalid="ignore"):
        blur = np.where(share > 0, total / share, 0).astype(np.float32)
        scale = np.where(valid, blur / np.maximum(coverage, np.finfo(np.float32).eps), 1)
    scale = np.clip(scale.astype(np.float32), 0.5, 2)
    gains = []
    for shape, tile_wcs, mask in zip(shapes, tiles_wcs, masks, strict=True):
        mask = np.ones(shape, np.float32) if mask is None else mask
        inside = reproject_interp((mask, tile_wcs), wcs, shape_out=coverage.shape, return_footprint=False) > 1e-3
        use = inside & valid & (blur >= 2)
        few = use.sum() < max(64, np.ceil(0.001 * inside.sum()))
        gains.append(1.0 if few else float(np.clip(np.median(scale[use]), *clip)))
    return gains


@pytest.mark.parametrize("with_masks", [True, False])
@pytest.mark.parametrize("sigma", [0, 5, SIGMA])
def test_gains_equal_the_definition_exactly(worker, rgb_scene, sigma, with_masks):
    mosaic, coverage, wcs, _ = rgb_scene.first
    coverage = coverage.copy()
    coverage[3, 4:9] = np.nan
    masks = rgb_scene.coverage if with_masks else [None] * 4
    gains = worker.compute_per_tile_gains_from_coverage(
        rgb_scene.tiles, rgb_scene.wcs, wcs, coverage, sigma_px=sigma, gain_clip=CLIP, tiles_coverage=masks
    )
    shapes = [tile.shape[:2] for tile in rgb_scene.tiles]
    assert gains == gains_by_definition(shapes, rgb_scene.wcs, wcs, coverage, sigma, CLIP, masks)
    assert all(type(gain) is float for gain in gains)
    assert (sigma == 0) == (gains == [1.0] * 4)


def test_gain_guards(worker, rgb_scene):
    _, coverage, wcs, _ = rgb_scene.first
    common = {"sigma_px": SIGMA, "gain_clip": CLIP}
    call = worker.compute_per_tile_gains_from_coverage
    alone = call(rgb_scene.tiles, rgb_scene.wcs, wcs, np.minimum(coverage, 1), **common)
    assert alone == [1.0] * 4, "a blurred coverage below 2 leaves the tile alone"
    broken = [rgb_scene.wcs[0], None, *rgb_scene.wcs[2:]]
    gains = call(rgb_scene.tiles, broken, wcs, coverage, **common)
    assert gains[1] == 1.0
    assert gains[0] != 1.0
    swapped = call(rgb_scene.tiles, rgb_scene.wcs, wcs, coverage, sigma_px=SIGMA, gain_clip=(0.99, 0.95))
    assert all(0.95 <= gain <= 0.99 for gain in swapped)


@pytest.mark.parametrize("coverage", [np.ones(5), np.ones((0, 4))])
def test_gains_need_a_map(worker, rgb_scene, coverage):
    with pytest.raises(ValueError, match="2 axes"):
        worker.compute_per_tile_gains_from_coverage(
            rgb_scene.tiles, rgb_scene.wcs, rgb_scene.first[2], coverage, sigma_px=1, gain_clip=CLIP
        )


def test_scale_is_one_without_coverage():
    scale, usable = scale_coverage(np.array([[0.0, np.inf, np.nan]]), 2)
    np.testing.assert_array_equal(scale, [[1, 1, 1]])
    assert not usable.any()


def test_tiles_cut_from_an_image_give_it_back(worker):
    rng = np.random.default_rng(1)
    scene = Scene.make(3, noise=0.0)
    mosaic, coverage, wcs, shape = scene.first
    assert mosaic.shape == (*shape, 3)
    assert mosaic.dtype == coverage.dtype == np.float32
    # One tile of the sky, seen through the mosaic: what it says is what the mosaic says there.
    tile = reproject_interp((scene.tiles[0][..., 1], scene.wcs[0]), wcs, shape_out=shape, return_footprint=False)
    both = np.isfinite(tile) & (coverage > 0)
    picked = rng.choice(np.flatnonzero(both), 2000)
    assert np.median(np.abs(tile.flat[picked] - mosaic[..., 1].flat[picked])) < 0.5
    assert np.isnan(mosaic[coverage == 0]).all()
    assert np.isfinite(mosaic[coverage > 0]).all()


def test_second_pass_is_gain_times_tile_coadded(worker, rgb_scene):
    mosaic, coverage = rgb_scene.second_pass(worker)
    gains = worker.compute_per_tile_gains_from_coverage(
        rgb_scene.tiles,
        rgb_scene.wcs,
        rgb_scene.first[2],
        rgb_scene.first[1],
        sigma_px=SIGMA,
        gain_clip=CLIP,
        tiles_coverage=rgb_scene.coverage,
    )
    assert len(set(gains)) == 4
    corrected = [np.float32(gain) * tile for gain, tile in zip(gains, rgb_scene.tiles, strict=True)]
    np.random.seed(3)
    seen = coverage > 0
    for channel in range(3):
        plane, weights = worker.reproject_and_coadd_wrapper(
            [tile[..., channel] for tile in corrected],
            rgb_scene.wcs,
            rgb_scene.first[3],
            output_projection=rgb_scene.first[2],
            input_weights=[(c > 0).astype(np.float32) for c in rgb_scene.coverage],
        )
        np.testing.assert_array_equal(mosaic[..., channel][seen], plane.astype(np.float32)[seen])
        np.testing.assert_array_equal(coverage, weights.astype(np.float32))


def test_weights_weigh(worker, rgb_scene):
    maps = weigh_inputs([t[..., :1] for t in rgb_scene.tiles], [None, *rgb_scene.coverage[1:]], [2.0, 1.0, 1.0, 0.5])
    np.testing.assert_array_equal(maps[0], 2.0)
    np.testing.assert_array_equal(maps[3], 0.5 * (rgb_scene.coverage[3] > 0))
    _, plain = rgb_scene.second_pass(worker)
    _, doubled = rgb_scene.second_pass(worker, tile_weights=[2.0] * 4)
    np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-6)


@pytest.mark.parametrize("plan", [{"cpu_workers": 3}, type("Plan", (), {"cpu_workers": 3, "__slots__": ()})(), None])
def test_parallel_plans(worker, rgb_scene, plan):
    serial, coverage = rgb_scene.second_pass(worker)
    _, second, wcs, shape = rgb_scene.first
    result = worker.run_second_pass_coverage_renorm(
        rgb_scene.tiles,
        rgb_scene.wcs,
        wcs,
        second,
        shape,
        sigma_px=SIGMA,
        gain_clip=CLIP,
        tiles_coverage=rgb_scene.coverage,
        parallel_plan=plan,
    )
    np.testing.assert_allclose(result[0], serial, rtol=1e-5)
    np.testing.assert_array_equal(result[1], coverage)


def test_merge_takes_the_second_pass_unless_it_is_dark():
    coverage = np.array([[1, 1, 0, 1]], np.float32)
    first = np.full((1, 4, 3), 100, np.float32), coverage
    second = first[0].copy(), np.array([[2, 2, 2, 0]], np.float32)
    second[0][0] = [[90] * 3, [43] * 3, [90] * 3, [90] * 3]
    (mosaic, merged), fraction = merge_passes(first, second)
    np.testing.assert_array_equal(mosaic[0, :, 0], [90, 100, 100, 100])
    np.testing.assert_array_equal(merged, [[2, 1, 0, 1]])
    assert fraction == 0.25
    second[0][0, 1] = 44.01
    assert merge_passes(first, second)[1] == 0.5


def test_merge_of_nothing_is_the_first_pass():
    first = np.full((1, 2, 1), np.nan, np.float32), np.zeros((1, 2), np.float32)
    merged, fraction = merge_passes(first, first)
    assert merged is first
    assert fraction == 0
    with pytest.raises(ValueError, match=r"\(1, 2, 1\) != second-pass \(2, 2, 1\)"):
        merge_passes(first, (np.ones((2, 2, 1)), np.ones((2, 2))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tiles": []}, "0 tiles != 4 WCS"),
        ({"tiles": [], "wcs": []}, "0 were given"),
        ({"wcs": [None]}, "4 tiles != 1 WCS"),
        ({"weights": [1.0]}, "1 tile weights != 4 tiles"),
        ({"weights": [1.0, -2.0, 1.0, 1.0]}, "tile 1: weight -2.0"),
    ],
)
def test_second_pass_that_cannot_be_made(worker, rgb_scene, debug_log, change, words):
    coverage = None if "tiles" in change else rgb_scene.coverage
    result = worker.run_second_pass_coverage_renorm(
        change.get("tiles", rgb_scene.tiles),
        change.get("wcs", rgb_scene.wcs),
        rgb_scene.first[2],
        rgb_scene.first[1],
        rgb_scene.first[3],
        sigma_px=SIGMA,
        gain_clip=CLIP,
        logger=debug_log,
        tiles_coverage=coverage,
        tile_weights=change.get("weights"),
    )
    assert result is None
    assert words in messages(debug_log, "[TwoPass] second pass not possible", "WARNING")[0]


def test_caller_keeps_the_first_pass(worker, rgb_scene, debug_log, monkeypatch):
    mosaic, coverage = rgb_scene.first[:2]
    monkeypatch.setattr(worker, "compute_per_tile_gains_from_coverage", lambda *a, **k: [1.0])
    assert rgb_scene.merged(worker, debug_log)[0] is mosaic
    assert "gain list: 1 values != 4 tiles" in messages(debug_log, level="WARNING")[0]
    monkeypatch.setattr(worker, "run_second_pass_coverage_renorm", lambda *a, **k: 1 / 0)
    assert rgb_scene.merged(worker, debug_log)[1] is coverage
    assert messages(debug_log, "[TwoPass] second pass failed", "ERROR")


def test_a_record_that_is_kept_keeps_no_error(worker, rgb_scene, caplog, monkeypatch):
    """With the error it would keep all that its frames hold: corrected tiles and planes."""

    def fails(*args, **kwargs):
        raise ValueError("no")

    for name, words in (
        ("find_tile_gain", "set to 1: no"),
        ("_coadd_channels", "not possible, the first pass stands: no"),
    ):
        monkeypatch.setattr(worker, name, fails)
        rgb_scene.second_pass(worker)
        assert words in caplog.text
    assert not [record for record in caplog.records if any(isinstance(part, Exception) for part in record.args)]


def test_caller_does_nothing_unless_asked(worker, rgb_scene):
    mosaic, coverage, wcs, shape = rgb_scene.first
    common = {"two_pass_sigma_px": 5, "gain_clip_tuple": CLIP, "final_output_wcs": wcs, "logger": None}
    for enabled, tiles, hw in [(False, [1], shape), (True, [], shape), (True, None, shape), (True, [1], None)]:
        result = worker._apply_two_pass_coverage_renorm_if_requested(
            mosaic, coverage, two_pass_enabled=enabled, final_output_shape_hw=hw, collected_tiles=tiles, **common
        )
        assert result[0] is mosaic
        assert result[1] is coverage


def test_tile_without_coverage_counts_where_it_is_finite(worker, rgb_scene):
    with_masks = rgb_scene.merged(worker)
    bare = Scene(rgb_scene.tiles, rgb_scene.wcs, [None] * 4, rgb_scene.first).merged(worker)
    np.testing.assert_array_equal(bare[1], with_masks[1])


def test_first_pass_needs_tiles(worker):
    with pytest.raises(TileError, match="0 were given"):
        worker.assemble_first_pass([], [])
