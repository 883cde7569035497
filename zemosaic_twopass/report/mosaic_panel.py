"""A mosaic as it is drawn: in grey as people stretch it, its edges coloured by the step, and what the colours mean."""

from __future__ import annotations

import numpy as np

from .seams import largest_line, largest_step
from .style import INK

_COLOURS, _UP_TO = "RdBu_r", 2.0
_WIDTHS = {"visible": 2.8, "faint": 1.8, "noise": 0.9, "none": 0.7, "unknown": 0.6}
# Where there are so many edges, lines are this part as wide.
_MANY, _THINNER = 150, 0.6
# Dashes of a line, which is no step, and how far beside it they are drawn, as part of the panel.
_THIN, _CLEAR = (0, (1.4, 0.7)), 0.008
# How far beside an edge its number stands, the same.
_AWAY = 0.035
# Edges that nobody sees are light on a dark sky, and dotted where only the noise changes.
_QUIET = "#d8d8d8"
_DASHES = {"noise": (0, (1, 2)), "unknown": (0, (6, 6))}
_LOOKS = {
    "visible": "visible",
    "faint": "faint",
    "noise": "nothing but the noise changes",
    "none": "no step seen",
}
# In inches, of what the colours mean: height of the bar, what is beside it, a row, and width of a column and a line.
_BAR, _BESIDE, _ROW, _COLUMN, _LINE = 0.1, 0.2, 0.16, 0.85, 0.2


class MosaicPanel:
    """A mosaic on a canvas; what is drawn on it is placed in its pixels.

    Parameters
    ----------
    canvas : Canvas
    box : matplotlib.transforms.Bbox
        Where it is, in inches.
    backdrop : Backdrop
    """

    def __init__(self, canvas, box, backdrop):
        from matplotlib.transforms import Affine2D, TransformedBbox

        rows, columns = backdrop.grey.shape
        # A mosaic lower than a block of it has none.
        self._canvas, self._size = canvas, tuple(max(n, 1) * backdrop.step for n in (columns, rows))
        scale = np.divide(box.size, self._size)
        self._to_inches = Affine2D().translate(0.5, 0.5).scale(*scale).translate(*box.min)
        self._own = {"transform": self._to_inches + canvas.inches, "clip_box": TransformedBbox(box, canvas.inches)}
        canvas.image(backdrop.grey, box, "gray", (0, 255), label="mosaic", interpolation="antialiased")

    def draw_edges(self, seams, worst):
        """Draw the edges of a `SeamMap`, and the numbers of some of them, by their index."""
        thinner = _THINNER if len(seams.edges) > _MANY else 1
        for look in ("unknown", "none", "noise", "faint", "visible"):
            edges = [edge for edge in seams.edges if edge.look == look]
            if look in ("faint", "visible"):
                self._draw_seen(edges, _WIDTHS[look] * thinner)
            elif edges:
                style = {"linewidth": _WIDTHS[look] * thinner, "alpha": 0.6 if thinner < 1 else 0.8}
                self._draw_quiet(edges, linestyle=_DASHES.get(look, "solid"), **style)
        taken = []
        for index, number in worst.items():
            taken.append(self._find_place(seams.edges[index], taken))
            box = {"boxstyle": "circle,pad=0.18", "facecolor": "white", "edgecolor": INK, "linewidth": 0.8}
            x, y = self._to_inches.transform(taken[-1])
            self._canvas.text(x, self._canvas.up(y), str(number), ha="center", va="center", bbox=box)

    def _draw_quiet(self, edges, **style):
        """One line for all, broken between them: a collection makes an object of each of hundreds."""
        from matplotlib.lines import Line2D

        breaks = np.full((len(edges), 1, 2), np.nan)
        x, y = np.concatenate([[_ends(edge) for edge in edges], breaks], axis=1).reshape(-1, 2).T
        self._canvas.add(Line2D, xdata=x, ydata=y, color=_QUIET, solid_capstyle="butt", **style, **self._own)

    def _draw_seen(self, edges, width):
        """What is seen lies between two dashed lines, and a step under one."""
        lines = [(edge, line) for edge in edges for line in self._beside(edge)]
        if not lines:
            return
        # Dark around it, so that pale colours show on a bright sky, and light around that: where it is printed in grey
        # dark colours show on a dark sky.
        for colour, wider in (("white", 2.4), (INK, 1.0)):
            self._add([line for _, line in lines], colors=colour, linewidths=width + wider, capstyle="butt")
        styles = [_THIN if edge.lined else "solid" for edge, _ in lines]
        # All at once: each colour map that is asked for is made anew.
        steps = _colours(np.array([_in_noise(edge) for edge, _ in lines]))
        self._add([line for _, line in lines], colors=steps, linewidths=width, linestyles=styles, capstyle="butt")

    def _add(self, lines, **look):
        from matplotlib.collections import LineCollection

        self._canvas.add(LineCollection, segments=lines, **look, **self._own)

    def _beside(self, edge):
        """Where an edge that is seen is drawn: along it, or on both sides of a line, which must not be hidden."""
        if not edge.lined:
            return [_ends(edge)]
        apart = 0.5 * edge.line_px + _CLEAR * self._size[0]
        return [_ends(edge) + sign * apart * np.array(edge.normal) for sign in (-1, 1)]

    def _find_place(self, edge, taken):
        """Where the number of an edge may stand: beside it, inside of the panel, and away from other numbers."""
        apart = _AWAY * self._size[0]
        # In a strip lower than a number that is in its middle.
        least = np.minimum(apart, np.divide(self._size, 2))
        for factor in (1, -1, 2, -2, 3, -3):
            place = np.array((edge.x, edge.y)) + factor * apart * np.array(edge.normal)
            place = np.clip(place, least, self._size - least)
            if all(np.hypot(*(place - other)) > 1.3 * apart for other in taken):
                break
        return place


def _ends(edge):
    right, up = (0.5 * edge.length * part for part in (-edge.normal[1], edge.normal[0]))
    return np.array([(edge.x - right, edge.y - up), (edge.x + right, edge.y + up)])


def _in_noise(edge):
    size, _ = largest_line(edge) if edge.lined else largest_step(edge)
    return size / max(np.hypot(*edge.noise) / np.sqrt(2), np.finfo(float).tiny)


def _colours(sizes):
    from matplotlib import colormaps

    return colormaps[_COLOURS](np.clip(0.5 + sizes / (2 * _UP_TO), 0.0, 1.0))


def draw_meaning(canvas, left, down, width):
    """Draw what colours and lines of edges mean, so far from the left and below the top, in inches, so wide a bar."""
    from matplotlib.lines import Line2D

    canvas.text(left, down, "step, inside − outside, × noise")
    box = canvas.box(left, down + _ROW, width, _BAR)
    canvas.image(np.linspace(-_UP_TO, _UP_TO, 64)[np.newaxis], box, _COLOURS, (-_UP_TO, _UP_TO), label="bar")
    for share, text in ((0, f"≤ −{_UP_TO:g}"), (0.25, f"−{_UP_TO / 2:g}"), (0.5, "0"), (0.75, f"{_UP_TO / 2:g}")):
        canvas.text(left + share * width, down + _ROW + _BAR + 0.04, text, ha="center" if share else "left")
    canvas.text(left + width, down + _ROW + _BAR + 0.04, f"≥ {_UP_TO:g}", ha="right")
    for number, (look, text) in enumerate(_LOOKS.items()):
        at, row = left + width + _BESIDE + number // 2 * _COLUMN, down + 0.04 + number % 2 * _ROW
        style = {"color": INK if look in ("visible", "faint") else "#909090", "linewidth": _WIDTHS[look]}
        ends = {"xdata": (at, at + _LINE), "ydata": [canvas.up(row + 0.065)] * 2}
        canvas.add(Line2D, **ends, **style, linestyle=_DASHES.get(look, "solid"))
        canvas.text(at + _LINE + 0.07, row, text)
