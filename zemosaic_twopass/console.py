"""What a terminal shows while the command works: the lines of the run, and a progress bar."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager

from tqdm import tqdm

from .settings import LOGGER_NAME


class _Console(logging.StreamHandler):
    """Writes above a progress bar; leaves findings and verdict to the end of the command."""

    def emit(self, record):
        try:
            line = self.format(record)
            if not line.startswith(("[TwoPassFinding]", "[TwoPassVerdict]")):
                tqdm.write(line, file=self.stream)
        except Exception:
            self.handleError(record)


@contextmanager
def console(quiet):
    """Show the worker's and our lines on standard output; only warnings, on standard error, if quiet."""
    logger = logging.getLogger(LOGGER_NAME)
    before = logger.level, logger.propagate
    handler = _Console(sys.stderr if quiet else sys.stdout)
    handler.setLevel(logging.WARNING if quiet else logging.DEBUG)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextmanager
def progress(total, word):
    """A bar on a terminal that moves on with each of the worker's lines that holds `word`."""
    logger = logging.getLogger(LOGGER_NAME)
    # disable=None: silent where standard error is not a terminal.
    with tqdm(total=total, desc=word.strip(), disable=None, leave=False) as bar:
        ticker = logging.Handler()
        ticker.emit = lambda record: bar.update(word in record.getMessage())
        logger.addHandler(ticker)
        try:
            yield
        finally:
            logger.removeHandler(ticker)
