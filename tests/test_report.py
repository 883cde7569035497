"""Records as table, JSON, lines and files."""

import json
import os

import numpy as np

from zemosaic_twopass import DeltaMap, Finding, TileRecord, TileStats, TwoPassReport
from zemosaic_twopass.build import summary_of
from zemosaic_twopass.files import whole_file
from zemosaic_twopass.report import delta_line, tile_lines


def stats(*medians):
    return TileStats(0.5, tuple(m - 2 for m in medians), tuple(m + 0.25 for m in medians), medians)


def record(index=0, name="a.fits", gain=0.9955031, **kwargs):
    return TileRecord(index, name, gain, stats(100.0, 1 / 3, np.nan), stats(99.0, 2.0, 3.0), "observed", **kwargs)


def delta(values, count, medians=(1.5, np.nan), reference="first_pass"):
    values = np.array(values, np.float32)
    return DeltaMap(values, -values, np.array(count), np.array(count) - 1, None, 8, reference, medians)


def test_lines_are_as_agreed():
    pre, post = tile_lines(record())
    assert pre == (
        "[TwoPassTile] pre_gain idx=0 id=a.fits gain=0.995503 valid=0.5 "
        "min=[98,-1.66667,nan] mean=[100.25,0.583333,nan] median=[100,0.333333,nan]"
    )
    assert post == (
        "[TwoPassTile] post_gain idx=0 id=a.fits gain=0.995503 valid=0.5 "
        "min=[97,0,1] mean=[99.25,2.25,3.25] median=[99,2,3] source=observed"
    )


def test_delta_line_counts_compared_pixels_only():
    line = delta_line(delta([[0.0, 4.0, 2.0]], [[0, 1, 3]]), "/x/map.npy")
    assert line == (
        "[TwoPassDelta] wrote delta map: /x/map.npy shape=(1, 3) ds=8 reference=first_pass tiles=2 "
        "median=3 p95=3.9 max=4"
    )
    assert "median=nan p95=nan max=nan" in delta_line(delta([[0.0]], [[0]]), "x")


def test_verdict_line():
    report = TwoPassReport((record(),), verdict="residual", worst=3, summary="Look here.")
    assert report.verdict_line() == "[TwoPassVerdict] residual tiles=1 findings=0 worst_idx=3 Look here."
    assert "tiles=2 findings=0 worst_idx=- " in TwoPassReport(delta=delta([[0.0]], [[0]])).verdict_line()


def test_table():
    table = TwoPassReport((record(), record(1, None, np.nan))).to_table()
    assert list(table["idx"]) == [0, 1]
    assert list(table["id"]) == ["a.fits", "-"]
    assert table["pre_median_r"][0] == 100
    assert table["post_minimum_b"][1] == 1
    assert np.isnan(table["gain"][1])
    assert all(column.ndim == 1 for column in table.itercols())
    mono = TileRecord(0, None, 1.0, stats(5.0), stats(5.0), "derived")
    assert "post_mean_l" in TwoPassReport((mono,)).to_table().colnames
    four = TileRecord(0, None, 1.0, stats(1, 2, 3, 4), stats(1, 2, 3, 4), "derived")
    assert "post_mean_3" in TwoPassReport((four,)).to_table().colnames
    assert len(TwoPassReport().to_table()) == 0


def test_json_has_no_nan():
    one = delta([[1.0]], [[1]])
    found = TwoPassReport((record(),), one, one, (Finding("offset", 0, 4.2, np.nan, "words"),)).to_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    assert again["tiles"][0]["pre"]["median"] == [100.0, 1 / 3, None]
    assert again["delta"]["tile_medians"] == [1.5, None]
    assert again["findings"][0]["sigma"] is None
    assert TwoPassReport().to_dict()["delta"] is None


def test_whole_file_respects_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
            assert temporary.suffix == ".txt"
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_summary_names_the_worst_tile_before_its_gain():
    before, after = delta([[1.0]], [[1]], (1.0, -9.0, np.nan)), delta([[1.0]], [[1]], (50.0, -2.0, 0.0))
    sentence, worst = summary_of(after, before, True)
    assert worst == 1
    assert "Tile 1" in sentence
    assert "-9 adu as given, -2 adu after" in sentence
    assert "first-pass mosaic" in sentence
    assert "mean of the tiles" in summary_of(after, delta([[1.0]], [[1]], (1.0,), "tiles"), True)[0]
    assert summary_of(None, None, True)[1] is None
    assert "gave no mosaic" in summary_of(None, None, False)[0]
    nowhere = delta([[0.0]], [[0]], (np.nan,))
    assert "check the tiles' WCS" in summary_of(nowhere, nowhere, True)[0]
