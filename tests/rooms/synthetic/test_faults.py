"""Every fault that can be ordered is found again by a probe on a worker, wherever in the pass it sits."""

import numpy as np
import pytest

import zemosaic_instrument
from zemosaic_twopass.command import cli
from zemosaic_twopass.diagnosis.kinds import NOTES, PIPELINE, RESIDUAL
from zemosaic_twopass.synthetic.faults import CALLER_FAULTS, FAULTS, PIPELINE_FAULTS, Fault, faulty_pass

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]

CLOSURE_ONLY = {"gain_not_applied", "gain_swapped", "gain_mismatch", "mask_bug", "not_closed"}


def test_every_kind_can_be_ordered():
    assert set(FAULTS) | set(PIPELINE_FAULTS) == {*PIPELINE, *RESIDUAL, *NOTES}


def faulty_report(scene, worker, fault, directory, debug_log, before):
    """Report of a second pass with a fault that sits before or behind the probe."""
    scene = type(scene)([tile.copy() for tile in scene.tiles], scene.wcs, scene.coverage, scene.first)
    probe = zemosaic_instrument.TwoPassProbe(worker, directory=directory, strict=True, downsample=4)
    fault_first, probe_first = (faulty_pass(worker, [fault]), probe), (probe, faulty_pass(worker, [fault]))
    outer, inner = probe_first if before else fault_first
    with outer, inner:
        assert scene.second_pass(worker, debug_log) is not None
    return probe.reports[-1]


@pytest.mark.parametrize("kind", sorted(set(PIPELINE_FAULTS) - set(CALLER_FAULTS)))
def test_fault_behind_the_probe(kind, rgb_scene, worker, tmp_path, debug_log):
    original = worker.reproject_and_coadd, worker.reproject_and_coadd_wrapper
    report = faulty_report(rgb_scene, worker, Fault.parse(f"{kind}:1"), tmp_path, debug_log, before=False)
    named = [(finding.kind, finding.tile) for finding in report.findings]
    if kind == "gain_seam":
        assert kind in [name for name, _ in named]
    elif kind in NOTES:
        assert (kind, 1) in named
        assert report.verdict == "clean"
    else:
        assert named[0] == (kind, 1)
        assert report.verdict == "pipeline_bug"
    assert (worker.reproject_and_coadd, worker.reproject_and_coadd_wrapper) == original
    lines = [text for _, text in debug_log.handlers[0].messages if text.startswith("[TwoPassFinding]")]
    assert len(lines) == len(report.findings)
    assert f"kind={kind} " in " ".join(lines)


# A seam needs edges longer than these tiles have: tests/rooms/diagnosis/test_seams_expected.py.
@pytest.mark.parametrize("kind", sorted(set(CALLER_FAULTS) - {"seam"}))
def test_fault_of_the_caller(kind, rgb_scene, worker, tmp_path, debug_log):
    probe = zemosaic_instrument.TwoPassProbe(worker, directory=tmp_path, strict=True, downsample=4)
    with faulty_pass(worker, [Fault.parse(kind)]), probe:
        rgb_scene.merged(worker, debug_log)
    report = probe.reports[-1]
    assert [(f.kind, f.tile) for f in report.findings if f.kind in PIPELINE] == [(kind, None)]
    assert report.verdict == "pipeline_bug"


@pytest.mark.parametrize("kind", sorted(CLOSURE_ONLY))
def test_fault_before_the_probe(kind, scene, worker, tmp_path, debug_log):
    report = faulty_report(scene, worker, Fault.parse(f"{kind}:1"), tmp_path, debug_log, before=True)
    assert (report.findings[0].kind, report.findings[0].tile) == (kind, 1)
    if kind != "not_closed" and len(scene.tiles[0].shape) == 2:
        # What the probe has seen is compared to the bit, and stands for what the mosaic says too.
        assert report.findings[0].test == "contract"


def test_undisturbed_pass_has_no_pipeline_finding(scene, worker, tmp_path, debug_log):
    probe = zemosaic_instrument.TwoPassProbe(worker, directory=tmp_path, strict=True)
    with probe:
        scene.second_pass(worker, debug_log)
    assert not {finding.kind for finding in probe.reports[-1].findings} & set(PIPELINE)


def test_probe_holds_nothing_of_the_result(rgb_scene, worker, tmp_path):
    import gc
    import weakref

    with zemosaic_instrument.TwoPassProbe(worker, directory=tmp_path, strict=True) as probe:
        mosaic, coverage = rgb_scene.second_pass(worker)
    gone = [weakref.ref(mosaic), weakref.ref(coverage)]
    del mosaic, coverage
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    assert probe.reports[-1].findings


def test_no_diagnosis_without_the_map(rgb_scene, worker, tmp_path, monkeypatch):
    monkeypatch.setattr("zemosaic_twopass.watch.publish.examination_of", lambda capture: pytest.fail("was called"))
    monkeypatch.setattr("zemosaic_twopass.watch.capture.fingerprint", lambda *args: pytest.fail("was called"))
    with zemosaic_instrument.TwoPassProbe(worker, delta_map=False, directory=tmp_path, strict=True) as probe:
        rgb_scene.second_pass(worker)
    assert probe.reports[-1].verdict == "undetermined"
    assert probe.reports[-1].findings == ()


def test_command_names_the_fault_last(tmp_path, capsys, monkeypatch):
    real = cli.synthetic_tiles
    larger = {"rows": 2, "columns": 2, "shape": (220, 280), "overlap": 0.7}
    monkeypatch.setattr(cli, "synthetic_tiles", lambda **kwargs: real(**larger, **kwargs))
    assert cli.main(["demo", "--fault", "offset:2:40", "--fail-on", "residual", "--out", str(tmp_path)]) == 1
    *_, finding, verdict = capsys.readouterr().out.splitlines()
    assert finding.startswith("[TwoPassFinding] idx=2 kind=offset value=")
    assert verdict.startswith("[TwoPassVerdict] residual picture=no_seam tiles=4 findings=1 worst_idx=2 ")


def test_command_refuses_a_tile_that_is_not_there(capsys):
    assert cli.main(["demo", "--fault", "mask_bug:9"]) == 2
    assert "tile 9 is not one of 0 to 8" in capsys.readouterr().err


def test_faulty_planes_leave_the_plane_alone():
    from zemosaic_twopass.synthetic.faults import faulty_plane

    plane = np.ones((40, 50), np.float32)
    for kind in PIPELINE_FAULTS:
        faulty_plane(plane, Fault.parse(kind), 1.1)
    assert (plane == 1).all()
