"""Two of the pictures of a report: the delta map on the sky, and the tiles one by one."""

from __future__ import annotations

import numpy as np

from ..tiles.planes import channel_names
from .maps import UNIT
from .style import (
    AFTER,
    FLAGGED,
    FONT,
    INK,
    MEDIUM,
    SMALL,
    TEXT,
    WIDTH,
    finding_list,
    finish_ticks,
    headline,
    new_figure,
)
from .tables import find_flagged

# Labels of the fitted terms, and what they are drawn in units of.
_FITS = {"offset": ("offset to the\nothers (adu)", 1.0), "gain": ("scale to the\nothers (%)", 100.0)}
_MARKERS = ("o", FLAGGED), ("s", "#009E73"), ("^", AFTER), ("D", INK)
_LEGEND = {"labelcolor": INK, "borderpad": 0, "frameon": False, "prop": {"family": FONT, "size": SMALL}}
# In units of what agrees.
_FAR_OUT = 20.0
MAP_PICTURE = "twopass_delta_map.png"
TILES_PICTURE = "twopass_tiles.png"


def draw_tiles(report):
    """Draw gains, medians of each channel and what was fitted over the tile number, each as far as it is known.

    Parameters
    ----------
    report : TwoPassReport
        With tile records.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    index = np.array([tile.index for tile in report.tiles])
    pre, post = (_medians(report.tiles, when) for when in ("pre", "post"))
    channels = pre.shape[1]
    findings = finding_list(report)
    top = 0.5 + 0.16 * len(findings.splitlines())
    fits = {index: tile.fit for index, tile in enumerate(report.tiles) if tile.fit is not None}
    gains = int(any(np.isfinite(tile.gain) for tile in report.tiles))
    count = gains + channels + (len(_FITS) if fits else 0)
    height = top + 1.35 * count + 0.45
    figure = new_figure(height)
    figure.text(0, 1, headline(report), va="top", fontsize=MEDIUM, **TEXT)
    figure.text(0, 1 - 0.2 / height, findings, va="top", fontsize=MEDIUM, **TEXT | {"color": FLAGGED})
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.8 / WIDTH, right=0.99, top=1 - top / height, bottom=0.45 / height, hspace=0.25)
    marker = float(np.clip(90 / len(index), 2.0, 6.0))
    if gains:
        _draw_gains(panels[0], report, index, marker)
    for channel, name in enumerate(channel_names(channels)):
        label = f"median {name}" if channels > 1 else "median"
        _draw_medians(panels[gains + channel], index, pre[:, channel], post[:, channel], marker, f"{label}\n({UNIT})")
    for axes, term in zip(panels[gains + channels :], _FITS, strict=False):
        _draw_fits(axes, term, index, fits, channels)
    for axes in panels[:-1]:
        axes.xaxis.set_visible(False)
    for axes in panels:
        _finish(axes, find_flagged(report.findings))
    panels[-1].set_xlabel("tile", fontsize=MEDIUM, **TEXT)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlim(index.min() - 0.7, index.max() + 0.7)
    _number_flagged(panels[0], find_flagged(report.findings))
    handles = panels[gains].get_legend_handles_labels()
    # Not the default of the figure's own box, which has the room around it while it is saved.
    corner = {"bbox_transform": figure.transFigure, "borderaxespad": 0.0}
    figure.legend(*handles, ncols=2, loc="upper right", bbox_to_anchor=(1, 1), **corner, **_LEGEND)
    return figure


def _medians(tiles, when):
    """Medians as an array, shape (tiles, channels); NaN where a tile has fewer channels."""
    rows = [getattr(tile, when).median for tile in tiles]
    out = np.full((len(rows), max(map(len, rows))), np.nan)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out


def _draw_gains(axes, report, index, marker):
    axes.axhline(1.0, color="0.5", linewidth=0.8)
    for limit in report.settings.get("gain_clip") or ():
        axes.axhline(limit, color="0.5", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(index, [tile.gain for tile in report.tiles], "s", markersize=marker, color=AFTER)
    axes.set_ylabel("gain", fontsize=MEDIUM, **TEXT)


def _draw_medians(axes, index, pre, post, marker, label):
    axes.vlines(index, pre, post, color="0.6", linewidth=0.8)
    hollow = {"markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": 0.8}
    # The larger one is a ring round the other where the gain is 1.
    axes.plot(index, pre, "o", markersize=1.5 * marker, label="as given", **hollow)
    if np.isfinite(post).any():
        axes.plot(index, post, "o", markersize=marker, color=AFTER, label="after the gain")
    axes.set_ylabel(label, fontsize=MEDIUM, **TEXT)


def _draw_fits(axes, term, index, fits, channels):
    """A fitted term of every tile with its errors, channels side by side, over a band of what agrees with none."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, SymmetricalLogLocator

    label, factor = _FITS[term]
    tiles = np.array(list(fits))
    names = term, f"{term}_error", f"{term}_agrees"
    value, error, agrees = (factor * np.array([getattr(fit, name) for fit in fits.values()]) for name in names)
    band = np.nan_to_num(agrees).max(axis=1)
    bands = np.full(len(index), np.nan)
    bands[tiles] = band
    edges = np.append(index, index[-1] + 1) - 0.5
    axes.stairs(bands, edges, baseline=-bands, fill=True, color="0.85", zorder=0, label="agrees")
    for channel, name in enumerate(channel_names(channels)):
        marker, colour = _MARKERS[channel % len(_MARKERS)]
        dodge = 0.5 * ((channel + 0.5) / channels - 0.5)
        axes.errorbar(
            index[tiles] + dodge,
            value[:, channel],
            np.nan_to_num(error[:, channel]),
            fmt=marker,
            markersize=float(np.clip(60 / len(index), 1.5, 3.5)),
            color=colour,
            elinewidth=0.9,
            label=name,
        )
    limit, largest = np.median(band), np.nan_to_num(np.abs(value)).max()
    if largest > _FAR_OUT * limit > 0:
        # What agrees would be a line; ticks in plain characters, for the usual ones are set by a formula parser.
        decade = 10.0 ** np.ceil(np.log10(limit))
        axes.set_yscale("symlog", linthresh=decade)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=decade))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
        axes.yaxis.set_minor_locator(MaxNLocator(1))
    axes.set_ylabel(label, fontsize=MEDIUM, **TEXT)
    beside = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.99), "borderaxespad": 0.2, "handletextpad": 0.2}
    axes.legend(ncols=channels + 1, **beside, **_LEGEND)


def _finish(axes, flagged):
    for tile in flagged:
        axes.axvspan(tile - 0.5, tile + 0.5, facecolor=FLAGGED, alpha=0.25, linewidth=0, zorder=0)
    axes.set_facecolor("white")
    # In line, and not to be found from how wide and high the labels of all ticks are.
    axes.yaxis.set_label_coords(-0.115, 0.5)
    axes.xaxis.set_label_coords(0.5, -0.25)
    finish_ticks(axes)
    axes.margins(y=0.12)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def _number_flagged(axes, flagged):
    """Numbers above the marked tiles, the worst first; one that would lie on another is left out."""
    low, high = axes.get_xlim()
    taken = []
    for tile in flagged:
        if all(abs(tile - other) > 0.04 * (high - low) for other in taken):
            taken.append(tile)
            axes.annotate(
                str(tile),
                (tile, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                fontsize=SMALL,
                fontweight="bold",
                ha="center",
                **TEXT | {"color": FLAGGED},
            )
