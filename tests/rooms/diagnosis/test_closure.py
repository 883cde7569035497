"""The applied gains read off the mosaic, and the tile that keeps it from closing."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import NOISE, Pass
from zemosaic_twopass.diagnosis.closure.displacement import displacement
from zemosaic_twopass.diagnosis.closure.solve import close_mosaic
from zemosaic_twopass.diagnosis.examination import verdict_of
from zemosaic_twopass.diagnosis.registration import move_wcs
from zemosaic_twopass.measure.sampling import bilinear, draw_points, sample_tile
from zemosaic_twopass.synthetic.faults import Fault, faulty_plane
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.records import Tile


@pytest.fixture(scope="module")
def rgb():
    return Pass.make(rows=2, columns=2, channels=3)


@pytest.fixture(scope="module")
def mono():
    return Pass.make(overlap=0.6)


def close(scene, **kwargs):
    return close_mosaic(scene.second_pass(**kwargs), NOISE)


@pytest.mark.parametrize("kind", ["mono", "rgb"])
def test_gains_are_recovered(kind, request):
    scene = request.getfixturevalue(kind)
    found = close(scene.coadd())
    assert found.faulty_tile is None
    assert found.reason == ""
    assert found.rms < 1e-3
    truth = np.repeat(np.array(scene.gains)[:, np.newaxis], found.gains.shape[1], axis=1)
    np.testing.assert_allclose(found.gains, truth, atol=2e-6)
    assert np.all(np.abs(found.gains - truth) < found.errors)


def test_offsets_are_what_background_matching_took(mono):
    matched, plain = close(mono.coadd()), close(mono.coadd(match=False))
    assert np.max(np.abs(plain.offsets)) < 0.01
    levels = [np.nanmedian(plane) for plane in mono.planes()]
    np.testing.assert_allclose(matched.offsets[:, 0], levels - np.mean(levels), atol=25)


def test_a_fault_in_one_channel_is_seen(rgb):
    planes = [plane.copy() for plane in rgb.planes()]
    planes[2][..., -1] *= np.float32(1.001)
    found = close(rgb.coadd(planes))
    assert found.gains[2, 2] / rgb.gains[2] == pytest.approx(1.001, abs=1e-5)
    assert found.gains[2, 0] / rgb.gains[2] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("weights", [None, [1.0, 3.0, 0.5, 2.0, 1.0, 1.0]])
def test_weights(mono, weights):
    coverage = [c * (1 if weights is None else w) for c, w in zip(mono.coverage, weights or [1] * 6, strict=True)]
    mono.coadd(coverage=[c.astype(np.float32) for c in coverage])
    assert close(mono, weights=weights).faulty_tile is None
    if weights is not None:
        assert close(mono).faulty_tile is not None or close(mono).rms > 1e-2


def test_same_answer_twice_and_no_global_draw(mono):
    mono.coadd()
    state = np.random.get_state()[1].tobytes()
    first, again = close(mono), close(mono)
    np.testing.assert_array_equal(first.gains, again.gains)
    assert np.random.get_state()[1].tobytes() == state


def beside(scene, index, wcs, pixels):
    """A WCS of a tile of a scene moved by mosaic pixels."""
    return move_wcs(Tile(scene.tiles[index], wcs), scene.out, pixels)


@pytest.mark.parametrize(("size", "angle", "tile"), [(0.1, 1.0, 1), (0.7, 5.0, 4), (3.0, 2.5, 3), (20.0, 4.0, 0)])
def test_misregistration(mono, size, angle, tile):
    shift = size * np.array([np.cos(angle), np.sin(angle)])
    wcs = list(mono.wcs)
    wcs[tile] = beside(mono, tile, wcs[tile], -shift)
    faulty_tile = close(mono.coadd(wcs=wcs)).faulty_tile
    assert (faulty_tile.kind, faulty_tile.tile) == ("misregistration", tile)
    assert faulty_tile.value == pytest.approx(size, abs=0.01)
    np.testing.assert_allclose(faulty_tile.shift, shift, atol=0.01)


@pytest.mark.parametrize("tile", [4, 1])
def test_a_wrong_wcs_is_told_from_what_the_coadd_did(mono, tile):
    wcs = list(mono.wcs)
    wcs[1] = beside(mono, 1, wcs[1], [-3.0, 4.0])
    wrong = replace(mono, wcs=wcs)
    planes_go = list(wcs)
    planes_go[tile] = beside(mono, tile, wcs[tile], [1.5, 2.0])
    findings = wrong.coadd(wcs=planes_go).diagnose()
    shifts = {finding.kind: finding for finding in findings if finding.unit == "px"}
    assert {kind: finding.tile for kind, finding in shifts.items()} == {"misregistration": tile, "astrometry": 1}
    assert shifts["misregistration"].value == pytest.approx(2.5, abs=0.01)
    assert shifts["astrometry"].value == pytest.approx(5.0, abs=0.1)
    assert "x -1.5, y -2)" in shifts["misregistration"].message
    assert verdict_of(findings) == "pipeline_bug"


@pytest.mark.parametrize("tile", [0, 4])
def test_part_of_a_tile_left_out(mono, tile):
    fault = Fault("mask_bug", tile, 0.5)
    planes = mono.planes()
    planes[tile] = faulty_plane(planes[tile], fault, mono.gains[tile])
    faulty_tile = close(mono.coadd(planes)).faulty_tile
    assert (faulty_tile.kind, faulty_tile.tile) == ("mask_bug", tile)
    assert 0.1 < faulty_tile.value < 0.5


def test_mask_that_the_coadd_did_not_heed(mono):
    mask = [c.copy() for c in mono.coverage]
    mask[1][40:110, 50:140] = 0
    found = close(mono.coadd(), coverage=mask)
    assert (found.faulty_tile.kind, found.faulty_tile.tile) == ("mask_bug", 1)


def test_part_of_a_tile_scaled(mono):
    planes = mono.planes()
    planes[4] = faulty_plane(planes[4], Fault("not_closed", 4, 1.03), mono.gains[4])
    faulty_tile = close(mono.coadd(planes), gains=mono.gains).faulty_tile
    assert (faulty_tile.kind, faulty_tile.tile) == ("not_closed", 4)


def test_no_mean_at_all(mono):
    mono.coadd()
    mono.mosaic = (mono.mosaic + np.random.default_rng(1).normal(0, NOISE, mono.mosaic.shape)).astype(np.float32)
    found = close(mono)
    assert (found.faulty_tile.kind, found.faulty_tile.tile) == ("not_closed", None)
    assert not np.isfinite(found.gains).any()


def test_too_few_pixels():
    tiny = Pass.make(rows=1, columns=2, shape=(36, 36)).coadd()
    found = close(tiny)
    assert "fewer than 500" in found.reason
    assert np.isnan(found.rms)


def test_points_are_covered_and_spread():
    coverage = np.zeros((300, 200), np.float32)
    coverage[50:250, 20:180] = 1
    rows, columns = draw_points(coverage, 5000, np.random.default_rng(1))
    assert len(rows) == 5000 == len(set(zip(rows, columns, strict=True)))
    assert (coverage[rows, columns] > 0).all()
    assert abs(rows.mean() - 149.5) < 3
    assert draw_points(np.zeros((5, 5)), 10, np.random.default_rng(1))[0].size == 0
    everything = draw_points(np.ones((5, 5)), 1000, np.random.default_rng(1))
    assert len(everything[0]) == 25


def test_bilinear_is_exact_on_a_plane():
    rows, columns = np.indices((20, 30), dtype=float)
    planes = np.stack([2 * rows - columns, rows * 0 + 7], axis=-1)
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 28.9, 50), rng.uniform(0, 18.9, 50)
    np.testing.assert_allclose(bilinear(planes, x, y), np.stack([2 * y - x, 7 + 0 * x], axis=1))


def test_samples_keep_away_from_edges_and_bad_pixels(mono):
    tile = np.ones_like(mono.tiles[0])
    tile[70:80, 90:100] = np.nan
    rows, columns = (a.ravel() for a in np.indices(mono.shape))
    place = Place.of(tile.shape[:2], mono.wcs[0], mono.shape, mono.out)
    found = sample_tile(Tile(tile, mono.wcs[0]), place, (rows, columns))
    assert (found.values == 1).all()
    assert not np.isin(found.points, found.doubtful).any()
    near = (np.abs(found.x - 94.5) < 6.9) & (np.abs(found.y - 74.5) < 6.9)
    assert not near.any()
    assert found.x.min() >= 2
    assert found.x.max() < tile.shape[1] - 3


@pytest.mark.parametrize("value", [0.0, 900.0])
@pytest.mark.parametrize(("tile", "share"), [(1, 0.1), (4, 0.4)])
def test_pixels_that_went_in_as_a_constant(mono, tile, share, value):
    """Masked or missing pixels that were filled and not left out; the coverage does not show it."""
    planes = [plane.copy() for plane in mono.planes()]
    height, width = (round(np.sqrt(share) * n) for n in planes[tile].shape)
    planes[tile][30 : 30 + height, 20 : 20 + width] = value
    faulty_tile = close(mono.coadd(planes), gains=mono.gains).faulty_tile
    assert (faulty_tile.kind, faulty_tile.tile) == ("mask_bug", tile)
    assert faulty_tile.value == pytest.approx(share, abs=0.4 * share)


@pytest.mark.parametrize("pixels", [(27.0, 0.0), (0.0, -33.0), (40.0, 40.0)])
def test_a_displacement_beyond_the_reach_fails_nothing(pixels):
    """A smooth sky leads the search outwards; it ends at its reach, not outside of the tile."""
    rng = np.random.default_rng(3)
    rows, columns = np.indices((140, 160))
    plane = (1000 + 0.02 * (rows - 70) ** 2 + 0.03 * (columns - 70) ** 2).astype(np.float32)[..., np.newaxis]
    x, y = rng.uniform(30, 129, 800), rng.uniform(30, 109, 800)
    implied = 1000 + 0.02 * (y - pixels[1] - 70) ** 2 + 0.03 * (x - pixels[0] - 70) ** 2
    shift, _ = displacement(plane, x, y, implied[:, np.newaxis])
    assert shift is None or np.max(np.abs(shift)) < 30


def test_a_tile_of_one_value_has_no_gain_to_tell():
    scene = Pass.make()
    scene.tiles[2] = np.full_like(scene.tiles[2], 1000.0)
    closure = close(scene.coadd(), gains=scene.gains, combine="mean")
    assert np.isnan(closure.gains[2]).all()
    assert closure.faulty_tile is None
    np.testing.assert_allclose(np.delete(closure.gains[:, 0], 2), np.delete(scene.gains, 2), rtol=1e-4)
