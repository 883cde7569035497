"""What ``exec`` hears of a program and its children, and says of it at the end."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager, suppress

from ..console import printable
from ..files import read_text_within_bounds
from ..watch.hooks import SECOND_PASS
from ..watch.journal import JOURNAL


def say_aside(text):
    """Say one line on standard error, which the program has too."""
    with suppress(OSError):
        print(printable(f"zemosaic-twopass: {text}", sys.stderr), file=sys.stderr)


@contextmanager
def listen_to_passes():
    """Keep a private file that the program and its children tell what they do in; say at the end what that was.

    Without a place for that file the program runs all the same, and one line says so.

    Yields
    ------
    dict
        The environment variable that names the file; empty where there is none.
    """
    try:
        descriptor, path = tempfile.mkstemp(prefix="zemosaic-twopass-")
        os.close(descriptor)
    except OSError as error:
        say_aside(f"what the program does will not be heard: {error}")
        yield {}
        return
    try:
        yield {JOURNAL: path}
        try:
            entries = read_entries(read_text_within_bounds(path))
        except (OSError, ValueError) as error:
            say_aside(f"what the program did was not heard: {error}")
        else:
            for line in make_lines(entries):
                say_aside(line)
    finally:
        with suppress(OSError):
            os.unlink(path)


def read_entries(text):
    """What a journal holds.

    Parameters
    ----------
    text : str
        A line each, as `watch.journal.tell` writes them; others are passed over.

    Returns
    -------
    list of dict
    """
    entries = []
    for line in text.splitlines():
        with suppress(ValueError, RecursionError):
            entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("event"), str)]


def make_lines(entries):
    """What there is to say of a program that has ended: a line each second pass, or why there is none.

    Parameters
    ----------
    entries : list of dict
        As `read_entries` gives them.

    Returns
    -------
    list of str
    """
    passes, workers, ended = {}, {}, []
    for entry in entries:
        if entry.get("event") == "imported":
            workers[str(entry.get("worker"))] = entry.get("second_pass")
        elif entry.get("event") == "ended":
            ended.append(f"no second pass ran: the run ended with {entry.get('text')}")
        else:
            # A report outweighs what failed beside it.
            known = passes.setdefault(f"{entry.get('process')} {entry.get('number')}", {})
            known[entry.get("event")] = entry
    lines = [f"second pass {number}: {_outcome(known)}" for number, known in enumerate(passes.values(), start=1)]
    if lines or ended:
        return lines or ended
    if not workers:
        return ["no worker was imported, nothing was watched"]
    return [
        f"{worker} was imported, but "
        + (
            "no second pass ran: it is switched off, the run ended before it, or this is grid mode or incremental "
            "assembly with feather parity"
            if able
            else f"has no {SECOND_PASS}: nothing was watched"
        )
        for worker, able in workers.items()
    ]


def _outcome(known):
    if "report" in known:
        report = known["report"]
        return f"{report.get('text')} dir={report.get('folder') or '-'}"
    if "failed" in known:
        return f"no report: {known['failed'].get('text')}"
    return "began and did not end"
