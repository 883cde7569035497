"""A picture of each finding, before and after its fault is taken out, and the file that shows them all."""

from __future__ import annotations

import io
import textwrap

import numpy as np

from ..tiles.planes import in_channel
from .canvas import Canvas
from .evidence_panels import CHART, MARGIN, NAME, SIDE, WIDTH, draw_chart, draw_layers
from .style import FLAGGED, INK, draw_silently, encode_png, headline, render

EVIDENCE_PICTURE = "twopass_evidence.png"
# In inches.
_HEAD, _TITLE, _LINE, _AXIS, _FOOT = 0.26, 0.24, 0.15, 0.42, 0.1
# Least and greatest height of an image.
_IMAGE = 0.4, 1.7
# Characters of a line at this width.
_CHARACTERS = 66
# Sorts of evidence: of values with a sign, and of those whose error is another thing or shows in the chart.
_SIGNED = "level", "bow", "step"
_PLAIN = "gains", "step", "coadd stars"


def write_evidence_picture(report, path):
    """Write the picture of the evidence: a heading, and the picture of each finding as the page has it.

    Parameters and errors as for `style.write_picture`; the report has evidence.
    """
    from PIL import Image

    heading = draw_silently(lambda: render(draw_heading(report)))
    parts = [heading, *(Image.open(io.BytesIO(data)) for data in report.pictures)]
    whole = Image.new("RGB", (heading.width, sum(part.height for part in parts)))
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    path.write_bytes(encode_png(whole))


def finding_pictures(evidence, channels):
    """A picture of each piece of evidence on tiles of so many channels, as the bytes of a PNG."""
    return draw_silently(lambda: tuple(encode_png(render(draw_finding(one, channels))) for one in evidence))


def draw_heading(report):
    """Draw what stands above the evidence: a matplotlib.figure.Figure."""
    canvas = Canvas(_HEAD, WIDTH)
    found = all(one.found for one in report.evidence)
    canvas.text(MARGIN, 0.08, headline(report) if found else f"{headline(report)}; closest to a finding:")
    return canvas.figure


def draw_finding(evidence, channels):
    """Draw a finding: what it is, what it rests on, and how that would look without it.

    Parameters
    ----------
    evidence : Evidence
    channels : int
        How many each tile has.

    Returns
    -------
    matplotlib.figure.Figure
        As wide as the heading.
    """
    lines, image = list(_lines(evidence)), 0.0
    if evidence.layers:
        rows, columns = evidence.layers[0].values.shape
        image = float(np.clip(SIDE * rows / columns, *_IMAGE))
    below = _TITLE + _LINE * len(lines)
    chart = below + (NAME + image) * bool(evidence.layers)
    canvas = Canvas(chart + (NAME + CHART + _AXIS) * bool(evidence.chart) + _FOOT, WIDTH)
    colour = FLAGGED if evidence.found else INK
    canvas.text(MARGIN, 0.06, evidence_title(evidence.finding, channels), fontweight="bold", color=colour)
    for number, line in enumerate(lines):
        canvas.text(MARGIN, _TITLE + _LINE * number, line)
    if evidence.layers:
        draw_layers(canvas, evidence, below, image)
    if evidence.chart:
        draw_chart(canvas, evidence.chart, chart + NAME)
    return canvas.figure


def evidence_title(finding, channels):
    """What and how large a finding is, such as ``tile 4: offset +24.98 ± 0.027 adu in channel b``, of that many."""
    where = f"tile {finding.tile}"
    if finding.tile is None:
        where = f"tiles {' and '.join(map(str, sorted(finding.tiles)))}" if finding.tiles else "whole mosaic"
    title = f"{where}: {finding.kind.replace('_', ' ')} {_size(finding)}".rstrip()
    return title + in_channel(finding.channel, channels)


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
