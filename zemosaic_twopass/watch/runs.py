"""The folders of second passes that were not told where to write: one each, the newest kept."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from ..files import read_text_within_bounds
from ..report.artefacts import JSON_NAME
from ..report.report import SCHEMA

_OURS = re.compile(r"\d{8}T\d{6}Z-\d+-\d+")
_count = itertools.count(1)


@contextmanager
def run_folder(base):
    """A folder for the files of one second pass that no other run, thread or process has.

    Parameters
    ----------
    base : path-like

    Yields
    ------
    unfinished, final : pathlib.Path
        ``<base>/runs/.<UTC time>-<process>-<n>``, not made yet, and the same without the dot. When the block ends,
        however it does, what was written to the first becomes the second: a folder without a dot is whole. Names
        sort by time.

    Raises
    ------
    OSError
        If the folder cannot be given its name.
    """
    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    final = Path(base) / "runs" / f"{time}-{os.getpid()}-{next(_count):06d}"
    unfinished = final.with_name(f".{final.name}")
    try:
        yield unfinished, final
    finally:
        if unfinished.exists():
            os.replace(unfinished, final)


def prune_runs(base, keep):
    """Remove the oldest folders of second passes; what cannot be removed stays.

    Only folders that are ours by name and by the report in them: neither one that is being written, by any
    process, nor what somebody else has put there.

    Parameters
    ----------
    base : path-like
        As for `run_folder`.
    keep : int
        How many of the newest stay; 0 for all.
    """
    runs = Path(base) / "runs"
    if keep == 0 or not runs.is_dir():
        return
    names = sorted(name for name in os.listdir(runs) if _OURS.fullmatch(name))
    for name in names[:-keep]:
        if _has_our_report(runs / name):
            shutil.rmtree(runs / name, ignore_errors=True)


def _has_our_report(folder):
    try:
        found = json.loads(read_text_within_bounds(folder / JSON_NAME))
    except (OSError, ValueError, RecursionError):
        return False
    return not folder.is_symlink() and isinstance(found, dict) and found.get("schema") == SCHEMA
