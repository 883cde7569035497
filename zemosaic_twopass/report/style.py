"""What the pictures have in common: size, colours, text, and the list of findings.

matplotlib is imported only when a figure is made, and of it only the object-oriented part, with a canvas of our own:
pyplot, backends and settings belong to the program we are a guest in.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import textwrap
import threading
from contextlib import contextmanager, suppress

import numpy as np

from .tables import find_flagged

# Wong (2011), Nature Methods 8, 441: told apart with any colour vision.
FLAGGED = "#D55E00"
AFTER = "#0072B2"
INK = "#1a1a1a"
# It comes with matplotlib, whatever the host has chosen for itself.
FONT = "DejaVu Sans"
TEXT = {"color": INK, "fontfamily": FONT, "parse_math": False}
# In points and inches: on a phone, where the width is a third less, this can still be read.
SMALL, MEDIUM = 8, 9
WIDTH = 5.6
DPI = 130
_MARGIN, _BORDER = 0.1, 0.6
# About as many bytes as matplotlib's four channels at zlib's usual level, in a third of the time.
_COMPRESSION = 2
# Findings that a picture names above its panels.
_NAMED = 8
# Settings of matplotlib that what is drawn may depend on, by how their names begin.
_DRAWN = (
    *("agg.", "axes.", "boxplot.", "contour.", "errorbar.", "figure.", "font.", "grid.", "hatch.", "image.", "legend."),
    *("lines.", "markers.", "mathtext.", "patch.", "path.", "savefig.", "text.", "xtick.", "ytick."),
)


class PictureError(RuntimeError):
    """A picture that matplotlib could not draw, as this host has set it up; the message says why."""


def write_picture(draw, report, path):
    """Draw a figure and write it as PNG, cut to what is drawn.

    Parameters
    ----------
    draw : callable
        Gives the figure of a report.
    report : TwoPassReport
    path : pathlib.Path
        Overwritten.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    PictureError
        If it cannot draw here.
    OSError
        If the file cannot be written.
    """
    path.write_bytes(draw_silently(lambda: encode_png(render_trimmed(draw(report)))))


def draw_silently(draw):
    """What `draw` gives, called under our own settings and in silence; errors as those of `write_picture`."""
    try:
        with _silent(), _own_settings():
            return draw()
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "matplotlib":
            raise
        raise PictureError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _silent():
    """Keep what matplotlib has to say to this thread out of the host's log.

    It looks for every font that is asked for by name, ours and those of axes that are being made, and complains of a
    folder of settings that it cannot write to.
    """
    loggers, own = (
        [logging.getLogger(name) for name in ("matplotlib", "matplotlib.font_manager")],
        threading.get_ident(),
    )

    def of_others(record):
        return record.thread != own

    # Put in and taken out whole, so that a line that another thread is about to write passes all its filters.
    for logger in loggers:
        logger.filters = [*logger.filters, of_others]
    try:
        yield
    finally:
        for logger in loggers:
            logger.filters = [kept for kept in logger.filters if kept is not of_others]


@contextmanager
def _own_settings():
    """matplotlib's own defaults while we draw, for some settings are read only then and cannot be said otherwise.

    Nothing is changed where the host has set nothing. What we have set is set back.
    """
    _import_matplotlib()
    from matplotlib import rcParams, rcParamsDefault

    # Past the dictionary's own access, which chooses a backend and warns of names that are old.
    own = {name: value for name, value in dict.items(rcParamsDefault) if name.startswith(_DRAWN)}
    hosts = {name: dict.get(rcParams, name) for name in own}
    changed = [name for name, value in own.items() if hosts[name] != value]
    for name in changed:
        dict.__setitem__(rcParams, name, own[name])
    try:
        yield
    finally:
        for name in changed:
            # What somebody else has set meanwhile stays.
            if dict.get(rcParams, name) == own[name]:
                dict.__setitem__(rcParams, name, hosts[name])


def _import_matplotlib():
    """Import matplotlib also where MPLBACKEND names a backend that is not there: no picture of ours needs one."""
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        # As it would have done itself; where that fails the host could not have imported it.
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


def new_figure(height, width=WIDTH):
    """An empty white figure, `height` and `width` in inches, not known to pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor="white")


def render(figure):
    """Draw a figure into an image as large as the figure, and let go of what it shows; a PIL.Image.Image, RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    _let_go(figure)
    return picture


def render_trimmed(figure):
    """The same cut to what is drawn, which may stick out of the figure by `_BORDER`, and a margin."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image, ImageOps

    data = io.BytesIO()
    # Once, for bbox_inches="tight" draws everything twice. With a canvas of our own and all said that matters, for else
    # the host's settings choose; as TIFF, which is not compressed.
    box = figure.bbox_inches.padded(_BORDER)
    FigureCanvasAgg(figure).print_figure(data, format="tif", dpi=DPI, facecolor="white", bbox_inches=box)
    _let_go(figure)
    picture = Image.open(data).convert("RGB")
    inside = picture.crop(ImageOps.invert(picture).getbbox())
    return ImageOps.expand(inside, round(_MARGIN * DPI), "white")


def encode_png(picture):
    """An image as the bytes of a PNG."""
    data = io.BytesIO()
    picture.save(data, "png", dpi=(DPI, DPI), compress_level=_COMPRESSION)
    return data.getvalue()


def _let_go(figure):
    """Take the pixels out of a figure: it and its axes lead to each other and wait for the collector."""
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.image import BboxImage

    alone = [artist for artist in figure.artists if isinstance(artist, BboxImage)]
    for image in [*alone, *(image for axes in figure.axes for image in axes.images)]:
        image.set_data([[0.0]])
    FigureCanvasBase(figure)


def finish_ticks(axes):
    """Give the ticks of an axes size, colour and font."""
    axes.tick_params(labelsize=SMALL, colors=INK, labelfontfamily=FONT)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set(fontsize=SMALL, fontfamily=FONT)


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
    kinds = find_flagged(report.findings)
    entries = [f"tile {tile}: {names[0].replace('_', ' ')}" for tile, names in kinds.items()]
    if len(entries) > _NAMED:
        entries[_NAMED:] = [f"and {len(entries) - _NAMED} more"]
    # Entries stay whole: their spaces are no place to break at.
    text = "; ".join(entry.replace(" ", "\N{NO-BREAK SPACE}") for entry in entries)
    return textwrap.fill(text, 78, break_long_words=False)


def subject(report):
    """What a report is about, in words."""
    return "Two-pass coverage renorm" if report.of_pass else "Tiles and their mosaic"


def headline(report):
    """What was looked at, verdict and number of tiles, the first line of each picture."""
    tiles = f"{report.tile_count} tile{'s' if report.tile_count != 1 else ''}"
    return f"{subject(report)}: {report.verdict.replace('_', ' ')}, {tiles}"
