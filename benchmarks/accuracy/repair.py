"""Steps between neighbours before and after `repair`, against what tiles of the same sky without a fault have.

Run: python -m benchmarks.accuracy.repair [--runs N] [--offset ADU] [--gain PART] [--slope ADU] [--real FOLDER]

Nights of a small colour camera (9 RGB tiles of 560 × 760, stacks of ten frames, noise of a pixel 5 adu), one a seed.
Offset, gain and slope, drawn from normal distributions, are put into every tile; `repair` writes copies of them. Steps:
root mean square over pairs of neighbours and channels of the median step where they overlap, in adu.

`--real`: real sets, one tile of some with a fault, instead. The scale of each tile that was changed against the others
is measured by photutils, before and after, and steps are medians of pixels: nothing of that was fitted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.measure import table
from zemosaic_twopass.diagnosis.closure import median_steps
from zemosaic_twopass.diagnosis.examination import verdict_of
from zemosaic_twopass.diagnosis.kinds import NOTES
from zemosaic_twopass.measure.coarse import project_blocks
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.synthetic.nights import faults_everywhere, night_tiles, with_fault
from zemosaic_twopass.tiles.grid import pixels_between
from zemosaic_twopass.tiles.mosaic import find_smallest_grid
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.planes import channels_last
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6, help="skies (default: 6)")
    parser.add_argument("--seed", type=int, default=401)
    parser.add_argument("--offset", type=float, default=3.0, help="standard deviation in adu (default: 3)")
    parser.add_argument("--gain", type=float, default=0.02, help="standard deviation, relative (default: 0.02)")
    parser.add_argument("--slope", type=float, default=3.0, help="standard deviation in adu (default: 3)")
    parser.add_argument("--real", type=Path, help="folder of the real sets")
    options = parser.parse_args()
    if options.real:
        report_real(options.real)
        return
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
        paths = _write(tiles, Path(folder))
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


def _write(tiles, folder):
    """Files of tiles, by their names."""
    paths = [folder / tile.name for tile in tiles]
    for path, tile in zip(paths, tiles, strict=True):
        write_master_tile(path, tile)
    return paths


def report_real(folder):
    # Only here: photutils is needed for nothing else.
    from benchmarks.accuracy.aperture import by_photutils

    print("| set | changed | steps, rms, before and after | scale by photutils of those changed, before; after |")
    print("|---|---|---|---|")
    for name, tiles in _real_sets(folder):
        copies, changed, steps = _copies_of([replace(one, name=f"{number}.fits") for number, one in enumerate(tiles)])
        others = [index for index in range(len(tiles)) if index not in changed]
        told = (
            "; ".join(
                " ".join(
                    f"{scale:.3f}+/-{error:.3f}" for scale, error in zip(*by_photutils(own, odd, others), strict=True)
                )
                for own in (tiles, copies)
            )
            for odd in changed
        )
        print(f"| {name} | {changed} | {steps[0]:.3g}, {steps[1]:.3g} | {' / '.join(told)} |", flush=True)


def _real_sets(folder):
    """Name and tiles of each: one set as it is and with a fault in tile 3, two others as they are."""
    from benchmarks.accuracy.star_scales import real_tiles

    plain = real_tiles(folder, "m94")
    level = np.float32(np.median([np.median(tile.pixels) for tile in plain]))
    subtracted = [replace(tile, pixels=tile.pixels - level) for tile in plain]
    slope = np.linspace(-20, 20, plain[3].shape[1], dtype=np.float32)
    for name, tiles, odd in (
        ("m94", plain, plain[3].pixels),
        ("m94 + 15", plain, plain[3].pixels + 15),
        ("m94 x 1.2", plain, plain[3].pixels * 1.2),
        ("m94, slope of 40", plain, plain[3].pixels + slope),
        ("m94 less its level, x 1.5", subtracted, subtracted[3].pixels * 1.5),
    ):
        yield name, [*tiles[:3], replace(tiles[3], pixels=odd), *tiles[4:]]
    for stem in ("n7023", "m17"):
        yield stem, real_tiles(folder, stem)


def _copies_of(tiles):
    """Copies that `repair` writes, which of them differ from the tiles, and the steps of both by the pixels."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _write(tiles, Path(folder))
        done = repair(paths, Path(folder) / "copies")
        given, copies = ([read_master_tile(path) for path in own] for own in (paths, done.files))
        changed = [
            index
            for index, (one, other) in enumerate(zip(given, copies, strict=True))
            if not np.array_equal(one.pixels, other.pixels, equal_nan=True)
        ]
        copies = [replace(one, pixels=one.pixels.copy()) for one in copies]
        steps = [_steps_by_pixels(own) for own in (given, copies)]
    return copies, changed, steps


def _steps_by_pixels(tiles):
    """Root mean square over pairs and channels of the median difference of the pixels of one at those of the other."""
    found = []
    for one, other in combinations(tiles, 2):
        rows, columns = np.indices(one.shape).reshape(2, -1)[:, ::7]
        x, y = (
            np.nan_to_num(np.rint(axis), nan=-1).astype(int)
            for axis in pixels_between(one.wcs, other.wcs, columns, rows)
        )
        inside = (x >= 0) & (y >= 0) & (x < other.shape[1]) & (y < other.shape[0])
        if np.count_nonzero(inside) > 500:
            planes = (
                channels_last(one.pixels)[rows[inside], columns[inside]],
                channels_last(other.pixels)[y[inside], x[inside]],
            )
            found.append(np.nanmedian(planes[0] - planes[1], axis=0))
    return float(np.sqrt(np.nanmean(np.square(found))))


if __name__ == "__main__":
    main()
