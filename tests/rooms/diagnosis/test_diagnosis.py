"""The whole diagnosis: right name, right tile, right order; bad input is said to be untestable."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from reproject import reproject_interp
from reproject.mosaicking import find_optimal_celestial_wcs

from helpers.scenes import NOISE, Pass, named
from zemosaic_twopass.diagnosis.contract import fingerprints
from zemosaic_twopass.diagnosis.examination import verdict_of
from zemosaic_twopass.diagnosis.finding import Finding
from zemosaic_twopass.diagnosis.kinds import NOTES, PIPELINE, RESIDUAL

LARGE = {"rows": 2, "columns": 2, "shape": (340, 430), "overlap": 0.7}


@pytest.fixture(scope="module")
def clean():
    return Pass.make(**LARGE).coadd()


def changed(clean, tile, change):
    """The clean pass with one tile changed before everything else."""
    tiles = list(clean.tiles)
    tiles[tile] = change(tiles[tile]).astype(np.float32)
    return replace(clean, tiles=tiles).coadd()


def test_clean(clean):
    findings = clean.diagnose(corrected=clean.planes())
    assert findings == ()
    assert verdict_of(findings) == "clean"


@pytest.mark.parametrize(
    ("kind", "tile", "size", "change"),
    [
        ("offset", 2, 30.0, lambda t: t + 30),
        ("offset", 0, -30.0, lambda t: t - 30),
        ("gain_residual", 1, 0.1, lambda t: t * 1.1),
        ("gradient", 3, 60.0, lambda t: t + np.linspace(-30, 30, t.shape[1])),
        ("astrometry", 2, 1.0, lambda t: np.roll(t, 1, axis=1)),
    ],
)
def test_tile_as_given(clean, kind, tile, size, change):
    findings = changed(clean, tile, change).diagnose()
    first = findings[0]
    assert (first.kind, first.tile) == (kind, tile)
    assert first.value == pytest.approx(size, rel=0.25)
    assert first.sigma > 5
    assert verdict_of(findings) == "residual"


def test_offset_has_its_error_and_runner_up(clean):
    first = changed(clean, 2, lambda t: t + 30).diagnose()[0]
    assert abs(first.value - 30) < 5 * first.error + 0.1
    assert first.unit == "adu"
    assert first.runner_up.startswith("gain_residual")
    assert first.message.startswith("Tile 2 as given lies +")


def test_seam_of_the_gains_where_background_is_not_matched(clean):
    plain = replace(clean).coadd(match=False)
    findings = plain.diagnose()
    assert findings[0].kind == "gain_seam"
    steps = [abs(a - b) * 1000 for a in clean.gains for b in clean.gains]
    assert 0.8 * max(steps) < abs(findings[0].value) < 1.1 * max(steps)
    assert verdict_of(findings) == "residual"


def test_a_step_that_matching_makes_is_no_seam_of_the_gains(clean):
    """Matching is drawn by a tile that slopes, and makes steps between others: the slope is the fault."""
    for gains in (clean.gains, [1.003, 1.002, 0.998, 1.001]):
        tilted = changed(clean, 2, lambda t: t + np.linspace(-200, 200, t.shape[1], dtype=np.float32))
        tilted.gains = list(gains)
        assert named(f for f in tilted.coadd().diagnose() if f.kind != "undetermined") == [("gradient", 2)]


def test_a_seam_is_measured_on_the_tiles_as_given(clean):
    """Not on tiles without what all have in common: in the mosaic it is still there."""
    height, width = clean.tiles[0].shape[:2]
    rows, columns = np.arange(height, dtype=np.float32) - height / 2, np.arange(width, dtype=np.float32) - width / 2
    bow = 0.002 * (rows[:, np.newaxis] ** 2 + columns**2).astype(np.float32)
    vignetted = replace(clean, tiles=[tile + bow for tile in clean.tiles]).coadd(match=False)
    findings = vignetted.diagnose()
    assert ("vignetting", None) in named(findings)
    (seam,) = (finding for finding in findings if finding.kind == "gain_seam")
    one, other = (
        reproject_interp((vignetted.tiles[tile], clean.wcs[tile]), clean.out, clean.shape)[0] for tile in seam.tiles
    )
    first, second = (clean.gains[tile] for tile in seam.tiles)
    assert seam.what_if.given == pytest.approx(abs(np.nanmedian(one - other)), abs=2)
    assert seam.value == pytest.approx(np.nanmedian(first * one - second * other), abs=2)


def test_two_tiles_cannot_say_which(clean):
    part = replace(clean, tiles=[clean.tiles[0], clean.tiles[1] + 40], wcs=clean.wcs[:2], coverage=clean.coverage[:2])
    part.gains = clean.gains[:2]
    findings = part.coadd().diagnose()
    assert named(findings)[0] == ("offset", None)
    assert findings[0].value == pytest.approx(40, abs=1)
    assert "Tiles 0 and 1" in findings[0].message


def test_order_worst_first_notes_last(clean):
    broken = changed(clean, 2, lambda t: t + 30)
    broken.gains = list(clean.gains)
    broken.gains[0] = 1.0
    planes = broken.planes()
    planes[3] = planes[3] * np.float32(1.02)
    before = {**fingerprints(broken.second_pass()), ("tile", 1): 0}
    findings = broken.coadd(planes).diagnose(before=before)
    assert [f.kind for f in findings if f.kind != "gain_seam"] == [
        "input_mutated",
        "gain_mismatch",
        "offset",
        "gain_guard",
        "undetermined",
    ]
    ranks = [0 if f.kind in PIPELINE else 1 if f.kind in RESIDUAL else 2 for f in findings]
    assert ranks == sorted(ranks)


def test_exact_finding_stands_for_the_closure(clean):
    planes = clean.planes()
    planes[1] = clean.tiles[1]
    faulty = replace(clean).coadd(planes)
    findings = [f for f in faulty.diagnose(corrected=planes) if f.kind != "gain_seam"]
    assert [(f.kind, f.tile, f.test) for f in findings] == [("gain_not_applied", 1, "contract")]
    findings = [f for f in faulty.diagnose() if f.kind not in ("gain_seam", "undetermined")]
    assert [(f.kind, f.tile, f.test) for f in findings] == [("gain_not_applied", 1, "closure")]


def test_inputs_and_outputs_are_left_alone(clean):
    arrays = [*clean.tiles, *clean.coverage, clean.mosaic, clean.weights]
    before = [array.tobytes() for array in arrays]
    state = np.random.get_state()[1].tobytes()
    for array in arrays:
        array.flags.writeable = False
    clean.diagnose()
    for array in arrays:
        array.flags.writeable = True
    assert [array.tobytes() for array in arrays] == before
    assert np.random.get_state()[1].tobytes() == state


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([], "clean"),
        ([("clip_saturated", 0, "contract")], "clean"),
        ([("undetermined", 3, "residual")], "clean"),
        ([("undetermined", None, "closure")], "clean"),
        ([("undetermined", None, "passes")], "clean"),
        ([("undetermined", None, "residual")], "undetermined"),
        ([("undetermined", None, "mosaic")], "undetermined"),
        ([("offset", 1, "residual"), ("undetermined", None, "residual")], "residual"),
        ([("gain_seam", 1, "seam")], "residual"),
        ([("offset", 1, "residual"), ("mask_bug", 1, "closure")], "pipeline_bug"),
    ],
)
def test_verdict(findings, verdict):
    assert verdict_of([Finding(kind, tile, 1.0, 9.0, "", test=test) for kind, tile, test in findings]) == verdict


def test_every_kind_has_one_group():
    kinds = [*PIPELINE, *RESIDUAL, *NOTES]
    assert len(set(kinds)) == len(kinds) == 24


# Bad input: nothing can be said, and that is said.


def small():
    return Pass.make(rows=2, columns=2, shape=(60, 70)).coadd()


def only_untested(findings, reason):
    assert {f.kind for f in findings} <= {"undetermined", "gain_guard"}
    assert verdict_of(findings) == "undetermined"
    assert reason in " ".join(f.message for f in findings)


def test_tiles_that_overlap_nothing():
    wide = Pass.make(rows=1, columns=3, shape=(90, 100))
    apart = [w.deepcopy() for w in wide.wcs]
    for index, wcs in enumerate(apart):
        wcs.wcs.crval = wcs.wcs.crval + [0.2 * index, 0]
    wide.wcs = apart
    wide.out, wide.shape = find_optimal_celestial_wcs([(t.shape, w) for t, w in zip(wide.tiles, apart, strict=True)])
    only_untested(wide.coadd(match=False).diagnose(), "No tile meets the others")


def test_one_tile():
    one = small()
    one = replace(one, tiles=one.tiles[:1], wcs=one.wcs[:1], coverage=one.coverage[:1], gains=[1.0]).coadd()
    only_untested(one.diagnose(), "there is but 1 tile")


def test_no_tiles():
    none = replace(small(), tiles=[], wcs=[], coverage=[], gains=[])
    only_untested(none.diagnose(), "no tiles")


def test_tiles_of_nan():
    blank = small()
    blank.tiles = [np.full_like(tile, np.nan) for tile in blank.tiles]
    findings = blank.diagnose()
    assert named(findings)[:4] == [("no_signal", index) for index in range(4)]
    assert "No tile meets the others" in " ".join(finding.message for finding in findings)


def test_one_tile_of_nan_does_not_stop_the_others(clean):
    tiles = list(clean.tiles)
    tiles[3] = np.full_like(tiles[3], np.nan)
    part = replace(clean, tiles=tiles)
    with warnings.catch_warnings():
        # What the coadd says of an empty tile is its own affair.
        warnings.simplefilter("ignore")
        part.coadd()
    findings = part.diagnose()
    assert named(findings)[0] == ("no_signal", 3)
    assert {f.kind for f in findings[1:]} == {"undetermined"}
    # Why it was not compared is said, and not once more.
    assert ("undetermined", 3) not in named(findings)
    assert verdict_of(findings) == "residual"


def test_coverage_of_zero():
    dark = small()
    dark.weights = np.zeros_like(dark.weights)
    only_untested(dark.diagnose(), "coverage is 0 everywhere")


def test_mosaic_of_another_shape():
    other = small()
    other.mosaic = other.mosaic[:-3]
    only_untested(other.diagnose(), f"its WCS is for {other.shape}")


def test_no_mosaic():
    nothing = replace(small(), mosaic=None, weights=None)
    only_untested(nothing.diagnose(), "gave no mosaic")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"wcs": lambda p: p.wcs[:-1]}, "4 tiles != 3 WCS"),
        ({"coverage": lambda p: [c[:-1] for c in p.coverage]}, "coverage shape"),
        ({"weights": lambda p: p.weights[:, :-1]}, "The coverage has shape"),
        ({"mosaic": lambda p: np.repeat(p.mosaic, 3, axis=2)}, "3 channels != 1"),
    ],
)
def test_lists_that_do_not_fit(change, reason):
    broken = small()
    only_untested(replace(broken, **{k: f(broken) for k, f in change.items()}).diagnose(), reason)


@pytest.mark.parametrize("change", [{"out": None}, {"shape": None}, {"wcs": "one"}])
def test_places_that_are_not_known(change):
    lost = small()
    if change.get("wcs"):
        change = {"wcs": [None, *lost.wcs[1:]]}
    only_untested(replace(lost, **change).diagnose(), "Where the tiles lie in the mosaic is not known")


def test_a_hundred_tiles():
    rng = np.random.default_rng(0)
    out = Pass.make(rows=1, columns=1, shape=(90, 90)).out
    tiles, wcs, gains = [], [], [1.05] * 100
    total, weights = np.zeros((250, 850)), np.zeros((250, 850), np.float32)
    sky = rng.normal(1000, 20, total.shape)
    for index in range(100):
        row, column = 40 * (index // 20), 40 * (index % 20)
        box = slice(row, row + 90), slice(column, column + 90)
        tiles.append((sky[box] + rng.normal(0, NOISE, (90, 90))).astype(np.float32))
        wcs.append(out.deepcopy())
        wcs[-1].wcs.crpix = out.wcs.crpix - (column, row)
        total[box] += tiles[-1] * (1.08 if index == 77 else 1.05)
        weights[box] += 1
    mosaic = (total / weights)[..., np.newaxis].astype(np.float32)
    many = Pass(tiles, wcs, None, out, weights.shape, gains, mosaic, weights)
    findings = many.diagnose()
    assert named(findings)[0] == ("gain_mismatch", 77)
    assert findings[0].value == pytest.approx(1.08, abs=1e-5)
    others = [finding for finding in findings[1:] if finding.kind != "undetermined"]
    assert named(others) == [("gain_seam", 77)]


def test_combined_by_median_the_closure_is_off(clean):
    findings = clean.diagnose(combine="median", corrected=clean.planes())
    assert named(findings) == [("undetermined", None)]
    assert "median != mean" in findings[0].message
    assert verdict_of(findings) == "clean"


def test_gains_that_are_no_gains(clean):
    findings = clean.diagnose(gains=[1.1, np.nan, -1.0])
    assert [(f.kind, f.tile) for f in findings[:3]] == [
        ("gain_invalid", None),
        ("gain_invalid", 1),
        ("gain_invalid", 2),
    ]
    assert [f.test for f in findings[3:]] == ["contract"], "nothing was seen of what went into the coadd"
    assert "3 values != 4 tiles" in findings[0].message
