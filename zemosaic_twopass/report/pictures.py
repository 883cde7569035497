"""The two pictures of a report: the delta map on the sky, and the tiles one by one."""

from __future__ import annotations

import numpy as np

from .map_picture import draw_map
from .maps import UNIT
from .style import (
    AFTER,
    FLAGGED,
    INK,
    MEDIUM,
    SMALL,
    TEXT,
    WIDTH,
    finding_list,
    headline,
    new_figure,
    save,
    silent_fonts,
)
from .tables import channel_names, flagged_tiles

MAP_PICTURE = "twopass_delta_map.png"
TILES_PICTURE = "twopass_tiles.png"


@silent_fonts()
def write_map_picture(report, path):
    """Write the picture of the delta map and of the signed delta map, with the outlines of the tiles.

    Tiles with a finding are outlined in a second colour and named.

    Parameters
    ----------
    report : TwoPassReport
        With a delta map.
    path : pathlib.Path
        PNG; overwritten.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    save(draw_map(report), path)


@silent_fonts()
def write_tiles_picture(report, path):
    """Write the picture of gain and medians of each tile, before and after the gain, by channel.

    Parameters
    ----------
    report : TwoPassReport
        With tile records.
    path : pathlib.Path
        PNG; overwritten.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    save(draw_tiles(report), path)


def draw_tiles(report):
    """Draw a panel of gains and one of medians for each channel, over the tile number.

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
    height = top + 1.35 * (1 + channels) + 0.45
    figure = new_figure(height)
    figure.text(0, 1, headline(report), va="top", fontsize=MEDIUM, **TEXT)
    figure.text(0, 1 - 0.2 / height, findings, va="top", fontsize=MEDIUM, **TEXT | {"color": FLAGGED})
    panels = figure.subplots(1 + channels, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.8 / WIDTH, right=0.99, top=1 - top / height, bottom=0.45 / height, hspace=0.25)
    marker = float(np.clip(90 / len(index), 2.0, 6.0))
    _draw_gains(panels[0], report, index, marker)
    for channel, name in enumerate(channel_names(channels)):
        label = f"median {name}" if channels > 1 else "median"
        _draw_medians(panels[1 + channel], index, pre[:, channel], post[:, channel], marker, f"{label}\n({UNIT})")
    for axes in panels:
        _finish(axes, flagged_tiles(report.findings))
    panels[-1].set_xlabel("tile", fontsize=MEDIUM, **TEXT)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlim(index.min() - 0.7, index.max() + 0.7)
    _number_flagged(panels[0], flagged_tiles(report.findings))
    handles = panels[-1].get_legend_handles_labels()
    figure.legend(
        *handles,
        fontsize=SMALL,
        labelcolor=INK,
        ncols=2,
        loc="upper right",
        borderaxespad=0.4,
        borderpad=0,
        frameon=False,
    )
    figure.align_ylabels(panels)
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
    axes.plot(index, post, "o", markersize=marker, color=AFTER, label="after the gain")
    axes.set_ylabel(label, fontsize=MEDIUM, **TEXT)


def _finish(axes, flagged):
    for tile in flagged:
        axes.axvspan(tile - 0.5, tile + 0.5, facecolor=FLAGGED, alpha=0.25, linewidth=0, zorder=0)
    axes.set_facecolor("white")
    axes.tick_params(labelsize=SMALL, colors=INK)
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
