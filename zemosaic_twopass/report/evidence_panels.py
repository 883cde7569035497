"""What a row of the evidence is drawn with: images on one ground, their colours, and charts."""

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
_PERCENTILE = 99.0


class Canvas:
    """A figure on which a row is drawn from its top down, in inches.

    Parameters
    ----------
    ground : matplotlib.axes.Axes
        Fills the figure, in inches: axes of their own for every image would take three times as long.
    top : float
        Of the row, from the top of the figure.
    """

    def __init__(self, ground, top):
        self.ground, self._height = ground, ground.get_ylim()[1]
        self._top = top

    def up(self, down):
        """Height above the lower edge of the figure of a place so far below the top of the row."""
        return self._height - self._top - down

    def text(self, left, down, text, **more):
        self.ground.text(left, self.up(down), text, **{"va": "top", "fontsize": SMALL, **TEXT, **more})

    def axes(self, left, down, width, height):
        box = left / WIDTH, self.up(down + height) / self._height, width / WIDTH, height / self._height
        return self.ground.figure.add_axes(box)


def draw_layers(canvas, evidence, down, height):
    """Draw the layers of evidence side by side and their colours: so far below the top of a row, so high, in inches."""
    values = np.concatenate([layer.values[np.isfinite(layer.values)] for layer in evidence.layers])
    limit = float(np.percentile(np.abs(values), _PERCENTILE)) if values.size else 1.0
    limits = (0.0, 1.0) if evidence.unit == "share" else (-(limit or 1.0), limit or 1.0)
    colours = _COLOURS.get(evidence.unit, _DIFFERENCE)
    low, high = canvas.up(down + NAME + height), canvas.up(down + NAME)
    left = MARGIN
    for layer in evidence.layers:
        canvas.text(left, down + 0.04, layer.title)
        _draw_image(canvas.ground, layer.values, (left, left + SIDE, low, high), colours, limits)
        if evidence.arrow is not None and layer is evidence.layers[0]:
            _draw_arrow(canvas.ground, ((2 * left + SIDE) / 2, (low + high) / 2), evidence.arrow, height)
        left += SIDE + _BETWEEN
    _draw_bar(canvas.ground, (left, left + 0.1, low, high), colours, limits, evidence.unit)


def _draw_image(ground, values, extent, colours, limits, label="layer"):
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    left, right, low, high = extent
    frame = {"xy": (left, low), "width": right - left, "height": high - low}
    if not np.isfinite(values).all():
        # What is not known is hatched, as in the map: white means that nothing differs.
        ground.add_patch(Rectangle(**frame, facecolor="0.88", edgecolor="0.6", hatch="////", linewidth=0, zorder=0))
    ground.imshow(
        values,
        origin="lower",
        extent=extent,
        cmap=colormaps[colours].with_extremes(bad=(0, 0, 0, 0)),
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        aspect="auto",
        label=label,
        zorder=1,
    )
    ground.add_patch(Rectangle(**frame, facecolor="none", edgecolor=INK, linewidth=0.9, zorder=2))


def _draw_bar(ground, extent, colours, limits, unit):
    from matplotlib.ticker import MaxNLocator

    left, right, low, high = extent
    _draw_image(ground, np.linspace(*limits, 64)[:, np.newaxis], extent, colours, limits, label="bar")
    for tick in MaxNLocator(4).tick_values(*limits):
        if limits[0] <= tick <= limits[1]:
            place = low + (high - low) * (tick - limits[0]) / (limits[1] - limits[0])
            ground.plot((right, right + 0.04), (place, place), color=INK, linewidth=0.8)
            ground.text(right + 0.07, place, f"{tick:.4g}".replace("-", "−"), va="center", fontsize=SMALL, **TEXT)
    place = (right + 0.52, (low + high) / 2)
    ground.text(*place, unit, rotation=90, ha="center", va="center", fontsize=SMALL, **TEXT)


def _draw_arrow(ground, middle, arrow, size):
    from matplotlib.patheffects import withStroke

    reach = 0.3 * size * np.array(arrow)
    mark = ground.annotate(
        "",
        np.add(middle, reach),
        np.subtract(middle, reach),
        arrowprops={"arrowstyle": "->", "color": INK, "linewidth": 1.4},
        zorder=3,
    )
    mark.arrow_patch.set_path_effects([withStroke(linewidth=3, foreground="white")])


def draw_chart(canvas, chart, down):
    """Draw a chart so far below the top of a row, in inches."""
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
