"""Two runs side by side: equal ones whose matching draws other lots, and one that has a step put into it.

Run: python -m benchmarks.accuracy.compare [--runs N] [--seed S]

Scenes of 2 × 3 RGB tiles of 260 × 340 (noise 8 adu), each tile with an offset and a slope of its own, through both
passes of our worker with two seeds of NumPy's global generator. Then all of one tile's footprint is raised in the
second mosaic, by a part of the noise of a pixel of it. With the tiles and by the coverage alone. Everything is drawn
anew from the seed.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict

import numpy as np

from benchmarks.measure import machine
from zemosaic_twopass.command.passes import make_first_pass
from zemosaic_twopass.diagnosis.comparison import CorrectedTiles, compare
from zemosaic_twopass.diagnosis.gains import Gains
from zemosaic_twopass.diagnosis.seams import Layout, Picture, Regions, compare_seams, seams_alone, seams_with_tiles
from zemosaic_twopass.measure.measurement import measure_tile
from zemosaic_twopass.offline.workers import load_worker, run_second_pass
from zemosaic_twopass.synthetic.faults import Fault
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.grid import pixels_between
from zemosaic_twopass.tiles.records import SecondPass, TileList
from zemosaic_twopass.tiles.tile_set import TileSet, results

TILES = 6
SIZES = (0.3, 1.0, 3.0)


def scene(seed, rng):
    """Tiles, mosaics of two equal runs, and the coverage, WCS and shape that they have in common."""
    faults = [
        Fault.parse(f"{kind}:{tile}:{rng.normal(0, size):.3f}")
        for kind, size in (("offset", 10.0), ("gradient", 6.0))
        for tile in range(TILES)
    ]
    tiles = synthetic_tiles(rows=2, columns=3, shape=(260, 340), seed=seed, faults=faults)
    worker, mosaics = load_worker(), []
    for lots in (1, 2):
        np.random.seed(1000 * seed + lots)
        first = make_first_pass(worker, tiles, 1)
        quiet = logging.getLogger("benchmark")
        mosaics.append(run_second_pass(worker, first, tiles, sigma=50.0, clip=(0.85, 1.18), logger=quiet)[0])
    return tiles, mosaics, first[1:]


def ways(tiles, wcs, shape, coverage):
    """How the seams of mosaics are measured: with the tiles, and by the coverage."""
    placed = TileSet.of_pass(SecondPass(TileList.of(tiles), wcs, shape))
    looks = results(placed.each(measure_tile))
    unknown = np.full(len(looks), np.nan)
    with np.errstate(all="ignore"):
        corrected = CorrectedTiles.of(compare(looks, placed), Gains(unknown, unknown, unknown)).in_boxes_of(looks)
    footprints, regions = [look.footprint for look in looks], Regions.of_coverage(coverage)

    def with_tiles(mosaics):
        return seams_with_tiles([Picture.of("m", mosaic) for mosaic in mosaics], Layout(footprints), corrected).maps

    def by_coverage(mosaics):
        return seams_alone([(Picture.of("m", mosaic), mosaic) for mosaic in mosaics], regions).maps

    return {"tiles": with_tiles, "coverage": by_coverage}


def raised(mosaic, tile, wcs, size):
    """A copy of a mosaic with all of a tile's footprint higher by so many adu."""
    y, x = np.indices(mosaic.shape[:2])
    column, row = pixels_between(wcs, tile.wcs, x.ravel(), y.ravel())
    height, width = tile.shape
    inside = (row > -0.5) & (row < height - 0.5) & (column > -0.5) & (column < width - 0.5)
    return mosaic + np.float32(size) * inside.reshape(mosaic.shape[:2], order="C")[..., np.newaxis]


def touches(tile, wcs, edge):
    """Whether an edge lies within 12 px of the border of a tile."""
    column, row = (float(at) for at in pixels_between(wcs, tile.wcs, edge.x, edge.y))
    height, width = tile.shape
    gaps = np.array([row, height - 1 - row, column, width - 1 - column])
    return gaps.min() > -12 and np.abs(gaps).min() < 12


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=100)
    options = parser.parse_args()
    found = defaultdict(list)
    for seed in range(options.seed, options.seed + options.runs):
        rng = np.random.default_rng(seed)
        tiles, mosaics, (coverage, wcs, shape) = scene(seed, rng)
        found["apart"].append(float(np.nanstd(mosaics[0] - mosaics[1])))
        number = int(rng.integers(TILES))
        for way, measured in ways(tiles, wcs, shape, coverage).items():
            equal = compare_seams(*measured(mosaics))
            known = len(equal.changes) - equal.count("unknown")
            found[way, "equal"].append((equal.count("same"), known, equal.result == "same"))
            noise = float(np.nanmedian([edge.noise for edge in equal.maps[0].edges]))
            for size in SIZES:
                other = raised(mosaics[1], tiles[number], wcs, size * noise)
                stepped = compare_seams(*measured([mosaics[0], other]))
                own = [touches(tiles[number], wcs, change.first) for change in stepped.changes]
                changed = [change.verdict in ("better", "worse") for change in stepped.changes]
                missed = [change.step.channel is None for change in stepped.changes]
                hit = sum(a and b for a, b in zip(own, changed, strict=True))
                there = sum(a and not b for a, b in zip(own, missed, strict=True))
                found[way, size].append((hit, there, sum(changed) - hit, stepped.result))
    print(machine())
    print(
        f"{options.runs} scenes from seed {options.seed}; equal runs differ by {np.max(found['apart']):.2g} adu at most"
    )
    for way in ("tiles", "coverage"):
        same, known, alike = map(np.sum, zip(*found[way, "equal"], strict=True))
        print(f"{way}: equal runs: {same} of {known} edges the same, {alike} of {options.runs} pairs as a whole")
        for size in SIZES:
            hits, there, other, ends = zip(*found[way, size], strict=True)
            print(
                f"{way}: a tile raised by {size:g} x noise: {sum(hits)} of {sum(there)} of its edges changed, "
                f"{sum(other)} others; as a whole worse {ends.count('worse')}, better {ends.count('better')}, "
                f"same {ends.count('same')}"
            )


if __name__ == "__main__":
    main()
