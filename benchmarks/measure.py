"""What the benchmarks share: runs taken in turn, their ratios, and the machine they were taken on."""

from __future__ import annotations

import os
import platform
import sys
import time

import numpy as np


def machine():
    """One line on the machine: cores, Python, NumPy; nothing that names it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return f"{cores} cores ({platform.machine()}), {load}; Python {platform.python_version()}, NumPy {np.__version__}"


def in_turn(functions, rounds):
    """Seconds that each function takes, all of them once a round, so that what slows the machine slows all.

    Parameters
    ----------
    functions : dict of str to callable
    rounds : int

    Returns
    -------
    dict of str to list of float
        One value a round; a round to warm up is not counted.
    """
    seconds = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds, name, reference):
    """Median over the rounds of the time of one function over that of another."""
    return float(np.median([a / b for a, b in zip(seconds[name], seconds[reference], strict=True)]))


def exponent(sizes, seconds):
    """Slope of log time over log size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def table(title, header, rows):
    """Print a table in Markdown, and the machine below it."""
    print(f"\n{title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(f"\n{machine()}")
    sys.stdout.flush()
