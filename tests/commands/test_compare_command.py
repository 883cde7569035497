"""The command ``compare`` on mosaics, folders of runs and reports, and ``seams`` and ``replay`` on a folder."""

import json
import shutil

import numpy as np
import pytest
from astropy.io import fits
from test_seams_command import written

from zemosaic_twopass.command import cli

NAME = "zemosaic_MT2_R0"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs of the same two tiles: sound, again, with a step, and that one cleaned up."""
    found = {}
    for name, step in (("sound", 0.0), ("again", 0.0), ("step", 20.0)):
        folder = found[name] = tmp_path_factory.mktemp(name)
        mosaic, coverage, *tiles = written(folder, step)
        shutil.move(mosaic, folder / f"{NAME}_science.fits")
        shutil.move(coverage, folder / f"{NAME}_coverage.fits")
        fits.PrimaryHDU(np.ones((3, 220, 420), np.float32)).writeto(folder / f"{NAME}_aesthetic.fits")
        kept = folder / "zemosaic_temp_master_tiles"
        kept.mkdir()
        for number, tile in enumerate(tiles):
            shutil.move(tile, kept / f"master_tile_00{number}.fits")
    for name in ("sound", "step"):
        cleaned = found[f"cleaned {name}"] = tmp_path_factory.mktemp("cleaned")
        shutil.copytree(found[name], cleaned, dirs_exist_ok=True)
        shutil.rmtree(cleaned / "zemosaic_temp_master_tiles")
    return found


def ran(capsys, *argv):
    code = cli.main([str(argument) for argument in argv])
    return code, *capsys.readouterr()


def test_a_step_makes_the_second_worse_and_its_edge_is_named(runs, capsys, tmp_path):
    out = tmp_path / "out"
    code, text, _ = ran(capsys, "compare", runs["sound"], runs["step"], "--out", out, "--fail-on", "worse")
    assert code == 1
    lines = text.splitlines()
    edges = [line for line in lines if line.startswith("[TwoPassCompare] edge ")]
    assert edges
    assert all(line.endswith(" worse") and "idx=1 side=left" in line for line in edges)
    (score,) = (line for line in lines if line.startswith("[TwoPassCompare] seams rms "))
    assert score.endswith("result=worse")
    assert {path.name for path in out.iterdir()} == {"twopass_compare.ecsv", "twopass_compare.png"}
    code, text, _ = ran(capsys, "compare", runs["step"], runs["sound"], "--json", "--fail-on", "worse")
    assert code == 0
    seams = json.loads(text)["seams"]
    assert seams["result"] == "better"
    assert seams["better"] == len(edges)
    assert seams["worse"] == 0
    assert seams["picture"] == ["visible", "no_seam"]
    for change in seams["changes"]:
        if change["verdict"] == "better":
            # 20 adu in the tiles' adu: right to 3 errors.
            assert abs(abs(change["step_a"]) - 20.0) < max(1.0, 3 * change["error"])
    # What the second looks like may be asked for too.
    assert ran(capsys, "compare", runs["sound"], runs["step"], "--fail-on", "visible")[0] == 1


def test_equal_runs_are_the_same(runs, capsys):
    code, text, _ = ran(capsys, "compare", runs["sound"], runs["again"], "--json", "--fail-on", "worse")
    seams = json.loads(text)["seams"]
    assert (code, seams["result"], seams["better"], seams["worse"]) == (0, "same", 0, 0)
    assert seams["same"] >= 2


def test_without_tiles_by_the_coverage_and_with_those_of_the_other(runs, capsys):
    _, text, err = ran(capsys, "compare", runs["cleaned sound"], runs["cleaned step"])
    assert text.count("its master tiles were not kept: switch off 'Delete temporary processing files") == 2
    assert "result=worse" in text
    assert "idx=- side=" in text
    _, text, _ = ran(capsys, "compare", runs["cleaned sound"], runs["step"])
    assert "measured by those of" in text
    assert "idx=1 side=left" in text


def test_mosaics_with_what_goes_with_them(runs, capsys, tmp_path):
    mosaics = [runs[name] / f"{NAME}_science.fits" for name in ("sound", "step")]
    tiles = sorted((runs["sound"] / "zemosaic_temp_master_tiles").iterdir())
    coverage = runs["sound"] / f"{NAME}_coverage.fits"
    # A mosaic in another scale is brought to that of the other.
    with fits.open(mosaics[1]) as hdus:
        fits.PrimaryHDU(hdus[0].data * 0.01 + 3, hdus[0].header).writeto(tmp_path / "scaled.fits")
    for second in (mosaics[1], tmp_path / "scaled.fits"):
        for more in (["--coverage", coverage], ["--tiles", *tiles]):
            _, text, _ = ran(capsys, "compare", mosaics[0], second, *more, "--json")
            seams = json.loads(text)["seams"]
            assert seams["result"] == "worse"
            largest = max(seams["changes"], key=lambda change: abs(change["step_b"]))
            np.testing.assert_allclose(abs(largest["step_b"]), 20.0, rtol=0.15)


def test_seams_and_replay_of_a_folder(runs, capsys, tmp_path):
    code, text, _ = ran(capsys, "seams", runs["step"], "--json", "--fail-on", "visible")
    found = json.loads(text)
    assert code == 1
    assert found["seams"][0]["mosaic"] == f"{NAME}_science.fits"
    assert {edge["tile"] for edge in found["seams"][0]["edges"]} == {0, 1}
    _, text, _ = ran(capsys, "seams", runs["cleaned step"])
    assert "its master tiles were not kept" in text
    assert "A seam is visible in the picture." in text
    code, text, _ = ran(capsys, "replay", runs["step"], "--out", tmp_path / "out", "--fail-on", "visible")
    assert code == 1
    assert f"mosaic={NAME}_science.fits" in text
    assert (tmp_path / "out" / "twopass_report.html").is_file()


def test_tiles_that_do_not_make_the_coverage_are_not_used(runs, capsys, tmp_path):
    shutil.copytree(runs["step"], tmp_path / "cropped")
    path = tmp_path / "cropped" / f"{NAME}_coverage.fits"
    with fits.open(path, mode="update") as hdus:
        # As if each tile had been cropped by 24 px.
        hdus[0].data[:, 136:160] = 1
        hdus[0].data[:, 160:184] = 1
        hdus[0].data[:, 236:260] = 1
    _, text, _ = ran(capsys, "seams", tmp_path / "cropped")
    assert "by the coverage alone: the tiles do not add up to" in text
    _, text, _ = ran(capsys, "replay", tmp_path / "cropped", "--out", tmp_path / "out")
    assert "by the coverage alone: the tiles do not add up to" in text
    report = json.loads((tmp_path / "out" / "twopass_report.json").read_text())
    assert {edge["tile"] for edge in report["seams"][0]["edges"]} == {None}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["seams", "EMPTY"], "not the output folder of a ZeMosaic run: no .fits file"),
        (["seams", "sound", "step"], "one folder of a run, or mosaics"),
        (["replay", "cleaned step", "--out", "OUT"], "its master tiles were not kept"),
        (["replay", "EMPTY", "--out", "OUT"], "not the output folder"),
        (["compare", "sound", "EMPTY"], "not the output folder"),
        (["compare", "sound", "none"], "none: no such file"),
    ],
)
def test_bad_usage_is_one_line(runs, capsys, tmp_path, argv, words):
    places = {name: str(path) for name, path in runs.items()} | {"OUT": str(tmp_path / "out")}
    (tmp_path / "empty").mkdir()
    places["EMPTY"] = str(tmp_path / "empty")
    code, _, err = ran(capsys, *(places.get(word, word) for word in argv))
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_two_reports_with_seams_and_one_without(capsys, tmp_path, monkeypatch):
    real = cli.synthetic_tiles
    monkeypatch.setattr(cli, "synthetic_tiles", lambda **kw: real(rows=1, columns=2, shape=(200, 240), **kw))
    for name, fault in (("a", "gradient:1:90"), ("b", "gradient:1:5")):
        assert cli.main(["demo", "--out", str(tmp_path / name), "--fault", fault]) == 0
    _, text, _ = ran(capsys, "compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert "[TwoPassCompare] a mosaic=merged" in text
    assert "result=better" in text
    assert (tmp_path / "out" / "twopass_compare.png").is_file()
    assert text.index("result=better") < text.index("verdict_a=")
    # As `exec` leaves them.
    for name, run in (("a", "20260101T000000Z-1-000001"), ("b", "20260102T000000Z-1-000001")):
        shutil.copytree(tmp_path / name, tmp_path / "watched" / "runs" / run)
    _, same, _ = ran(capsys, "compare", tmp_path / "a", tmp_path / "watched")
    assert "of its passes the newest: 20260102T000000Z-1-000001" in same
    assert [line for line in text.splitlines() if "seams rms" in line][0] in same
    path = tmp_path / "b" / "twopass_report.json"
    # One of a pass of which no more is known than its second mosaic.
    less = json.loads(path.read_text())
    less["seams"] = less["seams"][:2]
    path.write_text(json.dumps(less))
    _, text, _ = ran(capsys, "compare", tmp_path / "a", tmp_path / "b")
    assert "its mosaic second_pass, not merged: the last that both reports have" in text
    assert text.count(" mosaic=second_pass ") == 2
    old = json.loads(path.read_text()) | {"schema_version": 1}
    del old["seams"]
    path.write_text(json.dumps(old))
    code, text, _ = ran(capsys, "compare", tmp_path / "a", tmp_path / "b")
    assert code == 0
    assert "seams rms" not in text
    assert "verdict_a=" in text


@pytest.mark.parametrize(
    "edges", [{}, [1], [{"tile": 1}], [{"tile": "a"}], "x", [None], [{"step": [1.0], "error": [1.0, 2.0]}]]
)
def test_seams_from_a_stranger(tmp_path, capsys, edges):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        report = {"schema": "zemosaic-twopass-report", "schema_version": 2, "verdict": "clean", "summary": ""}
        report |= {"findings": [], "seams": [{"mosaic": "merged", "edges": edges}]}
        (tmp_path / name / "twopass_report.json").write_text(json.dumps(report))
    code, _, err = ran(capsys, "compare", tmp_path / "a", tmp_path / "b")
    if edges != {}:
        assert code == 2
        assert "twopass_report.json: not a report: seams: " in err
        assert err.count("\n") == 1
