"""What keeps a failure of the diagnostics away from the pipeline."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from contextlib import suppress

from .settings import LOGGER_NAME, in_ascii


def text_of(error):
    """Type and text of an exception, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def log_failure(logger, error):
    """Say in one WARNING of one line that the diagnostics failed, and how it came to that at DEBUG.

    The error goes along as text only: a record that held it would keep every array of its frames alive.
    """
    logger.warning("[TwoPassProbe] diagnostics failed: %s", in_ascii(text_of(error)))
    logger.debug("[TwoPassProbe] %s", in_ascii("".join(traceback.format_exception(error)).rstrip()))


def quietly(function, *args):
    """Call a function of ours on the pipeline's path: whatever fails in it, even its own guard, ends here."""
    try:
        return function(*args)
    except Exception as error:
        # Logging may fail too, in a handler or in the text of the error.
        with suppress(Exception):
            log_failure(logging.getLogger(LOGGER_NAME), error)
        return None


class ForkSafeLock:
    """A lock that its thread may take again, in `lock`; a forked child has a new one.

    Another thread may have held it when the child was forked, and would never let go of it there.
    """

    def __init__(self):
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self):
        self.lock = threading.RLock()


_turn = ForkSafeLock()


def take_turn():
    """One thread of ours at a time, in a with statement, for what changes the warnings filters and puts them back.

    Two that do so at a time can leave them changed for good; astropy does it when it copies a WCS and makes a table.
    """
    return _turn.lock
