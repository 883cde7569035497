"""The picture of the seams: mosaics in grey as people stretch them, edges by the step, profiles across the worst."""

from __future__ import annotations

import textwrap

import numpy as np

from ..files import whole_file
from .seam_profiles import LEFT, PANEL, PROFILE, draw_profiles, name_of
from .seams import PICTURE_SENTENCES, largest_line, largest_step
from .style import FONT, INK, MEDIUM, SMALL, TEXT, WIDTH, finish_ticks, new_figure, write_picture

SEAMS_PICTURE = "twopass_seams.png"
# In inches.
_TITLE, _TOP, _BOTTOM, _GAP = 0.24, 0.5, 0.62, 0.1
_COLOURS = "RdBu_r"
COLOURS_UP_TO = 2.0
_WIDTHS = {"visible": 2.8, "faint": 1.8, "noise": 0.9, "none": 0.7, "unknown": 0.6}
# Where there are so many edges, lines are this part as wide.
_MANY, _THINNER = 150, 0.6
# Dashes of a line, which is no step, and how far beside it they are drawn, as part of the panel.
_THIN, _CLEAR = (0, (1.4, 0.7)), 0.008
# Edges that nobody sees are light on a dark sky, and dotted where only the noise changes.
_QUIET = "#d8d8d8"
_LOOKS = {
    "visible": "visible",
    "faint": "faint",
    "noise": "nothing but the noise changes",
    "none": "no step seen",
}


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
    from matplotlib.colors import Normalize

    name = " and ".join(name_of(own) for own, shown in zip(maps, backdrops, strict=True) if shown is backdrops[-1])
    maps, backdrops = zip(*_once(maps, backdrops), strict=True)
    # Numbers, from 1, of the edges of the last mosaic that have profiles.
    worst = {index: number for number, index in enumerate(dict.fromkeys(own.last for own in profiles), start=1)}
    rows = _rows(backdrops)
    below = PROFILE + _TITLE + 0.5 if worst else 0.0
    height = _TOP + sum(row[0][3] + _TITLE + _GAP for row in rows) + _BOTTOM + below
    figure, limits = new_figure(height), Normalize(-COLOURS_UP_TO, COLOURS_UP_TO)
    figure.text(0, 1, _heading(maps, worst), va="top", fontsize=MEDIUM, **TEXT)
    low = height - _TOP
    for row in rows:
        low -= row[0][3] + _TITLE
        for which, left, width, panel in row:
            axes = figure.add_axes((left / WIDTH, low / height, width / WIDTH, panel / height))
            last = which == len(maps) - 1
            draw_mosaic(axes, backdrops[which])
            looks = maps[which].picture.replace("_", " ")
            title = f"{name if last else name_of(maps[which])}: {looks}"
            axes.set_title(title, fontsize=MEDIUM, loc="left", y=1.0, pad=4, **TEXT)
            draw_edges(axes, maps[which], limits, worst if last else {})
        low -= _GAP
    draw_bar(figure, limits, (low - 0.27) / height, 0.1 / height)
    if worst:
        draw_profiles(figure, maps, profiles, worst, height)
    return figure


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


def draw_mosaic(axes, backdrop):
    rows, columns = backdrop.grey.shape
    extent = (-0.5, columns * backdrop.step - 0.5, -0.5, rows * backdrop.step - 0.5)
    axes.imshow(backdrop.grey, cmap="gray", vmin=0, vmax=255, origin="lower", extent=extent, aspect="auto")
    axes.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])


def draw_edges(axes, seams, limits, worst):
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    colours = colormaps[_COLOURS]
    many = len(seams.edges) > _MANY
    for look in ("unknown", "none", "noise", "faint", "visible"):
        edges = [edge for edge in seams.edges if edge.look == look]
        width = _WIDTHS[look] * (_THINNER if many else 1)
        if look in ("faint", "visible"):
            # What is seen lies between two dashed lines, and a step under one.
            lines = [(edge, line) for edge in edges for line in _beside(edge, axes)]
            # Dark around it, so that pale colours show on a bright sky, and light around that: where it is printed in
            # grey dark colours show on a dark sky.
            for colour, wider in (("white", 2.4), (INK, 1.0)):
                axes.add_collection(
                    LineCollection(
                        [line for _, line in lines], colors=colour, linewidths=width + wider, capstyle="butt"
                    )
                )
            steps = [colours(limits(_in_noise(edge))) for edge, _ in lines]
            styles = [_THIN if edge.lined else "solid" for edge, _ in lines]
            own = {"linewidths": width, "linestyles": styles, "capstyle": "butt"}
            axes.add_collection(LineCollection([line for _, line in lines], colors=steps, **own))
        elif edges:
            lines = [_ends(edge) for edge in edges]
            style = {"noise": (0, (1, 2)), "unknown": (0, (6, 6))}.get(look, "solid")
            own = {"linewidths": width, "linestyles": [style], "alpha": 0.6 if many else 0.8}
            axes.add_collection(LineCollection(lines, colors=_QUIET, **own))
    taken = []
    for index, number in worst.items():
        x, y = _free(seams.edges[index], taken, axes)
        taken.append((x, y))
        box = {"boxstyle": "circle,pad=0.18", "facecolor": "white", "edgecolor": INK, "linewidth": 0.8}
        axes.text(x, y, str(number), ha="center", va="center", fontsize=SMALL, bbox=box, **TEXT)


def _beside(edge, axes):
    """Where an edge that is seen is drawn: along it, or on both sides of a line, which must not be hidden."""
    if not edge.lined:
        return [_ends(edge)]
    apart = 0.5 * edge.line_px + _CLEAR * np.ptp(axes.get_xlim())
    return [_ends(edge) + sign * apart * np.array(edge.normal) for sign in (-1, 1)]


def _ends(edge):
    along = 0.5 * edge.length * np.array([-edge.normal[1], edge.normal[0]])
    middle = np.array([edge.x, edge.y])
    return np.stack([middle - along, middle + along])


def _in_noise(edge):
    size, _ = largest_line(edge) if edge.lined else largest_step(edge)
    return size / max(np.hypot(*edge.noise) / np.sqrt(2), np.finfo(float).tiny)


def _free(edge, taken, axes):
    """Where the number of an edge may stand: beside it, inside of the panel, and away from other numbers."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    apart = 0.035 * (right - left)
    for factor in (1, -1, 2, -2, 3, -3):
        x, y = (at + factor * apart * part for at, part in zip((edge.x, edge.y), edge.normal, strict=True))
        x = min(max(x, left + apart), right - apart)
        y = min(max(y, low + apart), high - apart)
        if all(np.hypot(x - other[0], y - other[1]) > 1.3 * apart for other in taken):
            break
    return x, y


def draw_bar(figure, limits, low, height):
    from matplotlib.cm import ScalarMappable
    from matplotlib.lines import Line2D

    bar = figure.add_axes((LEFT / WIDTH, low, 0.4 * PANEL / WIDTH, height))
    figure.colorbar(ScalarMappable(limits, _COLOURS), cax=bar, orientation="horizontal", extend="both")
    finish_ticks(bar)
    bar.set_title("step, inside − outside, × noise", fontsize=SMALL, loc="left", y=1.0, pad=3, **TEXT)
    styles = {"visible": "solid", "faint": "solid", "noise": (0, (1, 2)), "none": "solid"}
    inks = {look: INK if look in ("visible", "faint") else "#909090" for look in styles}
    lines = [Line2D([], [], color=inks[k], linewidth=_WIDTHS[k], linestyle=style) for k, style in styles.items()]
    figure.legend(
        lines,
        [_LOOKS[look] for look in styles],
        loc="upper left",
        bbox_to_anchor=((LEFT + 0.44 * PANEL) / WIDTH, low + 2.6 * height),
        ncols=2,
        frameon=False,
        prop={"family": FONT, "size": SMALL},
        labelcolor=INK,
        handlelength=1.8,
        columnspacing=1.0,
        labelspacing=0.25,
        borderpad=0,
    )
