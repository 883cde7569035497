"""A report that lies on disk, read back as data from strangers and printed."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
from astropy.table import Column, Table

from ..console import say
from ..diagnosis.finding import Finding
from ..diagnosis.kinds import VERDICTS
from ..files import read_text_within_bounds
from .artefacts import JSON_NAME, TABLE_NAME
from .grouping import group_findings
from .page import finding_size, verdict_text
from .report import SCHEMA
from .seams import PICTURE_SENTENCES, tells_of_picture
from .tables import short_table

_READABLE = 1, 2
# Bounds of a table: its head is YAML, which is slow to read, and every cell of a column takes the room of its longest.
_MAX_HEAD_BYTES = 256 * 1024
_MAX_CHARACTERS = 1 << 28


def read_report(directory):
    """Read the JSON of a report.

    Parameters
    ----------
    directory : path-like
        Where the report was written.

    Returns
    -------
    dict
        As in the file; its schema, verdict, summary and findings have the types they should.

    Raises
    ------
    OSError
        If the file is not there or cannot be read.
    ValueError
        If it is larger than 32 MiB, is not JSON or not a report of this schema version; names the file.
    """
    path = Path(directory) / JSON_NAME
    runs = sorted(Path(directory).glob(f"runs/*/{JSON_NAME}")) if not path.exists() else []
    if runs:
        raise FileNotFoundError(
            f"{directory}: holds {len(runs)} runs, name one of them: {runs[-1].parent} is the newest"
        )
    text = read_text_within_bounds(path)
    try:
        report = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        _check(report)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a report: {error}") from None
    return report


def read_table(directory):
    """Read the tile table of a report.

    Parameters
    ----------
    directory : path-like

    Returns
    -------
    astropy.table.Table or None
        None where there is no such file: the report knew of no tile.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is larger than 32 MiB, would be far larger in memory, is not ECSV or no tile table; names the file.
    """
    path = Path(directory) / TABLE_NAME
    if not path.exists():
        return None
    text = read_text_within_bounds(path)
    try:
        lines = text.splitlines()
        _check_extent(lines)
        table = Table.read(lines, format="ascii.ecsv")
        _check_columns(table)
        return table
    except Exception as error:  # astropy and its YAML reader raise much
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path}: not an ECSV table: {reason}") from None


def show(directory, as_json=False):
    """Print a report: verdict, findings and tiles, or its JSON.

    Parameters
    ----------
    directory : path-like
    as_json : bool, optional

    Returns
    -------
    dict
        The report.

    Raises
    ------
    OSError, ValueError
        As `read_report` and `read_table`.
    """
    report = read_report(directory)
    if as_json:
        print(json.dumps(report, allow_nan=False))
        return report
    table = read_table(directory)
    lines = list(report_lines(report))
    lines += ["", *table_lines(table)] if table is not None else ["", "Tiles: none recorded."]
    for line in lines:
        say(line)
    return report


def report_lines(report):
    """Verdict and findings of a report as lines for a terminal.

    Parameters
    ----------
    report : dict
        As `read_report` gives it.

    Yields
    ------
    str
    """
    title, meaning = verdict_text(report["verdict"], report.get("of_pass") is not False)
    yield f"{title}. {meaning}"
    yield report["summary"]
    picture = report.get("picture")
    told = tells_of_picture(report["summary"])
    if isinstance(picture, str) and picture in PICTURE_SENTENCES and picture != "unknown" and not told:
        yield PICTURE_SENTENCES[picture]
    yield ""
    groups = group_findings(map(_finding, report["findings"]))
    entries = f", in {len(groups)} entries" if len(groups) < len(report["findings"]) else ""
    yield f"Findings: {len(report['findings']) or 'none'}{entries}"
    for number, (finding, tiles, _) in enumerate(groups, start=1):
        where = f"tile{'' if finding.tile is not None else 's'} {tiles}" if tiles else "whole mosaic"
        yield f"{number:3d}. {where}: {finding.kind.replace('_', ' ')}  {finding_size(finding)}".rstrip()
        yield f"     {finding.message}"


def table_lines(table):
    """The short form of a tile table as lines, every row and column of it."""
    return short_table(table).pformat(max_lines=-1, max_width=-1, show_unit=True)


def _finding(entry):
    return Finding(**{name: entry.get(name) for name in ("kind", "tile", "value", "sigma", "message", "unit")})


def _check_extent(lines):
    head = sum(len(line) for line in lines if line.startswith("#"))
    if head > _MAX_HEAD_BYTES:
        raise ValueError(f"a head of {head} characters > {_MAX_HEAD_BYTES}")
    body = [line for line in lines if not line.startswith("#")]
    # The head says which of the two it is; what may be in it is not worth a parser.
    for delimiter in " ,":
        columns = longest = 0
        for cells in csv.reader(body, delimiter=delimiter):
            columns = max(columns, len(cells))
            longest = max(longest, *map(len, cells), 0)
        if len(body) * columns * longest > _MAX_CHARACTERS:
            raise ValueError(f"{len(body)} rows of {columns} cells of up to {longest} characters")


def _check_columns(table):
    """Hold a table to plain columns with one number or text a row, and to one row a tile."""
    for column in table.itercols():
        if not isinstance(column, Column) or column.ndim != 1 or column.dtype.kind not in "iufU":
            raise ValueError(f"column {column.info.name!r:.60} holds neither numbers nor texts")
    if "idx" not in table.colnames or table["idx"].dtype.kind not in "iu":
        raise ValueError("there is no column idx of whole numbers")
    if len(np.unique(table["idx"])) != len(table):
        raise ValueError("a tile has more rows than one")


def _finite(token):
    value = float(token)
    if not math.isfinite(value):
        raise ValueError(f"{token[:40]} is no finite number")
    return value


def _no_constant(token):
    raise ValueError(f"{token} is not JSON")


def _check(report):
    """Hold what was read to the types that are used of it."""
    if not isinstance(report, dict):
        raise ValueError(f"{type(report).__name__}, an object is needed")
    found = report.get("schema"), report.get("schema_version")
    if found[0] != SCHEMA or found[1] not in _READABLE or isinstance(found[1], bool):
        raise ValueError(f"schema {found!r:.100} != {SCHEMA!r} of version {' or '.join(map(str, _READABLE))}")
    if not isinstance(report.get("verdict"), str) or report["verdict"] not in VERDICTS:
        raise ValueError(f"verdict {report.get('verdict')!r:.100} is not one of {', '.join(VERDICTS)}")
    if not isinstance(report.get("summary"), str):
        raise ValueError("summary is not a text")
    findings = report.get("findings")
    if not isinstance(findings, list) or not all(isinstance(entry, dict) for entry in findings):
        raise ValueError("findings are not a list of objects")
    for number, entry in enumerate(findings):
        texts = all(isinstance(entry.get(name), str) for name in ("kind", "message", "unit"))
        numbers = all(_is_number(entry.get(name)) for name in ("tile", "value", "sigma"))
        if not (texts and numbers):
            raise ValueError(f"finding {number}: a field is missing or of another type")


def _is_number(value):
    if isinstance(value, int) and not isinstance(value, bool):
        # One of hundreds of digits is no float.
        return abs(value) < 1 << 63
    return value is None or isinstance(value, float)
