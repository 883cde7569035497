"""Seams of two mosaics side by side as lines, table and JSON, and those of a report on disk read back."""

from __future__ import annotations

import io
import math

import numpy as np
from astropy.table import Table

from ..diagnosis.seams import Edge, SeamMap
from ..files import whole_file
from .seams import largest_step
from .tables import MISSING

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
    "contrast_a": (None, "largest step over noise and structure of the sky in the first mosaic"),
    "contrast_b": (None, "the same in the second"),
    "verdict": (None, "better, worse, same within the errors, or unknown"),
}


def last_seams(report):
    """The seams of the last mosaic of a report on disk.

    Parameters
    ----------
    report : dict
        As `show.read_report` gives it: from a stranger.

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
        last = report["seams"][-1]
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
    places = [_number(entry[name]) for name in ("x", "y", "length")]
    if not np.isfinite([*places, *normal]).all():
        raise ValueError("an edge of no place")
    x, y, length = places
    return Edge(tile, neighbours, x, y, normal, length, step, error, noise, _number(entry["contrast"]))


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
        edge, (before, after) = change.first, change.step
        tile = MISSING if edge.tile is None else edge.tile
        yield (
            f"[TwoPassCompare] edge idx={tile} side={edge.side} x={edge.x:.0f} y={edge.y:.0f} "
            f"step {before:.6g} -> {after:.6g} adu error={change.error:.6g} {change.verdict}"
        )
    if len(changed) > _LINES:
        yield f"[TwoPassCompare] and {len(changed) - _LINES} more edges"
    for name, seams, rms, error in zip("ab", found.maps, found.rms, found.error, strict=True):
        worst = None if seams.worst is None else seams.edges[seams.worst]
        step, contrast = (math.nan, math.nan) if worst is None else (largest_step(worst)[0], worst.contrast)
        yield (
            f"[TwoPassCompare] {name} mosaic={_ascii(seams.mosaic)} picture={seams.picture} rms={rms:.6g} "
            f"error={error:.6g} worst={step:.6g} unit=adu contrast={contrast:.6g} visible={seams.visible:.6g} "
            f"edges={len(seams.edges)} only_here={len(seams.edges) - len(found.changes)}"
        )
    counts = " ".join(f"{verdict}={found.count(verdict)}" for verdict in _VERDICTS)
    yield (f"[TwoPassCompare] seams rms {found.rms[0]:.6g} -> {found.rms[1]:.6g} adu {counts} result={found.result}")


def _ascii(text):
    return text.encode("ascii", "backslashreplace").decode()


def change_rows(found):
    """One dict an edge that is in both mosaics, the keys those of the table."""
    return [
        {
            "tile": -1 if change.first.tile is None else change.first.tile,
            "side": change.first.side,
            "x": change.first.x,
            "y": change.first.y,
            "length": change.first.length,
            "channel": -1 if change.channel is None else change.channel,
            "step_a": change.step[0],
            "step_b": change.step[1],
            "error": change.error,
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
