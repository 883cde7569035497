"""Steps between neighbours before and after `repair`, against what tiles of the same sky without a fault have.

Run: python -m benchmarks.accuracy.repair [--runs N] [--offset ADU] [--gain PART] [--slope ADU]

Nights of a small colour camera (9 RGB tiles of 560 × 760, stacks of ten frames, noise of a pixel 5 adu), one a seed.
Offset, gain and slope, drawn from normal distributions, are put into every tile; `repair` writes copies of them. Steps:
root mean square over pairs of neighbours and channels of the median step where they overlap, in adu.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measure import table
from zemosaic_twopass.diagnosis.closure import median_steps
from zemosaic_twopass.diagnosis.examination import verdict_of
from zemosaic_twopass.diagnosis.kinds import NOTES
from zemosaic_twopass.measure.coarse import project_blocks
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.synthetic.nights import faults_everywhere, night_tiles, with_fault
from zemosaic_twopass.tiles.mosaic import find_smallest_grid
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6, help="skies (default: 6)")
    parser.add_argument("--seed", type=int, default=401)
    parser.add_argument("--offset", type=float, default=3.0, help="standard deviation in adu (default: 3)")
    parser.add_argument("--gain", type=float, default=0.02, help="standard deviation, relative (default: 0.02)")
    parser.add_argument("--slope", type=float, default=3.0, help="standard deviation in adu (default: 3)")
    options = parser.parse_args()
    sizes = {"offset": options.offset, "gain": options.gain, "slope": options.slope}
    columns = ("faulty", "repaired", "of it fault", "without a fault", "noise")
    rows = []
    for seed in range(options.seed, options.seed + options.runs):
        clean = night_tiles(seed).tiles
        faults = faults_everywhere(seed, len(clean), **sizes)
        faulty = [with_fault(tile, faults[index]) for index, tile in enumerate(clean)]
        found, alone = repaired(faulty, clean), repaired(clean, clean)
        steps = (*found.steps, found.left, alone.steps[0], found.noise)
        rows.append([seed, *(f"{value:.3g}" for value in steps), *found.named, found.verdict, f"{found.seconds:.1f}"])
        print("#", *rows[-1], flush=True)
    table("steps, rms in adu", ["seed", *columns, "findings before", "after", "verdict", "CPU s"], rows)


@dataclass(frozen=True)
class Outcome:
    """What came of a repair; `left` is the rms of the steps in copy - tile without a fault, `named` findings."""

    steps: tuple[float, float]
    left: float
    noise: float
    named: tuple[int, int]
    verdict: str
    seconds: float


def repaired(tiles, clean):
    """Outcome of the repair of tiles that would be `clean` without their faults."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / tile.name for tile in tiles]
        for path, tile in zip(paths, tiles, strict=True):
            write_master_tile(path, tile)
        start = time.process_time()
        done = repair(paths, Path(folder) / "copies")
        seconds = time.process_time() - start
        left = [
            replace(tile, pixels=read_master_tile(path).pixels - tile.pixels)
            for path, tile in zip(done.files, clean, strict=True)
        ]
    wcs, shape = find_smallest_grid([tile.shape for tile in clean], [tile.wcs for tile in clean])
    steps = median_steps([project_blocks(tile, Place.of(tile.shape, tile.wcs, shape, wcs)) for tile in left])
    named = [sum(finding.kind not in NOTES for finding in each.findings) for each in (done.before, done.after)]
    size = float(np.sqrt(np.nanmean(np.square(list(steps.values()))))) if steps else 0.0
    return Outcome(done.steps, size, done.noise, tuple(named), verdict_of(done.after.findings), seconds)


if __name__ == "__main__":
    main()
