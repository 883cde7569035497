"""What a program that ``exec`` runs tells of itself, its children included: a line each in a file of ``exec``'s own.

Only ``exec`` names that file, in an environment variable; without it nothing is told.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from ..guard import text_of
from ..settings import PREFIX

JOURNAL = PREFIX + "_JOURNAL"


def tell(event, **facts):
    """Add one line to the journal, if there is one.

    A process that is ended loses nothing of what it has told: the line is written at once, by one call of the system,
    so lines of several processes do not mix. A journal that cannot be written costs the line only.

    Parameters
    ----------
    event : {"imported", "began", "failed", "report", "ended"}
    **facts
        As JSON holds them.
    """
    path = os.environ.get(JOURNAL)
    if not path:
        return
    line = json.dumps({"event": event, "process": os.getpid(), **facts}) + "\n"
    with suppress(OSError):
        # Not made where it is missing: ``exec`` has ended and read it, and nobody would remove it any more.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def tell_end(error):
    """Tell what exception ended a run of the application."""
    tell("ended", text=text_of(error))


def tell_report(run, report, paths):
    """Tell that a report is there.

    Parameters
    ----------
    run : Run
    report : TwoPassReport
    paths : sequence of pathlib.Path
        Its files; they lie in one folder.
    """
    text = report.verdict_line().removeprefix("[TwoPassVerdict] ")
    tell("report", number=run.number, text=text, folder=str(paths[0].parent) if paths else None)
