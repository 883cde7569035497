"""What a log is told of a report: one line each, `key=value`."""

from __future__ import annotations

import logging

import numpy as np

from .artefacts import MAP_NAME, PAGE_NAME
from .grouping import group_findings
from .seams import seam_line
from .tables import label

# Lines of findings in a log: what is worst is among them, and a log of hundreds of tiles stays readable.
_MOST_LINES = 6


def tile_lines(record):
    """The pair of log lines of one tile, before and after its gain."""
    head = f"idx={record.index} id={label(record.name)} gain={record.gain:.6g}"
    return (
        f"[TwoPassTile] pre_gain {head} {_stats_text(record.pre)}",
        f"[TwoPassTile] post_gain {head} {_stats_text(record.post)} source={record.post_source}",
    )


def finding_lines(findings):
    """The log lines of findings, in their order: six at most, and how many more findings there are.

    Findings of one kind that can be said of several tiles at once have one line.
    """
    found = group_findings(findings)
    lines = [
        f"[TwoPassFinding] idx={tiles or '-'} kind={finding.kind} value={finding.value:.6g} "
        f"unit={finding.unit or '-'} sigma={finding.sigma:.6g} {finding.message}"
        for finding, tiles, _ in found[:_MOST_LINES]
    ]
    if more := sum(group.count for group in found[_MOST_LINES:]):
        lines.append(f"[TwoPassFinding] and {more} more, on the page and in the JSON")
    return lines


def delta_line(delta, path):
    """The log line of a delta map on disk."""
    values = delta.compared
    median, p95, worst = np.percentile(values, (50, 95, 100)) if values.size else (np.nan,) * 3
    return (
        f"[TwoPassDelta] wrote delta map: {path} shape={delta.delta.shape} ds={delta.downsample} "
        f"reference={delta.reference} tiles={len(delta.tile_medians)} "
        f"median={median:.6g} p95={p95:.6g} max={worst:.6g}"
    )


def log_lines(report, paths):
    """The log lines of a report, the verdict last.

    Parameters
    ----------
    report : TwoPassReport
    paths : sequence of pathlib.Path
        Its files as `write` gives them.

    Returns
    -------
    list of (int, str)
        Level and text of each: the map at DEBUG; what became of the pass, the seams of each mosaic, findings, folder
        and verdict at INFO, the verdict of a pipeline fault or of a picture with a visible seam at WARNING.
    """
    names = {path.name: path for path in paths}
    lines = [(logging.DEBUG, delta_line(report.delta, names[MAP_NAME]))] if MAP_NAME in names else []
    if report.merge is not None:
        lines.append((logging.INFO, report.merge.line()))
    lines += [(logging.INFO, seam_line(seams)) for seams in report.seams]
    lines += [(logging.INFO, line) for line in finding_lines(report.findings)]
    if paths:
        # With forward slashes, which Windows knows too: a backslash would be doubled.
        page = label(names[PAGE_NAME].as_posix() if PAGE_NAME in names else "")
        line = f"[TwoPassReport] dir={label(paths[0].parent.as_posix())} page={page} files={len(paths)}"
        lines.append((logging.INFO, line))
    urgent = report.verdict == "pipeline_bug" or report.picture == "visible"
    return [*lines, (logging.WARNING if urgent else logging.INFO, report.verdict_line())]


def _stats_text(stats):
    columns = (("min", stats.minimum), ("mean", stats.mean), ("median", stats.median))
    lists = " ".join(f"{key}=[{','.join(f'{v:.6g}' for v in values)}]" for key, values in columns)
    return f"valid={stats.valid_fraction:.6g} {lists}"
