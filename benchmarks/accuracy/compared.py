"""Tiles as given against one another: false alarms, errors, and faults of any size, alone and in company.

Run: python -m benchmarks.accuracy.compared [clean faults sizes company bows small montage] [--runs N]
     [--sorts white night dense]

Scenes of three sorts: white noise (9 to 36 tiles of 700 × 1000 pixels, one channel), nights of a small colour camera
(9 RGB tiles of 560 × 760, stacks of ten frames), heavy overlap (60 tiles of 256 × 320, each meeting 20 others and more,
one channel, white noise). Everything is drawn anew from the seed; only the part of the diagnosis runs that compares
tiles with tiles.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from benchmarks.accuracy.cases import BOWS, NOISE, Case, compared, judged, run
from benchmarks.measure import machine
from zemosaic_twopass.synthetic.nights import TileFault, with_fault
from zemosaic_twopass.synthetic.sky import synthetic_tiles

SIZES = {
    "offset": (0.5, 2, 10, 50, 500),
    "gain_residual": (0.1, 0.5, 0.9, 0.97, 1.03, 1.5, 3),
    "gradient": (0.2, 1, 5, 20, 100),
    "astrometry": (0.1, 0.3, 1, 2, 4, 8, 20),
}
# On nights, in units of the noise, as a factor, and in pixels: smallest and largest.
ON_NIGHTS = {"offset": (0.5, 3), "gain_residual": (1.01, 1.03), "gradient": (1, 3), "astrometry": (0.3, 3)}


def cases_of(options):
    for sort in options.sorts:
        if "clean" in options.what:
            yield from (Case("clean", sort, options.seed + number) for number in range(options.runs))
        if "faults" in options.what:
            rng = np.random.default_rng(options.seed)
            for kind, (low, high) in ON_NIGHTS.items():
                for number in range(options.runs // 4):
                    yield Case("faults", sort, options.seed + 5000 + number, kind, float(rng.uniform(low, high)))
        if "sizes" in options.what:
            for kind, sizes in SIZES.items():
                for size in sizes:
                    for number in range(max(1, options.runs // 25)):
                        yield Case("sizes", sort, options.seed + 9000 + 8 * number, kind, size)
        if "bows" in options.what:
            for others in BOWS:
                for kind, size in {"gradient": 0, "offset": 1, "gain_residual": 1.02}.items():
                    for number in range(max(1, options.runs // 10)):
                        yield Case("bows", sort, options.seed + 3000 + number, kind, size, others)
        if "company" in options.what:
            large = {"offset": 12, "gain_residual": 1.06, "gradient": 15, "astrometry": 2.0}
            for others in ("1", "2", "everywhere"):
                for kind, size in large.items():
                    for number in range(max(1, options.runs // 20)):
                        yield Case("company", sort, options.seed + 7000 + number, kind, size, others)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = ("clean", "faults", "sizes", "company", "bows", "small", "montage")
    parser.add_argument("what", nargs="*", default=choices)
    parser.add_argument("--runs", type=int, default=200, help="clean scenes of each sort (default: 200)")
    parser.add_argument("--sorts", nargs="*", default=list(NOISE), choices=list(NOISE))
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    started, outcomes = time.time(), []
    cases = list(cases_of(options))
    with ProcessPoolExecutor(options.jobs) as pool:
        for number, outcome in enumerate(pool.map(run, cases, chunksize=2), start=1):
            outcomes.append(outcome)
            if number % 50 == 0:
                print(f"# {number} of {len(cases)} runs, {time.time() - started:.0f} s", flush=True)
    report(outcomes)
    if "small" in options.what:
        report_small(options.seed)
    if "montage" in options.what:
        report_montage(options.seed)
    print(f"\n{machine()}")


def report(outcomes):
    """Print everything."""
    groups = defaultdict(list)
    for outcome in outcomes:
        groups[outcome[0].what, outcome[0].sort].append(outcome)
    for (what, sort), found in groups.items():
        if what == "clean":
            report_clean(sort, found)
            continue
        print(f"\n## {what}, {sort}\n\n| fault | runs | kind and tile right | size right | also named, mean | else |")
        print("|---|---|---|---|---|---|")
        rows = defaultdict(list)
        for outcome in found:
            case = outcome[0]
            key = {"sizes": f"{case.kind} {case.size:g}", "company": f"{case.kind} beside {case.others}"}
            key["bows"] = f"{case.kind} {case.size:g}, {case.others}"
            rows[key.get(what, case.kind)].append(outcome)
        for key, own in rows.items():
            right = [judged(outcome) for outcome in own]
            beside = np.mean([max(outcome[3] - 1, 0) for outcome in own])
            wrong = Counter(
                (f"{o[2][0].kind} {o[2][0].tile}/{o[4][0]}" if o[2] else "nothing")
                for o, (hit, _) in zip(own, right, strict=True)
                if not hit
            )
            sized = sum(size for _, size in right)
            print(f"| {key} | {len(own)} | {sum(h for h, _ in right)} | {sized} | {beside:.2f} | {dict(wrong) or ''} |")


def report_clean(sort, found):
    alarms = [outcome for outcome in found if outcome[3]]
    print(f"\n## clean, {sort}: {len(alarms)} of {len(found)} scenes with a false alarm\n")
    for case, _, first, number, _ in alarms:
        print(f"- seed {case.seed}: {number}, first {first[0].kind} tile {first[0].tile} {first[0].value:.4g}")
    print("\n| term | z: standard deviation | from the median deviation | largest | values |\n|---|---|---|---|---|")
    values = defaultdict(list)
    for outcome in found:
        for term, own in outcome[1].items():
            values[term] += own
    for term, own in values.items():
        own = np.array(own)
        robust = 1.4826 * np.median(np.abs(own))
        print(f"| {term} | {own.std():.2f} | {robust:.2f} | {np.abs(own).max():.1f} | {len(own)} |")


def report_small(seed):
    """Small tiles that share a third, and strips: is an offset of one noise found, is nothing else?"""
    print("\n## small tiles\n\n| tiles | noise | runs | tested | offset of 1 x noise found | false alarms without |")
    print("|---|---|---|---|---|---|")
    for shape, rows, columns in (((128, 128), 3, 3), ((128, 128), 4, 4), ((166, 386), 4, 3), ((200, 200), 3, 3)):
        found = tested = alarms = runs = 0
        for number in range(25):
            tiles = synthetic_tiles(rows=rows, columns=columns, shape=shape, overlap=1 / 3, seed=seed + number)
            surveyed, named = compared(tiles)
            alarms += bool(named)
            tested += all(fit is not None for fit in surveyed.fits)
            tile = number % len(tiles)
            tiles[tile] = with_fault(tiles[tile], TileFault(offset=8.0))
            _, named = compared(tiles)
            found += bool(named) and named[0].tile == tile
            runs += 1
        print(f"| {rows * columns} of {shape[0]} x {shape[1]} x 3 | 8 | {runs} | {tested} | {found} | {alarms} |")


def report_montage(seed):
    """36 tiles with levels, or gains, of their own."""
    print("\n## 36 tiles of 400 x 600, noise 2 adu, something in every tile\n")
    print("| what | rms of the error | mean error given |")
    print("|---|---|---|")
    for what in ("offset", "gain"):
        rms, given = [], []
        for number in range(4):
            tiles = synthetic_tiles(rows=6, columns=6, shape=(400, 600), noise=2.0, seed=seed + number)
            rng = np.random.default_rng(seed + number)
            if what == "offset":
                truth = rng.normal(0, 2.5, 36)
                tiles = [with_fault(t, TileFault(offset=v)) for t, v in zip(tiles, truth, strict=True)]
            else:
                truth = rng.uniform(-0.1, 0.1, 36)
                tiles = [with_fault(t, TileFault(gain=v)) for t, v in zip(tiles, truth, strict=True)]
            found, _ = compared(tiles)
            values = np.array([getattr(fit, what)[0] for fit in found.fits])
            # A constant, or a gain common to all, no data can tell.
            off = values - truth - np.mean(values - truth)
            if what == "gain":
                ratio = (1 + values) / (1 + truth)
                off = ratio / np.mean(ratio) - 1
            rms.append(off.std())
            given.append(np.mean([getattr(fit, f"{what}_error")[0] for fit in found.fits]))
        print(f"| {what} | {np.mean(rms):.4f} | {np.mean(given):.4f} |")


if __name__ == "__main__":
    main()
