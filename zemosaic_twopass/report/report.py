"""What one second pass left behind: records, table, log lines and files."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagnosis.finding import Finding
from ..measure.delta import DeltaMap
from ..measure.stats import TileStats
from ..versions import package_versions
from .artefacts import write_artefacts
from .evidence_picture import finding_pictures
from .seams import seam_dict
from .tables import tile_table

if TYPE_CHECKING:
    # Brings scipy's solvers, which a report needs no more.
    from ..diagnosis.contract import Merge
    from ..diagnosis.evidence import Evidence
    from ..diagnosis.photometry import TileFit
    from ..diagnosis.seams import Profile, SeamMap
    from .backdrop import Backdrop

SCHEMA = "zemosaic-twopass-report"
# Changes when a key changes its meaning or goes.
SCHEMA_VERSION = 2
# Every eighth point of an outline is a corner.
_CORNERS = slice(None, None, 8)


@dataclass(frozen=True)
class TileRecord:
    """One tile of a second pass.

    Attributes
    ----------
    index : int
        Position in the call's tile list.
    name : str or None
        What the tile is called, where that is known.
    gain : float
        As the pipeline computed it; NaN where it was not seen.
    pre, post : TileStats
        The tile as given, and after its gain.
    post_source : {"observed", "derived"}
        Whether `post` describes the array that went into the coadd, or gain × tile.
    fit : TileFit or None
        The tile as given against the others, with errors; None where it was not or could not be compared.
    """

    index: int
    name: str | None
    gain: float
    pre: TileStats
    post: TileStats
    post_source: str
    fit: TileFit | None = None


@dataclass(frozen=True)
class TwoPassReport:
    """Everything known of one second pass.

    Attributes
    ----------
    tiles : tuple of TileRecord
        Empty where the logger was not at DEBUG.
    delta : DeltaMap or None
        Tiles after the gain against the reference; None where no map was asked for or made.
    before : DeltaMap or None
        The same with the tiles as given, before the gain.
    findings : tuple of Finding
        Worst first, notes last.
    verdict : {"clean", "residual", "pipeline_bug", "undetermined"}
    worst : int or None
        Tile to look at first; None where none stands out or nothing was compared.
    summary : str
        One sentence for the last line.
    outlines : tuple of ndarray, shape (32, 2)
        Edge of each tile on the sky, as `grid.tile_outline` gives it; empty where there is no map.
    settings : dict
        What the second pass and its diagnostics were set to.
    run : dict
        Last parts of the names of the folders of the application's run, "input" and "output", as far as it told them.
    of_pass : bool
        False for tiles beside a finished mosaic, where no pass was seen.
    after_gain : bool
        False where no gain is known: `delta` is then that of the tiles as given.
    created : str
        When the report was made, UTC, ISO 8601.
    evidence : tuple of Evidence
        For the worst six findings or, where there is none, for what comes closest to one; for the picture, and not in
        the JSON.
    merge : Merge or None
        What the caller of the second pass made of it; None where that is not known.
    picture : {"no_seam", "faint", "visible", "unknown"}
        Whether the last mosaic that was seen has a seam.
    seams : tuple of SeamMap
        One a mosaic that was seen and measured, in the order of the pipeline.
    profiles : tuple of Profile
        Across the worst edges of the last of them; for the picture, and not in the JSON.
    backdrops : tuple of Backdrop
        One a mosaic; for the picture, and not in the JSON.
    """

    tiles: tuple[TileRecord, ...] = ()
    delta: DeltaMap | None = None
    before: DeltaMap | None = None
    findings: tuple[Finding, ...] = field(default=())
    verdict: str = "undetermined"
    worst: int | None = None
    summary: str = ""
    outlines: tuple[np.ndarray, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    run: dict[str, str] = field(default_factory=dict)
    of_pass: bool = True
    after_gain: bool = True
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    evidence: tuple[Evidence, ...] = ()
    merge: Merge | None = None
    picture: str = "unknown"
    seams: tuple[SeamMap, ...] = ()
    profiles: tuple[Profile, ...] = ()
    backdrops: tuple[Backdrop, ...] = ()

    @classmethod
    def of(cls, found, records=(), maps=(None, None), **parts):
        """The report of an `Examination`, with a TileRecord a tile or none, `delta` and `before`, other attributes."""
        fitted = zip_longest(records, found.fits)
        tiles = tuple(replace(record, fit=fit) for record, fit in fitted if record is not None)
        parts["of_pass"] = found.of_pass
        parts["evidence"] = _in_order(parts.get("evidence", ()), found.findings)
        worst = found.worst
        if worst is None and parts.get("picture") in ("faint", "visible"):
            # Its sentence is about the worst edge.
            seams = parts["seams"][-1]
            worst = seams.edges[seams.worst].tile
        return cls(tiles, *maps, found.findings, found.verdict, worst, found.sentence, **parts)

    @cached_property
    def pictures(self):
        """PNG of each piece of evidence, drawn once for the page and the file."""
        return finding_pictures(self.evidence, self.channels)

    @property
    def channels(self):
        """Number of channels, 1 where nothing tells it."""
        known = [tile.pre.median for tile in self.tiles] or [seams.rms for seams in self.seams] or [(1,)]
        return max(map(len, known))

    @property
    def tile_count(self):
        """Number of tiles that the records or the map know of."""
        return max(len(self.tiles), len(self.delta.tile_medians) if self.delta else 0)

    def to_table(self):
        """The tiles as an `astropy.table.Table`; see `tables.tile_table`."""
        return tile_table(self)

    def to_dict(self):
        """The report as plain numbers, strings, lists and dicts, ready for JSON; None for NaN."""
        delta = None
        if self.delta is not None:
            delta = {
                "shape": self.delta.delta.shape,
                "downsample": self.delta.downsample,
                "reference": self.delta.reference,
                "unit": "adu",
                "after_gain": self.after_gain,
                "tile_medians": self.delta.tile_medians,
                "tile_medians_before": self.before.tile_medians if self.before else None,
            }
        return plain(
            {
                "schema": SCHEMA,
                "schema_version": SCHEMA_VERSION,
                "created": self.created,
                "of_pass": self.of_pass,
                "verdict": self.verdict,
                "picture": self.picture,
                "worst": self.worst,
                "summary": self.summary,
                "findings": [asdict(finding) for finding in self.findings],
                "tiles": [asdict(tile) for tile in self.tiles],
                "corners": [outline[_CORNERS].round(7) for outline in self.outlines],
                "delta": delta,
                "seams": [seam_dict(seams) for seams in self.seams],
                "merge": None if self.merge is None else asdict(self.merge),
                "settings": self.settings,
                "run": self.run,
                "versions": package_versions(),
            }
        )

    def verdict_line(self):
        """The last log line of the report: the verdict and one sentence."""
        return (
            f"[TwoPassVerdict] {self.verdict} picture={self.picture} tiles={self.tile_count} "
            f"findings={len(self.findings)} worst_idx={'-' if self.worst is None else self.worst} {self.summary}"
        )

    def write(self, directory, logger=None):
        """Write the artefacts of this report, each whole or not at all.

        Files of an earlier report that this one does not replace are removed: what lies in
        the directory afterwards belongs together. A report of no tile and no finding writes and removes nothing.

        Parameters
        ----------
        directory : path-like
            Made if need be.
        logger : logging.Logger, optional
            Is told in one warning which files need an extra that is not installed; the worker's logger
            by default.

        Returns
        -------
        tuple of pathlib.Path
            The files written, in the order of docs/files.md; those of the map and the table
            are missing where the report has none.

        Raises
        ------
        ArtefactError
            If any could not be written or removed, after all were tried; an `OSError` that names
            each and has those written in `written`.
        """
        return write_artefacts(self, Path(directory), logger)


def _in_order(evidence, findings):
    """Evidence with its findings as they are told, in their order: they may know more now than when it was gathered.

    What came closest to a finding is left out where one was found since, as seams are.
    """
    if any(finding.about.group != "note" for finding in findings):
        evidence = [one for one in evidence if one.found]
    numbers = {(one.kind, one.tile, one.tiles): number for number, one in enumerate(findings)}
    known = [(numbers.get((one.finding.kind, one.finding.tile, one.finding.tiles)), one) for one in evidence]
    told = [(n, replace(one, finding=findings[n]) if one.found and n is not None else one) for n, one in known]
    return tuple(one for _, one in sorted(told, key=lambda pair: len(findings) if pair[0] is None else pair[0]))


def plain(value):
    """A value with tuples and arrays as lists and numbers that JSON cannot hold as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
