"""What all tiles have in common is found as one thing, of its true size, and hides no fault of a single tile."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from reproject.mosaicking import find_optimal_celestial_wcs

from zemosaic_twopass.diagnosis.comparison import CorrectedTiles, corrections, residual_findings
from zemosaic_twopass.diagnosis.evidence.tile_evidence import curvature_evidence
from zemosaic_twopass.diagnosis.gains import Gains
from zemosaic_twopass.diagnosis.photometry import Curvature, solve
from zemosaic_twopass.diagnosis.photometry.illumination import flatten
from zemosaic_twopass.measure.coarse import FACTOR
from zemosaic_twopass.synthetic.faults import Fault
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.synthetic.surveys import survey
from zemosaic_twopass.tiles.records import SecondPass, TileList

NOISE = 8.0
SKY = {"rows": 3, "columns": 3, "shape": (250, 320), "seed": 61}


def grey_tiles(**order):
    """One channel of a synthetic sky: in each of three the same is solved again."""
    return [replace(tile, pixels=tile.pixels[..., :1].copy()) for tile in synthetic_tiles(**order)]


@pytest.fixture(scope="module")
def sky():
    return grey_tiles(**SKY)


@pytest.fixture(scope="module")
def lit(sky):
    """Stray light of 25 adu in all corners, compared."""
    return surveyed(stray_light(sky, 25.0))


@functools.cache
def compared_with(fault):
    """Tiles of which one has a fault, and what comes of comparing them."""
    faulty = grey_tiles(**SKY, faults=[fault])
    return faulty, surveyed(faulty)


def square(tile):
    """Squared distance from the middle of a tile, 1 in its corners, shape (H, W, 1)."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in tile.shape)
    away = rows[:, np.newaxis] ** 2 + columns**2
    return (away / away.max())[..., np.newaxis]


def flat_field(tiles, depth):
    """Tiles that are darker in their corners by a part of all that they hold."""
    return [replace(tile, pixels=(tile.pixels * (1 - depth * square(tile))).astype(np.float32)) for tile in tiles]


def stray_light(tiles, height):
    return [replace(tile, pixels=(tile.pixels + height * square(tile)).astype(np.float32)) for tile in tiles]


def ramps(tiles, slopes):
    """Tiles that slope from end to end by so many adu along columns and rows."""
    sloping = []
    for tile, (x, y) in zip(tiles, slopes, strict=True):
        rows, columns = (np.linspace(-0.5, 0.5, n) for n in tile.shape)
        ramp = y * rows[:, np.newaxis] + x * columns
        sloping.append(replace(tile, pixels=(tile.pixels + ramp[..., np.newaxis]).astype(np.float32)))
    return sloping


def surveyed(tiles):
    wcs, shape = find_optimal_celestial_wcs([(tile.shape, tile.wcs) for tile in tiles])
    return survey(SecondPass(TileList.of(tiles), wcs, shape))


def solution_of(looks):
    ends = np.max([[part.stop for part in look.blocks.box] for look in looks], axis=0)
    return solve([(look.blocks, look.noise) for look in looks], tuple(FACTOR * ends))


def found(survey):
    """What is found, without notes, the largest first, as (kind, tile)."""
    ranked = sorted(residual_findings(survey), key=lambda entry: -entry[0])
    return [(one.kind, one.tile) for _, one in ranked if one.kind != "undetermined"]


def test_a_flat_field_that_does_not_fit_is_one_finding(sky):
    seen = surveyed(flat_field(sky, 0.04))
    assert found(seen) == [("vignetting", None)]
    (_, finding), *_ = [entry for entry in residual_findings(seen) if entry[1].kind == "vignetting"]
    assert "darker in their corners" in finding.message and finding.sigma > 50
    # 4 % of the sky that the bow is a part of.
    level = np.median(seen.solution.level[finding.channel])
    assert finding.value == pytest.approx(-0.04 * level, rel=0.03)


def test_the_demo_has_one():
    seen = surveyed(synthetic_tiles(**SKY, faults=[Fault.parse("vignetting")]))
    assert found(seen) == [("vignetting", None)]
    np.testing.assert_allclose(seen.curvature.height, -0.04 * np.median(seen.solution.level, axis=1), rtol=0.03)


def test_four_tiles_that_share_most_of_their_sides():
    tiles = grey_tiles(rows=2, columns=2, shape=(250, 320), overlap=0.7, seed=63)
    seen = surveyed(stray_light(tiles, 25.0))
    assert found(seen) == [("vignetting", None)]
    np.testing.assert_array_less(np.abs(seen.curvature.height - 25.0), 5 * seen.curvature.error)


def test_stray_light_has_the_size_that_was_put_in(lit):
    seen = lit
    assert found(seen) == [("vignetting", None)]
    np.testing.assert_array_less(np.abs(seen.curvature.height - 25.0), 5 * seen.curvature.error)
    assert (seen.curvature.error < 0.05 * NOISE).all()
    (finding,) = (one for _, one in residual_findings(seen) if one.kind == "vignetting")
    assert "brighter in their corners" in finding.message


@pytest.mark.parametrize("fault", [Fault("offset", 5, 12.0), Fault("gradient", 4, 90.0)])
@pytest.mark.parametrize("spoilt", [flat_field, stray_light])
def test_a_fault_of_one_tile_is_found_beside_it(fault, spoilt):
    """As large as it is, at its tile, and no other tile is named."""
    size = 0.03 if spoilt is flat_field else 30.0
    faulty, alone = compared_with(fault)
    seen = surveyed(spoilt(faulty, size))
    assert sorted(found(seen), key=str) == sorted([("vignetting", None), (fault.kind, fault.tile)], key=str)
    value, alone = (
        next(one.value for _, one in residual_findings(own) if one.tile == fault.tile) for own in (seen, alone)
    )
    assert value == pytest.approx(alone, rel=0.02)
    assert alone == pytest.approx(fault.size, rel=0.06)


def test_what_is_taken_out_is_what_the_record_says(sky, lit):
    """The tiles as they were before are what is left, and each correction says so."""
    seen, before = lit, surveyed(sky)
    for flat, curved, plain in zip(seen.looks, seen.curved, before.looks, strict=True):
        left = np.nanmedian(np.abs(flat.blocks.value - plain.blocks.value))
        assert left < 0.05 * np.nanmedian(np.abs(curved.blocks.value - plain.blocks.value))
    assert all(own.curvature is seen.curvature and not own.empty for own in corrections(seen))
    assert before.curvature is None and before.curved == before.looks
    assert all(own.curvature is None for own in corrections(before))


def test_slopes_of_tiles_are_no_curvature(sky):
    """A moon that rises makes them grow one way. Slopes as they come do not grow."""
    rng = np.random.default_rng(4)
    rising = [(0.0, 40.0 * (index // 3 - 1)) for index in range(9)]
    for slopes in (rising, rng.normal(0, 40, (9, 2))):
        seen = surveyed(ramps(sky, slopes))
        assert seen.curvature is None
        assert "gradient" in {kind for kind, _ in found(seen)}


def test_a_few_tiles_that_slope_are_no_curvature(sky):
    """Fewer than half: the slope of most is 0 then, and nothing to hold the others against."""
    slopes = np.zeros((9, 2))
    slopes[[0, 2, 6, 8]] = (40, 30), (-40, 30), (40, -30), (-40, -30)
    seen = surveyed(ramps(sky, slopes))
    assert seen.curvature is None
    assert {tile for kind, tile in found(seen) if kind == "gradient"} == {0, 2, 6, 8}


def test_in_a_row_of_tiles_it_is_not_told():
    """There a moon that rises would look the same."""
    seen = surveyed(stray_light(grey_tiles(rows=1, columns=5, shape=(250, 320), seed=62), 40.0))
    assert seen.curvature is None
    assert ("vignetting", None) not in found(seen)


def test_a_deep_flat_field_is_a_factor():
    """What is added would leave as much of it as the sky varies, and the first guess as much as it is off."""
    seen = surveyed(flat_field(grey_tiles(**SKY, noise=1.0), 0.1))
    assert found(seen) == [("vignetting", None)]
    np.testing.assert_allclose(seen.curvature.height / seen.curvature.level, -0.1, rtol=0.002)


def test_slopes_of_all_tiles_beside_it(sky):
    """Nothing but the slopes tells it then; it is near all the same."""
    slopes = np.random.default_rng(5).normal(0, 8, (9, 2))
    seen = surveyed(ramps(stray_light(sky, 60.0), slopes))
    assert ("vignetting", None) in found(seen)
    np.testing.assert_allclose(seen.curvature.height, 60.0, rtol=0.1)


@pytest.mark.parametrize(("level", "height"), [(0.0, -25.0), (-3.0, 25.0)])
def test_a_sky_that_was_subtracted(sky, level, height):
    """There is no level that the bow could be a part of."""
    usual = np.median([np.nanmedian(tile.pixels, axis=(0, 1)) for tile in sky], axis=0).astype(np.float32)
    flat = [replace(tile, pixels=tile.pixels - usual + np.float32(level)) for tile in sky]
    seen = surveyed(stray_light(flat, height))
    assert seen.curvature.level is None
    assert found(seen)[0] == ("vignetting", None)
    np.testing.assert_allclose(seen.curvature.height, height, rtol=0.02)


def test_a_channel_that_holds_nothing():
    """The others tell, and it is left as it is."""
    dead = []
    for tile in stray_light(synthetic_tiles(**SKY), 25.0):
        pixels = tile.pixels.copy()
        pixels[..., 1] = 0
        dead.append(replace(tile, pixels=pixels))
    seen = surveyed(dead)
    assert [one for one in found(seen) if one[0] != "no_signal"] == [("vignetting", None)]
    assert seen.curvature.height[1] == 0 and np.abs(seen.curvature.height[[0, 2]] - 25).max() < 1
    (finding,) = (one for _, one in residual_findings(seen) if one.kind == "vignetting")
    assert finding.channel in (0, 2) and np.isfinite([finding.error, finding.sigma]).all()


def test_a_factor_beside_a_channel_that_holds_nothing():
    """There is nothing to divide there, and the other is divided all the same."""
    bow = Curvature(np.array([-80.0, 0.0]), np.array([1.0, np.inf]), np.array([800.0, 0.0]), 10.0, 9.0)
    flat = bow.take_out(np.array([[720.0, 800.0], [0.0, 0.0]]), np.zeros(2), np.array([6.0, 0.0]), np.array([8.0, 0.0]))
    np.testing.assert_allclose(flat, [[800.0, 800.0], [0.0, 0.0]])


def test_a_tile_whose_middle_is_nowhere(lit):
    """As at the edge of a map of the whole sky: where its bow lies is not known, and none is looked for."""
    looks = [replace(look, middle=np.full(2, np.nan)) if index == 4 else look for index, look in enumerate(lit.curved)]
    bowed = solution_of(looks)
    assert flatten(looks, bowed, solution_of) == (looks, bowed, None)


def test_a_solution_that_ran_away_is_not_taken(lit):
    """It names no fault, and so has the fewest."""
    bowed = solution_of(lit.curved)
    nothing = replace(bowed, active=np.zeros_like(bowed.active), fits=(None,) * 9)
    assert flatten(list(lit.curved), bowed, lambda looks: nothing)[2] is None


def test_a_tile_that_misses_the_mosaic_is_left_alone(sky):
    wcs, shape = find_optimal_celestial_wcs([(tile.shape, tile.wcs) for tile in sky])
    far = replace(sky[0], wcs=sky[0].wcs.deepcopy())
    far.wcs.wcs.crval = (10.0, 60.0)
    seen = survey(SecondPass(TileList.of([*stray_light(sky, 25.0), far]), wcs, shape))
    assert seen.looks[9].blocks is None and corrections(seen)[9] is None
    assert found(seen) == [("vignetting", None)]


def test_its_evidence_is_the_bow_and_nothing_once_it_is_out(lit):
    seen = lit
    (finding,) = (one for _, one in residual_findings(seen) if one.kind == "vignetting")
    nothing = np.full(9, np.nan)
    evidence = curvature_evidence(finding, CorrectedTiles.of(seen, Gains(nothing, nothing, nothing)))
    fitted, given, taken_out = evidence.chart.series
    assert fitted.y[-1] == finding.value and fitted.x[-1] == 1
    expected = finding.value * given.x**2
    assert (np.abs(given.y - expected) < 5 * given.error).all()
    assert (np.abs(taken_out.y) < 5 * taken_out.error).all()
    before, after = (layer.values for layer in evidence.layers)
    assert before.shape == after.shape
    assert before[np.isfinite(before)][0] > 0.5 * finding.value, "a corner"
    assert abs(np.nanmedian(after)) < 0.1
