"""What a call may change about the process, and how to make any function of the diagnostics fail."""

import contextlib
import importlib
import inspect
import logging
import os
import pkgutil
import random
import signal
import sys
import threading
import warnings

import numpy as np

import zemosaic_instrument
import zemosaic_twopass

# Never on the pipeline's path: what works without a call or reads tiles from disk, the demo, the command, the reader
# of reports; and the arithmetic of our own worker. The seams need a larger mosaic than that of the replayed night:
# `rooms/watch/test_seams_of_pass.py` has one, and lets each of their functions fail.
ELSEWHERE = (
    "offline",
    "synthetic",
    "command",
    "phase5",
    "report.show",
    "report.compare",
    "tiles.copies",
    "tiles.headers",
    "tiles.images",
    "tiles.mosaic",
    "tiles.reading",
    "measure.fluxes",
    "diagnosis.acceptance",
    "diagnosis.held_out",
    "diagnosis.photometry.zero_points",
    "diagnosis.seams",
    "report.seams",
    "report.mosaic_panel",
    "report.seam_picture",
    "report.seam_profiles",
    "console",
    "__main__",
)


def modules_on_the_path():
    """Every module that a watched second pass may run through, ours only."""
    found = []
    for entry in pkgutil.walk_packages(zemosaic_twopass.__path__, "zemosaic_twopass."):
        name = entry.name.removeprefix("zemosaic_twopass.")
        if not entry.ispkg and not any(name == other or name.startswith(f"{other}.") for other in ELSEWHERE):
            found.append(importlib.import_module(entry.name))
    return [*found, zemosaic_instrument]


def functions_of(module):
    """{name: function} of every function and method that is written down in a module."""
    found = {}
    owners = [module, *(entry for entry in vars(module).values() if inspect.isclass(entry))]
    for owner in owners:
        for entry in vars(owner).values():
            # Whatever stands around it: property, cached property, class method, context manager.
            for attribute in ("__func__", "fget", "func"):
                entry = getattr(entry, attribute, entry)
            function = inspect.unwrap(entry) if callable(entry) else entry
            if inspect.isfunction(function) and function.__code__.co_filename == module.__file__:
                found[function.__qualname__] = function
    return found


# Rooms in which an error goes up through whoever calls, but where a module catches some.
_GOING_UP = tuple(f"zemosaic_twopass.{room}." for room in ("tiles", "measure", "diagnosis", "report"))


def goes_up(module, name):
    """Whether a function fails as those do that call it: it is private to such a module, which catches nothing."""
    private = name.split(".")[-1].startswith("_") and not name.endswith("__")
    catches = ("except ", "suppress(", "guard(")
    return (
        private
        and module.__name__.startswith(_GOING_UP)
        and not any(word in inspect.getsource(module) for word in catches)
    )


_calls = []


def _fails(*args, **kwargs):
    from helpers import bystander

    bystander._calls.append(None)
    raise bystander._calls[0]("injected")


def _exchange(function, code):
    # Python 3.13 does not like a generator function that becomes a plain one.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        function.__code__ = code


@contextlib.contextmanager
def failing(*functions, error):
    """Make functions raise a kind of error whenever they are called; yields a callable: how often it happened.

    Their code is exchanged, so it makes no difference who has imported them under which name.
    """
    kept = [function.__code__ for function in functions]
    _calls[:] = [error]
    try:
        for function in functions:
            _exchange(function, _fails.__code__.replace(co_freevars=function.__code__.co_freevars))
        yield lambda: len(_calls) - 1
    finally:
        for function, code in zip(functions, kept, strict=True):
            _exchange(function, code)


def reached(call):
    """Code of every Python function that a call runs through, in this thread and in those that it starts."""
    codes = set()

    def note(frame, event, argument):
        if event == "call":
            codes.add(frame.f_code)

    before = sys.getprofile(), threading.getprofile()
    sys.setprofile(note)
    threading.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])
    return codes


def _open_files(directory="/proc/self/fd"):
    """{descriptor: what it leads to}, where the system tells, but for the fonts that matplotlib keeps open."""
    found = {}
    for number in os.listdir(directory) if os.path.isdir(directory) else ():
        # One of them listed the directory and is closed again.
        with contextlib.suppress(FileNotFoundError):
            found[number] = os.readlink(f"{directory}/{number}")
    return {number: aim for number, aim in found.items() if not aim.endswith(".ttf")}


def surroundings():
    """All that a call of the pipeline finds and leaves; the global random state under "random"."""
    name, *state = np.random.get_state()
    loggers = [logging.getLogger(), logging.getLogger("ZeMosaicWorker")]
    return {
        "random": (name, state[0].tobytes(), *state[1:]),
        "python random": random.getstate(),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "floating point": np.geterr(),
        "printing": np.get_printoptions(),
        "environment": dict(os.environ),
        "logging": [(entry.level, entry.disabled, entry.propagate, list(entry.handlers)) for entry in loggers],
        "logging disabled": logging.root.manager.disable,
        "directory": os.stat(".")[1:3],
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": _open_files(),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "import path": list(sys.path),
    }


def differences(before, after):
    """What two surroundings do not have in common, a line each; empty where there is nothing of the kind."""
    return "\n".join(f"{key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key])
