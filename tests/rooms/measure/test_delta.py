"""The delta map against a slow full-resolution reference and against what was put in."""

import numpy as np
import pytest
from astropy.wcs import WCS
from reproject import reproject_interp
from scipy.ndimage import maximum_filter, minimum_filter

from zemosaic_twopass import delta_map
from zemosaic_twopass.measure.delta import CoarseGrid, compare_tiles
from zemosaic_twopass.synthetic.sky import SyntheticSky, synthetic_tiles, tangent_wcs
from zemosaic_twopass.tiles.blocks import block_mean
from zemosaic_twopass.tiles.grid import block_wcs


def scene(offsets=(0.0, 0.0, 0.0, 0.0), noise=0.0, faint=True):
    """Tiles of one sky with known offsets, and that sky itself as the reference mosaic."""
    rng = np.random.default_rng(8)
    sky = SyntheticSky(rng, 600, 0 if faint else 1500)
    wcs, shape = tangent_wcs((83.82, -5.39), 0.0, (240, 280)), (240, 280)
    tiles, tiles_wcs = [], []
    for index, offset in enumerate(offsets):
        place = (index // 2 - 0.5) * 90, (index % 2 - 0.5) * 110
        tile_wcs = tangent_wcs(sky.plane.pixel_to_world_values(place[1], place[0]), 0.05 * (index - 1.5), (130, 160))
        tile = sky.image(tile_wcs, (130, 160)) + offset + rng.normal(0, noise or 1e-9, (130, 160, 3))
        tile[:4], tile[:, -6:] = np.nan, np.nan
        tiles.append(tile.astype(np.float32))
        tiles_wcs.append(tile_wcs)
    return tiles, tiles_wcs, sky.image(wcs, shape).astype(np.float32), wcs, shape


def slow_reference(tiles, tiles_wcs, mosaic, wcs, shape, factor):
    """Every tile at full resolution on the whole mosaic, compared there, averaged last.

    Also where a tile ends within a block or next to it: coarse interpolation loses a rim there.
    """
    total, count = np.zeros((2, shape[0] // factor, shape[1] // factor))
    rim = np.zeros(total.shape, dtype=bool)
    for tile, tile_wcs in zip(tiles, tiles_wcs, strict=True):
        full, _ = reproject_interp((tile.mean(axis=2), tile_wcs), wcs, shape_out=shape)
        blocks = block_mean(full - mosaic.mean(axis=2), factor)
        total += np.abs(np.nan_to_num(blocks))
        count += np.isfinite(blocks)
        whole = block_mean(np.isfinite(full).astype(float), factor)
        rim |= maximum_filter(whole, 3) != minimum_filter(whole, 3)
    return total / np.maximum(count, 1), count, rim


@pytest.mark.parametrize("factor", [4, 8])
def test_equals_the_slow_reference(factor):
    tiles, tiles_wcs, mosaic, wcs, shape = scene(offsets=(0.0, 12.0, -7.0, 0.0))
    found = delta_map(tiles, tiles_wcs, mosaic, wcs, shape, downsample=factor)
    expected, count, rim = slow_reference(tiles, tiles_wcs, mosaic, wcs, shape, factor)
    assert np.count_nonzero(~rim) > 0.4 * rim.size
    np.testing.assert_array_equal(found.count[~rim], count[~rim])
    np.testing.assert_allclose(found.delta[~rim], expected[~rim], atol=0.25)
    assert expected.max() > 11


def test_offsets_come_back():
    tiles, tiles_wcs, mosaic, wcs, shape = scene(offsets=(0.0, 12.0, -7.0, 3.0), noise=5.0, faint=False)
    found = delta_map(tiles, tiles_wcs, mosaic, wcs, shape)
    np.testing.assert_allclose(found.tile_medians, [0.0, 12.0, -7.0, 3.0], atol=0.3)
    alone = found.count == 1
    assert np.median(found.delta[alone] - np.abs(found.signed[alone])) == 0
    assert found.delta.dtype == found.signed.dtype == np.float32
    assert found.delta.shape == found.signed.shape == found.count.shape == (30, 35)
    assert found.reference == "first_pass"
    assert found.downsample == 8
    np.testing.assert_allclose(found.wcs.wcs.crpix, block_wcs(wcs, 8).wcs.crpix)


def test_noise_is_averaged_before_it_is_interpolated():
    tiles, tiles_wcs, mosaic, wcs, shape = scene(noise=10.0)
    found = delta_map(tiles, tiles_wcs, mosaic, wcs, shape)
    # Three channels and 64 pixels a block leave 10 / sqrt(192) = 0.72; single pixels would leave 5.8.
    assert np.median(found.compared) < 1.0


def test_reference_none_compares_the_tiles_with_their_mean():
    tiles, tiles_wcs, _, wcs, shape = scene(offsets=(0.0, 12.0, 0.0, 0.0))
    found = delta_map(tiles, tiles_wcs, None, wcs, shape)
    assert found.reference == "tiles"
    assert int(np.nanargmax(np.abs(found.tile_medians))) == 1
    np.testing.assert_allclose(found.tile_medians[1], 12.0, atol=0.5)
    np.testing.assert_allclose(found.delta[found.count == 1], 0.0, atol=1e-5)


def test_monochrome_reference_and_tiles():
    tiles, tiles_wcs, mosaic, wcs, shape = scene(offsets=(0.0, 5.0, 0.0, 0.0))
    rgb = delta_map(tiles, tiles_wcs, mosaic, wcs, shape)
    mono = delta_map([t.mean(axis=2) for t in tiles], tiles_wcs, mosaic.mean(axis=2), wcs, shape)
    np.testing.assert_allclose(mono.delta, rgb.delta, atol=1e-3)


def test_tile_at_another_pixel_scale():
    tiles, tiles_wcs, mosaic, wcs, shape = scene(offsets=(4.0,), noise=6.0)
    fine_wcs = block_wcs(tiles_wcs[0], 1)
    fine_wcs.wcs.cd = tiles_wcs[0].wcs.cd / 2
    fine_wcs.wcs.crpix = (tiles_wcs[0].wcs.crpix - 0.5) * 2 + 0.5
    fine = np.repeat(np.repeat(tiles[0], 2, axis=0), 2, axis=1)
    coarse = delta_map(tiles, tiles_wcs, mosaic, wcs, shape)
    twice = delta_map([fine], [fine_wcs], mosaic, wcs, shape)
    np.testing.assert_allclose(twice.delta, coarse.delta, atol=1e-3)
    np.testing.assert_array_equal(twice.count, coarse.count)


def test_what_is_compared_nowhere():
    tiles, tiles_wcs, mosaic, wcs, shape = scene(offsets=(0.0, 0.0))
    far = tangent_wcs((200.0, 60.0), 0.0, (130, 160))
    found = delta_map(tiles, [tiles_wcs[0], far], mosaic, wcs, shape)
    assert np.isfinite(found.tile_medians[0])
    assert np.isnan(found.tile_medians[1])
    assert not found.delta[found.count == 0].any()
    empty = delta_map([], [], mosaic, wcs, shape)
    assert not empty.count.any()
    assert empty.compared.size == 0
    assert delta_map([np.ones((3, 3))], [tiles_wcs[0]], mosaic, wcs, shape).count.sum() == 0


def test_inputs_are_left_alone():
    tiles, tiles_wcs, mosaic, wcs, shape = scene()
    before = [tile.tobytes() for tile in tiles], mosaic.tobytes()
    state = np.random.get_state()[1].tobytes()
    delta_map(tiles, tiles_wcs, mosaic, wcs, shape)
    assert ([tile.tobytes() for tile in tiles], mosaic.tobytes()) == before
    assert np.random.get_state()[1].tobytes() == state


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"tiles_wcs": []}, ValueError, "1 tiles != 0 WCS"),
        ({"reference": np.ones((5, 4))}, ValueError, r"\(5, 4\) != shape_out \(240, 280\)"),
        ({"downsample": 0}, ValueError, "downsample 0"),
        ({"downsample": 241}, ValueError, r"downsample 241 does not fit shape_out \(240, 280\)"),
        ({"downsample": 2.5}, TypeError, "float"),
        ({"shape_out": (1, 2, 3)}, ValueError, "not 3"),
        ({"wcs": "header"}, TypeError, "str"),
    ],
)
def test_bad_input(change, error, words):
    master = synthetic_tiles(rows=1, columns=1, shape=(40, 50))[0]
    call = {"tiles": [master.pixels], "tiles_wcs": [master.wcs], "reference": None, "wcs": master.wcs}
    call |= {"shape_out": (240, 280)} | change
    with pytest.raises(error, match=words):
        delta_map(**call)


def test_wcs_without_sky():
    master = synthetic_tiles(rows=1, columns=1, shape=(40, 50))[0]
    plain = WCS(naxis=2)
    with pytest.raises(Exception, match=r"celestial|convert|coordinate|frame"):
        delta_map([master.pixels], [plain], None, master.wcs, (40, 50))


def test_worst_is_the_tile_furthest_from_the_reference():
    *_, wcs, shape = scene()
    grid = CoarseGrid.of(wcs, shape, 8)
    box, base = (slice(1, 2), slice(0, 6)), np.zeros(grid.shape)
    rows = [(3, 1, 0, 2, np.nan, np.nan), (-5, 1, 0, -1, np.nan, 4), (1, 6, 0, -3, np.nan, np.nan)]
    projected = [None, *((box, np.array([row], dtype=float)) for row in rows)]
    found = compare_tiles(projected, base, grid, "first_pass")
    np.testing.assert_array_equal(found.worst[box], [[2, 3, 1, 3, -1, 2]])
    np.testing.assert_array_equal(found.count[box], [[3, 3, 3, 3, 0, 1]])
    np.testing.assert_allclose(found.signed[box], [[-1 / 3, 8 / 3, 0, -2 / 3, 0, 4]], rtol=1e-6)
    np.testing.assert_allclose(found.delta[box], [[3, 8 / 3, 0, 2, 0, 4]], rtol=1e-6)
    assert np.isnan(found.tile_medians[0])
    assert found.tile_medians[1:] == (1.5, 0.0, 0.5)
