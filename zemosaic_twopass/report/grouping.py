"""Findings of one kind about many tiles as one entry, for people to read."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..diagnosis.finding import Finding


class Group(NamedTuple):
    """Findings that are told as one: the tiles as ``4``, ``0-8`` or ``0,2-3``, empty for none; how many they are."""

    finding: Finding
    tiles: str
    count: int


def group_findings(findings):
    """Findings with the tiles that each is about; those of one kind that can be said of many tiles as one.

    Parameters
    ----------
    findings : sequence of Finding
        Notes last; of these only such as have one value are alike.

    Returns
    -------
    list of Group
        In the order of the first of each.
    """
    groups = {}
    for number, finding in enumerate(findings):
        # What is wrong with a tile has a line of its own, but for what many have.
        alike = finding.about.of_many and finding.tile is not None
        key = (finding.kind, _value(finding) if _notes(finding) else "") if alike else number
        groups.setdefault(key, []).append(finding)
    return [_entry(group) for group in groups.values()]


def _entry(group):
    first = group[0]
    if len(group) == 1:
        return Group(first, "" if first.tile is None else str(first.tile), 1)
    tiles = ranges([finding.tile for finding in group])
    level = f", all at {_value(first)}," if _notes(first) and _value(first) else ""
    text = first.about.of_many.format(advice=first.about.advice)
    return Group(replace(first, tile=None, message=f"Tiles {tiles}{level} {text}"), tiles, len(group))


def _notes(finding):
    return finding.about.group == "note"


def _value(finding):
    # None where it was read back from JSON.
    known = finding.value is not None and np.isfinite(finding.value)
    return f"{finding.value:.6g}" if known else ""


def ranges(numbers):
    """Whole numbers as text, those that follow one another as a range: ``0-3,7``."""
    known = set(numbers)
    starts, ends = (sorted(number for number in known if number + step not in known) for step in (-1, 1))
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in zip(starts, ends, strict=True))
