"""The contract, held against a real ZeMosaic: `make test-public ZEMOSAIC=FOLDER`."""

import tempfile
from dataclasses import dataclass

import numpy as np
import pytest

from helpers.checkout import ByCaller, Cropped, Direct, Displaced, MatchedPhase5, Outcome, Phase5, path_of_worker
from helpers.passes import leave_out_pictures
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass import tile_statistics
from zemosaic_twopass.command import cli, verify
from zemosaic_twopass.offline.workers import load_worker
from zemosaic_twopass.report.report import TwoPassReport

# What it warns of is its own affair.
pytestmark = [pytest.mark.public, pytest.mark.filterwarnings("ignore")]

WAYS = {"second_pass": Direct, "caller": ByCaller, "phase5": Phase5, "phase5_matched": MatchedPhase5}


@dataclass(frozen=True)
class Sitting:
    """Two bare runs and a watched one; the worker's own functions before and after."""

    bare: tuple[Outcome, Outcome]
    watched: Outcome
    tiles: list
    reports: tuple[TwoPassReport, ...]
    functions: tuple[dict, dict]


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    path, runtime = path_of_worker(), tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        # It writes a log where it is imported, and more where temporary files go.
        patch.chdir(runtime)
        patch.setattr(tempfile, "tempdir", str(runtime))
        leave_out_pictures(patch)
        yield load_worker(path)


@pytest.fixture(scope="module", params=WAYS)
def sitting(request, worker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("way")
    way = WAYS[request.param](worker, folder)
    bare = way.outcome(), way.outcome()
    before = functions_of(worker)
    with TwoPassProbe(worker, directory=folder / "out", downsample=4, strict=True) as probe:
        watched = way.outcome()
    return Sitting(bare, watched, way.tiles, tuple(probe.reports), (before, functions_of(worker)))


def functions_of(worker):
    """Everything that can be called in the worker and in its utilities, by where it stands."""
    modules = worker, worker.zemosaic_utils
    return {
        (module.__name__, name): value for module in modules for name, value in vars(module).items() if callable(value)
    }


def test_two_bare_runs_agree(sitting):
    """Or nothing that follows proves anything."""
    assert sitting.bare[0] == sitting.bare[1]
    assert len(sitting.bare[0].lines) > 3


def test_same_bytes_and_random_numbers(sitting):
    bare, watched = sitting.bare[0], sitting.watched
    assert watched.result == bare.result
    assert watched.random == bare.random
    assert watched.given == bare.given


def test_same_lines_in_the_same_order(sitting):
    assert sitting.watched.lines == sitting.bare[0].lines


def test_every_tile_is_seen_as_it_went_into_the_coadd(sitting):
    (report,) = sitting.reports
    assert len(report.tiles) == len(sitting.tiles) == 4
    assert any(record.gain != 1 for record in report.tiles), "gains of 1 would hide a tile that was not multiplied"
    for record, tile in zip(report.tiles, sitting.tiles, strict=True):
        assert record.post_source == "observed"
        assert record.pre == tile_statistics(tile)
        assert record.post == tile_statistics(np.float32(tile) * np.float32(record.gain))


def test_reference_is_the_first_pass(sitting, request):
    (report,) = sitting.reports
    direct = request.node.callspec.params["sitting"] == "second_pass"
    assert report.delta.reference == ("tiles" if direct else "first_pass")


def test_the_seams_of_every_mosaic_are_measured(sitting, request):
    (report,) = sitting.reports
    seen = {"second_pass": ["second_pass"], "caller": ["first_pass", "second_pass", "merged"]}
    way = request.node.callspec.params["sitting"]
    stages = seen.get(way) or [*seen["caller"], "final"]
    assert [seams.mosaic for seams in report.seams] == stages


def test_the_very_objects_are_there_again(sitting):
    before, after = sitting.functions
    assert [name for name in before.keys() | after.keys() if before.get(name) is not after.get(name)] == []


def test_names_are_those_of_the_files_or_none(sitting, request):
    (report,) = sitting.reports
    names = [record.name for record in report.tiles]
    if request.node.callspec.params["sitting"].startswith("phase5"):
        assert names == [f"master_{index}.fits" for index in range(4)]
    else:
        assert names == [None] * 4


@pytest.mark.parametrize(("way", "kind"), [(Cropped, "second_pass_unused"), (Displaced, "pass_misregistration")])
def test_what_its_caller_does_around_the_pass_is_named(way, kind, worker, tmp_path):
    run = way(worker, tmp_path)
    bare = run.outcome()
    assert run.outcome() == bare
    with TwoPassProbe(worker, directory=tmp_path / "out", downsample=4, strict=True) as probe:
        watched = run.outcome()
    assert watched == bare
    (report,) = probe.reports
    # Before 2026 a caller returned the second pass whatever its shape: then it is not unused.
    named = [] if way is Cropped and report.merge is None else [kind]
    assert [f.kind for f in report.findings if f.about.group == "pipeline"] == named


def test_verify_finds_nothing_missing(worker, monkeypatch, capsys):
    real = verify.synthetic_tiles
    monkeypatch.setattr(verify, "synthetic_tiles", lambda seed: real(rows=2, columns=2, shape=(90, 100), seed=seed))
    code = cli.main(["verify", "--worker", worker.__file__])
    assert code == 0, capsys.readouterr().out
