"""Peak memory: both passes of our worker, the second one instrumented and bare, and a replay of many tiles from disk.

Run: python -m benchmarks.cost.memory [--tiles N]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np

from benchmarks.cost.night import Night, written
from benchmarks.measure import table
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.offline.replay import replay
from zemosaic_twopass.synthetic.sky import tangent_wcs
from zemosaic_twopass.tiles.records import Tile

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


def turned(count=(5, 6), shape=(1546, 664), angle=36.0, overlap=0.4):
    """Tiles of noise as a camera held at an angle takes them: half of their mosaic is empty. (pixels, WCS, coverage)"""
    plane, rng, tiles = tangent_wcs((83.8, -5.4), 0.0, (0, 0)), np.random.default_rng(1), []
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    for place in np.ndindex(count):
        y, x = np.array(shape) * (1 - overlap) * (place - (np.array(count) - 1) / 2)
        centre = plane.pixel_to_world_values(x * cosine - y * sine, x * sine + y * cosine)
        pixels = 1000 + 8 * rng.standard_normal((*shape, 3), dtype=np.float32)
        own = tangent_wcs(centre, np.deg2rad(angle + rng.uniform(-2, 2)), shape)
        tiles.append(Tile(pixels, own, np.ones(shape, dtype=np.float32)))
    return tiles


def both_passes():
    night = Night(turned())
    night.second_pass(night.worker)


def bare_call(side):
    night = Night.grid(side)
    night.second_pass(night.worker)


def watched_call(side):
    night = Night.grid(side)
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
    night = Night.grid(options.side)
    tile = night.tiles[0].pixels.nbytes / _MB
    with tempfile.TemporaryDirectory() as directory:
        peaks = [
            traced(lambda: night.second_pass(night.worker)),
            traced(lambda: watched(night, directory)),
        ]
    sizes = [resident(call, options.side) for call in (bare_call, watched_call)]
    share = peaks[0] / (options.side**2 * tile)
    print(f"Second pass of {options.side**2} tiles above its start: {share:.2f} × the bytes of the tiles")
    print(f"First and second pass of 30 turned tiles of 1546 × 664 × 3, resident: {resident(both_passes):.0f} MB")
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
