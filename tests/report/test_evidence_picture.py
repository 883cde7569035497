"""The picture of the evidence: a row for each finding, as the data have it, and each row found again for the page."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from reports import OFFSET, SEAM, make_evidence, make_report

from zemosaic_twopass import Finding
from zemosaic_twopass.diagnosis.finding import WhatIf
from zemosaic_twopass.report.evidence_picture import (
    EVIDENCE_PICTURE,
    ROWS_KEY,
    draw_evidence,
    evidence_title,
    read_rows,
    write_evidence_picture,
)
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
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_row_for_each_finding_with_its_data(report):
    figure, rows = draw_evidence(report)
    assert len(rows) == 3
    images = [image for image in figure.axes[0].images if image.get_label() == "layer"]
    assert len(images) == 4
    for image, layer in zip(images, [layer for one in report.evidence for layer in one.layers], strict=True):
        np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), layer.values)
        assert image.origin == "lower"
        # One range for before and after, about none.
        low, high = image.get_clim()
        assert low == -high
    assert images[0].get_clim() == images[1].get_clim()
    lines = [axes.lines for axes in figure.axes[1:]]
    np.testing.assert_array_equal(lines[0][0].get_ydata(), report.evidence[0].chart.series[0].y)
    assert any("tile 1: offset" in text for text in texts(figure))
    assert any(TEXT_ONLY.message[:30] in text for text in texts(figure))


def test_rows_follow_one_another_and_hold_what_is_theirs(report):
    figure, rows = draw_evidence(report)
    assert all(bottom == pytest.approx(top) for (_, bottom), (top, _) in zip(rows, rows[1:], strict=False))
    assert rows[-1][1] == pytest.approx(figure.get_size_inches()[1])
    FigureCanvasAgg(figure).draw()
    renderer, height = figure.canvas.get_renderer(), figure.get_size_inches()[1]
    ground = figure.axes[0]
    for artist in (*figure.axes[1:], *ground.images, *ground.texts):
        box = artist.get_tightbbox(renderer) if artist in figure.axes else artist.get_window_extent(renderer)
        top, bottom = height - box.y1 / DPI, height - box.y0 / DPI
        head = (0.0, rows[0][0])
        assert any(low - 0.05 <= top and bottom <= high + 0.05 for low, high in (head, *rows)), (
            "across an edge of a row"
        )
        assert box.x0 >= 0
        assert box.x1 <= figure.get_size_inches()[0] * DPI + 1


def test_rows_are_cut_out_again(tmp_path, report):
    path = tmp_path / EVIDENCE_PICTURE
    write_evidence_picture(report, path)
    with Image.open(path) as image:
        whole = np.asarray(image.convert("RGB"))
        places = [tuple(map(int, row.split())) for row in image.info[ROWS_KEY].split(";")]
    assert len(places) == 3
    assert abs(places[-1][1] - len(whole)) <= 1
    found = []
    for data in read_rows(path):
        with Image.open(io.BytesIO(data)) as image:
            found.append(np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(np.concatenate(found), whole[places[0][0] : places[-1][1]])


def test_closest_to_a_finding_is_no_finding(report):
    nearly = tuple(replace(one, found=False) for one in report.evidence[:1])
    figure, _ = draw_evidence(replace(report, findings=(), verdict="clean", evidence=nearly))
    assert "clean, 4 tiles; closest to a finding:" in texts(figure)[0]
    assert FLAGGED not in [text.get_color() for text in figure.axes[0].texts]
    assert any(OFFSET.message[:30] in text for text in texts(figure))


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"value": 24.981, "error": 0.0217, "channel": 2}, "tile 1: offset +24.981 ± 0.022 adu in channel 2"),
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
    assert evidence_title(replace(OFFSET, **change)) == title


def test_what_if_stands_below_the_title():
    what_if = WhatIf(25.03, 24.9, 0.081, "adu", 8.0)
    for kind, words in (
        ("offset", "largest step to a neighbour 25 adu; fault taken out: 0.081 adu"),
        ("gain_seam", "step 25 adu as given, 24.9 after the gains, 0.081 with equal gains"),
    ):
        finding = replace(OFFSET, kind=kind, what_if=what_if)
        report = replace(make_report(findings=(finding,)), evidence=(make_evidence(finding),))
        assert words in texts(draw_evidence(report)[0])
    shift = replace(OFFSET, kind="astrometry", what_if=replace(what_if, unit="px"))
    report = replace(make_report(findings=(shift,)), evidence=(make_evidence(shift),))
    assert "they lie 25 px apart; shift taken out: 0.081 px" in texts(draw_evidence(report)[0])


def test_flat_and_empty_images_are_drawn(tmp_path):
    one = make_evidence(OFFSET)
    flat = replace(one, layers=tuple(replace(layer, values=np.zeros((1, 60), np.float32)) for layer in one.layers))
    blank = replace(one, layers=tuple(replace(layer, values=np.full((4, 4), np.nan, "f4")) for layer in one.layers))
    write_evidence_picture(replace(make_report(), evidence=(flat, blank)), tmp_path / "a.png")
    assert len(read_rows(tmp_path / "a.png")) == 2
