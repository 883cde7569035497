"""Two mosaics side by side: as people stretch them, and with their edges, those that changed numbered."""

from __future__ import annotations

import textwrap

import numpy as np

from ..files import whole_file
from .canvas import Canvas
from .mosaic_panel import MosaicPanel, draw_meaning
from .style import MEDIUM, WIDTH, write_picture

COMPARE_PICTURE = "twopass_compare.png"
# In inches.
_LEFT, _GAP, _TOP, _TITLE, _BOTTOM = 0.12, 0.12, 0.4, 0.26, 0.75
# Edges that have a number: as many as have a profile in the picture of seams.
_NUMBERED = 5


def write_compare_picture(found, backdrops, names, path):
    """Draw two mosaics side by side, and below them their edges, and write the picture as PNG, whole or not at all.

    Parameters
    ----------
    found : Comparison
    backdrops : (Backdrop, Backdrop)
    names : (str, str)
        What they were given as.
    path : path-like
        Overwritten.

    Raises
    ------
    OSError
        If the file cannot be written.
    ModuleNotFoundError
        Without matplotlib.
    """
    with whole_file(path) as temporary:
        write_picture(lambda shown: draw_comparison(*shown), (found, backdrops, names), temporary)


def draw_comparison(found, backdrops, names):
    """The figure of `write_compare_picture`."""
    width = (WIDTH - 2 * _LEFT - _GAP) / 2
    height = width * max(float(np.clip(own.shape[0] / own.shape[1], 0.15, 2.0)) for own in backdrops)
    canvas = Canvas(_TOP + 2 * (height + _TITLE) + _BOTTOM)
    canvas.text(0, 0, textwrap.fill(comparison_sentence(found), 78), fontsize=MEDIUM)
    numbered, down = _number_edges(found), _TOP
    for row in range(2):
        for side, (seams, backdrop, name) in enumerate(zip(found.maps, backdrops, names, strict=True)):
            left = _LEFT + side * (width + _GAP)
            title = f"{'ab'[side]}: {name}" if row == 0 else f"{seams.picture.replace('_', ' ')}"
            canvas.text(left, down + 0.08, _short(title), fontsize=MEDIUM)
            panel = MosaicPanel(canvas, canvas.box(left, down + _TITLE, width, height), backdrop)
            if row:
                panel.draw_edges(seams, numbered[side])
        down += height + _TITLE
    draw_meaning(canvas, _LEFT, down + 0.12, 0.4 * WIDTH)
    return canvas.figure


def comparison_sentence(found):
    """What two mosaics come to side by side, for people: two sentences."""
    before, after = (f"{rms:.3g} ± {error:.2g}" for rms, error in zip(found.rms, found.error, strict=True))
    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in ("better", "worse", "same"))
    text = {
        "better": "The second has the smaller seams",
        "worse": "The second has the larger seams",
        "same": "Within the errors the seams are as large in both",
        "unknown": "Whose seams are smaller cannot be told",
    }[found.result]
    sizes = f"steps {before} → {after} adu"
    # What makes a picture worse may be these alone.
    if any(change.most is change.line for change in found.largest_first()):
        sizes += f", lines {found.lines[0]:.3g} → {found.lines[1]:.3g} adu"
    return f"{text}: {sizes}. Edge by edge, from first to second: {counts}."


def _number_edges(found):
    """Number the edges that changed most, from 1: {index of the edge: number} for each of both maps."""
    indices = [{id(edge): index for index, edge in enumerate(seams.edges)} for seams in found.maps]
    largest = found.largest_first()[:_NUMBERED]
    return [
        {indices[side][id(getattr(change, name))]: number for number, change in enumerate(largest, start=1)}
        for side, name in enumerate(("first", "second"))
    ]


def _short(text, most=44):
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 + 1 :]}"
