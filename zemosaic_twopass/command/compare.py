"""The command ``compare``: two reports, two mosaics or the folders of two runs side by side."""

from __future__ import annotations

import json

from ..console import say, stage
from ..offline.sides import compare_sides, is_report, mosaic_sides, newest_pass, report_sides
from ..report.compare import compare, comparison_lines
from ..report.compare_picture import COMPARE_PICTURE, comparison_sentence, write_compare_picture
from ..report.report import plain
from ..report.seam_changes import CHANGES_TABLE, change_lines, comparison_dict, write_change_table
from ..tiles.images import TileError
from .drawing import draw_to
from .seams import say_of


def compare_command(options):
    """Say what two runs have different, write their files.

    1 if ``--fail-on worse`` is given and the seams of the second are, or if its picture is what ``--fail-on`` says;
    else 0.
    """
    for number, path in enumerate(options.sides):
        options.sides[number] = newest = newest_pass(path)
        if newest != path:
            say_of(path, f"of its passes the newest: {newest.name}")
    reports = [is_report(path) for path in options.sides]
    if any(reports) and not all(reports):
        other = options.sides[reports.index(False)]
        raise TileError(f"{other}: no report is there; compare two reports, or two mosaics or folders of runs")
    if all(reports):
        tables, sides = compare(*options.sides), report_sides(options.sides)
    else:
        tables = None
        own = options.tiles or (), options.coverage, options.science_suffix
        sides = mosaic_sides(options.sides, *own, stage)
    found = compare_sides(*sides)
    for path, side in zip(options.sides, sides, strict=True):
        for remark in side.remarks:
            say_of(path, remark)
    files = _write(options, sides, found) if options.out and found is not None else []
    if options.json:
        print(json.dumps(plain(_as_dict(tables, found) | {"files": [str(path) for path in files]}), allow_nan=False))
    else:
        _say_all(options, tables, found, files)
    return int(found is not None and options.fail_on in (found.result, found.maps[1].picture))


def _say_all(options, tables, found, files):
    lines = list(change_lines(found)) if found is not None else []
    if tables is not None:
        *table, verdicts = comparison_lines(tables)
        lines = [*table, *lines, verdicts]
    for line in lines:
        say(line)
    if files:
        say(f"[TwoPassReport] dir={options.out} files={len(files)}")
    if found is not None:
        say(comparison_sentence(found))


def _as_dict(tables, found):
    seams = None if found is None else comparison_dict(found)
    if tables is None:
        return {"seams": seams}
    rows = () if tables["tiles"] is None else tables["tiles"].iterrows()
    tiles = [dict(zip(tables["tiles"].colnames, row, strict=True)) for row in rows]
    return {**tables, "tiles": tiles, "seams": seams}


def _write(options, sides, found):
    table = options.out / CHANGES_TABLE
    write_change_table(found, table)
    backdrops = [side.backdrop for side in sides]
    if None in backdrops:
        return [table]
    names = [path.name or str(path) for path in options.sides]
    return [table, *draw_to(options.out / COMPARE_PICTURE, write_compare_picture, found, backdrops, names)]
