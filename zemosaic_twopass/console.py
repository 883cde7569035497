"""What a terminal shows of the command: lines that can do nothing to it, and a progress bar."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import contextmanager

from astropy.utils.exceptions import AstropyWarning
from tqdm import tqdm

from .settings import LOGGER_NAME


def printable(text, stream):
    """One line as a terminal may be given it.

    Parameters
    ----------
    text : str
        May hold names from strangers.
    stream : file
        Where it is to go.

    Returns
    -------
    str
        What is no printable character is replaced: it could move the cursor or turn the writing direction. What the
        stream's encoding lacks is escaped.
    """
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(line):
    """Print one line on standard output."""
    print(printable(line, sys.stdout))


def complain(error):
    """Say in one line on standard error why the command ends."""
    text = f"zemosaic-twopass: error: {' '.join(str(error).split()) or type(error).__name__}"
    print(printable(text, sys.stderr), file=sys.stderr)


class _Console(logging.StreamHandler):
    """Writes above a progress bar; leaves findings and verdict to the end of the command."""

    def emit(self, record):
        try:
            text = self.format(record)
            if not text.startswith(("[TwoPassFinding]", "[TwoPassVerdict]")):
                # Only a warning, for its traceback, has more lines than one; indented, for one may come from a name.
                lines = text.split("\n") if record.levelno >= logging.WARNING else [text]
                tqdm.write("\n    ".join(printable(line, self.stream) for line in lines), file=self.stream)
        except Exception:
            self.handleError(record)


@contextmanager
def console(quiet):
    """Show the worker's and our lines on standard output; only warnings, on standard error, if quiet.

    What numpy and astropy have to say about odd pixels and headers is not shown.
    """
    logger = logging.getLogger(LOGGER_NAME)
    before = logger.level, logger.propagate
    handler = _Console(sys.stderr if quiet else sys.stdout)
    handler.setLevel(logging.WARNING if quiet else logging.DEBUG)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            for category in (RuntimeWarning, AstropyWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def counter(total, what):
    """A bar on a terminal that moves on by one with each `update()`; a context manager."""
    # disable=None: silent where standard error is not a terminal.
    return tqdm(total=total, desc=what, disable=None, leave=False)


@contextmanager
def stage(what, total=1):
    """A bar on a terminal for a stage of so many steps; lends a function that moves it on by one."""
    with counter(total, what) as bar:
        yield bar.update
        # What had one step only, or left some out, is done too.
        bar.update(total - bar.n)


@contextmanager
def silent(what, total=1):
    """In place of `stage` where nobody looks."""
    yield lambda: None


@contextmanager
def progress(total, word, what=None):
    """A bar on a terminal that moves on with each of the worker's lines that holds `word`; `what` is its name."""
    logger = logging.getLogger(LOGGER_NAME)
    with counter(total, what or word.strip()) as bar:
        ticker = logging.Handler()
        ticker.emit = lambda record: bar.update(word in record.getMessage())
        logger.addHandler(ticker)
        try:
            yield
        finally:
            logger.removeHandler(ticker)
