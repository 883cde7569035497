"""Whole passes of nine small tiles, each kind of fault with background matching and without: whose are the seams?

Run: python -m benchmarks.accuracy.seams_explained [--runs N] [--kinds KIND …] [--seed S] [--jobs J]

Where the picture shows a seam: whether it is given to the fault that was put in and to its tile, or called a `seam` of
the right stage where that is what was put in. The truth is a second mosaic, of the same scene without the fault: a step
that is there too is not the fault's. Gains on a pedestal leave such steps, faint ones, in some of so small mosaics,
with a fault or without; of sound scenes it is asked whether they go where all gains are 1. But for these the picture
of those must show no seam; a second run of each, whose matching draws other lots, must be the same at every edge.
Without matching gains are 1, but for `gain_seam`. Where a mask left a hole in the second pass that the first fills, a
`seam` of the merge is right beside `mask_bug`.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import lru_cache, partial
from itertools import product
from unittest import mock

import numpy as np

import zemosaic_worker
from benchmarks.measure import machine
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.command.passes import make_first_pass
from zemosaic_twopass.diagnosis.seams import compare_seams
from zemosaic_twopass.offline.workers import run_second_pass
from zemosaic_twopass.report.report import TwoPassReport
from zemosaic_twopass.synthetic import faults as orders
from zemosaic_twopass.synthetic.faults import Fault, faulty_pass
from zemosaic_twopass.synthetic.sky import synthetic_tiles

KINDS = (
    *("sound", "offset", "gain_residual", "gradient", "uneven_background", "vignetting", "astrometry"),
    *("unmasked_border", "gain_seam", "mask_bug", "not_closed", "seam"),
)
SHAPE = (240, 320)
# What is about the whole set, and so about no tile.
_ALL = "vignetting", "gain_seam"
# So near each other, in pixels, edges of one tile are the same; so much of a step is what makes it.
_SAME, _MOST_OF_IT = 20.0, 0.5


def reported(kind, matching, seed, lots=0, clip=(0.85, 1.18)):
    """The report of a pass."""
    faults = [] if kind == "sound" else [Fault.parse(f"{kind}:4" if kind not in _ALL else kind)]
    tiles = synthetic_tiles(seed=seed, shape=SHAPE, overlap=0.45, faults=faults)
    np.random.seed(1000 * seed + lots)
    # As the fault `gain_seam` has it.
    coadd = partial(orders._without_background_matching, zemosaic_worker.reproject_and_coadd)
    unmatched = mock.patch.object(zemosaic_worker, "reproject_and_coadd", coadd)
    with nullcontext() if matching else unmatched, tempfile.TemporaryDirectory() as folder:
        first = make_first_pass(zemosaic_worker, tiles, 1)
        with faulty_pass(zemosaic_worker, faults), TwoPassProbe(zemosaic_worker, directory=folder) as probe:
            quiet = logging.getLogger("benchmark")
            quiet.setLevel(logging.CRITICAL)
            # Gains on a pedestal make steps of their own where no matching takes them.
            clip = clip if matching or kind == "gain_seam" else (1.0, 1.0)
            with mock.patch.object(TwoPassReport, "write", lambda self, *args: ()):
                run_second_pass(zemosaic_worker, first, tiles, sigma=50, clip=clip, cpu_workers=1, logger=quiet)
    (report,) = probe.reports
    return report


@lru_cache(maxsize=8)
def without_fault(matching, seed, clip=(0.85, 1.18)):
    """The seams of the last mosaic of a sound scene."""
    return reported("sound", matching, seed, clip=clip).seams[-1]


def run(case):
    """(kind, matching, what came of it), and of sound scenes the verdicts of the edges of two runs."""
    seed, matching, kind = case
    report = reported(kind, matching, seed)
    verdicts = []
    if kind == "sound":
        again = reported(kind, matching, seed, 1)
        changes = compare_seams(report.seams[-1], again.seams[-1]).changes
        verdicts = [change.verdict for change in changes if change.verdict != "unknown"]
    if report.picture in ("no_seam", "unknown"):
        return kind, matching, "none" if report.picture == "no_seam" else "unknown", verdicts
    others = without_fault(matching, seed, (1.0, 1.0)) if kind == "sound" else without_fault(matching, seed)
    by_gains = is_made(report.seams[-1], others) == (kind == "sound")
    return kind, matching, outcome(report, kind, by_gains), verdicts


def is_made(seams, others):
    """Whether most of the step of the worst edge is not in the other mosaic."""
    worst = seams.edges[seams.worst]
    channel = int(np.argmax(np.nan_to_num(np.abs(worst.step))))
    own = [edge for edge in others.edges if (edge.tile, edge.neighbours) == (worst.tile, worst.neighbours)]
    own = [edge for edge in own if np.hypot(edge.x - worst.x, edge.y - worst.y) < _SAME]
    before = own[0].step[channel] if own and np.isfinite(own[0].step[channel]) else 0.0
    return abs(worst.step[channel] - before) >= _MOST_OF_IT * abs(worst.step[channel])


def outcome(report, kind, by_gains):
    """What the worst seam is given to: one of `_OUTCOMES`; whether it is by the gains alone."""
    called = [finding for finding in report.findings if finding.kind == "seam"]
    if kind == "seam":
        if not called:
            return "nobody"
        return "right" if "made in the merge" in called[0].message else "stage"
    worst = report.seams[-1].edges[report.seams[-1].worst]
    whose = [finding for finding in report.findings if finding.seam is not None and finding.seam.seen]
    # Of the worst seam alone: a fault may have another.
    to_gains = "which multiply the pedestal" in report.summary
    if by_gains and not called:
        return "gains" if to_gains else "other" if whose else "nobody"
    if kind == "mask_bug" and report.findings[0].kind == kind:
        return "right"
    if called:
        return "seam"
    if to_gains and kind != "gain_seam":
        return "other"
    if not whose:
        return "line" if worst.lined else "nobody"
    own = whose[0]
    return "right" if own.kind == kind and (kind in _ALL or own.tile == 4) else "other"


_OUTCOMES = "right", "gains", "seam", "stage", "other", "nobody", "line", "none", "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=29)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    started, found, verdicts = time.time(), defaultdict(Counter), defaultdict(list)
    cases = product(range(options.seed, options.seed + options.runs), (True, False), options.kinds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for kind, matching, what, same in pool.map(run, cases):
            found[kind, matching][what] += 1
            verdicts[matching] += same
    print(
        "Right: to the fault and its tile, or of the merge; gains: by those of the sound scene, and said to be; seam:"
    )
    print("called one of the pipeline, and is none; stage: of another; line: one that nobody has; none: no seam.\n")
    print(f"| fault | matching | {' | '.join(_OUTCOMES)} |\n{'|---' * (len(_OUTCOMES) + 2)}|")
    for kind, matching in product(options.kinds, (True, False)):
        counts = found[kind, matching]
        cells = " | ".join(str(counts[what] or "") for what in _OUTCOMES)
        print(f"| {kind} | {'with' if matching else 'without'} | {cells} |")
    for matching, own in verdicts.items():
        if own:
            what = "with" if matching else "without"
            print(f"\nTwo equal runs {what} matching: {own.count('same')} of {len(own)} edges the same.")
    print(f"\n{time.time() - started:.0f} s; {machine()}")


if __name__ == "__main__":
    main()
