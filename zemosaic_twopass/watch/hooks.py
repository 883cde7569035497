"""Where a worker can be watched: the names of its functions, and what to note when they are called.

The observers have the signature of a wrapt wrapper but need no wrapt.
"""

from __future__ import annotations

import inspect
import sys

import numpy as np

from ..guard import quietly, text_of
from ..settings import in_ascii
from .caller import Caller, Finish, finishing, under_way
from .calls import arguments_of
from .host import OBSERVERS
from .run import call_observer, find_run

SECOND_PASS = "run_second_pass_coverage_renorm"
GAINS = "compute_per_tile_gains_from_coverage"
COADD = "reproject_and_coadd_wrapper"
CALLER = "_apply_two_pass_coverage_renorm_if_requested"
POST_STACK = "_apply_phase5_post_stack_pipeline"
UTILS = "zemosaic_utils"

# What of a pass each of the inner functions shows.
SHOWN_BY = {GAINS: "gains", COADD: "corrected_tiles", CALLER: "first_pass"}

# The parameter that came with each version of the second pass, newest first.
_VERSIONS = {
    "tile_weights": "2025-12-23",
    "debug_diag": "2025-12-14",
    "telemetry_ctrl": "2025-11-22",
    "parallel_plan": "2025-11-21",
    "tiles_coverage": "2025-11-20",
    "tiles": "2025-10-31",
}
# The caller is a function of its own since 2025-11-14, while the signature was still that of the first days.
_MAY_LACK = {"2025-10-31": ("first_pass",)}

# Probes that are open; asked to look after themselves when a call comes that belongs to no run of theirs.
open_probes = []


def observe_gains(wrapped, instance, args, kwargs):
    """Note the gain list that the pipeline computes for a run of ours."""
    try:
        gains = wrapped(*args, **kwargs)
    except Exception as error:
        call_observer(_note_trouble, args, kwargs, error)
        raise
    call_observer(_note_gains, args, kwargs, gains)
    return gains


def observe_coadd(wrapped, instance, args, kwargs):
    """Note the corrected planes that go into a coadd of a run of ours."""
    call_observer(_note_planes, wrapped, args, kwargs)
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        call_observer(_note_trouble, args, kwargs, error)
        raise


def observe_caller(wrapped, instance, args, kwargs):
    """Note the first-pass mosaic, which only the caller of the second pass holds, and what it makes of the second."""
    caller = quietly(Caller, lambda: arguments_of(wrapped, args, kwargs))
    if caller is None:
        return wrapped(*args, **kwargs)
    token = under_way.set(caller)
    try:
        result = wrapped(*args, **kwargs)
    except Exception:
        quietly(caller.close, None)
        raise
    except BaseException:
        quietly(caller.drop)
        raise
    finally:
        under_way.reset(token)
        if not caller.asked:
            quietly(_look_after)
    error = quietly(caller.close, result)
    if error is None:
        return result
    try:
        raise error
    finally:
        # It leads to this frame, and so to the mosaics, as long as this frame leads to it.
        error = None


def observe_post_stack(wrapped, instance, args, kwargs):
    """Note what the steps after the merge make of it: what is said of the pass waits for them."""
    finish = quietly(Finish)
    if finish is None:
        return wrapped(*args, **kwargs)
    token = finishing.set(finish)
    try:
        result = wrapped(*args, **kwargs)
    except Exception:
        quietly(finish.close, None)
        raise
    except BaseException:
        quietly(finish.drop)
        raise
    finally:
        finishing.reset(token)
    error = quietly(finish.close, result)
    if error is None:
        return result
    try:
        raise error
    finally:
        # As in `observe_caller`.
        error = None


def _note_trouble(args, kwargs, error):
    """What an inner function raises: the body may catch it and give no mosaic."""
    run = _run_of(args, kwargs)
    if run is not None:
        with run.guard():
            run.trouble = f"it gave no mosaic after {text_of(error)}"


def _note_gains(args, kwargs, gains):
    run = _run_of(args, kwargs)
    if run is not None:
        with run.guard():
            run.capture.observe_gains(gains)


def _note_planes(wrapped, args, kwargs):
    run = _run_of(args, kwargs)
    if run is not None:
        with run.guard():
            arguments, second_pass = arguments_of(wrapped, args, kwargs), run.capture.second_pass
            planes = _planes_among(arguments, (*args, *kwargs.values()), len(second_pass.tiles))
            if planes is not None:
                run.capture.observe_planes(planes)
            combine = arguments.get("combine_function") or "mean"
            second_pass.combine = "GPU code of its own" if arguments.get("use_gpu") else combine


def _planes_among(named, given, count):
    """The list of planes that a coadd is given: by its name, else the first that holds one array a tile."""
    if "data_list" in named:
        return named["data_list"]
    lists = (value for value in given if isinstance(value, list | tuple) and len(value) == count)
    return next((value for value in lists if all(isinstance(item, np.ndarray) for item in value)), None)


def _run_of(args, kwargs):
    run = find_run(args, kwargs)
    if run is None:
        _look_after()
    return run


def _look_after():
    """A call that no run was waiting for: perhaps the second pass is no longer the one that is watched."""
    for probe in list(open_probes):
        probe.look_after()


def home_of(function, worker=None):
    """The module whose globals a function looks its inner names up in.

    Parameters
    ----------
    function : callable
        Without wrappers.
    worker : module, optional
        Looked at first, and the answer where no module has those globals or the one that has them knows no inner
        function.
    """
    space = getattr(function, "__globals__", None)
    modules = (worker, sys.modules.get(getattr(function, "__module__", None)), *list(sys.modules.values()))
    home = next((module for module in modules if getattr(module, "__dict__", None) is space), worker)
    # What was put in its place from elsewhere, without `functools.wraps`, still calls the worker's own in the end.
    return home if hooks_of(home) or not hooks_of(worker) else worker


def description_of(worker, function, home):
    """One line on what was attached to: file, version and what of it can be seen.

    Parameters
    ----------
    worker : module
    function : callable
        Its second pass.
    home : module
        Whose inner functions the second pass calls.
    """
    shown = {SHOWN_BY[name] for _, name, _ in hooks_of(home) if name in SHOWN_BY}
    sees, missing = sort_shown(shown)
    return in_ascii(
        f"[TwoPassProbe] attached to {getattr(worker, '__name__', worker)} since={since_of(function)} "
        f"sees={','.join(sees) or '-'} missing={','.join(missing) or '-'} "
        f"file={getattr(worker, '__file__', None) or '-'}"
    )


def since_of(function):
    """The date since which the second pass has had a signature like this one; "-" for one that is not known."""
    parameters = inspect.signature(function).parameters
    return next((date for name, date in _VERSIONS.items() if name in parameters), "-")


def may_lack(since):
    """What of a pass (words of `SHOWN_BY`) some of the versions with a signature of that date did not show yet.

    A signature that is not known is held to what the newest one shows.
    """
    return _MAY_LACK.get(since, ())


def sort_shown(shown):
    """What of a pass is shown, and what is not: two tuples of words of `SHOWN_BY`, in its order."""
    words = tuple(SHOWN_BY.values())
    return tuple(word for word in words if word in shown), tuple(word for word in words if word not in shown)


def hooks_of(home):
    """(owner, name, observer) of each inner function that a home module has."""
    owners = [(home, GAINS, observe_gains), (home, COADD, observe_coadd), (home, CALLER, observe_caller)]
    owners.append((home, POST_STACK, observe_post_stack))
    # Public ZeMosaic calls the coadd as an attribute of its utilities module.
    owners.append((getattr(home, UTILS, None), COADD, observe_coadd))
    owners += [(home, name, observer) for name, observer in OBSERVERS.items()]
    return [entry for entry in owners if callable(getattr(entry[0], entry[1], None))]
