"""Run by `test_fault_children.py` in a process of its own: `fault_child.py MODE`, result in `result.json`.

A process may be spoilt here: its streams closed, its locks held, its end begun.
"""

import atexit
import contextlib
import io
import json
import logging
import os
import sys
import threading
from dataclasses import replace

MODE = sys.argv[1]
done = {}


def finish():
    with open("result.json", "w") as file:
        json.dump(done, file)


# Before anything else is imported: what is registered first is called last, after the logging is shut down.
if MODE == "atexit last":
    atexit.register(lambda: watched_call())

import multiprocessing  # noqa: E402

import numpy as np  # noqa: E402

import zemosaic_instrument  # noqa: E402
from helpers.bystander import surroundings  # noqa: E402
from helpers.logs import ListHandler  # noqa: E402
from helpers.passes import digest  # noqa: E402
from helpers.replay import Night  # noqa: E402
from zemosaic_twopass import guard  # noqa: E402
from zemosaic_twopass.report import artefacts  # noqa: E402
from zemosaic_twopass.watch.probe import state  # noqa: E402

night = Night.make(columns=2, fault="mask")
logger = logging.getLogger("ZeMosaicWorker")
logger.setLevel(logging.DEBUG)
logger.propagate = False
logger.addHandler(ListHandler())


def result():
    return digest(*night.call(logger))


def report_on(probe):
    """What a watched call gave, and what was said and written."""
    (report,) = probe.reports
    return {
        "verdict": report.verdict,
        "tiles": [tile.post_source for tile in report.tiles],
        "warnings": [
            text
            for level, text in logger.handlers[0].messages
            if level == "WARNING" and not text.startswith("[TwoPassVerdict]")
        ],
        "files": len(os.listdir("found")) if os.path.isdir("found") else 0,
    }


def watched_call():
    with zemosaic_instrument.TwoPassProbe(night.worker, directory="found", downsample=4) as probe:
        done["watched"] = result()
        done.update(report_on(probe))
    finish()


def without_pictures():
    for name in [name for name in artefacts.ARTEFACTS if name.endswith(".png")]:
        artefacts.ARTEFACTS[name] = (lambda report: False, None)


def first_call():
    """Everything that is imported late is imported now."""
    before = surroundings()
    watched_call()
    after = surroundings()
    done["changed"] = sorted(key for key in before if before[key] != after[key])
    finish()


def streams_closed():
    # A handler of somebody else's on a stream that is gone, as in a worker whose window was closed.
    stream = io.StringIO()
    stream.close()
    logger.addHandler(logging.StreamHandler(stream))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is not None:
            getattr(sys, name).close()
    watched_call()


def sizes(folder):
    return {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)}


def small_files():
    """Limits at which one file or another does not fit by its last byte, or by its second half."""
    import resource

    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    done["limits"] = {}
    with zemosaic_instrument.TwoPassProbe(night.worker, directory="whole", downsample=4) as probe:
        result()
    (report,) = probe.reports
    # So large that the arrays of the FITS file fill their blocks to the end.
    grown = {
        name: np.ones((18, 40), getattr(report.delta, name).dtype) for name in ("delta", "signed", "count", "worst")
    }
    report = replace(report, delta=replace(report.delta, **grown), before=None)
    report.write("whole")
    whole = done["whole"] = sizes("whole")
    for limit in sorted({size // part - 1 for size in whole.values() for part in (1, 2)}):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, kept[1]))
        with contextlib.suppress(OSError):
            report.write(f"at_{limit}")
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        done["limits"][limit] = sizes(f"at_{limit}")
    logger.handlers[0].messages.clear()
    resource.setrlimit(resource.RLIMIT_FSIZE, (900, kept[1]))
    with zemosaic_instrument.TwoPassProbe(night.worker, directory="found", downsample=4) as probe:
        done["watched"] = result()
        done.update(report_on(probe))
    resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    finish()


def in_a_fork(action):
    """Do something in a forked child; say how it ended, also if it never did."""
    process = multiprocessing.get_context("fork").Process(target=action)
    process.start()
    process.join(60)
    done["fork"] = "hangs" if process.exitcode is None else process.exitcode
    process.kill()
    process.join()


def forked_action():
    zemosaic_instrument.attach(night.worker, delta_map=False)
    right = result() == done["bare"]
    seen = len(zemosaic_instrument.attach(night.worker).reports)
    zemosaic_instrument.detach(night.worker)
    sys.exit(0 if right and seen == 1 else 1)


def fork_under_lock():
    held, free = threading.Event(), threading.Event()

    def hold():
        with state.lock, guard.take_turn():
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    in_a_fork(forked_action)
    free.set()
    thread.join()
    watched_call()


def fork_inside_a_pass():
    """A pool of the pipeline's own may be forked at any point; a pass in it is as good as any."""
    original = night.worker.compute_per_tile_gains_from_coverage
    seen = []

    def gains(*args, **kwargs):
        if not seen:
            seen.append(None)
            in_a_fork(forked_action)
        return original(*args, **kwargs)

    night.worker.compute_per_tile_gains_from_coverage = gains
    watched_call()


def at_the_end():
    atexit.register(watched_call)


def daemon_at_the_end():
    """A daemon thread that only now starts its pass; what waits for it waits in the shutdown."""
    ending = threading.Event()

    def work():
        ending.wait()
        watched_call()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    atexit.register(lambda: (ending.set(), thread.join()))


MODES = {
    "first call": first_call,
    "streams closed": streams_closed,
    "small files": small_files,
    "fork under lock": fork_under_lock,
    "fork inside a pass": fork_inside_a_pass,
    "atexit": at_the_end,
    "atexit last": lambda: None,
    "daemon": daemon_at_the_end,
}

if __name__ == "__main__":
    if MODE != "first call":
        without_pictures()
    done["bare"] = result()
    done["again"] = result()
    MODES[MODE]()
