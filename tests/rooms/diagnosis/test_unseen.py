"""What was not seen of a pass leaves a note on the test that fell out, and the summary claims no more."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from helpers import mini
from helpers.logs import messages
from helpers.passes import probe_of
from helpers.scenes import Pass
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.diagnosis.examination import summary_of, verdict_of
from zemosaic_twopass.watch.build import examination_of, measure_pass
from zemosaic_twopass.watch.capture import RunCapture

COMBINES = {"mean": "mean", "median": "median", "graphics": "GPU code of its own", "unseen": None}


@pytest.fixture(scope="module")
def clean():
    return Pass.make(rows=2, columns=2, shape=(340, 430), overlap=0.7).coadd()


@pytest.fixture(scope="module")
def not_applied(clean):
    planes = clean.planes()
    planes[1] = clean.tiles[1]
    return replace(clean).coadd(planes), planes


def pass_of(scene, planes, gains, first_pass):
    """What a probe would have of a pass."""
    found = RunCapture(
        {
            "tiles": scene.tiles,
            "tiles_wcs": scene.wcs,
            "tiles_coverage": scene.coverage,
            "final_wcs_p1": scene.out,
            "shape_out": scene.shape,
            "coverage_p1": scene.weights,
            "gain_clip": (0.5, 2.0),
        },
        scene.mosaic if first_pass else None,
    )
    if gains:
        found.observe_gains(scene.gains)
    if planes is not None:
        found.observe_planes(planes)
    second_pass = found.second_pass
    second_pass.mosaic, second_pass.coverage = scene.mosaic, scene.weights
    found.describe(whole=True)
    return found


def measured(*known):
    """What a probe would have of a pass, and what is measured of its tiles."""
    capture = pass_of(*known)
    return capture.second_pass, measure_pass(capture, 8)


def examined(second_pass, measurements, combine):
    return examination_of(replace(second_pass, combine=COMBINES[combine]), measurements)


@pytest.mark.parametrize(("gains", "planes", "first_pass"), list(itertools.product(*[[True, False]] * 3)))
def test_every_combination(clean, not_applied, gains, planes, first_pass):
    """However the coadd combined, which is nothing to what is measured of the tiles."""
    faulty, its_planes = not_applied
    clean = measured(clean, clean.planes() if planes else None, gains, first_pass)
    faulty = measured(faulty, its_planes if planes else None, gains, first_pass)
    for combine in COMBINES:
        check_combination(clean, faulty, (gains, planes, first_pass, combine))


def check_combination(clean, faulty, known):
    gains, planes, first_pass, combine = known
    expected = {
        *(() if gains else ["gains"]),
        *(() if planes else ["contract"]),
        *(() if first_pass else ["passes"]),
        *(() if combine in ("mean", "unseen") else ["closure"]),
    }
    findings = [f for f in examined(*clean, combine).findings if f.kind != "gain_seam"]
    assert {(f.kind, f.test, f.tile) for f in findings} == {("undetermined", test, None) for test in expected}
    assert len(findings) == len(expected)
    assert verdict_of(findings) == "clean"
    sentence, worst = summary_of(findings, True)
    assert worst is None
    assert "very tile agrees with the others" in sentence
    assert ("is gain x tile" in sentence) == (gains and planes)
    assert ("is what the recorded gains make" in sentence) == (gains and "closure" not in expected)
    assert ("second pass lies on the first" in sentence) == first_pass
    assert sentence.startswith("No fault found, as far as") == bool(expected)
    assert all(f.message for f in findings)

    # A fault is found by whatever was seen, and never denied.
    findings = examined(*faulty, combine).findings
    testable = gains and (planes or "closure" not in expected)
    assert (("gain_not_applied", 1) in [(f.kind, f.tile) for f in findings]) == testable
    assert "recorded gains make" not in summary_of(findings, True)[0]


def test_mosaic_of_an_unseen_coadd_that_is_no_mean(clean):
    """A median taken by a coadd that nobody saw is no fault of the pass."""
    other = replace(clean, mosaic=clean.mosaic * np.float32(1) + np.hypot(*np.indices(clean.shape))[..., None])
    kinds = [(f.kind, f.test) for f in other.diagnose(combine=None) if f.test == "closure"]
    assert kinds == [("undetermined", "closure")]
    assert {f.kind for f in other.diagnose(combine="mean") if f.test == "closure"} == {"not_closed"}


@pytest.mark.parametrize("name", ["compute_per_tile_gains_from_coverage", "reproject_and_coadd_wrapper"])
@pytest.mark.parametrize("positional", [True, False])
def test_replaced_by_what_names_no_parameters(tiny, tiles, debug_log, monkeypatch, name, positional):
    """As a quick monkeypatch does: told by the lists that it carries."""
    owner = tiny if hasattr(tiny, name) else tiny.zemosaic_utils
    inner = getattr(owner, name)

    def replacement(*args, **kwargs):
        order = ("data_list", "wcs_list", "shape_out")
        args = args or tuple(kwargs.pop(key) for key in order if key in kwargs)
        return inner(*args, **kwargs)

    monkeypatch.setattr(owner, name, replacement)
    if positional and owner is not tiny:
        # One more in front that has no names, so that lists arrive by place.
        def by_place(data_list, wcs_list, shape_out, **kwargs):
            return owner.inner_coadd(data_list, wcs_list, shape_out, **kwargs)

        owner.inner_coadd = replacement
        monkeypatch.setattr(owner, name, lambda *args, **kwargs: by_place(*args, **kwargs))
    with probe_of(tiny) as probe:
        mini.call(tiny, tiles, logger=debug_log)
    (report,) = probe.reports
    assert [(tile.gain, tile.post_source) for tile in report.tiles] == [
        (1.0, "observed"),
        (1.125, "observed"),
        (1.25, "observed"),
    ]
    assert messages(debug_log, level="WARNING") == []


def test_coadd_called_by_place(tiny, tiles, debug_log, monkeypatch):
    """Weights come after the planes, and are arrays too."""
    utilities = tiny.zemosaic_utils
    inner = utilities.reproject_and_coadd_wrapper
    calls = []

    def by_place(*args, **kwargs):
        calls.append(args)
        return inner(args[0], args[2], args[3])

    planes, weights = "[tile[..., channel] for tile in corrected]", "[tile[..., 0] * 0 + 1 for tile in corrected]"
    by_name = f"data_list={planes}, wcs_list=tiles_wcs, shape_out=shape_out"
    source = mini.WORKER.replace(by_name, f"{planes}, {weights}, tiles_wcs, shape_out")
    exec(source, vars(tiny))
    monkeypatch.setattr(utilities, "reproject_and_coadd_wrapper", by_place)
    with probe_of(tiny) as probe:
        mini.call(tiny, tiles, logger=debug_log)
    assert len(calls) == 3
    assert [tile.post_source for tile in probe.reports[0].tiles] == ["observed"] * 3
    assert [tile.post.median for tile in probe.reports[0].tiles][0] == probe.reports[0].tiles[0].pre.median


def test_gains_replaced_in_a_real_pass(worker, rgb_scene, tmp_path, monkeypatch):
    """The case that was called clean: gains not seen, one of them not applied."""
    inner, apply = worker.compute_per_tile_gains_from_coverage, worker.reproject_and_coadd_wrapper
    monkeypatch.setattr(worker, "compute_per_tile_gains_from_coverage", lambda *a, **k: inner(*a, **k))
    seen = []

    def reproject_and_coadd_wrapper(data_list, **kwargs):
        seen.append(data_list)
        return apply(data_list=[np.float32(1.07) * data_list[0], *data_list[1:]], **kwargs)

    monkeypatch.setattr(worker, "reproject_and_coadd_wrapper", reproject_and_coadd_wrapper)
    with TwoPassProbe(worker, directory=tmp_path, strict=True) as probe:
        rgb_scene.merged(worker)
    (report,) = probe.reports
    assert len(seen) == 3
    assert (report.findings[0].kind, report.findings[0].tile) == ("gain_mismatch", 0)
