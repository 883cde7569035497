"""What the mosaics of a pass should hold: expected steps, what a fault makes, and seams that nothing makes."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_closing, binary_erosion, distance_transform_edt

import zemosaic_worker
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.command.passes import make_first_pass
from zemosaic_twopass.diagnosis.seams import Makings, Picture
from zemosaic_twopass.offline.workers import run_second_pass
from zemosaic_twopass.synthetic import faults
from zemosaic_twopass.synthetic.faults import Fault, faulty_pass
from zemosaic_twopass.synthetic.sky import synthetic_tiles

pytestmark = pytest.mark.usefixtures("no_pictures")
QUIET = logging.getLogger("quiet")
NOISE = 8.0


def report_of(*faults, seed=3, shape=(240, 320), directory):
    """The report of a whole second pass of nine small tiles of one channel."""
    faults = [Fault.parse(fault) for fault in faults]
    masters = synthetic_tiles(seed=seed, shape=shape, overlap=0.45, faults=faults)
    tiles = [replace(tile, pixels=tile.pixels[..., :1].copy()) for tile in masters]
    QUIET.setLevel(logging.CRITICAL)
    first = make_first_pass(zemosaic_worker, tiles, 1)
    with faulty_pass(zemosaic_worker, faults), TwoPassProbe(zemosaic_worker, directory=directory, strict=True) as probe:
        run_second_pass(zemosaic_worker, first, tiles, sigma=50, clip=(0.85, 1.18), cpu_workers=1, logger=QUIET)
    (report,) = probe.reports
    return report


def told(report):
    """Findings that are no notes."""
    return [finding for finding in report.findings if finding.about.group != "note"]


def unexpected(seams):
    """What is not expected of every edge, in units of the noise."""
    known = [edge for edge in seams.edges if edge.expected is not None]
    assert len(known) > 0.8 * len(seams.edges) > 20
    return np.array([np.abs(np.subtract(edge.step, edge.expected)) / np.mean(edge.noise) for edge in known])


@pytest.mark.parametrize("seed", [3, 4])
def test_of_a_sound_pass_every_step_is_expected(tmp_path, seed):
    report = report_of(seed=seed, directory=tmp_path)
    assert {own.mosaic for own in report.seams} == {"first_pass", "second_pass", "merged"}
    for seams in report.seams:
        assert np.nanmax(unexpected(seams)) < 0.05
    assert report.picture == "no_seam"
    assert not [finding for finding in report.findings if finding.kind == "seam"]
    assert report.summary.startswith("No seam is in the mosaic. Every tile agrees")


def test_an_offset_is_taken_by_matching(tmp_path):
    report = report_of("offset:4:25", directory=tmp_path)
    (finding,) = [one for one in report.findings if one.kind == "offset"]
    assert report.summary == f"No seam is in the mosaic: matching took the {finding.value:+.4g} adu of tile 4."
    assert finding.seam.tile == 4
    assert finding.what_if.mosaic == pytest.approx(finding.what_if.mosaic_taken_out, abs=0.01 * NOISE)
    assert "nothing to do for this picture" in finding.message
    assert finding.about.advice not in finding.message


def test_a_slope_makes_the_seam_that_it_is_given(tmp_path):
    report = report_of("gradient:4:80", directory=tmp_path)
    (finding,) = [one for one in report.findings if one.kind == "gradient"]
    assert report.picture == "visible"
    assert finding.seam.tile == 4
    assert finding.seam in report.seams[-1].edges
    assert finding.seam.look in ("faint", "visible")
    # Without it next to nothing is left.
    assert finding.what_if.mosaic_taken_out < 0.25 * finding.what_if.mosaic
    assert report.summary.startswith("A visible seam, ")
    assert f"{finding.value:.4g} adu from end to end" in report.summary
    assert report.summary.endswith("see moonlight, flat field and gradient removal.")
    assert np.nanmax(unexpected(report.seams[-1])) < 0.2
    assert not [one for one in report.findings if one.kind == "seam"]


def test_a_thin_line_that_the_merge_leaves_is_seen_and_is_no_step(tmp_path, monkeypatch):
    def with_line(fault, kwargs, mosaic, *rest):
        raised, *_ = with_seam(fault, kwargs, mosaic)
        inside = np.isfinite(mosaic[..., 0]) & (raised[..., 0] != mosaic[..., 0])
        line = binary_closing(inside, iterations=4) & ~binary_erosion(
            binary_closing(inside, iterations=4), iterations=3
        )
        return mosaic - np.float32(fault.size) * line[..., np.newaxis], *rest

    with_seam = faults._with_seam
    monkeypatch.setattr(faults, "_with_seam", with_line)
    report = report_of("seam:4:30", directory=tmp_path)
    assert report.picture == "visible"
    assert [one.picture for one in report.seams[:2]] == ["no_seam", "no_seam"]
    worst = report.seams[-1].edges[report.seams[-1].worst]
    assert worst.thin
    assert report.summary.startswith("A thin dark line, ")
    assert "no step, but pixels at the edge that are none of the sky, in the merge of the two passes" in report.summary
    assert report.summary.count("thin") == 1


def test_a_groove_that_a_later_step_digs_is_a_broad_line_made_there(tmp_path, monkeypatch):
    def with_groove(fault, kwargs, mosaic, *rest):
        raised, *_ = with_seam(fault, kwargs, mosaic)
        inside = binary_closing(np.isfinite(mosaic[..., 0]) & (raised[..., 0] != mosaic[..., 0]), iterations=4)
        away = np.where(inside, distance_transform_edt(inside), distance_transform_edt(~inside))
        return mosaic - np.float32(fault.size) * np.clip(1 - away / 12, 0, None)[..., np.newaxis], *rest

    with_seam = faults._with_seam
    monkeypatch.setattr(faults, "_with_seam", with_groove)
    report = report_of("seam:4:30", directory=tmp_path)
    assert report.picture == "visible"
    # Where it ends across another edge that has a step too.
    assert {finding.kind for finding in told(report)} <= {"seam"}
    worst = report.seams[-1].edges[report.seams[-1].worst]
    assert (worst.lined, worst.thin, worst.tone) == (True, False, "dark")
    assert report.summary.startswith("A broad dark line, ")
    assert "no step, but darker on both sides of the edge, made in the merge of the two passes" in report.summary


@pytest.mark.parametrize("size", [5.0, -30.0])
def test_a_seam_of_the_merge_is_no_tiles(tmp_path, size):
    report = report_of(f"seam:4:{size}", directory=tmp_path)
    assert report.verdict == "pipeline_bug"
    (finding,) = told(report)
    assert finding.kind == "seam"
    # Of edges beside each other either may be the worst; named is the tile that has most of them.
    assert finding.tile == finding.seam.tile == report.seams[-1].tile == 4
    # The worst of all that are read: those that lie beside another edge are read a tenth too large.
    assert finding.value == pytest.approx(size, rel=0.15)
    assert "made in the merge of the two passes" in finding.message
    assert report.summary == finding.message
    assert finding.seam in report.seams[-1].edges
    for seams in report.seams[:2]:
        assert np.nanmax(unexpected(seams)) < 0.05
    second, merged = (own.edges for own in report.seams[1:])
    for before, edge in zip(second, merged, strict=True):
        assert edge.expected is None or np.allclose(edge.expected, before.step, atol=0.1 * NOISE + 0.2 * abs(size))


def test_beside_a_seam_of_the_merge_a_fault_of_a_tile_is_told_too(tmp_path):
    report = report_of("seam:1:30", "gradient:4:80", directory=tmp_path)
    seam, gradient = told(report)
    assert (seam.kind, gradient.kind, gradient.tile, gradient.seam.tile) == ("seam", "gradient", 4, 4)
    # Of edges beside each other either may be named; the place is tile 1's.
    own = [edge for edge in report.seams[-1].edges if edge.tile == 1]
    assert min(np.hypot(edge.x - seam.seam.x, edge.y - seam.seam.y) for edge in own) < 40


def test_what_is_seen_comes_first(tmp_path):
    report = report_of("offset:0:60", "gradient:4:80", directory=tmp_path)
    assert [(one.kind, one.tile) for one in told(report)] == [("gradient", 4), ("offset", 0)]
    assert [one.finding for one in report.evidence] == told(report)


SHAPE = (20, 40)


NEITHER = (False, False)


def makings(gains=(1.0, 1.2), weights=(1.0, 1.0), doubtful=NEITHER, altered=NEITHER):
    """Two tiles side by side that meet in ten columns, the second 6 adu higher."""
    boxes = (slice(0, 20), slice(0, 25)), (slice(0, 20), slice(15, 40))
    rows, columns = np.indices(SHAPE)
    level = 100.0 + 3.0 * np.sin(columns) + np.cos(rows * columns) + 0 * rows
    given = [level[box][np.newaxis] + add for box, add in zip(boxes, (0.0, 6.0), strict=True)]
    footprints = tuple((box, np.ones((20, 25))) for box in boxes)
    return Makings(SHAPE, footprints, tuple(given), np.array(gains), np.array(weights), doubtful, altered)


def mean_of(own, gains, weights, taken):
    total, weight = np.zeros((1, *SHAPE)), np.zeros(SHAPE)
    for (box, _), given, gain, part, less in zip(own.footprints, own.given, gains, weights, taken, strict=True):
        total[:, box[0], box[1]] += part * (gain * given - less)
        weight[box] += part
    return total / weight


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 3.0)])
def test_what_matching_took_is_read_off(weights):
    own = makings(weights=weights)
    picture = Picture("second_pass", mean_of(own, own.gains, weights, (-4.0, 9.0)), np.ones((1, *SHAPE)))
    found = own.predict(picture, {})
    assert np.allclose(found.subtract(picture.value), 0, atol=1e-4)
    assert found.taken[1, 0] - found.taken[0, 0] == pytest.approx(13.0, abs=1e-3)


def test_a_first_pass_has_no_gains_and_perhaps_no_weights():
    own = makings(weights=(1.0, 3.0))
    for weights in ((1.0, 1.0), (1.0, 3.0)):
        picture = Picture("first_pass", mean_of(own, (1, 1), weights, (0.0, 6.0)), np.ones((1, *SHAPE)))
        assert np.allclose(own.predict(picture, {}).value, picture.value, atol=1e-3)


def test_what_is_no_mean_of_the_tiles_is_not_expected():
    own = makings()
    value = mean_of(own, own.gains, own.weights, (0.0, 0.0))
    other = np.random.default_rng(1).normal(value, 1.0)
    assert own.predict(Picture("second_pass", other, np.ones((1, *SHAPE))), {}) is None
    unknown = makings(gains=(1.0, np.nan))
    assert unknown.predict(Picture("second_pass", value, np.ones((1, *SHAPE))), {}) is None


def test_a_merge_is_made_of_both_passes_and_what_comes_after_is_that_scaled():
    own, seen = makings(), {}
    pictures = [
        Picture(name, mean_of(own, gains, own.weights, (0.0, 1.0)), np.ones((1, *SHAPE)))
        for name, gains in (("first_pass", (1, 1)), ("second_pass", own.gains))
    ]
    for picture in pictures:
        seen[picture.name] = own.predict(picture, seen)
    part = np.zeros(SHAPE)
    part[:, :12] = 1.0
    part[:, 12] = 0.4
    value = np.where(part > 0.5, pictures[1].value, pictures[0].value)
    merged = seen["merged"] = own.predict(Picture("merged", value, np.ones((1, *SHAPE)), part), seen)
    assert np.isnan(merged.value[:, :, 12]).all()
    known = np.isfinite(merged.value)
    assert np.allclose(merged.subtract(value)[known], 0, atol=1e-3)
    assert known.sum() == 20 * 39
    final = own.predict(Picture("final", 0.5 * value + 7.0, np.ones((1, *SHAPE))), seen)
    assert final.scale[0] == pytest.approx(0.5, rel=1e-3)
    assert np.ptp(final.subtract(0.5 * value + 7.0)[known]) < 0.05
    # Of which pass it is told without its parts.
    assert own.predict(Picture("merged", pictures[0].value, np.ones((1, *SHAPE))), seen) is seen["first_pass"]


def test_of_a_tile_that_gave_more_than_it_shows_the_rest_is_not_known():
    share = np.ones((20, 25))
    share[:, :3] = 0.0
    own = makings(doubtful=(False, True))
    footprints = own.footprints[0], (own.footprints[1][0], share)
    own = replace(own, footprints=footprints)
    value = mean_of(own, own.gains, own.weights, (0.0, 0.0))
    found = own.predict(Picture("second_pass", value, np.ones((1, *SHAPE))), {})
    assert np.isnan(found.value[:, :, 15:18]).all()
    assert np.isfinite(np.delete(found.value, slice(15, 18), axis=2)).all()
    (beyond,) = own.beyond().values()
    assert beyond[:, 15:18].all() and not np.delete(beyond, slice(15, 18), axis=1).any()


def test_matching_takes_its_part_of_a_field():
    own = makings(gains=(1.0, 1.0))
    fields = {1: np.full((1, 20, 25), 5.0)}
    for taken, step in (((0.0, 6.0), 0.0), ((0.0, 0.0), 5.0)):
        picture = Picture("second_pass", mean_of(own, own.gains, own.weights, taken), np.ones((1, *SHAPE)))
        made = own.steps_of(fields, own.predict(picture, {}))
        assert made[0, 3, 30] - made[0, 3, 3] == pytest.approx(step, abs=1e-6)


def three_in_a_row(altered):
    """Makings of three tiles that meet in pairs, 0, 6 and 2 adu high, and what the coadd used of them.

    The coadd has added 4 adu to the lower half of one of them.
    """
    spans = slice(0, 16), slice(10, 30), slice(24, 40)
    rows, columns = np.indices(SHAPE)
    level = 100.0 + 3.0 * np.sin(columns) + np.cos(rows * columns)
    boxes = [(slice(0, 20), own) for own in spans]
    given = [level[box][np.newaxis] + add for box, add in zip(boxes, (0.0, 6.0, 2.0), strict=True)]
    footprints = tuple((box, np.ones((20, box[1].stop - box[1].start))) for box in boxes)
    odd = tuple(index == altered for index in range(3))
    own = Makings(SHAPE, footprints, tuple(given), np.ones(3), np.ones(3), (False,) * 3, odd)
    used = [one.copy() for one in given]
    used[altered][:, :10] += 4.0
    return own, replace(own, given=tuple(used))


@pytest.mark.parametrize("taken", [(0.0, 0.0, 0.0), (0.0, 6.0, 2.0)])
def test_what_the_coadd_changed_in_a_tile_is_not_taken_for_matching(taken):
    own, used = three_in_a_row(altered=2)
    value = mean_of(used, np.ones(3), np.ones(3), taken)
    left = own.predict(Picture("second_pass", value, np.ones((1, *SHAPE))), {}).subtract(value)[0]
    assert np.allclose(left[:10, 30:], 4.0, atol=0.01)
    assert np.allclose(left[:10, 24:30], 2.0, atol=0.01)
    assert np.allclose(left[10:], 0.0, atol=0.01)
    assert np.allclose(left[:, :24], 0.0, atol=0.01)


def test_of_a_tile_that_was_changed_nothing_is_expected_where_no_others_meet():
    own, used = three_in_a_row(altered=1)
    value = mean_of(used, np.ones(3), np.ones(3), (0.0, 0.0, 0.0))
    left = own.predict(Picture("second_pass", value, np.ones((1, *SHAPE))), {}).subtract(value)[0]
    assert np.isnan(left[:, 10:30]).all()
    assert np.allclose(left[:, :10], 0.0, atol=0.01)


def test_gains_make_steps_where_they_are_in_the_mosaic_and_nothing_takes_them():
    own, before = makings(gains=(1.0, 1.2)), {}
    for name, gains, step in (("first_pass", (1.0, 1.0), 0.0), ("second_pass", (1.0, 1.2), 0.1 * 106.0 + 0.1 * 100.0)):
        picture = Picture(name, mean_of(own, gains, own.weights, (0.0, 0.0)), np.ones((1, *SHAPE)))
        before[name] = own.predict(picture, before)
        made = own.steps_of_gains(before[name])
        assert made[:, :, 25:].mean() - made[:, :, :15].mean() == pytest.approx(step, abs=0.2)
