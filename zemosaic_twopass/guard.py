"""What keeps a failure of the diagnostics away from the pipeline."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress

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
