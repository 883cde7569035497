"""Seams of two mosaics side by side as lines, table and JSON, and those of a report on disk read back."""

from __future__ import annotations

import io
import math

import numpy as np
from astropy.table import Table

from ..diagnosis.seams import Edge, SeamMap
from ..files import whole_file
from ..settings import in_ascii
from .seams import largest_step
from .tables import MISSING, label

CHANGES_TABLE = "twopass_compare.ecsv"
# Edges that have a line of their own.
_LINES = 6
_MOST_EDGES, _MOST_CHANNELS = 100_000, 64
_VERDICTS = "better", "worse", "same", "unknown"
_COLUMNS = {
    "tile": (None, "whose footprint ends there; -1: no tile's"),
    "side": (None, "of the tile, as the first mosaic shows it"),
    "x": ("pix", "middle of the edge in the first mosaic along columns, from 0"),
    "y": ("pix", "middle of the edge in the first mosaic along rows, from 0"),
    "length": ("pix", "of the edge in the first mosaic"),
    "channel": (None, "where the larger step is; -1: not known"),
    "step_a": ("adu", "inside - outside in the first mosaic"),
    "step_b": ("adu", "the same in the second"),
    "error": ("adu", "standard error of the change of the size of the step"),
    "line_a": (
        "adu",
        "line along the edge beyond both sides in the first mosaic, in the channel where it is more",
    ),
    "line_b": ("adu", "the same in the second"),
    "line_error": ("adu", "standard error of the change of the size of the line"),
    "contrast_a": (None, "largest step over noise and structure of the sky in the first mosaic"),
    "contrast_b": (None, "the same in the second"),
    "verdict": (None, "better, worse, same within the errors, or unknown"),
}


def mosaics_of(report):
    """List the names of the mosaics of a report on disk; as far as they are names."""
    seams = report.get("seams")
    entries = seams if isinstance(seams, list) else []
    return [one["mosaic"] for one in entries if isinstance(one, dict) and isinstance(one.get("mosaic"), str)]


def last_seams(report, mosaics=()):
    """Read the seams of the last mosaic of a report on disk.

    Parameters
    ----------
    report : dict
        As `show.read_report` gives it: from a stranger.
    mosaics : collection of str, optional
        Names of which the last is taken; any where it has none of them.

    Returns
    -------
    SeamMap or None
        None where the report has none, as those of schema 1.

    Raises
    ------
    ValueError
        If what it has is none.
    """
    if not report.get("seams"):
        return None
    try:
        last = next((one for one in report["seams"][::-1] if one["mosaic"] in mosaics), report["seams"][-1])
        if not isinstance(last["mosaic"], str) or len(last["edges"]) > _MOST_EDGES:
            raise ValueError("no name, or too many edges")
        edges = [_edge(entry) for entry in last["edges"]]
        if len({len(edge.step) for edge in edges}) > 1:
            raise ValueError("edges of several numbers of channels")
        return SeamMap.of(last["mosaic"], edges, len(edges[0].step) if edges else 1)
    except (TypeError, KeyError, IndexError, ValueError, OverflowError, AttributeError) as error:
        raise ValueError(f"seams: {type(error).__name__}: {str(error)[:100]}") from None


def _edge(entry):
    step, error = (tuple(map(_number, entry[name])) for name in ("step", "error"))
    normal, noise = ((_number(one), _number(other)) for one, other in (entry["normal"], entry["noise"]))
    if not 1 <= len(step) == len(error) <= _MOST_CHANNELS:
        raise ValueError(f"{len(step)} steps, {len(error)} errors")
    tile, neighbours = entry["tile"], tuple(entry["neighbours"])
    if not all(type(number) is int for number in (0 if tile is None else tile, *neighbours)):
        raise ValueError("a tile that is no number")
    values = [_number(entry[name]) for name in ("x", "y", "length")]
    if not np.isfinite([*values, *normal]).all():
        raise ValueError("an edge of no place")
    x, y, length = values
    # Reports of before have no lines.
    lines = [tuple(map(_number, entry.get(name) or ())) for name in ("line", "line_error")]
    if not len(lines[0]) == len(lines[1]) in (0, len(step)):
        raise ValueError(f"{len(step)} steps, {len(lines[0])} lines")
    contrast, of_line = _number(entry["contrast"]), _number(entry.get("line_contrast"))
    together = 0.0 if entry.get("along_sigma") is None else _number(entry["along_sigma"])
    looks = contrast, None, *lines, of_line, together, _number(entry.get("line_px"))
    return Edge(tile, neighbours, x, y, normal, length, step, error, noise, *looks)


def _number(value):
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]} is no number")
    return float(value)


def change_lines(found):
    """A `Comparison` as log lines: edges that changed, both scores, and what it comes to."""
    changed = found.largest_first()
    for change in changed[:_LINES]:
        edge, most = change.first, change.most
        before, after = most.values
        tile = MISSING if edge.tile is None else edge.tile
        yield (
            f"[TwoPassCompare] edge idx={tile} side={edge.side} x={edge.x:.0f} y={edge.y:.0f} "
            f"{'line' if most is change.line else 'step'} {before:.6g} -> {after:.6g} adu error={most.error:.6g} "
            f"{change.verdict}"
        )
    if len(changed) > _LINES:
        yield f"[TwoPassCompare] and {len(changed) - _LINES} more edges"
    for name, seams, rms, error, lines in zip("ab", found.maps, found.rms, found.error, found.lines, strict=True):
        worst = None if seams.worst is None else seams.edges[seams.worst]
        step, contrast = (math.nan, math.nan) if worst is None else (largest_step(worst)[0], worst.contrast)
        yield (
            f"[TwoPassCompare] {name} mosaic={in_ascii(label(seams.mosaic))} picture={seams.picture} rms={rms:.6g} "
            f"error={error:.6g} worst={step:.6g} unit=adu contrast={contrast:.6g} visible={seams.visible:.6g} "
            f"edges={len(seams.edges)} only_here={len(seams.edges) - len(found.changes)} "
            f"lines={lines:.6g}"
        )
    counts = " ".join(f"{verdict}={found.count(verdict)}" for verdict in _VERDICTS)
    yield (f"[TwoPassCompare] seams rms {found.rms[0]:.6g} -> {found.rms[1]:.6g} adu {counts} result={found.result}")


def change_rows(found):
    """One dict an edge that is in both mosaics, the keys those of the table."""
    return [
        {
            "tile": -1 if change.first.tile is None else change.first.tile,
            "side": change.first.side,
            "x": change.first.x,
            "y": change.first.y,
            "length": change.first.length,
            "channel": -1 if change.step.channel is None else change.step.channel,
            "step_a": change.step.values[0],
            "step_b": change.step.values[1],
            "error": change.step.error,
            "line_a": change.line.values[0],
            "line_b": change.line.values[1],
            "line_error": change.line.error,
            "contrast_a": change.first.contrast,
            "contrast_b": change.second.contrast,
            "verdict": change.verdict,
        }
        for change in found.changes
    ]


def comparison_dict(found):
    """A `Comparison` for JSON, numbers as they are."""
    return {
        "result": found.result,
        "rms": found.rms,
        "error": found.error,
        "lines": found.lines,
        **{verdict: found.count(verdict) for verdict in _VERDICTS},
        "mosaics": [seams.mosaic for seams in found.maps],
        "picture": [seams.picture for seams in found.maps],
        "visible": [seams.visible for seams in found.maps],
        "edges": [len(seams.edges) for seams in found.maps],
        "changes": change_rows(found),
    }


def write_change_table(found, path):
    """Write the edges of a `Comparison` as ECSV, UTF-8, whole or not at all; raises `OSError` where that fails."""
    rows = change_rows(found)
    table = Table(rows=rows) if rows else Table(names=tuple(_COLUMNS), dtype=[float] * len(_COLUMNS))
    for name, (unit, description) in _COLUMNS.items():
        table[name].unit, table[name].description = unit, description
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    with whole_file(path) as temporary:
        temporary.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))
