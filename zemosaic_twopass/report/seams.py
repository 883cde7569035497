"""Seams as text: the line of each mosaic, and the table of all edges."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

import numpy as np
from astropy.table import Table

from ..files import whole_file
from ..settings import in_ascii
from ..tiles.planes import channel_names
from .tables import MISSING, label

SEAMS_TABLE = "twopass_seams.ecsv"
_DESCRIPTIONS = {
    "mosaic": "in which mosaic the edge was measured",
    "edge": "number of the edge in its mosaic",
    "tile": "whose footprint ends there; -1: no tile's",
    "neighbours": "the other tiles there; - for none",
    "x": "middle of the edge along columns, in pixels of the mosaic from 0",
    "y": "middle of the edge along rows, in pixels of the mosaic from 0",
    "normal_x": "unit vector across the edge, out of the tile, along columns",
    "normal_y": "unit vector across the edge, out of the tile, along rows",
    "length": "of the edge",
    "noise_inside": "standard deviation of a pixel inside",
    "noise_outside": "standard deviation of a pixel outside",
    "contrast": "largest step over noise and structure of the sky; NaN: not known",
    "line_contrast": "the same of a line along the edge",
    "line_px": "over how many pixels across the edge the line was read, at most",
    "along_sigma": "errors in the steps of all edges in one line with it, together; 0: not needed, or the other way",
    "look": "of step or line, visible, faint, noise (nothing but the noise changes), none, or unknown",
}
_DIGITS = "%.7g"
_UNITS = {"x": "pix", "y": "pix", "length": "pix", "line_px": "pix", "noise_inside": "adu", "noise_outside": "adu"}
PICTURE_SENTENCES = {
    "no_seam": "No seam is in the picture.",
    "faint": "A faint seam is in the picture.",
    "visible": "A seam is visible in the picture.",
    "unknown": "Whether there is a seam in the picture cannot be told.",
}
_NUMBERS = {
    "step": "inside - outside",
    "error": "standard error of the step",
    "expected": "step that is predicted",
    "line": "line along the edge, thin or broad, beyond both sides, 0: none",
    "line_error": "standard error of the line",
}


def seam_line(seams):
    """What is said of one mosaic.

    Parameters
    ----------
    seams : SeamMap

    Returns
    -------
    str
        One line, ASCII; numbers NaN where there is nothing.
    """
    name = in_ascii(label(seams.mosaic))
    known = [value for value in seams.rms if np.isfinite(value)]
    rms = np.sqrt(np.mean(np.square(known))) if known else np.nan
    text = f"[TwoPassSeam] mosaic={name} edges={len(seams.edges)} rms={rms:.6g}"
    if seams.worst is None:
        return f"{text} worst=nan unit=adu contrast=nan visible=nan worst_idx={MISSING}"
    edge = seams.edges[seams.worst]
    tile = MISSING if seams.tile is None else seams.tile
    size, contrast = (
        (largest_line(edge)[0], edge.line_contrast) if edge.lined else (largest_step(edge)[0], edge.contrast)
    )
    return (
        f"{text} worst={size:.6g} unit=adu contrast={contrast:.6g} visible={seams.visible:.6g} "
        f"worst_idx={tile} x={edge.x:.0f} y={edge.y:.0f}{' line' if edge.lined else ''}"
    )


def seam_sentence(seams):
    """What a mosaic looks like, for people: one sentence or two.

    Parameters
    ----------
    seams : SeamMap

    Returns
    -------
    str
    """
    text = PICTURE_SENTENCES[seams.picture]
    if seams.worst is None:
        return text
    edge = seams.edges[seams.worst]
    whose = f"tile {seams.tile}" if seams.tile is not None else "no known tile"
    where = f"{'along' if seams.along is not None else 'at an edge of'} {whose}, x={edge.x:.0f}, y={edge.y:.0f}"
    what, (size, error), contrast = "largest step", largest_step(edge), edge.contrast
    if edge.lined:
        width = "thin" if edge.thin else "broad"
        what, (size, error) = f"strongest line, {width} and {edge.tone}", largest_line(edge)
        contrast = edge.line_contrast
    return (
        f"{text} The {what}, {size:+.3g} ± {error:.2g} adu, {contrast:.2g} times noise and structure of the sky, is "
        f"{where}."
    )


def tells_of_picture(summary):
    """Whether a sentence on what was found begins with the picture, as those of earlier versions do not."""
    first = summary.partition(".")[0]
    return "seam" in first or " line" in first


def seam_dict(seams):
    """A `SeamMap` as plain objects for JSON, as `twopass_report.json` has it."""
    # Not `asdict`, which copies every number of thousands of edges.
    return _fields_of(seams) | {"edges": [_fields_of(edge) for edge in seams.edges]}


def _fields_of(record):
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}


def largest_step(edge):
    """The largest step of an edge and its error, in adu; NaN where there is none."""
    return _largest(edge.step, edge.error)


def largest_line(edge):
    """The same of the line along it."""
    return _largest(edge.line, edge.line_error)


def _largest(values, errors):
    pairs = [pair for pair in zip(values, errors, strict=True) if np.isfinite(pair).all()]
    return max(pairs, key=lambda pair: abs(pair[0]), default=(np.nan, np.nan))


def seam_table(maps):
    """All edges of all mosaics as a table of scalar columns with units and descriptions.

    Parameters
    ----------
    maps : sequence of SeamMap

    Returns
    -------
    astropy.table.Table
        One row an edge and mosaic; without rows where there is no edge.
    """
    return _table_of(_columns(maps), maps)


def _table_of(columns, maps):
    table = Table(columns) if columns else Table({"mosaic": [""], "edge": [0], "tile": [0]})[:0]
    for column in table.itercols():
        what, _, channel = column.name.rpartition("_")
        if what in _NUMBERS and column.name not in _DESCRIPTIONS:
            column.unit, column.description = "adu", f"{_NUMBERS[what]}, channel {channel}"
        else:
            column.unit, column.description = _UNITS.get(column.name), _DESCRIPTIONS[column.name]
    table.meta["picture"] = {seams.mosaic: seams.picture for seams in maps}
    return table


def write_seam_table(maps, path):
    """Write the table of all edges as ECSV, numbers to seven digits, UTF-8 whatever the locale, whole or not at all.

    Parameters
    ----------
    maps : sequence of SeamMap
    path : path-like
        Overwritten.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    text, columns = io.StringIO(), _columns(maps)
    # The header is astropy's own; of the rows it takes each value by itself.
    header = _table_of({name: values[:1] for name, values in columns.items()}, maps)[:0]
    header.write(text, format="ascii.ecsv")
    text.writelines(f"{' '.join(row)}\n" for row in zip(*map(_cells, columns.values()), strict=True))
    with whole_file(path) as temporary:
        temporary.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))


def _cells(values):
    """The values of a column as ECSV has them."""
    if isinstance(values[0], float):
        # At once: in a fifth of the time of shortest texts that are the same number again, and half as long.
        return (f"{_DIGITS} " * len(values) % tuple(values)).split()
    quoted = {value: io.StringIO() for value in set(values)}
    for value, cell in quoted.items():
        csv.writer(cell, delimiter=" ", lineterminator="\n").writerow([value])
    return [quoted[value].getvalue()[:-1] for value in values]


def _columns(maps):
    """Lists by the names of the columns, none without edges: whole ones, for thousands of rows take twice as long."""
    rows = [(seams.mosaic, number, edge) for seams in maps for number, edge in enumerate(seams.edges)]
    if not rows:
        return {}
    mosaics, numbers, edges = zip(*rows, strict=True)
    columns = {
        "mosaic": mosaics,
        "edge": numbers,
        "tile": [-1 if edge.tile is None else edge.tile for edge in edges],
        "neighbours": [" ".join(map(str, edge.neighbours)) or MISSING for edge in edges],
        "x": [edge.x for edge in edges],
        "y": [edge.y for edge in edges],
        "normal_x": [edge.normal[0] for edge in edges],
        "normal_y": [edge.normal[1] for edge in edges],
        "length": [edge.length for edge in edges],
    }
    blank = (np.nan,) * max(len(edge.step) for edge in edges)
    for what in _NUMBERS:
        channels = zip(*((getattr(edge, what) or blank) for edge in edges), strict=True)
        names = (f"{what}_{name}" for name in channel_names(len(blank)))
        columns |= dict(zip(names, channels, strict=True))
    return columns | {
        "noise_inside": [edge.noise[0] for edge in edges],
        "noise_outside": [edge.noise[1] for edge in edges],
        **{
            name: [getattr(edge, name) for edge in edges]
            for name in ("contrast", "line_contrast", "line_px", "along_sigma", "look")
        },
    }
