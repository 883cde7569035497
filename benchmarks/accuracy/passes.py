"""Is a sound second pass ever called displaced or unused, and from which shift on is one found?

Run: python -m benchmarks.accuracy.passes [--runs 200] [--seed 1]

Sound: 2 × 2 tiles of 300 × 400 pixels through first pass, second pass and merge of our worker; stars sparse (1 in 9000
px²), as on a usual night (1 in 900), crowded (1 in 90) and none, noise 2 to 20 adu, gains of the pass 0.9 to 1.1.
Displaced: the same with the WCS of all tiles of the second pass moved by 0.3 to 48 px.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from zemosaic_twopass.diagnosis.contract import merge_of
from zemosaic_twopass.diagnosis.registration import compare_passes
from zemosaic_twopass.offline.workers import load_worker
from zemosaic_twopass.phase5.renorm import merge_passes
from zemosaic_twopass.synthetic.sky import SyntheticSky, tangent_wcs
from zemosaic_twopass.tiles.records import SecondPass, TileList

SHAPE, STEP = (300, 400), (210, 290)
STARS = {"sparse": 9000, "usual": 900, "crowded": 90, "none": 0}


def tiles_of(rng, area):
    """Four tiles, their WCS and that of the sky; `area` holds one star, 0 for none."""
    extent = 420.0
    sky = SyntheticSky(rng, extent, int((2 * extent) ** 2 / area) if area else 0)
    tiles, places, noise = [], [], rng.uniform(2, 20)
    for row in (-0.5, 0.5):
        for column in (-0.5, 0.5):
            y, x = np.array(STEP) * (row, column) + rng.uniform(-8, 8, 2)
            centre = sky.plane.pixel_to_world_values(x, y)
            places.append(tangent_wcs(centre, np.deg2rad(rng.uniform(-4, 4)), SHAPE))
            image = sky.image(places[-1], SHAPE).mean(axis=2, keepdims=True)
            tiles.append((image + rng.normal(0, noise, (*SHAPE, 1))).astype(np.float32))
    return tiles, places


def passes_of(worker, rng, area, shift=0.0):
    """A `SecondPass` whose tiles were moved by that many pixels between the passes, and what the merge made of it."""
    tiles, places = tiles_of(rng, area)
    first, coverage, wcs, shape = worker.assemble_first_pass(tiles, places)
    angle = rng.uniform(0, 2 * np.pi)
    moved = [place.deepcopy() for place in places]
    for place in moved:
        place.wcs.crpix -= shift * np.array([np.cos(angle), np.sin(angle)])
    second = worker.run_second_pass_coverage_renorm(
        tiles, moved, wcs, coverage, shape, sigma_px=12, gain_clip=(0.9, 1.1), tiles_coverage=None
    )
    merged, _ = merge_passes((first, coverage), second)
    merge = merge_of((first, coverage), second, merged[0])
    seen = SecondPass(TileList(tiles, moved), wcs, shape, mosaic=second[0], coverage=second[1])
    seen.first_pass, seen.first_coverage = first, coverage
    return seen, merge


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    worker, found = load_worker(), Counter()
    for run in range(options.runs):
        sort = list(STARS)[run % len(STARS)]
        seen, merge = passes_of(worker, np.random.default_rng((options.seed, run)), STARS[sort])
        kinds = " ".join(finding.kind for finding in compare_passes(seen)[1]) or "nothing"
        found[f"sound {sort}: {kinds}, {'unused' if merge.unused else 'used'}"] += 1
    for key, count in sorted(found.items()):
        print(key, count)
    each = max(1, options.runs // 20)
    for shift in (0.3, 0.5, 1.0, 3.0, 15.0, 47.0):
        for sort in ("sparse", "usual", "crowded"):
            off, told = [], 0
            for run in range(each):
                seen, _ = passes_of(worker, np.random.default_rng((options.seed, 7, run)), STARS[sort], shift)
                named = [finding for finding in compare_passes(seen)[1] if finding.kind == "pass_misregistration"]
                told += len(named)
                off += [finding.value - shift for finding in named]
            worst = max(map(abs, off), default=np.nan)
            print(f"displaced {shift:g} px, {sort}: found {told} of {each}, off by {worst:.3f} px at most")


if __name__ == "__main__":
    main()
