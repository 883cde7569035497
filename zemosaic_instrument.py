"""See what the Two-Pass Coverage Renorm of a ZeMosaic worker does, from outside and without touching it.

Decorate the function; nothing happens unless ``ZEMOSAIC_TWO_PASS_DEBUG=1`` when it is decorated::

    @two_pass_diagnostics
    def run_second_pass_coverage_renorm(tiles, tiles_wcs, ...): ...

or watch a worker that knows nothing of this module, for a while or until further notice::

    with TwoPassProbe(zemosaic_worker, directory="diagnostics") as probe:
        zemosaic_worker.run_second_pass_coverage_renorm(...)
    probe.reports[-1].to_table()

    attach(zemosaic_worker)
    ...
    detach(zemosaic_worker)

What is watched runs once, with its own arguments, and gives its own result, whatever happens here.
"""

from __future__ import annotations

import copy
import logging
import sys
import weakref

import wrapt

from zemosaic_twopass.diagnosis import diagnose
from zemosaic_twopass.diagnosis.finding import Finding
from zemosaic_twopass.guard import log_failure, quietly
from zemosaic_twopass.measure.delta import DeltaMap, delta_map
from zemosaic_twopass.measure.stats import TileStats, tile_statistics
from zemosaic_twopass.report.report import TileRecord, TwoPassReport
from zemosaic_twopass.settings import LOGGER_NAME, Settings, is_switched_on
from zemosaic_twopass.watch import hooks
from zemosaic_twopass.watch.probe import Probe, state
from zemosaic_twopass.watch.tap import Tap

__all__ = ["AttachError", "TwoPassProbe", "attach", "attach_on_import", "detach", "two_pass_diagnostics"]
# The records and the pure functions, usable alone.
__all__ += ["DeltaMap", "Finding", "TileRecord", "TileStats", "TwoPassReport"]
__all__ += ["delta_map", "diagnose", "tile_statistics"]

WORKERS = ("zemosaic_worker", "zemosaic.zemosaic_worker")

_patches = {}
_attached = {}


class AttachError(LookupError):
    """The worker does not have the function that is to be watched."""


class _Bound(wrapt.BoundFunctionWrapper):
    """A watched function as a method of an object that has it in its class; copied as a method is."""

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self._self_parent.__get__(copy.deepcopy(self._self_instance, memo), self._self_owner)


class _Watched(wrapt.FunctionWrapper):
    """A wrapper of ours; pickled by name, so it reaches process pools like the function it wraps.

    A copy of it is itself, as that of any function is: what holds a function is copied with it.
    """

    __bound_function_wrapper__ = _Bound

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        return self.__wrapped__.__qualname__


class _Patch:
    """One wrapped function: the wrapper in place, and how many probes need it."""

    def __init__(self, owner, name, observer):
        self.owner, self.name, self.holders = owner, name, 0
        self.handle = wrapt.wrap_object(owner, name, _Watched, (observer,))

    def in_place(self):
        """False once somebody has put another function there, as a reload does."""
        return wrapt.is_wrapped_by(getattr(self.owner, self.name, None), self.handle)

    def release(self):
        """One holder less; the last one puts the very object back."""
        self.holders -= 1
        if self.holders:
            return
        key = (id(self.owner), self.name)
        if _patches.get(key) is self:
            del _patches[key]
        try:
            wrapt.unwrap_object(self.owner, self.name, self.handle, missing_ok=True)
        except wrapt.WrapperNotOutermostError as error:
            # Somebody wrapped over us in a way that cannot be undone; ours stays and does nothing.
            quietly(log_failure, logging.getLogger(LOGGER_NAME), error)


def _tap_of(function):
    """The tap of ours in a chain of wrappers, or None."""
    found = wrapt.find_wrapper(
        function, predicate=lambda item: type(item) is _Watched and isinstance(item._self_wrapper, Tap)
    )
    return None if found is None else found._self_wrapper


class TwoPassProbe(Probe):
    """Watch the second passes of a worker while the context is open.

    Parameters
    ----------
    worker : module
        Any ZeMosaic worker with a `run_second_pass_coverage_renorm`; not edited.
    **settings
        `delta_map`, `downsample`, `directory`, `logger`, `strict` and `names`, as `Probe` has them; so are `reports`
        and `failures`, what it has seen.

    Raises
    ------
    AttachError
        On entering, if the worker has no such function. Whatever else fails there is one warning, and nothing is
        watched, unless `strict`.
    """

    def __enter__(self):
        logger = self.logger_of()
        with state.lock:
            try:
                description = self._open()
            except BaseException as error:
                # Nobody closes what was not opened: whatever is on the worker by now comes off again.
                self.__exit__()
                if self.strict or isinstance(error, AttachError) or not isinstance(error, Exception):
                    raise
                # A fault of ours: the program runs on unwatched.
                quietly(log_failure, logger, error)
                return self
        quietly(logger.info, "%s", description)
        return self

    def _open(self):
        function = getattr(self.worker, hooks.SECOND_PASS, None)
        if not callable(function):
            raise AttachError(f"{getattr(self.worker, '__name__', self.worker)} has no {hooks.SECOND_PASS}")
        self._home = hooks.home_of(wrapt.unwrapped(function), self.worker)
        description = self.description(function)
        tap = _tap_of(function)
        # A decorated function has its tap already and nothing of it is ours to undo.
        if tap is None or (id(self.worker), hooks.SECOND_PASS) in _patches:
            tap = self._hold(self.worker, hooks.SECOND_PASS, tap or Tap())
        self.listen(tap)
        return description

    def _hold(self, owner, name, observer):
        key = (id(owner), name)
        if key in self._held:
            self._held.pop(key).release()
        if key not in _patches or not _patches[key].in_place():
            _patches[key] = _Patch(owner, name, observer)
        self._held[key] = _patches[key]
        _patches[key].holders += 1
        return _patches[key].handle._self_wrapper


def attach(worker, **settings):
    """Watch a worker until `detach`.

    Parameters
    ----------
    worker : module
    **settings
        As for `TwoPassProbe`.

    Returns
    -------
    TwoPassProbe
        Open. If the worker is attached already, the probe of then, whatever the settings. One that could not be
        opened, by a fault of ours that was logged, watches nothing and is not kept.

    Raises
    ------
    AttachError
        If the worker has no `run_second_pass_coverage_renorm`.
    """
    with state.lock:
        if id(worker) in _attached:
            return _attached[id(worker)]
        probe = TwoPassProbe(worker, **settings).__enter__()
        try:
            if probe.watching:
                _attached[id(worker)] = probe
        except BaseException:
            # A probe that nobody keeps is one that nobody closes.
            probe.__exit__()
            raise
        return probe


def detach(worker):
    """Undo `attach`: the very objects that were there are there again. No-op when not attached."""
    with state.lock:
        probe = _attached.pop(id(worker), None)
        if probe is not None:
            probe.__exit__()


def two_pass_diagnostics(function):
    """Decorate `run_second_pass_coverage_renorm` with diagnostics, if the environment asks for them.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
        `function` itself unless ``ZEMOSAIC_TWO_PASS_DEBUG`` is on at this moment, or if it cannot be watched.
    """
    return quietly(_decorate, function) or function


def _decorate(function):
    if not is_switched_on():
        return function
    tap = Tap()
    wrapper = _Watched(function, tap)
    probe = TwoPassProbe(hooks.home_of(wrapt.unwrapped(function)), **Settings.from_environment().for_probe())
    try:
        probe.listen(tap)
    except BaseException:
        probe.__exit__()
        raise
    # When the decorated function goes, so do the wrappers on the inner functions.
    weakref.finalize(wrapper, probe.__exit__).atexit = False
    return wrapper


def attach_on_import(module):
    """Attach to a worker that has just been imported, if the environment asks for it.

    A post-import hook: whatever is wrong here, the import goes on. A worker that is decorated is left to its decorator.

    Parameters
    ----------
    module : module
    """
    quietly(_attach_if_plain, module)


def _attach_if_plain(module):
    if is_switched_on() and _tap_of(getattr(module, hooks.SECOND_PASS, None)) is None:
        attach(module, **Settings.from_environment().for_probe())


if is_switched_on():
    for _name in WORKERS:
        # A worker that is there without its second pass is just importing us, to decorate itself.
        if _name not in sys.modules or hasattr(sys.modules[_name], hooks.SECOND_PASS):
            wrapt.register_post_import_hook(attach_on_import, _name)
