"""What a probe is set to, what it holds of a worker, what it has seen; `zemosaic_instrument` knows how to hold."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

from ..guard import ForkSafeLock
from ..settings import LOGGER_NAME
from . import hooks

# Whoever opens, closes or looks after a probe.
state = ForkSafeLock()


class Probe:
    """One probe; what derives from it has `_hold(owner, name, observer)`, which puts an observer around a function.

    Parameters
    ----------
    worker : module
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

    def __init__(self, worker, *, delta_map=True, downsample=8, directory=None, logger=None, strict=False, names=None):
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
        self.worker = self._home = worker
        self._tap = None
        self._held = {}

    def logger_of(self, run=None):
        """Where our lines about a call go, or those about no call."""
        return self.logger or getattr(run, "logger", None) or logging.getLogger(LOGGER_NAME)

    @property
    def watching(self):
        """Whether second passes of the worker reach this probe."""
        return self._tap is not None

    def description(self, function):
        """One line on what is watched: worker, version and what can be seen of its second pass, which is `function`."""
        return hooks.description_of(self.worker, function, self._home)

    def listen(self, tap):
        """Be told of every second pass that goes through a `Tap`."""
        self._tap = tap
        tap.probes = (*tap.probes, self)
        hooks.open_probes.append(self)
        self.hold_hooks()

    def hold_hooks(self):
        """Watch the inner functions that have come, or come anew, since the last look."""
        with state.lock:
            if self._tap is None:
                # Closed by another thread just when a pass began: what is held now nobody would let go of.
                return
            for owner, name, observer in hooks.hooks_of(self._home):
                held = self._held.get((id(owner), name))
                if held is None or not held.in_place():
                    self._hold(owner, name, observer)

    def look_after(self):
        """Say once if the second pass that is watched is not the worker's any more."""
        key = (id(self.worker), hooks.SECOND_PASS)
        with state.lock:
            if key not in self._held or self._held[key].in_place():
                return
            self._held.pop(key).release()
        self.logger_of().warning(
            "[TwoPassProbe] %s of %s was replaced and is not watched any more: attach again",
            hooks.SECOND_PASS,
            getattr(self.worker, "__name__", self.worker),
        )

    def __exit__(self, *exc_info):
        with state.lock:
            if self._tap is not None:
                self._tap.probes = tuple(probe for probe in self._tap.probes if probe is not self)
                self._tap = None
                hooks.open_probes.remove(self)
            while self._held:
                self._held.popitem()[1].release()
