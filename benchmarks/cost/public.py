"""Our worker's second pass, and the diagnostics, against the second pass of a public ZeMosaic.

Run: python -m benchmarks.cost.public PATH/zemosaic_worker.py [--rounds N] [--side 6]

In an environment that has what that worker imports. The gains of both workers must be equal.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.cost.night import Night
from benchmarks.measure import in_turn, ratio, table
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.offline.workers import load_worker
from zemosaic_twopass.watch.hooks import GAINS


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
    night = Night.grid(options.side)
    public = load_worker(options.worker)
    ours, theirs = [], []
    with noting(night.worker, ours), noting(public, theirs), tempfile.TemporaryDirectory() as directory:

        def watched(**settings):
            with TwoPassProbe(public, directory=directory, strict=True, **settings):
                night.second_pass(public)

        functions = {
            "ours": lambda: night.second_pass(night.worker),
            "public": lambda: night.second_pass(public),
            "lines": lambda: watched(delta_map=False),
            "everything": watched,
        }
        seconds = in_turn(functions, options.rounds)
    difference = float(np.abs(np.subtract(ours, theirs)).max())
    pairs = (("public", "ours"), ("lines", "public"), ("everything", "public"))
    faster, lines, everything = (f"{ratio(seconds, *pair):.4g}" for pair in pairs)
    table(
        "Second pass, RGB tiles of 600 × 400",
        [
            "tiles",
            "ours faster than the public one",
            "largest difference of gains",
            "public with tile lines / bare",
            "all",
        ],
        [[options.side**2, f"{faster} ×", f"{difference:.1e}", lines, everything]],
    )


if __name__ == "__main__":
    main()
