"""Threads for work that NumPy does outside the interpreter's lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def threads(count):
    """Lend a `map` that runs in threads of its own, in contexts of their own, for as long as the block lasts.

    Parameters
    ----------
    count : int
        How many; for 1 the built-in `map` does the work.

    Yields
    ------
    callable
        As `map`: results in the order of the arguments, the first exception raised where its result is taken.
    """
    if count == 1:
        yield map
        return
    pool = ThreadPoolExecutor(count, thread_name_prefix="zemosaic_twopass")
    try:
        yield pool.map
    finally:
        # What has not begun when the block is left early is not begun at all.
        pool.shutdown(cancel_futures=True)
