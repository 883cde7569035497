"""Where a worker can be watched: the names of its functions, and what to note when they are called.

The observers have the signature of a wrapt wrapper but need no wrapt.
"""

from __future__ import annotations

import contextvars
import sys

from .run import arguments_of, observed_run, quietly

SECOND_PASS = "run_second_pass_coverage_renorm"
GAINS = "compute_per_tile_gains_from_coverage"
COADD = "reproject_and_coadd_wrapper"
CALLER = "_apply_two_pass_coverage_renorm_if_requested"
UTILS = "zemosaic_utils"

# The first-pass mosaic of the caller that is under way in this thread.
first_pass = contextvars.ContextVar("zemosaic_first_pass", default=None)


def observe_gains(wrapped, instance, args, kwargs):
    """Note the gain list that the pipeline computes for a run of ours."""
    gains = wrapped(*args, **kwargs)
    quietly(_note_gains, wrapped, args, kwargs, gains)
    return gains


def observe_coadd(wrapped, instance, args, kwargs):
    """Note the corrected planes that go into a coadd of a run of ours."""
    quietly(_note_planes, wrapped, args, kwargs)
    return wrapped(*args, **kwargs)


def observe_caller(wrapped, instance, args, kwargs):
    """Note the first-pass mosaic, which only the caller of the second pass holds."""
    token = first_pass.set(quietly(_mosaic_of, wrapped, args, kwargs))
    try:
        return wrapped(*args, **kwargs)
    finally:
        first_pass.reset(token)


def _note_gains(wrapped, args, kwargs, gains):
    if found := observed_run(wrapped, args, kwargs, "tiles_wcs"):
        with found[0].guard():
            found[0].capture.observe_gains(gains)


def _note_planes(wrapped, args, kwargs):
    if found := observed_run(wrapped, args, kwargs, "wcs_list"):
        run, arguments = found
        with run.guard():
            run.capture.observe_planes(arguments["data_list"])


def _mosaic_of(wrapped, args, kwargs):
    return arguments_of(wrapped, args, kwargs)["final_mosaic_data"]


def home_of(function, worker=None):
    """The module whose globals a function looks its inner names up in.

    Parameters
    ----------
    function : callable
        Without wrappers.
    worker : module, optional
        Looked at first, and the answer where no module has those globals.
    """
    space = getattr(function, "__globals__", None)
    modules = (worker, sys.modules.get(getattr(function, "__module__", None)), *list(sys.modules.values()))
    return next((module for module in modules if getattr(module, "__dict__", None) is space), worker)


def seams_of(home):
    """(owner, name, observer) of each inner function that a home module has."""
    owners = [(home, GAINS, observe_gains), (home, COADD, observe_coadd), (home, CALLER, observe_caller)]
    # Public ZeMosaic calls the coadd as an attribute of its utilities module.
    owners.append((getattr(home, UTILS, None), COADD, observe_coadd))
    return [entry for entry in owners if callable(getattr(entry[0], entry[1], None))]
