"""Folders of second passes: whole when they have their name, the newest kept, nothing removed that is not ours."""

import itertools
import json
import os

import pytest

from helpers import mini
from helpers.logs import messages
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.report.artefacts import ARTEFACTS, JSON_NAME
from zemosaic_twopass.report.report import SCHEMA
from zemosaic_twopass.settings import Settings
from zemosaic_twopass.watch import runs
from zemosaic_twopass.watch.runs import prune_runs, run_folder

pytestmark = pytest.mark.usefixtures("no_pictures")


def make_run(base, number, report=None):
    """A folder as an earlier pass left it."""
    folder = base / "runs" / f"20260101T0000{number:02d}Z-77-{number}"
    folder.mkdir(parents=True)
    (folder / JSON_NAME).write_text(json.dumps({"schema": SCHEMA}) if report is None else report)
    return folder


def test_the_newest_are_kept(tmp_path):
    made = [make_run(tmp_path, number) for number in range(7)]
    prune_runs(tmp_path, 3)
    assert [folder.exists() for folder in made] == [False] * 4 + [True] * 3
    prune_runs(tmp_path, 0)
    prune_runs(tmp_path / "nowhere", 3)
    assert all(folder.exists() for folder in made[4:])


@pytest.mark.parametrize("report", ["{}", "no JSON", "[" * 100_000, '{"schema": "another"}', "[]"])
def test_what_is_not_ours_by_its_report_stays(tmp_path, report):
    strange, own = make_run(tmp_path, 1, report), make_run(tmp_path, 2)
    make_run(tmp_path, 3)
    prune_runs(tmp_path, 1)
    assert strange.exists()
    assert not own.exists()


def test_what_is_not_ours_by_its_name_stays(tmp_path):
    kept = []
    for name in (
        "notes",
        "20260101T000000Z",
        ".20260101T000000Z-1-1",
        "20260101T000000Z-1-1.bak",
        "x20260101T000000Z-1-1",
    ):
        folder = make_run(tmp_path, 0)
        kept.append(folder.rename(folder.with_name(name)))
    make_run(tmp_path, 1)
    prune_runs(tmp_path, 1)
    assert all(folder.exists() for folder in kept)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege")
def test_a_link_is_not_followed(tmp_path):
    aim = make_run(tmp_path / "elsewhere", 1)
    make_run(tmp_path, 2)
    (tmp_path / "runs" / aim.name).symlink_to(aim)
    prune_runs(tmp_path, 1)
    assert (aim / JSON_NAME).exists()


def test_a_failure_to_remove_is_none(tmp_path, monkeypatch):
    made = [make_run(tmp_path, number) for number in range(3)]

    def refuse(*args, **kwargs):
        raise PermissionError("no")

    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir"):
            patch.setattr(os, name, refuse)
        prune_runs(tmp_path, 1)
    assert all(folder.exists() for folder in made)


def test_one_that_is_written_has_no_name_yet(tmp_path):
    with run_folder(tmp_path) as (unfinished, final):
        unfinished.mkdir(parents=True)
        (unfinished / JSON_NAME).write_text(json.dumps({"schema": SCHEMA}))
        for number in range(3):
            make_run(tmp_path, number)
        prune_runs(tmp_path, 1)
        assert unfinished.exists()
        assert not final.exists()
    assert (final / JSON_NAME).exists()
    assert not unfinished.exists()


def test_probe_keeps_as_many_as_the_environment_says(tiny, tiles, tmp_path, monkeypatch, debug_log):
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(tmp_path))
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_KEEP", "2")
    foreign = tmp_path / "runs" / "mine"
    foreign.mkdir(parents=True)
    with TwoPassProbe(tiny, delta_map=False, strict=True):
        for _ in range(4):
            mini.call(tiny, tiles, logger=debug_log)
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(left) == 3
    said = [line.split(" page=")[0].rsplit("/", 1)[1] for line in messages(debug_log, "[TwoPassReport]")]
    assert left == sorted([*said[-2:], "mine"])


def test_folder_of_files_that_could_not_be_written(tiny, tiles, tmp_path, monkeypatch, debug_log):
    def fail(report, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(tmp_path))
    monkeypatch.setitem(ARTEFACTS, JSON_NAME, (ARTEFACTS[JSON_NAME][0], fail))
    with TwoPassProbe(tiny, delta_map=False):
        mini.call(tiny, tiles, logger=debug_log)
    (folder,) = (tmp_path / "runs").iterdir()
    (warning,) = messages(debug_log, level="WARNING")
    assert f"{folder}: files not written: {JSON_NAME}" in warning.splitlines()[0]
    assert f"dir={folder} " in messages(debug_log, "[TwoPassReport]")[0]


@pytest.mark.parametrize(("text", "keep"), [("", 50), ("0", 0), ("7", 7), ("-1", 50), ("many", 50)])
def test_setting(text, keep, monkeypatch):
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_KEEP", text)
    assert Settings.from_environment().keep == keep


def test_folders_of_one_moment_sort_in_the_order_they_were_made(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_count", itertools.count(8))
    made = []
    for _ in range(4):
        with run_folder(tmp_path) as (_, final):
            made.append(final.name)
    # Alike but for the second in which they were made, which may have changed meanwhile.
    assert sorted(name.split("-")[-1] for name in made) == [name.split("-")[-1] for name in made]
