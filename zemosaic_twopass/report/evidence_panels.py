"""What a finding is drawn with: images on one ground, their colours, and charts."""

from __future__ import annotations

import numpy as np

from .style import AFTER, FLAGGED, FONT, INK, SMALL, TEXT, finish_ticks

# In inches. Narrower than the other pictures, so that a phone shows it larger.
WIDTH = 4.3
MARGIN, NAME, CHART = 0.1, 0.22, 1.15
SIDE = 1.52
_LEFT, _BETWEEN, _RIGHT = 0.62, 0.12, 0.12
# In greyscale print too "nothing left" is white and what differs is dark.
_COLOURS = {"share": "Greys"}
_DIFFERENCE = "RdBu_r"
_STYLES = (("o", AFTER), ("s", FLAGGED), ("^", INK))
_LINES = (("0.35", "-"), (AFTER, (0, (4, 2))))
# The largest 1 % of what is drawn may run into the ends of the colours: stars.
_PERCENTILE = 99.0


def draw_layers(canvas, evidence, down, height):
    """Draw the layers of evidence side by side and their colours: so far below the top, so high, in inches."""
    values = np.concatenate([layer.values[np.isfinite(layer.values)] for layer in evidence.layers])
    limit = float(np.percentile(np.abs(values), _PERCENTILE)) if values.size else 1.0
    limits = (0.0, 1.0) if evidence.unit == "share" else (-(limit or 1.0), limit or 1.0)
    colours = _COLOURS.get(evidence.unit, _DIFFERENCE)
    left = MARGIN
    for layer in evidence.layers:
        box = canvas.box(left, down + NAME, SIDE, height)
        canvas.text(left, down + 0.04, layer.title)
        canvas.image(layer.values, box, colours, limits)
        if evidence.arrow is not None and layer is evidence.layers[0]:
            _draw_arrow(canvas, (box.min + box.max) / 2, 0.3 * height * np.array(evidence.arrow))
        left += SIDE + _BETWEEN
    _draw_bar(canvas, canvas.box(left, down + NAME, 0.1, height), colours, limits, evidence.unit)


def _draw_bar(canvas, box, colours, limits, unit):
    canvas.image(np.linspace(*limits, 64)[:, np.newaxis], box, colours, limits, label="bar")
    canvas.ticks(box, limits, 4)
    middle = canvas.up((box.y0 + box.y1) / 2)
    canvas.text(box.x1 + 0.52, middle, unit, rotation=90, ha="center", va="center")


def _draw_arrow(canvas, middle, reach):
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.patheffects import withStroke

    ends = {"posA": middle - reach, "posB": middle + reach, "shrinkA": 2, "shrinkB": 2}
    look = {"arrowstyle": "->", "mutation_scale": 10, "color": INK, "linewidth": 1.4, "zorder": 3}
    canvas.add(FancyArrowPatch, **ends, **look, path_effects=[withStroke(linewidth=3, foreground="white")])


def draw_chart(canvas, chart, down):
    """Draw a chart so far below the top, in inches."""
    axes = canvas.axes(_LEFT, down, WIDTH - _LEFT - _RIGHT, CHART)
    styles, lines = iter(_STYLES), iter(_LINES)
    for series in chart.series:
        if series.error is None:
            colour, dashes = next(lines)
            axes.plot(series.x, series.y, color=colour, linewidth=1.1, linestyle=dashes, label=series.label)
            continue
        marker, colour = next(styles)
        axes.errorbar(
            series.x,
            series.y,
            np.nan_to_num(series.error),
            fmt=marker,
            markersize=3.5,
            color=colour,
            elinewidth=0.9,
            markerfacecolor=colour if marker == "o" else "white",
            label=series.label,
        )
    axes.set_xlabel(chart.x_label, fontsize=SMALL, labelpad=2, **TEXT)
    axes.set_ylabel(chart.y_label, fontsize=SMALL, labelpad=2, **TEXT)
    finish_ticks(axes)
    axes.locator_params(nbins=5)
    axes.margins(y=0.15)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(
        prop={"family": FONT, "size": SMALL},
        labelcolor=INK,
        ncols=len(chart.series),
        loc="lower right",
        bbox_to_anchor=(1.02, 0.98),
        borderpad=0,
        borderaxespad=0.2,
        handletextpad=0.3,
        columnspacing=0.9,
        frameon=False,
    )
