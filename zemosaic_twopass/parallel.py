"""Threads: for work that NumPy does outside the interpreter's lock, and for work that is to know nothing of a call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np


@contextmanager
def threads(count):
    """Lend a `map` that runs in threads of its own for as long as the block lasts.

    Parameters
    ----------
    count : int
        How many; for 1 the built-in `map` does the work, and so it does where no thread can be started any more.

    Yields
    ------
    callable
        As `map`: results in the order of the arguments, the first exception raised where its result is taken.
        `numpy.errstate` holds in the threads as it does here.
    """
    if count == 1:
        yield map
        return
    pool = ThreadPoolExecutor(count, thread_name_prefix="zemosaic_twopass")

    def run(function, *columns):
        state = np.geterr()

        def call(*arguments):
            with np.errstate(**state):
                return function(*arguments)

        columns = [list(column) for column in columns]
        try:
            return pool.map(call, *columns)
        except RuntimeError:
            # When the interpreter shuts down, or the system has no thread left.
            return map(function, *columns)

    try:
        yield run
    finally:
        # What has not begun when the block is left early is not begun at all.
        pool.shutdown(cancel_futures=True)


def apart(function, *args):
    """Call a function in a thread of its own and wait for it.

    Libraries put exceptions that they have dealt with into cycles, and their frames lead to every frame below, until
    the collector comes. Here the frames below are the thread's, so nothing is kept but what is in `args`.

    Parameters
    ----------
    function : callable
    *args
        All that it is to know.

    Returns
    -------
    object
        What the function gives; what it raises is raised. An interrupt of the waiting thread passes at once, while the
        function goes on to its end. Where no thread can be started any more the function runs in this one.
    """
    state = np.geterr()

    def call():
        with np.errstate(**state):
            return function(*args)

    pool = ThreadPoolExecutor(1, thread_name_prefix="zemosaic_twopass")
    try:
        future = pool.submit(call)
    except RuntimeError:
        return call()
    try:
        return future.result()
    finally:
        # Interrupted, it is not waited for.
        pool.shutdown(wait=future.done())
        # Its exception leads to this frame, which must not lead back.
        del future
