"""What keeps a failure of the diagnostics away from the pipeline."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from contextlib import contextmanager, suppress

from .settings import LOGGER_NAME


def log_failure(logger, error):
    """Say in one WARNING that the diagnostics failed; the error goes along as text only.

    A record that held the error itself would keep every array of its frames alive.
    """
    text = "".join(traceback.format_exception(error)).rstrip()
    logger.warning("[TwoPassProbe] diagnostics failed: %s: %s\n%s", type(error).__name__, str(error), text)


def quietly(function, *args):
    """Call a function of ours on the pipeline's path: whatever fails in it, even its own guard, ends here."""
    try:
        return function(*args)
    except Exception as error:
        # Logging may fail too, in a handler or in the text of the error.
        with suppress(Exception):
            log_failure(logging.getLogger(LOGGER_NAME), error)
        return None


_turn = threading.RLock()


def _renew_turn():
    # A child forked while another thread had its turn would wait for that thread forever.
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turn)


@contextmanager
def alone():
    """One thread of ours at a time, for what changes the warnings filters and puts them back.

    Two that do so at a time can leave them changed for good; astropy does it when it copies a WCS and makes a table.
    """
    with _turn:
        yield
