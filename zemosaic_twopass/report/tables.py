"""The tile table of a report, as an astropy table and as ECSV, and the short form that people read."""

from __future__ import annotations

import io
import json

import numpy as np
from astropy.table import Table

from ..tiles.planes import channel_names

MISSING = "-"

_UNIT = "adu"
_DESCRIPTIONS = {
    "idx": "position of the tile in the call's list",
    "id": "what the tile is called; - where that is not known",
    "gain": "gain of the second pass; NaN where it was not seen",
    "post_source": "whether post_* describe the array that was coadded (observed) or gain x tile (derived)",
    "delta_pre": "median of tile - reference, tile as given; NaN where the two do not meet",
    "delta_post": "median of tile - reference, tile after its gain; NaN where the two do not meet",
    "finding": "kinds of the findings about this tile, worst first; - for none",
    "finding_value": "size of the worst of them, in finding_unit",
    "finding_error": "its standard error, in finding_unit",
    "finding_unit": "unit of finding_value; - for none",
    "finding_sigma": "how many standard errors it is from none",
    "runner_up": "the next best explanation; - for none",
}
# Each term's unit, and what it is.
_FIT = {
    "offset": ("adu", "what the tile is too bright by at the median level of its overlaps"),
    "gain": (None, "factor of the tile's structure less 1"),
    "slope_x": ("adu", "rise of the tile along columns of the mosaic, from end to end"),
    "slope_y": ("adu", "rise of the tile along rows of the mosaic, from end to end"),
    "shift_x": ("pix", "how far the tile's stars lie to the right of their places, in mosaic pixels"),
    "shift_y": ("pix", "how far the tile's stars lie above their places, in mosaic pixels"),
    "shift": ("pix", "shift along one axis"),
    "overlaps": (None, "number of tiles that the fit rests on, 0 for a tile that was not compared"),
}
_WHEN = {"pre": "tile as given", "post": "tile after its gain"}


def label(name):
    """A name as one token of a key=value line."""
    if not name:
        return MISSING
    return json.dumps(name, ensure_ascii=False) if any(c.isspace() or c in '"\\' for c in name) else name


def tile_table(report):
    """The tiles of a report as a table of scalar columns with units and descriptions.

    Parameters
    ----------
    report : TwoPassReport

    Returns
    -------
    astropy.table.Table
        One row a tile. `idx` and `finding` always; id, gain, post_source and, for `pre` and `post`,
        valid fraction and minimum, mean and median of each channel where there are tile
        records; fit_… where tiles were compared; delta_pre and delta_post where there are delta maps. A value that
        is not known is NaN, a text that is not known ``-``. No rows for a report that knows of no tile.
    """
    kinds = findings_by_tile(report.findings)
    rows = []
    for index in range(report.tile_count):
        row = {"idx": index}
        if report.tiles:
            row |= _record_cells(report.tiles[index])
        for name, maps in (("delta_pre", report.before), ("delta_post", report.delta)):
            if maps is not None:
                row[name] = maps.tile_medians[index]
        if any(tile.fit is not None for tile in report.tiles):
            row |= _fit_cells(report.tiles[index])
        row["finding"] = " ".join(kinds.get(index, (MISSING,)))
        row |= _finding_cells(next((finding for finding in report.findings if finding.tile == index), None))
        rows.append(row)
    table = Table(rows=rows) if rows else Table(names=("idx", "finding"), dtype=(int, str))
    for column in table.itercols():
        column.unit, column.description = _unit_and_description(column.name)
    table.meta["verdict"] = report.verdict
    return table


def findings_by_tile(findings):
    """Kinds of the findings about each tile, {index: [kind, …]}, in the order given, each once."""
    kinds = {}
    for finding in findings:
        if finding.tile is not None:
            known = kinds.setdefault(finding.tile, [])
            if finding.kind not in known:
                known.append(finding.kind)
    return kinds


def find_flagged(findings):
    """As `findings_by_tile`, without the notes: the tiles that something is wrong with."""
    return findings_by_tile(finding for finding in findings if finding.about.group != "note")


def short_table(table):
    """The columns of a tile table that tell the story, the telling ones first and names last.

    Parameters
    ----------
    table : astropy.table.Table
        As `tile_table` gives it; of another one the columns with such names.

    Returns
    -------
    astropy.table.Table
        A copy without minimum, mean, valid fraction and source, and without columns in which nothing is known; numbers
        print with five digits.
    """
    first = ("idx", "finding", "gain", "delta_pre", "delta_post")
    medians = [name for name in table.colnames if "_median_" in name]
    known = [name for name in table.colnames if table[name].dtype.kind != "f" or np.isfinite(table[name]).any()]
    short = table[[name for name in (*first, *medians, "id") if name in known]]
    for column in short.itercols():
        if np.issubdtype(column.dtype, np.floating):
            column.format = ".5g"
    return short


def write_table(report, path):
    """Write the tile table of a report as ECSV, UTF-8 whatever the locale.

    Parameters
    ----------
    report : TwoPassReport
    path : pathlib.Path
        Overwritten.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    text = io.StringIO()
    tile_table(report).write(text, format="ascii.ecsv")
    # A file name that is not UTF-8 reaches us as lone surrogates, which UTF-8 cannot hold.
    path.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))


def _record_cells(tile):
    cells = {"id": tile.name or MISSING, "gain": tile.gain, "post_source": tile.post_source}
    for when, stats in (("pre", tile.pre), ("post", tile.post)):
        cells[f"{when}_valid"] = stats.valid_fraction
        for what in ("minimum", "mean", "median"):
            values = getattr(stats, what)
            names = channel_names(len(values))
            cells |= {f"{when}_{what}_{name}": value for name, value in zip(names, values, strict=True)}
    return cells


def _fit_cells(tile):
    """The tile against the others; NaN throughout, and 0 overlaps, where it was not compared."""
    cells, blank = {}, (np.nan,) * len(tile.pre.median)
    for term in ("offset", "gain", "slope_x", "slope_y"):
        for what in (term, f"{term}_error"):
            values = getattr(tile.fit, what, blank)
            names = channel_names(len(values))
            cells |= {f"fit_{what}_{name}": float(value) for name, value in zip(names, values, strict=True)}
    for what in ("shift_x", "shift_y", "shift_error"):
        cells[f"fit_{what}"] = getattr(tile.fit, what, np.nan)
    return {**cells, "fit_overlaps": getattr(tile.fit, "overlaps", 0)}


def _finding_cells(finding):
    """The worst finding of a tile as cells; NaN and - where there is none."""
    numbers = {f"finding_{name}": getattr(finding, name, np.nan) for name in ("value", "error", "sigma")}
    return {
        **numbers,
        "finding_unit": getattr(finding, "unit", "") or MISSING,
        "runner_up": getattr(finding, "runner_up", "") or MISSING,
    }


def _unit_and_description(name):
    if name in _DESCRIPTIONS:
        return _UNIT if name.startswith("delta_") else None, _DESCRIPTIONS[name]
    if name.startswith("fit_"):
        return _fit_unit_and_description(name.removeprefix("fit_"))
    when, what, *channel = name.split("_")
    if what == "valid":
        return None, f"share of the pixels that are finite in every channel, {_WHEN[when]}"
    return _UNIT, f"{what} of the finite pixels of channel {channel[0]}, {_WHEN[when]}"


def _fit_unit_and_description(name):
    term = next(term for term in _FIT if name.startswith(term))
    unit, text = _FIT[term]
    rest = name.removeprefix(term).lstrip("_").split("_")
    error = "standard error: " if rest[0] == "error" else ""
    channel = rest[-1] if rest[-1] not in ("", "error") else ""
    unknown = "" if term == "overlaps" else "; NaN: not known"
    return unit, f"{error}{text}{f', channel {channel}' if channel else ''}{unknown}"
