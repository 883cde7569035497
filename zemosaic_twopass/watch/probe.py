"""What a probe is set to, and what it has seen; how it gets to see it is `zemosaic_instrument`'s affair."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

from ..settings import LOGGER_NAME


class ProbeSettings:
    """Settings and findings of one probe.

    Parameters
    ----------
    delta_map : bool, optional
        Also build the delta map and save it.
    downsample : int, optional
        Reduction factor of the delta map, at least 1.
    directory : path-like, optional
        Where artefacts go. By default a new folder for each second pass, under ``runs`` in the folder that
        ``ZEMOSAIC_TWO_PASS_DEBUG_DIR`` says, with a copy of the newest map in that folder itself.
    logger : logging.Logger, optional
        Takes our lines in place of the logger that the call was given.
    strict : bool, optional
        Let errors of the diagnostics out, for tests; otherwise each call logs them once.
    names : sequence of str, optional
        What the tiles are called in the lines of a run that has as many tiles.

    Attributes
    ----------
    reports : collections.deque of TwoPassReport
        One for each second pass that ran inside, oldest first; the last 16 are kept.
    failures : collections.deque of str
        What went wrong in the diagnostics, one entry a call; the last 16 are kept.

    Raises
    ------
    ValueError
        If `downsample` is not at least 1.
    """

    def __init__(self, *, delta_map=True, downsample=8, directory=None, logger=None, strict=False, names=None):
        if downsample < 1:
            raise ValueError(f"downsample {downsample} < 1")
        self.delta_map = delta_map
        self.downsample = downsample
        self.directory = None if directory is None else Path(directory)
        self.logger = logger
        self.strict = strict
        self.names = names
        self.reports = deque(maxlen=16)
        self.failures = deque(maxlen=16)

    def logger_of(self, run=None):
        """Where our lines about a call go, or those about no call."""
        return self.logger or getattr(run, "logger", None) or logging.getLogger(LOGGER_NAME)
