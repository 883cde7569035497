"""What a finding rests on: the fault is plainly there, and with it taken out nothing is left beyond the errors."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import NOISE, Pass
from zemosaic_twopass.diagnosis.evidence import gather
from zemosaic_twopass.diagnosis.evidence.records import bin_values, crop_layer
from zemosaic_twopass.diagnosis.examine import examine_pass
from zemosaic_twopass.diagnosis.kinds import NOTES, PIPELINE, RESIDUAL
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.tile_set import TileSet

LARGE = {"rows": 2, "columns": 2, "shape": (340, 430), "overlap": 0.7, "seed": 11}
# Error of one of several bins: so many of them are seldom reached among all that are looked at here.
SIGMAS = 5.0


@pytest.fixture(scope="module")
def clean():
    return Pass.make(**LARGE)


def looked_at(scene, **known):
    """(Examination, evidence) of a pass."""
    second_pass = scene.second_pass(**{"gains": scene.gains, "gain_clip": (0.5, 2.0), "combine": "mean", **known})
    found = examine_pass(second_pass)
    return found, gather(found, TileSet.of_pass(second_pass), second_pass)


def first_of(kind, scene, **known):
    found, evidence = looked_at(scene, **known)
    assert evidence[0].finding is found.findings[0]
    return next(one for one in evidence if one.finding.kind == kind)


def changed(clean, tile, change):
    tiles = list(clean.tiles)
    tiles[tile] = change(tiles[tile]).astype(np.float32)
    return replace(clean, tiles=tiles).coadd()


def series_of(evidence):
    return {series.label: series for series in evidence.chart.series}


def in_errors(series):
    return np.abs(series.y) / series.error


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("offset", lambda t: t + 12),
        ("offset", lambda t: t - 40),
        ("gain_residual", lambda t: t * 1.05),
        ("gradient", lambda t: t + np.linspace(-20, 20, t.shape[0])[:, np.newaxis]),
    ],
)
def test_a_tile_as_given(clean, kind, change):
    evidence = first_of(kind, changed(clean, 2, change))
    assert evidence.finding.tile == 2
    series = series_of(evidence)
    assert in_errors(series["taken out"]).max() < SIGMAS
    assert in_errors(series["as given"]).max() > 10 * SIGMAS
    # The line is that of the points.
    line = np.interp(series["as given"].x, series["fitted"].x, series["fitted"].y)
    assert (np.abs(series["as given"].y - line) / series["as given"].error).max() < SIGMAS
    before, after = (layer.values for layer in evidence.layers)
    assert before.shape == after.shape
    known = np.isfinite(after)
    np.testing.assert_array_equal(known, np.isfinite(before))
    # Noise of a block, of the tile and of the mean of the others.
    assert np.median(np.abs(after[known])) < NOISE / 8
    assert np.median(np.abs(before[known])) > 2 * NOISE / 8
    assert (evidence.arrow is not None) == (kind == "gradient")


def test_two_faults_in_one_tile_have_a_row_each(clean):
    scene = changed(clean, 1, lambda t: 1.04 * t + np.linspace(-30, 30, t.shape[1]))
    _, evidence = looked_at(scene)
    own = [one for one in evidence if one.finding.tile == 1 and one.finding.kind in ("gain_residual", "gradient")]
    assert len(own) == 2
    for one in own:
        assert in_errors(series_of(one)["taken out"]).max() < SIGMAS
    gradient = next(series_of(one) for one in own if one.finding.kind == "gradient")
    assert abs(np.ptp(gradient["as given"].y) - 55) < 5


def test_what_was_found_in_the_others_is_not_seen_in_it(clean):
    tiles = [clean.tiles[0] + 30, clean.tiles[1], clean.tiles[2] - 50, clean.tiles[3]]
    _, evidence = looked_at(replace(clean, tiles=[np.float32(tile) for tile in tiles]).coadd())
    offsets = {one.finding.tile: one for one in evidence if one.finding.kind == "offset"}
    for tile, size in ((0, 30), (2, -50)):
        assert np.nanmedian(offsets[tile].layers[0].values) == pytest.approx(size, abs=1.0)
        what_if = offsets[tile].finding.what_if
        assert what_if.given == pytest.approx(abs(size), abs=1.5)
        assert what_if.taken_out < 0.1 * NOISE
        assert what_if.noise == pytest.approx(NOISE, rel=0.1)


def test_sentences_have_no_exponents(clean):
    found, _ = looked_at(changed(clean, 2, lambda t: t + 200 * NOISE))
    text = found.findings[0].message
    assert "00 times the noise of a pixel" in text and "e+" not in text


def test_what_if_is_said_in_the_sentence(clean):
    found, _ = looked_at(changed(clean, 2, lambda t: t + 30))
    finding = found.findings[0]
    assert f"; its largest step to a neighbour, {finding.what_if.given:.4g} adu, is " in finding.message
    # What to do stays last.
    assert finding.message.endswith(": level its background before Phase 5, or see how that was extracted.")
    # 30 times the gain, less what the gains make of the pedestal.
    assert finding.what_if.after_gains != pytest.approx(finding.what_if.given, abs=0.01)


def test_stars_of_a_tile_whose_wcs_is_wrong(clean):
    evidence = first_of("astrometry", changed(clean, 2, lambda t: np.roll(t, 1, axis=1)))
    before, after = evidence.chart.series
    assert np.max(np.abs(before.y)) > 0.2
    assert in_errors(before).max() > 5 * SIGMAS
    assert (np.abs(after.y) < SIGMAS * after.error + 0.02).all()
    # A dipole: its lobes lie along the arrow, the bright one ahead.
    image = evidence.layers[0].values
    y, x = np.indices(image.shape) - (image.shape[0] - 1) / 2
    along = x * evidence.arrow[0] + y * evidence.arrow[1]
    assert np.sum(image * along) > 5 * abs(np.sum(image * (x * evidence.arrow[1] - y * evidence.arrow[0])))
    assert evidence.arrow[0] > 0.99
    assert evidence.finding.what_if.given == pytest.approx(1.0, abs=0.1)
    assert evidence.finding.what_if.taken_out < 0.2


def test_stars_of_a_tile_that_the_coadd_misplaced(clean):
    wcs = list(clean.wcs)
    wcs[1] = wcs[1].deepcopy()
    wcs[1].wcs.crpix += (1.5, -1.0)
    evidence = first_of("misregistration", replace(clean).coadd(wcs=wcs))
    before, after = evidence.chart.series
    assert np.max(np.abs(before.y)) > 0.2
    assert np.max(np.abs(after.y)) < 1e-3
    assert np.nanmax(np.abs(evidence.layers[1].values)) < 1e-3


@pytest.mark.parametrize("seen", [True, False])
def test_gains(clean, seen):
    planes = clean.planes()
    planes[3] = planes[3] * np.float32(1.02)
    scene = replace(clean).coadd(planes)
    evidence = first_of("gain_mismatch", scene, corrected=planes if seen else ())
    series = series_of(evidence)
    others, own = series["other tiles"], series["tile 3"]
    assert (np.abs(others.x - others.y) <= np.maximum(6 * others.error, 1e-5)).all()
    assert len(others.x) == 3
    assert own.y[0] == pytest.approx(1.02 * own.x[0], rel=1e-4)
    assert not evidence.layers
    # Between tiles that have the same sky the wrong gain makes a step of 2 % of it, more or less.
    what_if = evidence.finding.what_if
    assert abs(what_if.after_gains - what_if.taken_out) == pytest.approx(0.02 * 1000, rel=0.3)


@pytest.mark.parametrize("seen", [True, False])
def test_mask(clean, seen):
    planes = clean.planes()
    planes[2][100:240, 120:300] = np.nan
    scene = replace(clean).coadd(planes)
    evidence = first_of("mask_bug", scene, corrected=planes if seen else ())
    assert evidence.finding.test == ("contract" if seen else "closure")
    own, used = (layer.values for layer in evidence.layers)
    lost = own - used
    middle = tuple(slice(round(0.4 * n), round(0.6 * n)) for n in lost.shape)
    assert np.nanmean(lost[middle]) > 0.9
    assert np.nanmean(lost[: lost.shape[0] // 6]) < 0.05
    assert np.nanmean(lost) == pytest.approx(140 * 180 / (340 * 430), rel=0.3)


def test_masked_pixels_that_were_filled_in(clean):
    coverage = [mask.copy() for mask in clean.coverage]
    coverage[1][150:200, 150:250] = 0
    scene = replace(clean, coverage=coverage).coadd(coverage=clean.coverage)
    evidence = first_of("mask_bug", scene)
    own, used = (layer.values for layer in evidence.layers)
    assert evidence.finding.tile == 1
    assert np.nanmin(own - used) == -1
    assert np.nanmean(used) > np.nanmean(own)


def test_pixels_that_were_seen_to_go_in_as_one_constant(clean):
    planes = clean.planes()
    planes[1][150:220, 100:200] = 900.0
    evidence = first_of("mask_bug", replace(clean).coadd(planes), corrected=planes)
    own, used = (layer.values for layer in evidence.layers)
    assert evidence.finding.test == "contract"
    filled = used - own
    assert np.nanmax(filled) == 1
    assert np.nanmin(filled) == 0
    assert np.nanmean(filled) == pytest.approx(70 * 100 / (340 * 430), rel=0.1)


@pytest.mark.parametrize("seen", [True, False])
def test_half_a_tile_with_another_gain(clean, seen):
    planes = clean.planes()
    planes[2][:, :215] *= np.float32(1.03)
    scene = replace(clean).coadd(planes)
    evidence = first_of("not_closed", scene, corrected=planes if seen else ())
    left = evidence.layers[0].values
    halves = [abs(np.nanmedian(half)) for half in (left[:, : left.shape[1] // 3], left[:, -left.shape[1] // 3 :])]
    assert abs(halves[0] - halves[1]) == pytest.approx(0.03 * 1000, rel=0.3)
    assert min(halves) < 1.0


def test_seam_of_the_gains(clean):
    gains = [1.1, 0.9, 1.0, 1.0]
    evidence = first_of("gain_seam", replace(clean, gains=gains).coadd(match=False), gains=gains)
    assert set(evidence.finding.tiles) == {0, 1}
    series = series_of(evidence)
    assert in_errors(series["as given"]).max() < SIGMAS
    assert in_errors(series["equal gains"]).max() < SIGMAS
    assert np.median(np.abs(series["after the gains"].y)) == pytest.approx(abs(evidence.finding.value), rel=0.05)
    what_if = evidence.finding.what_if
    assert (what_if.given < NOISE / 4) and (what_if.taken_out < NOISE / 4)
    assert what_if.after_gains == pytest.approx(abs(evidence.finding.value))


def test_text_is_enough_for_some(clean):
    gains = [1.0, 0.0, 1.02, 0.98]
    _, evidence = looked_at(replace(clean).coadd(), gains=gains)
    (one,) = [one for one in evidence if one.finding.kind == "gain_invalid"]
    assert one.layers == () and one.chart is None


def test_a_clean_run_shows_what_comes_closest(clean):
    found, evidence = looked_at(replace(clean).coadd(), corrected=clean.planes())
    assert found.findings == ()
    (one,) = evidence
    assert not one.found
    assert "what a finding takes" in one.finding.message or "significance" in one.finding.message
    if one.finding.kind != "astrometry":
        assert in_errors(series_of(one)["as given"]).max() < SIGMAS


def test_at_most_six_and_no_notes():
    scene = Pass.make(rows=3, columns=3, shape=(150, 190), overlap=0.6)
    scene.tiles = [np.float32(tile + 10 * index) for index, tile in enumerate(scene.tiles)]
    found, evidence = looked_at(scene.coadd())
    assert len([finding for finding in found.findings if finding.kind not in NOTES]) > 6
    assert [one.finding for one in evidence] == list(found.findings[:6])
    assert all(one.finding.kind in (*PIPELINE, *RESIDUAL) for one in evidence)


def test_two_tiles_alone():
    pair = Pass.make(rows=1, columns=2, shape=(200, 240), overlap=0.7)
    pair.tiles[1] = pair.tiles[1] + np.float32(20)
    evidence = first_of("offset", pair.coadd())
    assert evidence.finding.tile is None
    assert sorted(evidence.finding.tiles) == [0, 1]
    assert in_errors(series_of(evidence)["taken out"]).max() < SIGMAS
    assert np.nanmedian(np.abs(evidence.layers[0].values)) == pytest.approx(20, abs=1)


@pytest.mark.parametrize("count", [1, 0])
def test_nothing_to_compare_nothing_to_show(count):
    scene = Pass.make(rows=1, columns=2, shape=(100, 120))
    scene = replace(scene, tiles=scene.tiles[:count], wcs=scene.wcs[:count], coverage=scene.coverage[:count])
    mosaic = np.ones((*scene.shape, 1), np.float32)
    _, evidence = looked_at(replace(scene, gains=scene.gains[:count], mosaic=mosaic, weights=mosaic[..., 0]))
    assert evidence == ()


def _gone(index):
    raise TileError(f"tile {index}: gone")


def test_tiles_that_cannot_be_read_any_more_have_no_stars(clean):
    scene = changed(clean, 2, lambda t: np.roll(t, 1, axis=1))
    second_pass = scene.second_pass(gains=scene.gains, combine="mean")
    found = examine_pass(second_pass)
    gone = TileSet(range(len(scene.tiles)), _gone, scene.shape)
    evidence = gather(found, gone, second_pass)
    assert next(one for one in evidence if one.finding.kind == "astrometry").layers == ()


def test_a_misplaced_tile_without_stars_has_no_picture(clean):
    rng = np.random.default_rng(2)
    tiles = [rng.normal(1000, NOISE, tile.shape).astype(np.float32) for tile in clean.tiles]
    wcs = list(clean.wcs)
    wcs[1] = wcs[1].deepcopy()
    wcs[1].wcs.crpix += (3.0, 2.0)
    evidence = first_of("misregistration", replace(clean, tiles=tiles).coadd(wcs=wcs))
    assert evidence.layers == () and evidence.chart is None


def test_bins_hold_equally_many_and_say_how_sure():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 1, 6000)
    series = bin_values("", x, 3.0 + rng.normal(0, 2.0, 6000), bins=6)
    assert (np.diff(series.x) > 0).all()
    np.testing.assert_allclose(series.error, 1.2533 * 2.0 / np.sqrt(1000), rtol=0.2)
    assert np.abs((series.y - 3.0) / series.error).max() < 4
    empty = bin_values("", np.empty(0), np.empty(0))
    assert len(empty.x) == len(empty.y) == len(empty.error) == 0


def test_cropped_to_what_is_known():
    image = np.full((5, 6), np.nan)
    image[1:3, 2] = 7.0
    small, other = crop_layer(image, image + 1)
    assert small.tolist() == [[7.0], [7.0]]
    assert other.dtype == np.float32
    assert crop_layer(np.full((2, 2), np.nan))[0].shape == (2, 2)


def test_a_tile_beside_the_mosaic_with_a_wrong_gain_has_its_row_and_no_steps(clean):
    scene = replace(clean, tiles=list(clean.tiles), wcs=list(clean.wcs))
    scene.wcs[3] = scene.wcs[3].deepcopy()
    scene.wcs[3].wcs.crval = (10.0, 60.0)
    planes = scene.planes()
    planes[3] = planes[3] * np.float32(1.02)
    scene.coadd(planes)
    evidence = first_of("gain_mismatch", scene, corrected=planes)
    assert evidence.finding.tile == 3
    assert evidence.finding.what_if is None
    assert series_of(evidence)["tile 3"].y[0] == pytest.approx(1.02 * scene.gains[3])


def test_nothing_that_is_drawn_leads_back_to_the_tiles(clean):
    _, evidence = looked_at(changed(clean, 2, lambda t: np.roll(t, 1, axis=1) + 20))
    arrays = [layer.values for one in evidence for layer in one.layers]
    arrays += [part for one in evidence if one.chart for own in one.chart.series for part in (own.x, own.y, own.error)]
    for array in arrays:
        while array is not None and array.base is not None:
            array = array.base
        assert array is None or array.nbytes < clean.tiles[0].nbytes / 4


def test_a_wrong_gain_in_one_channel_is_the_one_that_is_shown():
    scene = Pass.make(rows=2, columns=2, shape=(200, 250), overlap=0.7, seed=11, channels=3)
    planes = scene.planes()
    planes[1][..., 2] *= np.float32(1.1)
    found, evidence = looked_at(scene.coadd(planes))
    assert [(own.kind, own.tile) for own in found.findings if own.kind not in NOTES] == [("gain_mismatch", 1)]
    assert series_of(evidence[0])["tile 1"].y[0] == pytest.approx(1.1 * scene.gains[1], rel=1e-4)
    assert found.findings[0].what_if.after_gains != pytest.approx(found.findings[0].what_if.taken_out, rel=0.01)
