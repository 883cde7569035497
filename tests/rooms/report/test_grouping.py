"""Notes of one kind about many tiles are one entry for people, and one by one for machines."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.reports import OFFSET, make_report
from zemosaic_twopass import Finding
from zemosaic_twopass.report.grouping import group_findings, ranges
from zemosaic_twopass.report.lines import finding_lines
from zemosaic_twopass.report.page import write_page
from zemosaic_twopass.report.show import report_lines, show


def clip(tile, value=0.85):
    return Finding("clip_saturated", tile, value, np.inf, f"The gain of tile {tile} is at the clip.", "gain")


ALL = tuple(map(clip, range(9)))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((4,), "4"), ((2, 0, 1), "0-2"), ((0, 1, 3, 7, 8), "0-1,3,7-8"), ((5, 5), "5"), ((-1, 2), "-1,2")],
)
def test_ranges(numbers, text):
    assert ranges(numbers) == text


def test_nine_notes_are_one_line():
    (line,) = finding_lines(ALL)
    assert line.startswith(
        "[TwoPassFinding] idx=0-8 kind=clip_saturated value=0.85 unit=gain sigma=inf Tiles 0-8, all at 0.85, have gains"
    )


def test_two_values_are_two_and_kinds_keep_their_order():
    guard = tuple(replace(clip(tile, 1.0), kind="gain_guard") for tile in (3, 5))
    few = tuple(Finding("undetermined", tile, np.nan, 0.0, "Too few.", "") for tile in (6, 7))
    found = group_findings((OFFSET, clip(0), clip(1, 1.18), clip(2), *guard, *few))
    assert [(finding.kind, tiles) for finding, tiles, _ in found] == [
        ("offset", "1"),
        ("clip_saturated", "0,2"),
        ("clip_saturated", "1"),
        ("gain_guard", "3,5"),
        ("undetermined", "6-7"),
    ]
    assert found[2][0] is not ALL[1] and found[2][0].tile == 1
    assert found[4][0].message == "Tiles 6-7 meet the others in too few places to be tested."


def test_what_is_wrong_with_tiles_and_what_is_of_none_stays_apart():
    run = Finding("undetermined", None, np.nan, 0.0, "No gains.", "")
    several = (OFFSET, replace(OFFSET, tile=2), run, replace(run, message="No closure."))
    assert [finding for finding, *_ in group_findings(several)] == list(several)
    assert group_findings(()) == []


def test_page_and_show_group_json_and_table_do_not(tmp_path, capsys):
    report = make_report(rows=3, columns=3, findings=ALL)
    report.write(tmp_path)
    found = show(tmp_path)
    assert len(found["findings"]) == 9
    printed = capsys.readouterr().out
    assert "1. tiles 0-8: clip saturated" in printed
    assert "2." not in printed.split("Tiles 0-8")[0]
    assert list(report.to_table()["finding"]) == ["clip_saturated"] * 9
    write_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<strong>tiles 0-8: clip saturated</strong>") == 1


def test_values_that_json_could_not_hold():
    entry = {"kind": "undetermined", "value": None, "sigma": None, "message": "Few.", "unit": ""}
    report = {"verdict": "clean", "summary": "", "findings": [{**entry, "tile": 1}, {**entry, "tile": 2}]}
    assert any("tiles 1-2: undetermined" in line for line in report_lines(report))


def test_the_counts_are_of_findings_wherever_they_stand(tmp_path, capsys):
    """Log, page and terminal: what is told as one counts as what it is."""
    several = tuple(replace(OFFSET, tile=tile) for tile in range(8))
    report = make_report(rows=3, columns=3, findings=(*several, *ALL))
    assert "findings=17 " in report.verdict_line()
    lines = finding_lines(report.findings)
    assert len(lines) == 7
    assert lines[-1] == "[TwoPassFinding] and 11 more, on the page and in the JSON"
    report.write(tmp_path)
    page = (tmp_path / "twopass_report.html").read_text(encoding="utf-8")
    assert "17 in all: 8 of tiles or the pass, 9 notes, at the end of the page." in page
    assert "<summary>2 more</summary>" in page
    show(tmp_path)
    assert "Findings: 17, in 9 entries" in capsys.readouterr().out
