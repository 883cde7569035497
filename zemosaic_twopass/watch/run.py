"""One call of a watched second pass: found again from its inner calls, guarded, and closed."""

from __future__ import annotations

import inspect
import itertools
import logging
import threading
from contextlib import contextmanager, suppress

import numpy as np

from ..guard import log_failure, quietly, text_of
from ..parallel import apart
from ..settings import LOGGER_NAME, in_ascii
from ..tiles.images import TileError
from ..tiles.records import check_tiles
from .calls import arguments_of
from .capture import RunCapture
from .host import names_of, run_under_way
from .journal import tell

_running = {}
_numbers = itertools.count(1)


def call_observer(function, *args):
    """Call an observer of an inner call: whatever fails in it is said once by every run under way.

    Whose call it was cannot be told any more.
    """
    try:
        function(*args)
    except Exception as error:
        runs = list(_running.values())
        for run in runs:
            with run.guard():
                raise error
        if not runs:
            quietly(log_failure, logging.getLogger(LOGGER_NAME), error)


class Run:
    """A call of the second pass, from before its body to after it.

    Parameters
    ----------
    probes : tuple of TwoPassProbe
        Who listens.
    args, kwargs : tuple, dict
        What the body is to be called with.
    caller : Caller or None
        Who calls it, holds the first pass and decides what becomes of the second.
    """

    def __init__(self, probes, args, kwargs, caller=None):
        self.probes = probes
        self._caller = caller
        self.args = args
        self.kwargs = kwargs
        # By this the journal tells the passes of a process from one another.
        self.number = next(_numbers)
        # Both come when the call is opened; a run without them still keeps its inner calls from complaining.
        self.capture = self.logger = None
        # What keeps it from a mosaic, in words; empty as long as that is not known.
        self.trouble = ""
        self._key = None
        self._said = set()
        self._failed = False
        self._error = None
        self._lock = threading.Lock()

    @contextmanager
    def guard(self):
        """Keep any error of the diagnostics inside: logged once a call, raised at its end if strict."""
        try:
            # What the pipeline wants to hear of its own arithmetic, a warning or an error, is not meant for ours.
            with np.errstate(all="ignore"):
                yield
        except Exception as error:
            with self._lock:
                first, self._failed = not self._failed, True
            if any(probe.strict for probe in self.probes):
                self._error = self._error or error
            if first:
                for probe in self.probes:
                    probe.failures.append(text_of(error))
                with suppress(Exception):
                    log_failure(self._logger(), error)
                with suppress(Exception):
                    tell("failed", number=self.number, text=text_of(error))
            # Less the entry of this frame: it leads on to one of contextlib's that holds the error, and with it
            # every array that the error has seen, until the collector comes.
            error.__traceback__ = error.__traceback__.tb_next

    def _logger(self):
        try:
            return self.probes[0].logger_of(self)
        except Exception:
            return logging.getLogger(LOGGER_NAME)

    def say(self, logger, lines):
        """Log lines, pairs of a level and a text, each once a logger however many probes are open.

        A logger that cannot take them costs the lines, not the report.
        """
        with self.guard():
            for level, line in ((level, in_ascii(line)) for level, line in lines):
                if (id(logger), line) not in self._said:
                    self._said.add((id(logger), line))
                    logger.log(level, "%s", line)

    @classmethod
    def begin(cls, probes, function, args, kwargs, caller=None):
        """Before the body: read the arguments, be found by the inner calls, describe the tiles.

        `caller` is the `Caller` that is under way, where there is one.
        """
        run = cls(probes, args, kwargs, caller)
        try:
            run._open(function)
        except BaseException:
            # Interrupted: a run that stayed known would take the next call on the same list for its own.
            run.drop()
            raise
        return run

    def _open(self, function):
        # Each step has a guard of its own: a run that is found by its inner calls keeps them from complaining too.
        with self.guard():
            tell("began", number=self.number)
        with self.guard():
            self.capture = RunCapture({})
        with self.guard():
            for probe in self.probes:
                probe.hold_hooks()
        mosaic = None
        with self.guard():
            mosaic = self._caller and self._caller.first_pass()
        with self.guard():
            arguments = arguments_of(function, self.args, self.kwargs)
            self._register(function, arguments)
            # Known even if the rest of the call cannot be read.
            self.logger = arguments.get("logger")
            with self.guard():
                for probe in self.probes:
                    # Once more: an application may open its log after the worker was attached to.
                    self.say(probe.logger_of(self), [(logging.INFO, probe.description(function))])
            if "tiles" not in arguments:
                # Something that takes (*args, **kwargs) stands in its place.
                raise TypeError(f"{function} gives its arguments no names: put functools.wraps on it")
            self.capture = RunCapture(arguments, mosaic)
            with self.guard():
                self.capture.run = run_under_way()
                self.capture.second_pass.tiles.names = names_of(arguments.get("tiles_wcs"))
            whole = any(probe.delta_map for probe in self.probes)
            if whole or any(probe.logger_of(self).isEnabledFor(logging.DEBUG) for probe in self.probes):
                self.capture.describe(whole)

    def close(self, result, error=None):
        """After the body: examine the pass, and publish it now or when its caller returns; let go of everything else.

        Parameters
        ----------
        result : object
            What the body gave; None where it gave no mosaic.
        error : Exception, optional
            What ended the body; only its text is kept.

        Returns
        -------
        Exception or None
            The first error of the diagnostics if a probe is strict, to be raised by the caller.
        """
        try:
            with self.guard():
                self._check()
            # A worker that gives something else than a pair gave no mosaic that could be looked at.
            if self.capture is not None and isinstance(result, tuple) and len(result) == 2:
                self.capture.second_pass.mosaic, self.capture.second_pass.coverage = result
            drafts = []
            with self.guard():
                if error is not None:
                    self.trouble = f"it ended with {text_of(error)}"
            with self.guard():
                draft_of, _ = apart(_import_publish)
                for probe in self.probes:
                    with self.guard():
                        drafts.append(draft_of(self, probe))
            if self._caller is not None and drafts:
                self._caller.hold(self, drafts, self._passes())
                return None
        finally:
            self.drop()
        return self.publish(drafts, None)

    def publish(self, drafts, merge):
        """Publish drafts, with what the caller made of the pass; as `close`."""
        with self.guard():
            _, publish = apart(_import_publish)
            for draft in drafts:
                with self.guard():
                    publish(self, draft, merge)
        error, self._error = self._error, None
        return error

    def drop(self):
        """Let go of the call: of its arguments and arrays, and of being found by its inner calls."""
        _running.pop(self._key, None)
        self.args, self.kwargs = (), {}
        with self.guard():
            if self.capture is not None:
                self.capture.close()

    def _passes(self):
        second_pass = self.capture.second_pass
        first = second_pass.first_pass, second_pass.first_coverage
        return first, (second_pass.mosaic, second_pass.coverage)

    def _register(self, function, arguments):
        """Make the call's own WCS list, which every inner call carries, lead back to this run."""
        sequence = arguments.get("tiles_wcs")
        if sequence is None:
            return
        if _running.setdefault(id(sequence), self) is not self:
            if not isinstance(sequence, list):
                return
            # Two runs share one list at the same time: this one gets a copy, the only argument that
            # is ever substituted, or its inner calls could not be told from the other's.
            bound = inspect.signature(function).bind(*self.args, **self.kwargs)
            arguments["tiles_wcs"] = bound.arguments["tiles_wcs"] = sequence = list(sequence)
            self.args, self.kwargs = bound.args, bound.kwargs
            _running[id(sequence)] = self
        self._key = id(sequence)

    def _check(self):
        tiles, gains = self.capture.second_pass.tiles, self.capture.second_pass.gains
        check_tiles(tiles.pixels, tiles.wcs, tiles.coverages)
        if gains is not None and len(gains) != len(tiles):
            raise TileError(f"gain list: {len(gains)} values != {len(tiles)} tiles")


def _import_publish():
    # Only now: it brings the numerics, of which a process whose second pass never runs needs nothing.
    from .publish import draft_of, publish

    return draft_of, publish


def find_run(args, kwargs):
    """The run that an inner call belongs to, told by the identity of the WCS list that it carries.

    Wherever that stands among the arguments: what replaces an inner function need not name its parameters.

    Parameters
    ----------
    args, kwargs : tuple, dict
        What the inner call was given.

    Returns
    -------
    Run or None
        None for a call that belongs to no run of ours.
    """
    return next((_running[id(value)] for value in (*args, *kwargs.values()) if id(value) in _running), None)
