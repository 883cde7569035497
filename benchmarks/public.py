"""Our worker's second pass against that of a public ZeMosaic, whose worker file is named on the command line.

Run: python benchmarks/public.py PATH/zemosaic_worker.py [--rounds N] [--side 6]

In an environment that has what that worker imports. The gains of both must be equal.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

import numpy as np
from measure import in_turn, ratio, table
from night import Night

from zemosaic_twopass.seams import GAINS
from zemosaic_twopass.workers import load_worker


def noting(worker, gains):
    """A worker's gain function that keeps what it gave last."""
    function = getattr(worker, GAINS)

    def note(*args, **kwargs):
        gains[:] = function(*args, **kwargs)
        return list(gains)

    return mock.patch.object(worker, GAINS, note)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("worker", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=6)
    options = parser.parse_args()
    night = Night(options.side)
    public = load_worker(options.worker)
    ours, theirs = [], []
    with noting(night.worker, ours), noting(public, theirs):
        functions = {
            "ours": lambda: night.second_pass(night.worker),
            "public": lambda: night.second_pass(public),
        }
        seconds = in_turn(functions, options.rounds)
    difference = float(np.abs(np.subtract(ours, theirs)).max())
    row = [options.side**2, f"{ratio(seconds, 'public', 'ours'):.1f} ×", f"{difference:.1e}"]
    table(
        "Second pass, RGB tiles of 600 × 400",
        ["tiles", "faster than the public one", "largest difference of gains"],
        [row],
    )


if __name__ == "__main__":
    main()
