"""The page of a report: one HTML file that holds all it shows and loads nothing."""

from __future__ import annotations

import base64
import math
from functools import cache

import numpy as np

from ..diagnosis.finding import in_digits
from ..versions import package_versions
from .evidence_picture import EVIDENCE_PICTURE, evidence_title
from .grouping import group_findings
from .maps import UNIT, reference_text
from .next_steps import next_steps
from .pictures import MAP_PICTURE, TILES_PICTURE
from .seam_picture import SEAMS_PICTURE
from .seams import seam_sentence, tells_of_picture
from .style import subject
from .tables import find_flagged, short_table, tile_table

# What each verdict means for somebody who has to decide what to do next.
_VERDICTS = {
    "clean": ("Clean", "The tests that could be made found nothing."),
    "residual": (
        "Residual",
        "A tile does not agree with the others, or the gains made a step. What could be tested of the pass itself is "
        "as it should be.",
    ),
    "pipeline_bug": (
        "Pipeline fault",
        "A step of the pipeline did not do what it was meant to do. The findings say which step, which tile, and "
        "whether the mosaic can be used.",
    ),
    "undetermined": (
        "Undetermined",
        "Nothing could be tested, so this says neither that the run is good nor that it is bad.",
    ),
}
# The user came for the picture, so it has the first word; where it is not known the verdict has it.
_HEADINGS = {
    "no_seam": "No seam in the picture",
    "faint": "A faint seam in the picture",
    "visible": "A seam in the picture",
}
_WITHOUT_PASS = "A tile does not agree with the others. No pass was seen, so nothing is said of one."
# Findings that stand open: as many as have lines in the log and evidence.
_UNFOLDED = 6
_SEAMS = {
    SEAMS_PICTURE: (
        "The picture",
        "Each mosaic as people stretch it, its edges where footprints end coloured by the step there; below, what lies "
        "across the worst of them.",
    ),
}
_PICTURES = {
    MAP_PICTURE: (
        "Where the tiles disagree",
        "Maps of the sky with numbered tile outlines: the tiles minus the reference, as given and after their gain.",
    ),
    TILES_PICTURE: (
        "Tile by tile",
        "Gain of each tile, and its median in each channel as given and after the gain.",
    ),
}


def write_page(report, path):
    """Write the page of a report; the pictures are those that lie beside it already.

    Parameters
    ----------
    report : TwoPassReport
    path : pathlib.Path
        HTML; overwritten.

    Raises
    ------
    ModuleNotFoundError
        If jinja2 is not installed.
    OSError
        If the file cannot be written.
    """
    text = _template().render(_content(report, path.parent))
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


@cache
def _template():
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("zemosaic_twopass.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def verdict_text(verdict, of_pass=True):
    """Name and meaning of a verdict, of a pass that was seen or of tiles alone."""
    name, meaning = _VERDICTS[verdict]
    return name, meaning if of_pass or verdict != "residual" else _WITHOUT_PASS


def finding_size(finding):
    """How large a finding is and how sure, in words; empty where neither is known.

    Parameters
    ----------
    finding : Finding
        NaN for a value or a sigma that is not known.

    Returns
    -------
    str
        Such as ``+4.21 adu, 8.1 standard errors from none``.
    """
    parts = []
    if _is_known(finding.value):
        parts.append(f"{finding.value:+.4g} {finding.unit}".strip())
    # A note is not tested against none: its sigma is 0.
    if _is_known(finding.sigma) and finding.sigma:
        parts.append(f"{in_digits(abs(finding.sigma), 3)} standard errors from none")
    return ", ".join(parts)


def _is_known(number):
    return number is not None and math.isfinite(number)


def _content(report, directory):
    title, meaning = verdict_text(report.verdict, report.of_pass)
    table = short_table(tile_table(report))
    # Drawn with that file; where there is none they cannot be.
    pictures = report.pictures if (directory / EVIDENCE_PICTURE).is_file() else ()
    rows = [(one, base64.b64encode(data).decode()) for one, data in zip(report.evidence, pictures, strict=False)]
    groups = group_findings(report.findings)
    findings = [_entry(report, group, rows) for group in groups if group.finding.about.group != "note"]
    notes = [_entry(report, group, rows) for group in groups if group.finding.about.group == "note"]
    return {
        "verdict": report.verdict,
        "heading": _HEADINGS.get(report.picture, title),
        "title": title,
        "subject": subject(report),
        "meaning": meaning,
        "steps": next_steps(report),
        "summary": report.summary,
        "run": ", ".join(f"{word} {name}" for word, name in report.run.items()),
        "findings": findings[:_UNFOLDED],
        "folded": findings[_UNFOLDED:],
        "notes": notes,
        "count": _count(report.findings, len(findings)),
        "closest": next(
            (
                {"title": evidence_title(one.finding, report.channels), "reason": one.finding.message, "row": data}
                for one, data in rows
                if not one.found
            ),
            None,
        ),
        "picture": _picture_text(report),
        "seams": _load_pictures(_SEAMS, directory),
        "pictures": _load_pictures(_PICTURES, directory),
        # Long names may break after each underscore.
        "columns": [
            (column.name.replace("_", "_\N{ZERO WIDTH SPACE}"), str(column.unit or ""), column.description)
            for column in table.itercols()
        ],
        "rows": list(_table_rows(report, table)),
        # Not left to the template: an error in there is put in a cycle with all frames around it.
        "made": list(_how_made(report)),
        "created": _moment(report),
    }


def _count(findings, entries):
    """How many findings there are, where the list does not show it; else empty."""
    notes = sum(finding.about.group == "note" for finding in findings)
    if len(findings) == entries:
        return ""
    parts = [f"{len(findings) - notes} of tiles or the pass"] * (notes < len(findings))
    return (
        f"{len(findings)} in all: {', '.join([*parts, f'{notes} notes, at the end of the page'][: 1 + bool(notes)])}."
    )


def _entry(report, group, rows):
    finding = group.finding
    return {
        "kind": finding.kind.replace("_", " "),
        "tile": _tile_text(report, finding, group.tiles),
        "size": finding_size(finding),
        "message": finding.message,
        "count": group.count,
        "row": next((data for one, data in rows if one.found and one.finding is finding), None),
    }


def _table_rows(report, table):
    """(flagged, cells) of each tile: those that something is wrong with first, in the order of the findings."""
    flagged = {tile: rank for rank, tile in enumerate(find_flagged(report.findings))}
    for index in sorted(range(len(table)), key=lambda index: flagged.get(index, len(flagged))):
        yield index in flagged, [_cell(value) for value in table[index]]


def _picture_text(report):
    """What the last mosaic looks like; empty where none was measured, it is not the last, or the summary says it."""
    if not report.seams or report.seams[-1].picture != report.picture or tells_of_picture(report.summary):
        return ""
    return seam_sentence(report.seams[-1])


def _load_pictures(pictures, directory):
    """Those of some pictures that lie in a directory."""
    return [
        {"title": title, "alt": alt, "data": base64.b64encode((directory / name).read_bytes()).decode()}
        for name, (title, alt) in pictures.items()
        if (directory / name).is_file()
    ]


def _tile_text(report, finding, tiles):
    tile = finding.tile
    if tile is None:
        return f"tiles {tiles}" if tiles else "whole mosaic"
    name = report.tiles[tile].name if 0 <= tile < len(report.tiles) else None
    return f"tile {tile} ({name})" if name else f"tile {tile}"


def _moment(report):
    return report.created.replace("T", " ").replace("+00:00", " UTC")


def _cell(value):
    if isinstance(value, float | np.floating):
        return f"{value:.5g}".replace("-", "−") if np.isfinite(value) else "–"
    return str(value)


def _how_made(report):
    """(name, value) pairs of what the run and its diagnostics were set to."""
    yield "made", _moment(report)
    yield "tiles", str(report.tile_count)
    for name, value in report.settings.items():
        yield name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if report.delta is not None:
        height, width = report.delta.delta.shape
        yield "delta map", f"{width} × {height} pixels, each {report.delta.downsample} × {report.delta.downsample}"
        yield "compared with", reference_text(report)
        yield "unit", UNIT
    yield "software", ", ".join(f"{name} {version}" for name, version in package_versions().items() if version)
