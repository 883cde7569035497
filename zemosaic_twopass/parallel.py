"""Threads for work that NumPy does outside the interpreter's lock."""

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
