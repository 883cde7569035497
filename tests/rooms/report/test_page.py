"""The page: it says everything, holds everything, and loads nothing."""

import base64
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from helpers.reports import NOTE, OFFSET, SEAM, make_report
from zemosaic_twopass import Finding, TwoPassReport
from zemosaic_twopass.diagnosis.kinds import VERDICTS
from zemosaic_twopass.report.page import finding_size, verdict_text, write_page
from zemosaic_twopass.report.pictures import MAP_PICTURE, TILES_PICTURE
from zemosaic_twopass.report.seam_picture import SEAMS_PICTURE


class Page(HTMLParser):
    """Tags with their attributes, and the text without them."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] != "style":
            self.words.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def written(report, path):
    write_page(report, path / "page.html")
    return Page(path / "page.html")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdict_on_top_in_plain_words(tmp_path, verdict):
    page = written(replace(make_report(), verdict=verdict), tmp_path)
    title, meaning = verdict_text(verdict)
    assert page.text.index("Tile 1 stands furthest") < page.text.index(f"{title}. {meaning}")
    assert page.text.index(meaning) < page.text.index("Findings")
    assert page.all("header") == [{"class": verdict}]
    heading = (tmp_path / "page.html").read_text(encoding="utf-8").split("<h1>")[1].split("</h1>")[0]
    assert heading == title


@pytest.mark.parametrize("picture", ["no_seam", "faint", "visible"])
def test_the_picture_has_the_first_word_where_it_is_known(tmp_path, picture):
    page = written(replace(make_report(), picture=picture), tmp_path)
    heading = {"no_seam": "No seam", "faint": "A faint seam", "visible": "A seam"}[picture]
    assert page.text.index(f"{heading} in the picture") < page.text.index("Tile 1 stands furthest")


def test_every_finding_in_order(tmp_path):
    findings = tuple(replace(OFFSET, tile=n, value=1.5 + n, sigma=20.0 - n, message=f"Word {n}.") for n in range(9))
    page = written(make_report(findings=(*findings, SEAM, NOTE), names=list("abcd")), tmp_path)
    places = [page.text.index(finding.message) for finding in (*findings, SEAM, NOTE)]
    assert places == sorted(places)
    assert len(page.all("li")) == 11


def test_what_is_beyond_six_is_folded_and_notes_come_after_the_tiles(tmp_path):
    findings = tuple(replace(OFFSET, tile=n, message=f"Word {n}.") for n in range(9))
    page = written(make_report(findings=(*findings, NOTE)), tmp_path)
    words = ["Word 5.", "3 more", "Word 6.", " Tiles idx", f"Notes whole mosaic: undetermined {NOTE.message}"]
    places = [page.text.replace("\N{ZERO WIDTH SPACE}", "").index(word) for word in words]
    assert places == sorted(places)
    assert page.all("ol")[1] == {"start": "7"}


def test_sizes_and_names_of_findings(tmp_path):
    findings = tuple(replace(OFFSET, tile=n, value=1.5 + n, sigma=20.0 - n, message=f"Word {n}.") for n in range(9))
    page = written(make_report(findings=(*findings, SEAM, NOTE), names=list("abcd")), tmp_path)
    assert "tile 3 (d): offset +4.5 adu, 17 standard errors from none Word 3." in page.text
    assert "tile 0 (a): gain seam -31.2 adu, 12 standard errors from none" in page.text
    assert "whole mosaic: undetermined Too little overlap" in page.text


def test_size_in_words():
    assert (
        finding_size(Finding("gain_residual", 1, -0.02, -7.25, "", unit="")) == "-0.02, 7.25 standard errors from none"
    )
    assert finding_size(Finding("undetermined", 1, 0.05, 0.0, "", unit="share")) == "+0.05 share"
    assert finding_size(Finding("gain_guard", 1, 1.0, 12771.6, "", unit="")) == "+1, 12800 standard errors from none"
    assert finding_size(Finding("gain_guard", 1, 1.0, float("nan"), "", unit="")) == "+1"
    assert finding_size(Finding("gain_swapped", 1, float("nan"), float("inf"), "")) == ""
    assert finding_size(Finding("mask_bug", 1, None, None, "")) == ""


def test_no_findings(tmp_path):
    page = written(make_report(verdict="clean"), tmp_path)
    assert "Findings None." in page.text
    assert not page.all("li")


def test_pictures_inside_and_nothing_from_outside(tmp_path):
    report = make_report(findings=(OFFSET,))
    report.write(tmp_path)
    page = Page(tmp_path / "twopass_report.html")
    sources = [attributes["src"] for attributes in page.all("img")]
    assert len(report.pictures) == 1
    first, *others = ((tmp_path / name).read_bytes() for name in (SEAMS_PICTURE, MAP_PICTURE, TILES_PICTURE))
    wanted = [first, *report.pictures, *others]
    for source, picture in zip(sources, wanted, strict=True):
        head, data = source.split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data, validate=True) == picture
    assert all(attributes["alt"] for attributes in page.all("img"))
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object")]
    assert not [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("href", "onload")
    ]
    raw = (tmp_path / "twopass_report.html").read_text(encoding="utf-8")
    assert "http:" not in raw.split("</style>")[1]
    assert "https:" not in raw
    assert "url(" not in raw
    assert any("default-src 'none'" in attributes.get("content", "") for attributes in page.all("meta"))
    assert any("width=device-width" in attributes.get("content", "") for attributes in page.all("meta"))


def test_names_and_messages_are_text_and_not_markup(tmp_path):
    evil = "<script>alert('x')</script> é & \"q\" {{ 7 * 7 }}"
    report = make_report(findings=(replace(OFFSET, message=evil, kind=evil),), names=[evil] * 4)
    page = written(replace(report, summary=evil, settings={evil: evil}), tmp_path)
    assert not page.all("script")
    assert page.text.count("<script>alert('x')</script> é & \"q\" {{ 7 * 7 }}") >= 7


def test_table_marks_the_flagged_tiles(tmp_path):
    page = written(make_report(findings=(OFFSET,), channels=1), tmp_path)
    # The header, then the worst first.
    assert [attributes.get("class") for attributes in page.all("tr")] == [None, "flagged", None, None, None]
    header = page.text[page.text.index(" Tiles idx") :].replace("\N{ZERO WIDTH SPACE}", "")
    assert header.startswith(
        " Tiles idx finding gain delta_pre adu delta_post adu pre_median_l adu post_median_l adu id"
    )


def test_how_it_was_made(tmp_path):
    text = written(make_report(), tmp_path).text
    assert "sigma_px 50 gain_clip 0.85, 1.18 shape_out 52, 66 downsample 4" in text
    assert "delta map 16 × 13 pixels, each 4 × 4 compared with first-pass mosaic" in text
    assert f"numpy {np.__version__}" in text


def test_without_map_tiles_or_pictures(tmp_path):
    report = make_report(findings=(OFFSET,))
    page = written(replace(report, delta=None, before=None, outlines=()), tmp_path)
    assert "None were made" in page.text
    assert "delta_pre" not in page.text
    page = written(replace(report, tiles=()), tmp_path)
    assert "delta_\N{ZERO WIDTH SPACE}pre" in page.text
    assert "tile 1: offset" in page.text
    page = written(TwoPassReport(), tmp_path)
    assert "No tile was recorded." in page.text


def test_each_finding_stands_beside_its_row(tmp_path):
    findings = (OFFSET, SEAM, NOTE)
    report = make_report(findings=findings)
    report = replace(report, evidence=report.evidence[:2])
    report.write(tmp_path)
    text = (tmp_path / "twopass_report.html").read_text(encoding="utf-8")
    items = text.split("<li>")[1:]
    rows = report.pictures
    assert len(items) == 3
    for item, row in zip(items, rows, strict=False):
        assert base64.b64encode(row).decode() in item
    assert "<img" not in items[2].split("</li>")[0]


def test_a_clean_run_shows_what_comes_closest(tmp_path):
    make_report(verdict="clean").write(tmp_path)
    page = Page(tmp_path / "twopass_report.html")
    assert page.text.index("Findings None.") < page.text.index("Closest to a finding tile 1: offset")
    assert len(page.all("img")) == 4


def test_without_the_picture_of_the_evidence_the_findings_stand_alone(tmp_path):
    page = written(make_report(findings=(OFFSET,)), tmp_path)
    assert OFFSET.message in page.text
    assert not page.all("img")
    assert "Closest" not in page.text
