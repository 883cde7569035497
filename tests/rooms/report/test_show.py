"""`zemosaic-twopass show`: a report on disk, read as data from strangers."""

import io
import json
import os
import shutil
import sys

import pytest

from helpers.reports import NOTE, OFFSET, SEAM, make_report
from zemosaic_twopass import files
from zemosaic_twopass.command import cli
from zemosaic_twopass.report import show
from zemosaic_twopass.report.artefacts import JSON_NAME, TABLE_NAME


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    base = tmp_path_factory.mktemp("written")
    make_report(findings=(OFFSET, SEAM, NOTE), names=["M 42 é.fits", "b", "c", "d"]).write(base)
    return base


@pytest.fixture
def directory(tmp_path, written):
    for name in (JSON_NAME, TABLE_NAME):
        shutil.copy(written / name, tmp_path)
    return tmp_path


def edited(directory, **changes):
    path = directory / JSON_NAME
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_verdict_findings_and_table(directory, capsys):
    assert cli.main(["show", str(directory)]) == 0
    out, err = capsys.readouterr()
    assert not err
    lines = out.splitlines()
    assert lines[0].startswith("Residual. A tile does not agree with the others, or ")
    assert lines[1] == "Tile 1 stands furthest from the first-pass mosaic."
    assert lines[3] == "Findings: 3"
    assert lines[4] == "  1. tile 1: offset  +24.97 adu, 61.3 standard errors from none"
    assert lines[5] == "     " + OFFSET.message
    assert lines[6].startswith("  2. tile 0: gain seam  -31.2 adu")
    assert lines[8:10] == ["  3. whole mosaic: undetermined", "     " + NOTE.message]
    header = lines[11].split()
    assert header[:4] == ["idx", "finding", "gain", "delta_pre"]
    assert lines[12].split()[0] == "adu"
    assert len(lines) == 11 + 3 + 4
    assert lines[-4].split()[:2] == ["0", "gain_seam"]
    assert lines[-4].endswith("M 42 é.fits")


def test_json(directory, capsys):
    assert cli.main(["show", str(directory), "--json"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert json.loads(out) == json.loads((directory / JSON_NAME).read_text(encoding="utf-8"))
    assert len(out.splitlines()) == 1


def test_fail_on(directory):
    assert cli.main(["show", str(directory), "--fail-on", "residual"]) == 1
    assert cli.main(["show", str(directory), "--fail-on", "clean"]) == 0


def test_without_table_or_findings(tmp_path, capsys):
    make_report(verdict="clean").write(tmp_path)
    (tmp_path / TABLE_NAME).unlink()
    assert cli.main(["show", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Findings: none" in out
    assert out.endswith("Tiles: none recorded.\n")


def test_two_hundred_tiles_are_all_shown(tmp_path, capsys):
    make_report(rows=10, columns=20, channels=1).write(tmp_path)
    assert cli.main(["show", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-200:]] == [str(index) for index in range(200)]


def test_unknown_fields_of_a_finding_are_passed_over(directory, capsys):
    edited(
        directory, findings=[{"kind": "x", "tile": 0, "value": None, "sigma": 1, "message": "m", "unit": "", "new": []}]
    )
    assert cli.main(["show", str(directory)]) == 0
    assert "  1. tile 0: x  1 standard errors from none" in capsys.readouterr().out


def test_nothing_reaches_the_terminal_but_text(directory, capsys):
    edited(directory, summary="red \x1b[31m turned \u202e end")
    table = directory / TABLE_NAME
    table.write_text(table.read_text(encoding="utf-8").replace("M 42 é.fits", "M\x1b[2J.fits"), encoding="utf-8")
    assert cli.main(["show", str(directory)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "red \ufffd[31m turned \ufffd end" in out
    assert "M\ufffd[2J.fits" in out


def test_terminal_without_unicode(directory, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert show.show(directory)["verdict"] == "residual"
    sys.stdout.flush()
    assert rb"M 42 \xe9.fits" in raw.getvalue()


def refused(directory, capsys, file, *words):
    """One line on standard error that names the file; exit 2."""
    capsys.readouterr()
    assert cli.main(["show", str(directory)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith("zemosaic-twopass: error: ")
    assert str(directory / file) in err
    assert len(err) < 600
    for word in words:
        assert word in err


def test_no_report_there(tmp_path, capsys):
    refused(tmp_path, capsys, JSON_NAME, "No such file")
    refused(tmp_path / "nowhere", capsys, JSON_NAME, "No such file")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", capsys, JSON_NAME)


def test_a_folder_of_runs_names_the_newest(tmp_path, capsys):
    for number in (1, 2):
        make_report().write(tmp_path / "runs" / f"20260101T00000{number}Z-7-{number}")
    assert cli.main(["show", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "holds 2 runs, name one of them: " in said
    assert "20260101T000002Z-7-2 is the newest" in said


def test_a_report_of_the_first_schema(directory, capsys):
    edited(directory, schema_version=1)
    path = directory / JSON_NAME
    old = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: old[key] for key in old.keys() - {"picture", "merge"}}), encoding="utf-8")
    assert cli.main(["show", str(directory)]) == 0
    assert capsys.readouterr().out.startswith("Residual. ")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"", "Expecting value"),
        (b"{", "not a report"),
        (b"[]", "list, an object is needed"),
        (b'{"schema": "zemosaic-twopass-report", "schema_version": 3}', "of version 1 or 2"),
        (b'{"schema_version": NaN}', "NaN is not JSON"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b"[" * 100_000, "not a report"),
        (b"9" * 100_000, "not a report"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_json_of_a_stranger(tmp_path, capsys, text, word):
    (tmp_path / JSON_NAME).write_bytes(text)
    refused(tmp_path, capsys, JSON_NAME, word)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": "1"}, ["('zemosaic-twopass-report', '1') != 'zemosaic-twopass-report' of version 1 or 2"]),
        ({"verdict": "fine"}, ["verdict 'fine' is not one of clean"]),
        ({"verdict": ["x" * 100_000]}, ["is not one of"]),
        ({"summary": 3}, ["summary is not a text"]),
        ({"findings": {}}, ["findings are not a list"]),
        ({"findings": [1]}, ["findings are not a list"]),
        ({"findings": [{"kind": "offset"}]}, ["finding 0"]),
        ({"findings": [{"kind": "a", "message": "b", "unit": "", "value": "1", "tile": 1, "sigma": 1}]}, ["finding 0"]),
        (
            {"findings": [{"kind": "a", "message": "b", "unit": "", "value": 1, "tile": True, "sigma": 1}]},
            ["finding 0"],
        ),
    ],
)
def test_report_of_a_stranger(directory, capsys, changes, words):
    edited(directory, **changes)
    refused(directory, capsys, JSON_NAME, *words)


def test_size_is_bounded(directory, capsys, monkeypatch):
    monkeypatch.setattr(files, "_MAX_BYTES", (directory / JSON_NAME).stat().st_size)
    with (directory / TABLE_NAME).open("ab") as file:
        file.truncate(files._MAX_BYTES + 1)
    refused(directory, capsys, TABLE_NAME, f"more than {files._MAX_BYTES} bytes")
    monkeypatch.setattr(files, "_MAX_BYTES", 100)
    refused(directory, capsys, JSON_NAME, "more than 100 bytes")


def test_not_a_regular_file(tmp_path, capsys):
    os.mkfifo(tmp_path / JSON_NAME)
    refused(tmp_path, capsys, JSON_NAME, "is not a regular file")


def test_table_of_a_stranger(directory, capsys):
    table = directory / TABLE_NAME
    good = table.read_text(encoding="utf-8")
    mark = directory / "executed"
    evil = f"# - {{name: idx, datatype: int64, meta: !!python/object/apply:os.mkdir ['{mark}']}}"
    lines = good.splitlines()
    first = next(number for number, line in enumerate(lines) if "name: idx" in line)
    table.write_text("\n".join([*lines[:first], evil, *lines[first + 1 :]]), encoding="utf-8")
    refused(directory, capsys, TABLE_NAME, "not an ECSV table")
    assert not mark.exists()
    for text in ("", "idx gain\n0 1\n", good[: len(good) // 3], "# %ECSV 1.0\n# ---\n# datatype: " + "[" * 5000):
        table.write_text(text, encoding="utf-8")
        refused(directory, capsys, TABLE_NAME, "not an ECSV table")
    table.write_bytes(b"\xff")
    refused(directory, capsys, TABLE_NAME, "is not UTF-8")
