"""Records as table, JSON, lines and files."""

import json
import os
from dataclasses import replace

import numpy as np

from helpers.reports import OFFSET, make_evidence, make_seams
from zemosaic_twopass import DeltaMap, Finding, TileRecord, TileStats, TwoPassReport
from zemosaic_twopass.diagnosis.examination import Examination, summary_of
from zemosaic_twopass.files import whole_file
from zemosaic_twopass.report.lines import delta_line, finding_lines, tile_lines


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
    assert (
        report.verdict_line() == "[TwoPassVerdict] residual picture=unknown tiles=1 findings=0 worst_idx=3 Look here."
    )
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


def test_finding_line():
    finding = Finding("offset", 3, 4.2101, 8.14159265, "Level it.")
    assert finding_lines([finding]) == [
        "[TwoPassFinding] idx=3 kind=offset value=4.2101 unit=adu sigma=8.14159 Level it."
    ]
    nowhere = Finding("undetermined", None, np.nan, 0.0, "Why.", "")
    assert finding_lines([nowhere]) == ["[TwoPassFinding] idx=- kind=undetermined value=nan unit=- sigma=0 Why."]


def test_table_has_the_worst_finding_of_each_tile():
    findings = (
        Finding("mask_bug", 1, 0.25, np.inf, "a", "fraction"),
        Finding("offset", 1, 9.0, 7.0, "b", error=1.2, runner_up="gradient 2.0 sigma"),
        Finding("undetermined", None, np.nan, 0.0, "c", ""),
    )
    table = TwoPassReport((record(), record(1)), findings=findings).to_table()
    assert list(table["finding"]) == ["-", "mask_bug offset"]
    assert table["finding_value"][1] == 0.25
    assert np.isnan(table["finding_value"][0])
    assert list(table["finding_unit"]) == ["-", "fraction"]
    assert list(table["runner_up"]) == ["-", "-"]


def test_summary_says_what_the_verdict_rests_on():
    found = Finding("offset", 1, 9.0, 7.0, "Tile 1 is off.", test="residual")
    closure_off = Finding("undetermined", None, np.nan, 0.0, "It is a median.", "", test="closure")
    note_untested = Finding("undetermined", None, np.nan, 0.0, "No overlap.", "", test="residual")
    assert summary_of((found, note_untested), True) == ("Tile 1 is off.", 1)
    assert summary_of((closure_off, note_untested), True) == ("No overlap.", None)
    assert summary_of((closure_off,), True)[0] == (
        "No fault found, as far as it could be tested: every tile agrees with the others, what went into the coadd is "
        "gain x tile and the second pass lies on the first. It is a median."
    )
    assert summary_of((), True)[0] == (
        "Every tile agrees with the others, what went into the coadd is gain x tile, the second pass lies on the "
        "first and the mosaic is what the recorded gains make of them."
    )
    no_mosaic = Finding("undetermined", None, np.nan, 0.0, "No mosaic.", "", test="mosaic")
    assert summary_of((no_mosaic,), False) == ("No mosaic.", None)
    assert "DELTA_MAP=1" in summary_of((), False)[0]


def test_the_tile_to_look_at_is_that_of_the_sentence():
    """Where no finding is about a tile, the sentence is about the worst edge."""
    found = Examination((), told="A visible seam, 2 times the noise, at the lower side of tile 0 (x=50, y=20).")
    seams = make_seams()
    assert TwoPassReport.of(found, picture="visible", **seams).worst == 0
    assert TwoPassReport.of(found, picture="no_seam", **seams).worst is None
    assert "worst_idx=0 A visible seam" in TwoPassReport.of(found, picture="visible", **seams).verdict_line()


def test_what_was_closest_is_not_shown_beside_what_was_found_since():
    nearly = replace(make_evidence(OFFSET), found=False)
    seam = Finding("seam", 4, 9.0, 20.0, "A visible seam that no tile accounts for.")
    assert TwoPassReport.of(Examination(()), evidence=(nearly,)).evidence == (nearly,)
    assert TwoPassReport.of(Examination((seam,)), evidence=(nearly,)).evidence == ()
