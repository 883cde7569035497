"""The picture of the seams: mosaics in grey as people stretch them, edges by the step, profiles across the worst."""

from __future__ import annotations

import textwrap

import numpy as np

from ..files import whole_file
from .canvas import Canvas
from .mosaic_panel import MosaicPanel, draw_meaning
from .seam_profiles import LEFT, PANEL, PROFILE, draw_profiles, name_of
from .seams import PICTURE_SENTENCES
from .style import MEDIUM, write_picture

SEAMS_PICTURE = "twopass_seams.png"
# In inches.
_TITLE, _TOP, _BOTTOM, _GAP = 0.24, 0.5, 0.62, 0.1


def write_seam_picture(maps, profiles, backdrops, path):
    """Draw the seams of mosaics, a panel each, and write the picture as PNG, whole or not at all.

    Parameters
    ----------
    maps : sequence of SeamMap
    profiles : sequence of Profile
    backdrops : sequence of Backdrop
        One a map.
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
        write_picture(lambda shown: draw_seams(*shown), (maps, profiles, backdrops), temporary)


def draw_seams(maps, profiles, backdrops):
    """The figure of `write_seam_picture`; mosaics with one backdrop are the same to the bit, and drawn once."""
    name = " and ".join(name_of(own) for own, shown in zip(maps, backdrops, strict=True) if shown is backdrops[-1])
    maps, backdrops = zip(*_once(maps, backdrops), strict=True)
    # Numbers, from 1, of the edges of the last mosaic that have profiles.
    worst = {index: number for number, index in enumerate(dict.fromkeys(own.last for own in profiles), start=1)}
    rows = _rows(backdrops)
    below = PROFILE + _TITLE + 0.5 if worst else 0.0
    canvas = Canvas(_TOP + sum(row[0][3] + _TITLE + _GAP for row in rows) + _BOTTOM + below)
    canvas.text(0, 0, _heading(maps, worst), fontsize=MEDIUM)
    down = _TOP
    for row in rows:
        for which, left, width, height in row:
            last = which == len(maps) - 1
            looks = maps[which].picture.replace("_", " ")
            canvas.text(left, down + 0.06, f"{name if last else name_of(maps[which])}: {looks}", fontsize=MEDIUM)
            panel = MosaicPanel(canvas, canvas.box(left, down + _TITLE, width, height), backdrops[which])
            panel.draw_edges(maps[which], worst if last else {})
        down += row[0][3] + _TITLE + _GAP
    draw_meaning(canvas, LEFT, down, 0.4 * PANEL)
    if worst:
        draw_profiles(canvas, maps, profiles, worst)
    return canvas.figure


def _once(maps, backdrops):
    """Pairs of map and backdrop, without those whose backdrop is the last."""
    return [pair for pair in zip(maps, backdrops, strict=True) if pair[1] is not backdrops[-1]] + [
        (maps[-1], backdrops[-1])
    ]


def _rows(backdrops):
    """Where the panels go, rows of (index, left, width, height): the last mosaic alone, then the others in pairs."""
    *others, last = range(len(backdrops))
    ratio = float(np.clip(backdrops[last].shape[0] / backdrops[last].shape[1], 0.15, 1.23))
    rows, half = [[(last, LEFT, PANEL, ratio * PANEL)]], (PANEL - LEFT) / 2
    for first in range(0, len(others), 2):
        lefts = LEFT, LEFT + half + LEFT
        rows.append(
            [(index, left, half, ratio * half) for index, left in zip(others[first : first + 2], lefts, strict=False)]
        )
    return rows


def _heading(maps, worst):
    """How the last mosaic looks; where and why the page and the verdict say."""
    edges = f"{len(maps[-1].edges)} edges of footprints"
    below = f"; {'1' if len(worst) == 1 else f'1 to {len(worst)}'}, the worst of them, below" if worst else ""
    lines = " A line lies between dashed ones." if any(edge.lined for seams in maps for edge in seams.edges) else ""
    return textwrap.fill(f"{PICTURE_SENTENCES[maps[-1].picture]} {edges}{below}.{lines}", 78)
