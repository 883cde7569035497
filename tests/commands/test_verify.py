"""The command `verify`: the same bytes, and what of a worker is seen."""

import json
import sys

import numpy as np
import pytest

from helpers import old_workers
from zemosaic_twopass.command import cli, verify

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]


@pytest.fixture(autouse=True)
def small_sky(monkeypatch):
    """The demo's sky on small tiles; what is done with it stays the same."""
    real = verify.synthetic_tiles
    monkeypatch.setattr(verify, "synthetic_tiles", lambda seed: real(rows=2, columns=2, shape=(90, 100), seed=seed))


@pytest.fixture
def on_disk(tmp_path, monkeypatch):
    """Writes the miniature worker of a version, and the parts that are to be different in it; gives its path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("zemosaic_worker", "zemosaic_utils"):
        # Put back when the test ends, whatever is there by then.
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)

    def write(version, *changes):
        source = old_workers.source(version)
        for old, new in changes:
            assert old in source
            source = source.replace(old, new)
        (tmp_path / "zemosaic_worker.py").write_text(source)
        (tmp_path / "zemosaic_utils.py").write_text(old_workers.UTILITIES)
        return str(tmp_path / "zemosaic_worker.py")

    return write


def run(capsys, *argv, code):
    """What the command prints."""
    capsys.readouterr()
    assert cli.main(["verify", *argv]) == code
    return capsys.readouterr().out


def facts_of(out):
    """What the lines say, name to value."""
    lines = [line for line in out.splitlines() if line.startswith("[TwoPassVerify] ")][:-1]
    pairs = [word.split("=") for line in lines for word in line.split()[1:]]
    return {name: value for name, value in pairs if name not in ("run", "sha256")}


def test_our_worker(capsys):
    out = run(capsys, code=0)
    lines = out.splitlines()
    hashes = [line.split("sha256=")[1] for line in lines if "sha256=" in line]
    assert len(hashes) == 3
    assert len(set(hashes)) == 1
    assert lines[-1] == "[TwoPassVerify] identical The probe changed no byte of mosaic and coverage."
    assert lines[-2].startswith("[TwoPassVerdict] ")
    assert "[TwoPassVerify] sees=gains,corrected_tiles,first_pass missing=- not_yet=-" in lines
    assert facts_of(out) == {
        "since": "2025-12-23",
        "sees": "gains,corrected_tiles,first_pass",
        "missing": "-",
        "not_yet": "-",
        "gains": "4/4",
        "observed": "4/4",
        "reference": "first_pass",
    }


def test_the_same_as_json(capsys):
    found = json.loads(run(capsys, "--json", code=0))
    assert len(set(found.pop("sha256").values())) == 1
    diagnosis = found.pop("diagnosis")
    assert diagnosis["verdict"] in ("clean", "residual")
    assert diagnosis["summary"]
    assert found == {
        "verdict": "identical",
        "since": "2025-12-23",
        "sees": ["gains", "corrected_tiles", "first_pass"],
        "missing": [],
        "not_yet": [],
        "tiles": 4,
        "gains": 4,
        "observed": 4,
        "reference": "first_pass",
    }


@pytest.mark.parametrize("version", old_workers.SIGNATURES)
def test_every_version_shows_what_it_is_known_to_show(capsys, on_disk, version):
    facts = facts_of(run(capsys, "--worker", on_disk(version), code=0))
    early = version in old_workers.WITHOUT_CALLER
    assert facts["since"] == version[:10]
    assert facts["sees"] == ("gains,corrected_tiles" if early else "gains,corrected_tiles,first_pass")
    assert facts["missing"] == "-"
    assert facts["not_yet"] == ("first_pass" if early else "-")
    assert facts["gains"] == facts["observed"] == "4/4"
    assert facts["reference"] == ("tiles" if early else "first_pass")


GAINS = ("compute_per_tile_gains_from_coverage", "gains_of_tiles")
CALLER = ("_apply_two_pass_coverage_renorm_if_requested", "_renorm_coverage")
_THERE = "return zemosaic_utils.reproject_and_coadd_wrapper("
COADD = (_THERE, "return other(")
BLUE = (_THERE, "coadd = other if index == 2 else zemosaic_utils.reproject_and_coadd_wrapper\n        return coadd(")
OTHER = ("logger = logging", "from zemosaic_utils import reproject_and_coadd_wrapper as other\nlogger = logging")
WRAPPED = (
    "def _apply",
    "_inner = run_second_pass_coverage_renorm\n\n"
    "def run_second_pass_coverage_renorm(*args, **kwargs):\n    return _inner(*args, **kwargs)\n\n"
    "def _apply",
)


@pytest.mark.parametrize(
    ("changes", "missing", "gains", "observed"),
    [
        ([GAINS], "gains", "0/4", "4/4"),
        ([OTHER, COADD], "corrected_tiles", "4/4", "0/4"),
        ([CALLER], "first_pass", "4/4", "4/4"),
        ([GAINS, CALLER], "gains,first_pass", "0/4", "4/4"),
    ],
)
def test_a_newer_worker_that_shows_less(capsys, on_disk, changes, missing, gains, observed):
    out = run(capsys, "--worker", on_disk("2025-12-23", *changes), code=1)
    facts = facts_of(out)
    assert facts["missing"] == missing
    assert facts["not_yet"] == "-"
    assert (facts["gains"], facts["observed"]) == (gains, observed)
    last = out.splitlines()[-1]
    assert last.startswith("[TwoPassVerify] identical ")
    assert f"but missed {missing.replace(',', ' and ')}, which older workers show" in last


def test_what_is_missing_as_json(capsys, on_disk):
    found = json.loads(run(capsys, "--worker", on_disk("2025-12-23", GAINS, CALLER), "--json", code=1))
    assert found["missing"] == ["gains", "first_pass"]


def test_one_channel_that_goes_another_way(capsys, on_disk):
    """Every tile is seen in two of three channels: that is none that was seen whole."""
    facts = facts_of(run(capsys, "--worker", on_disk("2025-12-23", OTHER, BLUE), code=1))
    assert facts["missing"] == "corrected_tiles"
    assert facts["observed"] == "0/4"


def test_an_early_worker_is_held_to_its_gains(capsys, on_disk):
    facts = facts_of(run(capsys, "--worker", on_disk("2025-10-31a", GAINS), code=1))
    assert facts["missing"] == "gains"
    assert facts["not_yet"] == "first_pass"


def test_a_signature_that_is_not_known_is_held_to_the_newest(capsys, on_disk):
    out = run(capsys, "--worker", on_disk("2025-12-23", WRAPPED), code=1)
    facts = facts_of(out)
    assert facts["since"] == "-"
    assert facts["missing"] == "gains,corrected_tiles,first_pass"
    assert facts["not_yet"] == "-"
    assert "[TwoPassVerify] undetermined The probe saw nothing: TypeError: " in out


def test_a_probe_that_changes_something(capsys, monkeypatch):
    def meddle(probes, function, args, kwargs, first_pass):
        args[0][0][50, 50] += 1

    monkeypatch.setattr("zemosaic_twopass.watch.run.Run.begin", meddle)
    found = json.loads(run(capsys, "--json", code=1))
    assert found["verdict"] == "different"
    assert found["sha256"]["bare_1"] == found["sha256"]["bare_2"] != found["sha256"]["instrumented"]


def test_nothing_is_claimed_when_bare_runs_differ(capsys, monkeypatch):
    outcomes = iter(np.arange(3.0))
    monkeypatch.setattr(verify, "run_second_pass", lambda *args, **kwargs: (np.array(next(outcomes)),))
    lines = run(capsys, code=1).splitlines()
    assert lines[-1].startswith("[TwoPassVerify] undetermined The two bare runs differ")


def test_nothing_is_claimed_when_the_probe_saw_nothing(capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("zemosaic_twopass.watch.run.RunCapture", lambda *args: 1 / 0)
        out = run(capsys, code=1)
        assert "undetermined The probe saw nothing: ZeroDivisionError" in out
        assert facts_of(out)["missing"] == "gains,corrected_tiles,first_pass"
    monkeypatch.setattr("zemosaic_twopass.watch.run.Run.begin", lambda *args: 1 / 0)
    out = run(capsys, code=1)
    assert "undetermined The probe saw nothing: its second pass" in out
    assert facts_of(out)["reference"] == "-"
