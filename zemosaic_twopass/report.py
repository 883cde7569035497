"""What one second pass left behind: records, table, log lines and files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from astropy.table import Table

from .delta import DeltaMap
from .files import whole_file
from .stats import TileStats

MAP_NAME = "twopass_delta_map.npy"
_CHANNEL_NAMES = {1: ("l",), 3: ("r", "g", "b")}


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
    """

    index: int
    name: str | None
    gain: float
    pre: TileStats
    post: TileStats
    post_source: str


@dataclass(frozen=True)
class Finding:
    """One thing that was found; see the README for the kinds.

    Attributes
    ----------
    kind : str
    tile : int or None
        None where it is about the run, or where two tiles differ and no third says which is wrong.
    value : float
        Size of the effect; NaN where it has none.
    sigma : float
        How many standard errors it is from none; infinite for what was compared exactly.
    message : str
        One sentence: what it means and what to look at.
    unit : str
        Unit of `value`.
    error : float
        Standard error of `value`, in the same unit.
    channel : int or None
        Channel in which it is largest; None where it is not about one.
    runner_up : str
        The next best explanation and how many standard errors speak for it; empty where there is none.
    test : {"contract", "closure", "residual", "seam"}
        What it was found by.
    """

    kind: str
    tile: int | None
    value: float
    sigma: float
    message: str
    unit: str = "adu"
    error: float = math.nan
    channel: int | None = None
    runner_up: str = ""
    test: str = "contract"


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
    """

    tiles: tuple[TileRecord, ...] = ()
    delta: DeltaMap | None = None
    before: DeltaMap | None = None
    findings: tuple[Finding, ...] = field(default=())
    verdict: str = "undetermined"
    worst: int | None = None
    summary: str = ""

    def to_table(self):
        """The tile records as a table of scalar columns.

        Returns
        -------
        astropy.table.Table
            One row a tile: index, id, gain, post_source, the number of its findings and the worst of them
            (`finding_kind`, empty where there is none, `finding_value`, …), then for `pre` and `post` the valid
            fraction and minimum, mean and median of each channel (suffix r, g, b for three
            channels, l for one, a number otherwise). No rows for a report without tiles.
        """
        rows = []
        for tile in self.tiles:
            row = {"idx": tile.index, "id": tile.name or "", "gain": tile.gain, "post_source": tile.post_source}
            row |= self._finding_cells(tile.index)
            for when, stats in (("pre", tile.pre), ("post", tile.post)):
                row[f"{when}_valid"] = stats.valid_fraction
                channels = len(stats.median)
                suffixes = _CHANNEL_NAMES.get(channels, range(channels))
                for what in ("minimum", "mean", "median"):
                    values = getattr(stats, what)
                    row |= {f"{when}_{what}_{s}": v for s, v in zip(suffixes, values, strict=True)}
            rows.append(row)
        return Table(rows=rows) if rows else Table(names=("idx", "gain"), dtype=(int, float))

    def _finding_cells(self, index):
        """The worst finding of a tile as cells of a table."""
        own = [finding for finding in self.findings if finding.tile == index]
        worst = own[0] if own else Finding("", index, math.nan, math.nan, "", "")
        names = ("kind", "value", "error", "unit", "sigma", "runner_up")
        return {"findings": len(own)} | {f"finding_{name}": getattr(worst, name) for name in names}

    def to_dict(self):
        """The report as plain numbers, strings, lists and dicts, ready for JSON; None for NaN."""
        delta = None
        if self.delta is not None:
            delta = {
                "shape": list(self.delta.delta.shape),
                "downsample": self.delta.downsample,
                "reference": self.delta.reference,
                "tile_medians": self.delta.tile_medians,
                "tile_medians_before": self.before.tile_medians,
            }
        return _plain(
            {
                "verdict": self.verdict,
                "worst": self.worst,
                "summary": self.summary,
                "findings": [asdict(finding) for finding in self.findings],
                "tiles": [asdict(tile) for tile in self.tiles],
                "delta": delta,
            }
        )

    def verdict_line(self):
        """The last log line of the report: the verdict and one sentence."""
        count = max(len(self.tiles), len(self.delta.tile_medians) if self.delta else 0)
        return (
            f"[TwoPassVerdict] {self.verdict} tiles={count} findings={len(self.findings)} "
            f"worst_idx={'-' if self.worst is None else self.worst} {self.summary}"
        )

    def write(self, directory):
        """Write the artefacts of this report, each whole or not at all.

        Parameters
        ----------
        directory : path-like
            Made if need be.

        Returns
        -------
        tuple of pathlib.Path
            The files written; empty for a report without a delta map.

        Raises
        ------
        OSError
            If the directory or a file in it cannot be written.
        """
        if self.delta is None:
            return ()
        path = Path(directory) / MAP_NAME
        with whole_file(path) as temporary:
            np.save(temporary, self.delta.delta, allow_pickle=False)
        return (path,)


def tile_lines(record):
    """The pair of log lines of one tile, before and after its gain."""
    head = f"idx={record.index} id={_label(record.name)} gain={record.gain:.6g}"
    return (
        f"[TwoPassTile] pre_gain {head} {_stats_text(record.pre)}",
        f"[TwoPassTile] post_gain {head} {_stats_text(record.post)} source={record.post_source}",
    )


def finding_line(finding):
    """The log line of a finding."""
    return (
        f"[TwoPassFinding] idx={'-' if finding.tile is None else finding.tile} kind={finding.kind} "
        f"value={finding.value:.6g} unit={finding.unit or '-'} sigma={finding.sigma:.6g} {finding.message}"
    )


def delta_line(delta, path):
    """The log line of a delta map on disk."""
    values = delta.compared
    median, p95, worst = np.percentile(values, (50, 95, 100)) if values.size else (np.nan,) * 3
    return (
        f"[TwoPassDelta] wrote delta map: {path} shape={delta.delta.shape} ds={delta.downsample} "
        f"reference={delta.reference} tiles={len(delta.tile_medians)} "
        f"median={median:.6g} p95={p95:.6g} max={worst:.6g}"
    )


def _label(name):
    """A tile's name as one token of a key=value line."""
    if not name:
        return "-"
    return json.dumps(name, ensure_ascii=False) if any(c.isspace() or c in '"\\' for c in name) else name


def _stats_text(stats):
    columns = (("min", stats.minimum), ("mean", stats.mean), ("median", stats.median))
    lists = " ".join(f"{key}=[{','.join(f'{v:.6g}' for v in values)}]" for key, values in columns)
    return f"valid={stats.valid_fraction:.6g} {lists}"


def _plain(value):
    """A value with tuples as lists and numbers that JSON cannot hold as None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
