"""replay on this machine alone against replay on two local Dask workers.

Run: python -m benchmarks.cost.cluster [--rounds N] [--tiles N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.cost.night import written
from benchmarks.measure import in_turn, ratio, table
from zemosaic_twopass.offline.cluster import cluster_map
from zemosaic_twopass.offline.replay import replay


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cluster_map(processes=2) as run:
        mosaic, paths = written(Path(folder), options.tiles)
        gains = [0.95] * len(paths)
        found = {}

        def keep(name, **where):
            found[name] = replay(mosaic, paths, gains, **where)[0]

        functions = {"alone": lambda: keep("alone"), "cluster": lambda: keep("cluster", run=run)}
        seconds = in_turn(functions, options.rounds)
        alone, cluster = found.values()
        assert alone.tiles == cluster.tiles
        assert np.array_equal(alone.delta.delta, cluster.delta.delta)
    row = [options.tiles, f"{ratio(seconds, 'alone', 'cluster'):.2f} ×", "identical"]
    table("replay of tiles of 1550 × 670 × 3", ["tiles", "two Dask workers faster than one machine", "result"], [row])


if __name__ == "__main__":
    main()
