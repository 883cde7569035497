"""Peak memory: the instrumented second pass against the bare one, and a replay of many tiles from disk.

Run: python benchmarks/memory.py [--tiles N]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import tracemalloc
from pathlib import Path

from measure import table
from night import Night, written

from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.offline.replay import replay

_MB = 2**20


def traced(function):
    """Peak that tracemalloc sees above what is there before, in MB."""
    function()
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1] / _MB
    tracemalloc.stop()
    return peak


def watched(night, directory):
    with TwoPassProbe(night.worker, directory=directory, strict=True):
        night.second_pass(night.worker)


def resident(function, *arguments):
    """Peak resident size in MB of a process of its own that calls a function."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_resident, (function, arguments))


def _resident(function, arguments):
    function(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / _MB


def bare_call(side):
    night = Night(side)
    night.second_pass(night.worker)


def watched_call(side):
    night = Night(side)
    with tempfile.TemporaryDirectory() as directory:
        watched(night, directory)


def replay_all(mosaic, paths):
    report, left_out = replay(mosaic, paths, [0.95] * len(paths))
    assert len(report.tiles) == len(paths)
    assert not left_out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=200)
    parser.add_argument("--side", type=int, default=6)
    options = parser.parse_args()
    night = Night(options.side)
    tile = night.tiles[0].pixels.nbytes / _MB
    with tempfile.TemporaryDirectory() as directory:
        peaks = [
            traced(lambda: night.second_pass(night.worker)),
            traced(lambda: watched(night, directory)),
        ]
    sizes = [resident(call, options.side) for call in (bare_call, watched_call)]
    rows = [
        [f"second pass, {options.side**2} tiles", what, f"{bare:.0f}", f"{own:.0f}", f"{(own - bare) / tile:+.1f}"]
        for what, (bare, own) in (("tracemalloc", peaks), ("resident", sizes))
    ]
    with tempfile.TemporaryDirectory() as folder:
        mosaic, paths = written(Path(folder), options.tiles)
        size = resident(replay_all, mosaic, paths)
    rows.append([f"replay, {options.tiles} tiles of 1550 × 670 × 3", "resident", "-", f"{size:.0f}", "-"])
    table(
        f"Peak memory in MB (a tile of the second pass: {tile:.1f} MB)",
        ["what", "measured by", "bare", "with diagnostics", "more, in tiles"],
        rows,
    )


if __name__ == "__main__":
    main()
