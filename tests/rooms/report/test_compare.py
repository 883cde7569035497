"""Two reports side by side, read back from disk."""

import json

import numpy as np
import pytest

from zemosaic_twopass import TileRecord, TileStats, TwoPassReport
from zemosaic_twopass.command import cli
from zemosaic_twopass.report.compare import compare


def write(folder, gains, medians=None, delta=None, channels=3):
    """A report on disk without the pictures, which have tests of their own."""
    medians = [100.0 * gain for gain in gains] if medians is None else medians
    records = []
    for index, (gain, median) in enumerate(zip(gains, medians, strict=True)):
        stats = TileStats(1.0, *[(median,) * channels] * 3)
        records.append(TileRecord(index, f"t{index}.fits", gain, stats, stats, "observed"))
    folder.mkdir()
    report = TwoPassReport(tuple(records), verdict="clean")
    (folder / "twopass_report.json").write_text(json.dumps(report.to_dict()))
    report.to_table().write(folder / "twopass_tiles.ecsv", format="ascii.ecsv")
    if delta is not None:
        np.save(folder / "twopass_delta_map.npy", np.asarray(delta, np.float32))
    return folder


def test_changes(tmp_path, capsys):
    a = write(tmp_path / "a", [1.0, 0.9, 1.1], delta=[[1.0, 2.0], [3.0, 4.0]])
    b = write(tmp_path / "b", [1.0, 0.95, 1.1], delta=[[1.0, 2.0], [3.0, 9.0]])
    assert cli.main(["compare", str(a), str(b)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:5] == ["idx", "gain_a", "gain_b", "gain_change", "post_median_r_a"]
    assert any(line.split()[:4] == ["1", "0.9", "0.95", "+0.05"] for line in lines)
    assert "[TwoPassCompare] delta_map median_a=2.5 median_b=2.5 max_change=5" in lines
    assert lines[-2] == "[TwoPassCompare] gains changed=1 of=3 largest_idx=1 gain_a=0.9 gain_b=0.95"
    assert lines[-1] == "[TwoPassCompare] verdict_a=clean verdict_b=clean"


def test_json(tmp_path, capsys):
    a, b = write(tmp_path / "a", [1.0, 0.9]), write(tmp_path / "b", [1.0, 0.95, 1.1])
    assert cli.main(["compare", "--json", str(a), str(b)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["largest"] == {"tile": 1, "gain_a": 0.9, "gain_b": 0.95}
    assert found["maps"] is None
    assert found["tiles"][1]["gain_change"] == pytest.approx(0.05)
    assert found["tiles"][2]["gain_a"] is None, "the tile that only one of them has"
    assert found["tiles"][2]["gain_b"] == 1.1


def test_what_cannot_be_compared(tmp_path):
    a, b = write(tmp_path / "a", [1.0], delta=np.ones((2, 2))), write(tmp_path / "b", [np.nan], delta=np.ones((3, 2)))
    found = compare(a, b)
    assert found["maps"] is None
    assert found["largest"] is None
    (b / "twopass_tiles.ecsv").unlink()
    assert compare(a, b)["tiles"] is None
    mono = write(tmp_path / "mono", [1.0], channels=1)
    assert [name for name in compare(a, mono)["tiles"].colnames if "median" in name] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no map", "not a delta map"), (np.ones(3), r"float64 \(3,\)"), (np.ones((2, 2), int), r"int64 \(2, 2\)")],
)
def test_map_from_a_stranger(tmp_path, capsys, content, words):
    a = write(tmp_path / "a", [1.0])
    path = a / "twopass_delta_map.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ValueError, match=words):
        compare(a, a)
    assert cli.main(["compare", str(a), str(a)]) == 2
    err = capsys.readouterr().err
    assert str(path) in err
    assert err.count("\n") == 1


def test_pickle_is_not_loaded(tmp_path):
    a = write(tmp_path / "a", [1.0])
    np.save(a / "twopass_delta_map.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not a delta map"):
        compare(a, a)


def test_report_that_is_not_there(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    report = write(tmp_path / "a", [1.0])
    assert cli.main(["compare", str(report), str(tmp_path / "empty")]) == 2
    assert f"{tmp_path / 'empty'}: no report is there" in capsys.readouterr().err
    assert cli.main(["compare", str(tmp_path / "empty"), str(tmp_path / "empty")]) == 2
    assert "not the output folder of a ZeMosaic run" in capsys.readouterr().err


@pytest.mark.usefixtures("no_pictures")
def test_two_runs_of_the_command(tmp_path, capsys, monkeypatch):
    real = cli.synthetic_tiles
    monkeypatch.setattr(cli, "synthetic_tiles", lambda **kw: real(rows=2, columns=2, shape=(90, 100), **kw))
    for name, sigma in (("a", "5"), ("b", "9")):
        assert cli.main(["demo", "--out", str(tmp_path / name), "--sigma", sigma]) == 0
    capsys.readouterr()
    assert cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["largest"]["gain_a"] != found["largest"]["gain_b"]
    assert found["maps"]["largest_change"] > 0
    assert all("delta_post_change" in row for row in found["tiles"])
