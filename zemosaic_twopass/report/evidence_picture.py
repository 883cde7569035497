"""The picture of the evidence: a row for each finding, before and after its fault is taken out."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass

import numpy as np

from .evidence_panels import CHART, MARGIN, NAME, SIDE, WIDTH, Canvas, draw_chart, draw_layers
from .style import COMPRESSION, DPI, FLAGGED, INK, headline, new_figure, write_picture

EVIDENCE_PICTURE = "twopass_evidence.png"
# Where in the picture each row is: its text chunk, as "top bottom" in pixels.
ROWS_KEY = "twopass rows"

# In inches.
_HEAD, _TITLE, _LINE, _AXIS, _FOOT = 0.26, 0.24, 0.15, 0.42, 0.1
# Least and greatest height of an image.
_IMAGE = 0.4, 1.7
_CHARACTERS = 66
# Sorts of evidence: of values with a sign, and of those whose error is another thing or shows in the chart.
_SIGNED = "level", "bow", "step"
_PLAIN = "gains", "step", "coadd stars"


@dataclass(frozen=True)
class _Row:
    """A row, its height and that of its images in inches."""

    evidence: object
    title: str
    lines: tuple[str, ...]
    height: float
    image: float


def write_evidence_picture(report, path):
    """Write the picture of the evidence, and where in it each row is.

    Parameters
    ----------
    report : TwoPassReport
        With evidence.
    path : pathlib.Path
        PNG; overwritten. Its text chunk `ROWS_KEY` holds "top bottom" in pixels of each row, apart by ";".

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    PictureError
        If it cannot draw here.
    OSError
        If the file cannot be written.
    """
    texts = {}

    def draw():
        figure, rows = draw_evidence(report)
        # The last row of pixels is a whole one.
        last = int(figure.get_size_inches()[1] * DPI)
        texts[ROWS_KEY] = ";".join(f"{round(top * DPI)} {min(round(bottom * DPI), last)}" for top, bottom in rows)
        return figure

    write_picture(draw, path, cut=False, texts=texts)


def read_rows(path):
    """The rows of the picture of the evidence, each as a picture of its own.

    Parameters
    ----------
    path : pathlib.Path
        As `write_evidence_picture` has written it.

    Returns
    -------
    list of bytes
        PNG.
    """
    from PIL import Image

    found = []
    with Image.open(path) as picture:
        for row in picture.info[ROWS_KEY].split(";"):
            top, bottom = map(int, row.split())
            data = io.BytesIO()
            picture.crop((0, top, picture.width, bottom)).save(data, "png", compress_level=COMPRESSION)
            found.append(data.getvalue())
    return found


def draw_evidence(report):
    """Draw a row for each piece of evidence.

    Parameters
    ----------
    report : TwoPassReport
        With evidence.

    Returns
    -------
    figure : matplotlib.figure.Figure
    rows : list of (float, float)
        Top and bottom of each row, in inches from the top.
    """
    rows = [_row(one) for one in report.evidence]
    height = _HEAD + sum(row.height for row in rows)
    figure = new_figure(height, WIDTH)
    ground = figure.add_axes((0, 0, 1, 1))
    ground.set_axis_off()
    ground.set(xlim=(0, WIDTH), ylim=(0, height), autoscale_on=False)
    found = all(one.found for one in report.evidence)
    heading = headline(report) if found else f"{headline(report)}; closest to a finding:"
    Canvas(ground, 0.0).text(MARGIN, 0.08, heading)
    top, places = _HEAD, []
    for row in rows:
        _draw_row(Canvas(ground, top), row)
        places.append((top, top + row.height))
        top += row.height
    return figure, places


def evidence_title(finding):
    """What and how large a finding is, such as ``tile 4: offset +24.98 ± 0.027 adu in channel 2``."""
    where = f"tile {finding.tile}"
    if finding.tile is None:
        where = f"tiles {' and '.join(map(str, sorted(finding.tiles)))}" if finding.tiles else "whole mosaic"
    channel = f" in channel {finding.channel}" if finding.channel is not None else ""
    return f"{where}: {finding.kind.replace('_', ' ')} {_size(finding)}".rstrip() + channel


def _size(finding):
    """Value and error to as many digits as the error has, and unit."""
    value, error, sort = finding.value, finding.error, finding.about.evidence
    if not np.isfinite(value):
        return ""
    if finding.unit == "fraction":
        return f"{value:.1%} of its area"
    sign = "+" if sort in _SIGNED else ""
    unit = "" if finding.unit == "gain" else f" {finding.unit}"
    # What stands as the error of a seam is the noise of a pixel; those of gains show in the chart.
    if sort in _PLAIN or not (np.isfinite(error) and error > 0):
        return f"{value:{sign}.4g}{unit}".replace("-", "−")
    digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 6))
    return f"{value:{sign}.{digits}f} ± {error:.{digits}f}{unit}".replace("-", "−")


def _row(evidence):
    lines = tuple(_lines(evidence))
    height = _TITLE + _LINE * len(lines) + _FOOT
    image = 0.0
    if evidence.layers:
        rows, columns = evidence.layers[0].values.shape
        image = float(np.clip(SIDE * rows / columns, *_IMAGE))
        height += NAME + image
    height += (NAME + CHART + _AXIS) * bool(evidence.chart)
    return _Row(evidence, evidence_title(evidence.finding), lines, height, image)


def _lines(evidence):
    """What is written below the title."""
    finding, what_if = evidence.finding, evidence.finding.what_if
    if not (evidence.layers or evidence.chart) or not evidence.found:
        yield from textwrap.wrap(finding.message, _CHARACTERS)
        return
    sort = finding.about.evidence
    if sort == "coadd stars":
        yield "the median of its stars, as used − as given"
    elif sort == "stars":
        yield "the median of its stars minus those of the others"
    if what_if is None or not np.isfinite([what_if.given, what_if.taken_out]).all():
        return
    if sort == "stars":
        yield f"they lie {what_if.given:.3g} px apart; shift taken out: {what_if.taken_out:.2g} px"
    elif sort == "step":
        after = f"{what_if.after_gains:.3g} after the gains, {what_if.taken_out:.3g} with equal gains"
        yield f"step {what_if.given:.3g} adu as given, {after}"
    elif sort == "level":
        yield f"largest step to a neighbour {what_if.given:.3g} adu; fault taken out: {what_if.taken_out:.2g} adu"


def _draw_row(canvas, row):
    evidence = row.evidence
    colour = FLAGGED if evidence.found else INK
    canvas.text(MARGIN, 0.06, row.title, fontweight="bold", color=colour)
    down = _TITLE
    for line in row.lines:
        canvas.text(MARGIN, down, line)
        down += _LINE
    if evidence.layers:
        draw_layers(canvas, evidence, down, row.image)
        down += NAME + row.image
    if evidence.chart:
        draw_chart(canvas, evidence.chart, down + NAME)
