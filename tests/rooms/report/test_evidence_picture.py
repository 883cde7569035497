"""The pictures of the evidence: one for each finding, as the data have it, and all of them in the file."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import BboxImage
from PIL import Image

from helpers.reports import OFFSET, SEAM, make_evidence, make_report
from zemosaic_twopass import Finding
from zemosaic_twopass.diagnosis.finding import WhatIf
from zemosaic_twopass.report import evidence_picture
from zemosaic_twopass.report.evidence_picture import (
    EVIDENCE_PICTURE,
    draw_finding,
    draw_heading,
    evidence_title,
    write_evidence_picture,
)
from zemosaic_twopass.report.page import write_page
from zemosaic_twopass.report.style import DPI, FLAGGED

TEXT_ONLY = Finding(
    "gain_invalid", 3, 0.0, np.inf, "The gain of tile 3 is 0: a finite value above 0 is needed.", "gain"
)


@pytest.fixture
def report():
    report = make_report(findings=(OFFSET, SEAM, TEXT_ONLY))
    bare = replace(report.evidence[2], layers=(), chart=None, arrow=None)
    return replace(report, evidence=(*report.evidence[:2], bare))


def texts(figure):
    return [text.get_text() for text in figure.texts]


def images(figure):
    return [artist for artist in figure.artists if isinstance(artist, BboxImage)]


def test_a_picture_for_each_finding_with_its_data(report):
    figures = [draw_finding(one, 1) for one in report.evidence]
    for figure, one in zip(figures, report.evidence, strict=True):
        shown = [image for image in images(figure) if image.get_label() == "layer"]
        for image, layer in zip(shown, one.layers, strict=True):
            np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), layer.values)
            assert image.origin == "lower"
            # One range for before and after, about none.
            low, high = image.get_clim()
            assert low == -high
            assert image.get_clim() == shown[0].get_clim()
    (axes,) = figures[0].axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), report.evidence[0].chart.series[0].y)
    assert any("tile 1: offset" in text for text in texts(figures[0]))
    assert any(TEXT_ONLY.message[:30] in text for text in texts(figures[2]))


def test_nothing_is_across_an_edge(report):
    for figure in [draw_heading(report), *(draw_finding(one, 1) for one in report.evidence)]:
        FigureCanvasAgg(figure).draw()
        renderer = figure.canvas.get_renderer()
        width, height = figure.get_size_inches() * DPI
        boxes = [artist.get_window_extent(renderer) for artist in (*figure.artists, *figure.texts)]
        boxes += [axes.get_tightbbox(renderer) for axes in figure.axes]
        for box in boxes:
            assert box.x0 >= 0
            assert box.x1 <= width + 1
            assert box.y0 >= -0.05 * DPI
            assert box.y1 <= height + 0.05 * DPI


def test_the_file_holds_every_picture_of_the_page_and_each_is_drawn_once(tmp_path, monkeypatch, report):
    drawn = []
    monkeypatch.setattr(evidence_picture, "draw_finding", lambda one, n: drawn.append(one) or draw_finding(one, n))
    write_evidence_picture(report, tmp_path / EVIDENCE_PICTURE)
    write_page(report, tmp_path / "page.html")
    assert drawn == list(report.evidence)
    found = []
    for data in report.pictures:
        with Image.open(io.BytesIO(data)) as image:
            found.append(np.asarray(image.convert("RGB")))
    rows = np.concatenate(found)
    with Image.open(tmp_path / EVIDENCE_PICTURE) as image:
        whole = np.asarray(image.convert("RGB"))
    heading = len(whole) - len(rows)
    assert 20 < heading < 50
    assert (whole[:heading] < 128).any()
    np.testing.assert_array_equal(rows, whole[heading:])


def test_closest_to_a_finding_is_no_finding(report):
    nearly = tuple(replace(one, found=False) for one in report.evidence[:1])
    report = replace(report, findings=(), verdict="clean", evidence=nearly)
    assert "clean, 4 tiles; closest to a finding:" in texts(draw_heading(report))[0]
    figure = draw_finding(nearly[0], 1)
    assert FLAGGED not in [text.get_color() for text in figure.texts]
    assert any(OFFSET.message[:30] in text for text in texts(figure))


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"value": 24.981, "error": 0.0217, "channel": 2}, "tile 1: offset +24.981 ± 0.022 adu in channel b"),
        ({"value": -3.0, "error": 0.9}, "tile 1: offset −3.00 ± 0.90 adu"),
        ({"value": -3.0, "error": np.nan}, "tile 1: offset −3 adu"),
        ({"value": np.nan, "unit": ""}, "tile 1: offset"),
        ({"kind": "gain_mismatch", "value": 0.955, "error": 1e-6, "unit": "gain"}, "tile 1: gain mismatch 0.955"),
        ({"kind": "mask_bug", "value": 0.0571, "unit": "fraction"}, "tile 1: mask bug 5.7% of its area"),
        ({"tile": None, "tiles": (3, 1), "value": 20.0, "error": 2.0}, "tiles 1 and 3: offset +20.0 ± 2.0 adu"),
        ({"tile": None, "kind": "not_closed", "value": 2.5, "error": np.nan}, "whole mosaic: not closed 2.5 adu"),
    ],
)
def test_titles(change, title):
    assert evidence_title(replace(OFFSET, **change), 3) == title


def test_what_if_stands_below_the_title():
    what_if = WhatIf(25.03, 24.9, 0.081, "adu", 8.0)
    for kind, words in (
        ("offset", "largest step to a neighbour 25 adu; fault taken out: 0.081 adu"),
        ("gain_seam", "step 25 adu as given, 24.9 after the gains, 0.081 with equal gains"),
    ):
        finding = replace(OFFSET, kind=kind, what_if=what_if)
        assert words in texts(draw_finding(make_evidence(finding), 1))
    shift = replace(OFFSET, kind="astrometry", what_if=replace(what_if, unit="px"))
    assert "they lie 25 px apart; shift taken out: 0.081 px" in texts(draw_finding(make_evidence(shift), 1))


def test_flat_and_empty_images_are_drawn(tmp_path):
    one = make_evidence(OFFSET)
    flat = replace(one, layers=tuple(replace(layer, values=np.zeros((1, 60), np.float32)) for layer in one.layers))
    blank = replace(one, layers=tuple(replace(layer, values=np.full((4, 4), np.nan, "f4")) for layer in one.layers))
    report = replace(make_report(), evidence=(flat, blank))
    write_evidence_picture(report, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        colours = {colour for _, colour in image.getcolors(1 << 16)}
    assert len(report.pictures) == 2
    # What is not known is hatched in grey.
    assert (224, 224, 224) in colours
