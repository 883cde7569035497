"""What the pictures have in common: size, colours, text, and the list of findings.

matplotlib is imported only when a figure is made, and of it only the object-oriented part: pyplot and
the global settings belong to the program we are a guest in.
"""

from __future__ import annotations

import logging
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path

from .tables import flagged_tiles

# Wong (2011), Nature Methods 8, 441: told apart with any colour vision.
FLAGGED = "#D55E00"
AFTER = "#0072B2"
INK = "#1a1a1a"
TEXT = {"color": INK, "parse_math": False}
# In points and inches: on a phone, where the width is a third less, this can still be read.
SMALL, MEDIUM = 8, 9
WIDTH = 5.6
DPI = 130
_MARGIN = 0.1
_NAMED = 8


@contextmanager
def silent_fonts():
    """Keep matplotlib's search for fonts, by this thread, out of the host's log; a decorator too.

    All text here has its font by file, but every axis that is made looks for one by name, to no end.
    """
    logger, own = logging.getLogger("matplotlib.font_manager"), threading.get_ident()

    def of_others(record):
        return record.thread != own

    # Put in and taken out whole, so that a line that another thread is about to write passes all its filters.
    logger.filters = [*logger.filters, of_others]
    try:
        yield
    finally:
        logger.filters = [kept for kept in logger.filters if kept is not of_others]


def new_figure(height, width=WIDTH):
    """An empty white figure, `height` and `width` in inches, not known to pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor="white")


def save(figure, path):
    """Write a figure as PNG, cut to what is drawn and a margin."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    _use_font_files(figure)

    # What bbox_inches="tight" does, but that draws everything once more to find the box. With a canvas of our own, for
    # else the host's settings choose one; and axes that keep an aspect are where they will be drawn.
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes:
        axes.apply_aspect()
    _write(figure, path, bbox_inches=figure.get_tightbbox(renderer).padded(_MARGIN))


def save_whole(figure, path, texts):
    """Write a figure as PNG, as large as it is, with text chunks {name: text}."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    _use_font_files(figure)
    FigureCanvasAgg(figure)
    _write(figure, path, metadata=texts)


def _write(figure, path, **how):
    figure.savefig(path, **how)
    # A figure and its axes lead to each other: what they hold would wait for the collector.
    figure.clear()


def font(size, bold=False):
    """The font of all text, by its file: a search for it by name goes into the host's log, line by line.

    Parameters
    ----------
    size : float
        In points.
    bold : bool, optional

    Returns
    -------
    matplotlib.font_manager.FontProperties
    """
    import matplotlib
    from matplotlib.font_manager import FontProperties

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    # Where it is packaged without its fonts it has to search.
    return FontProperties(fname=path, size=size) if path.exists() else FontProperties(size=size)


def _use_font_files(figure):
    from matplotlib.text import Text

    for axes in (child for parent in figure.axes for child in (parent, *parent.child_axes)):
        for axis in (axes.xaxis, axes.yaxis):
            # Asked for by their number, all ticks are there that drawing would make.
            axis.get_major_ticks(len(axis.get_majorticklocs()))
    for text in figure.findobj(Text):
        bold = text.get_fontweight() in ("bold", 700)
        text.set_fontproperties(font(text.get_fontsize(), bold))


def finding_list(report):
    """The tiles that something is wrong with, each with the worst of its kinds, as lines that fit a figure.

    Parameters
    ----------
    report : TwoPassReport

    Returns
    -------
    str
        Eight at most, then how many more; empty for none.
    """
    kinds = flagged_tiles(report.findings)
    entries = [f"tile {tile}: {names[0].replace('_', ' ')}" for tile, names in kinds.items()]
    if len(entries) > _NAMED:
        entries[_NAMED:] = [f"and {len(entries) - _NAMED} more"]
    # Entries stay whole: their spaces are no place to break at.
    text = "; ".join(entry.replace(" ", "\N{NO-BREAK SPACE}") for entry in entries)
    return textwrap.fill(text, 78, break_long_words=False)


def headline(report):
    """Verdict and number of tiles, the first line of each picture."""
    tiles = f"{report.tile_count} tile{'s' if report.tile_count != 1 else ''}"
    return f"Two-pass coverage renorm: {report.verdict.replace('_', ' ')}, {tiles}"
