"""Seams put straight into mosaics, and found again: with the tiles and by the coverage alone; and none where none is.

Run: python -m benchmarks.accuracy.seams [--white N] [--night N] [--every K] [--seed S] [--jobs J]

Scenes of two sorts, everything drawn anew from the seed: white noise (9 RGB tiles of 280 × 360 that share 0.35 to 0.5
of a side) and nights of a small colour camera (9 RGB tiles of 400 × 540, stacks of six frames). Each scene has
three mosaics: the mean of the tiles (plain), the mean of matched levels, and one with weights that fall off towards
the edges of each tile, so that noise and sky of mosaic and tiles are not the same: only there is noise left. Into the
weighted mosaic of every K-th scene faults are put, in units of its noise.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks.accuracy.seam_scenes import Scene, added
from benchmarks.measure import machine
from zemosaic_twopass.diagnosis.seams import SURE, Edge, Picture

SIZES = (0.1, 0.3, 1.0, 3.0)
KINDS = "side", "around", "channel", "ramp10", "ramp30", "part", "line"
# In adu, and places on a side of an edge: for a side to have one level.
_EVEN, _FEWEST = 0.02, 3
# An edge is a tile's that it has so many pixels inside and not outside, at most places along it.
_ITS, _MOST = 8.0, 0.8


def across(image, edge):
    """What an image of even regions has inside of an edge less what it has outside, shape (C,).

    None where another step lies beside it: both would be read as one.
    """
    sides, (right, down) = [], edge.normal
    for sign in (-1, 1):
        values = []
        for far, ahead in product((5, 16, 28, 44), (-0.45, -0.2, 0, 0.2, 0.45)):
            x = round(edge.x + sign * far * right - ahead * edge.length * down)
            y = round(edge.y + sign * far * down + ahead * edge.length * right)
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1] and np.isfinite(image[y, x]).all():
                values.append(image[y, x])
        if len(values) < _FEWEST or np.ptp(values, axis=0).max() > _EVEN:
            return None
        sides.append(np.median(values, axis=0))
    return sides[0] - sides[1]


@dataclass
class Row:
    """An edge: what was measured how, whether the fault is at it and how far from it, and the true step or line."""

    what: tuple
    own: bool
    apart: float
    truth: np.ndarray
    edge: Edge


def sound(scene, sort):
    """Rows of the mosaics of a scene as they are."""
    for coadded in ("plain", "matched", "weighted"):
        mosaic, _ = scene.coadd(coadded)
        # Levels that are matched leave steps that are real, and known to the bit.
        made = mosaic - scene.plain if coadded == "matched" else None
        for how in ("tiles", "coverage") if coadded == "weighted" else ("tiles",):
            for edge in scene.measured(mosaic, how):
                truth = np.zeros(3) if made is None else across(made, edge)
                if truth is not None:
                    yield Row((sort, coadded, how, "sound", 0.0), False, np.nan, truth, edge)


def faulty(scene, sort, rng):
    """Rows of the weighted mosaic with each fault in it."""
    mosaic, _ = scene.coadd("weighted")
    noise = float(np.nanmedian(Picture.of("", mosaic).noise))
    # The tiles of white scenes have ragged borders: what is put in there is no line.
    for kind, size in product(KINDS if sort == "night" else KINDS[:-1], SIZES):
        tile = int(rng.integers(len(scene.tiles)))
        values, side = added(scene, tile, kind, size * noise, rng)
        bad = (mosaic + values).astype(np.float32)
        # In the channel that has it.
        height = np.sign(np.abs(values).max(axis=(0, 1))) * size * noise
        part = values[..., 0] != 0 if kind == "part" else None
        for how in ("tiles",) if kind == "part" else ("tiles", "coverage"):
            for edge in scene.measured(bad, how, part):
                yield _row(scene, edge, (sort, "weighted", how, kind, size), (tile, side, height, part))


def _row(scene, edge, what, fault):
    """The `Row` of an edge with a fault somewhere."""
    (tile, side, height, high), kind = fault, what[3]
    own, apart = _ends(high if kind == "part" else scene.covered(tile), edge)
    own &= edge.tile == (None if kind == "part" or what[2] == "coverage" else tile)
    if side is not None:
        gaps = scene.gaps(tile, edge.x, edge.y)
        length = scene.tiles[tile].shape[side // 2] - 1
        height, own = height * (1 - gaps[side] / length), own and np.argmin(np.abs(gaps)) == side
    return Row(what, own, apart, height if own else np.zeros(3), edge)


def _ends(covered, edge):
    """Whether what is covered ends at an edge, and how far from it."""
    off, (right, down) = np.arange(-12.0, 12.5, 0.5), edge.normal
    ahead = np.linspace(-0.45, 0.45, 19)[:, np.newaxis] * edge.length
    x, y = edge.x + off * right - ahead * down, edge.y + off * down + ahead * right
    rows, columns = (np.clip(np.rint(at).astype(int), 0, n - 1) for at, n in zip((y, x), covered.shape, strict=True))
    inside = covered[rows, columns]
    its = inside[:, np.abs(off + _ITS).argmin()] & ~inside[:, np.abs(off - _ITS).argmin()]
    # Both ends count half a step.
    ends = off[0] + 0.5 * inside[its].sum(axis=1) - 0.25
    return bool(its.mean() >= _MOST), float(abs(np.median(ends))) if its.any() else np.nan


def run(case):
    """What came of a case, a list of Row."""
    sort, seed, with_faults = case
    scene = Scene(sort, seed)
    rows = list(sound(scene, sort))
    return rows + (list(faulty(scene, sort, np.random.default_rng(seed + 1))) if with_faults else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--white", type=int, default=200, help="white scenes (default: 200)")
    parser.add_argument("--night", type=int, default=40, help="nights (default: 40)")
    parser.add_argument("--every", type=int, default=25, help="faults in every so many-th scene (default: 25)")
    parser.add_argument("--seed", type=int, default=28)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    started, groups = time.time(), defaultdict(list)
    counts = {"white": options.white, "night": options.night}
    cases = [(sort, options.seed + n, n % options.every == 0) for sort, count in counts.items() for n in range(count)]
    with ProcessPoolExecutor(options.jobs) as pool:
        for found in pool.map(run, cases):
            for row in found:
                groups[row.what].append(row)
    report_sound({what: rows for what, rows in groups.items() if what[3] == "sound"})
    report_faulty({what: rows for what, rows in groups.items() if what[3] != "sound"})
    print(f"\n{time.time() - started:.0f} s; {machine()}")


def report_sound(groups):
    """Print what was found where nothing is."""
    print(_SOUND)
    print(
        "| sort | coadd | how | edges | unknown | steps, 68 % | off, 68 % | error | z, 68 % | z > 5 | z of lines | ",
        end="",
    )
    print("faint, visible: steps | lines |")
    print("|---" * 13 + "|")
    for what, found in sorted(groups.items()):
        edges = [row.edge for row in found]
        step, error, line, of_line = (
            np.array([getattr(edge, name) for edge in edges]) for name in ("step", "error", "line", "line_error")
        )
        off, noise = step - [row.truth for row in found], np.array([np.hypot(*edge.noise) / 2**0.5 for edge in edges])
        known, noise = np.isfinite(off) & np.isfinite(error), noise[:, np.newaxis] + np.zeros(3)
        z = np.abs(off[known] / error[known])
        steps, offs = (np.nanquantile(np.abs(own[known]) / noise[known], 0.683) for own in (step, off))
        looks = [sum(edge.look == look and edge.lined == line for edge in edges) for line, look in _LOOKS]
        unknown = sum(edge.look == "unknown" for edge in edges)
        print(
            f"| {' | '.join(what[:3])} | {len(found)} | {unknown} | {steps:.4f} | "
            f"{offs:.4f} | {np.nanmedian(error[known] / noise[known]):.4f} | {np.quantile(z, 0.683):.2f} | "
            f"{np.mean(z > SURE):.4f} | {np.nanquantile(np.abs(line / of_line), 0.683):.2f} | "
            f"{looks[0]}, {looks[1]} | {looks[2]}, {looks[3]} |"
        )


_SOUND = """Sound mosaics: steps, how far they are read beside the truth, and the median error, in units of the noise.
Plain and matched means leave no noise: their steps are the rounding of the pixels, and z says only that the error is as
large as that. z of lines is of the one of six places that has most errors.
"""
_FAULTY = """
Found: sure, alone or with its line, in a channel that has it. Right: within 10 % (30 % of a ramp) or 3 errors. Placed:
median distance from where it was put. Others: edges that look like a seam and have none.
"""
_LOOKS = (False, "faint"), (False, "visible"), (True, "faint"), (True, "visible")


def report_faulty(groups):
    """Print what was found of what was put in."""
    print(_FAULTY)
    print("| sort | how | put in | x noise | edges | found | seen | right | median size | placed, px | others |")
    print("|---" * 11 + "|")
    for what, found in sorted(groups.items(), key=lambda pair: (pair[0][0], pair[0][2], pair[0][3], pair[0][4])):
        lines = what[3] == "line"
        names = ("line", "line_error") if lines else ("step", "error")
        own = [row for row in found if row.own and np.isfinite(getattr(row.edge, names[0])).all()]
        others = sum(row.edge.seen for row in found if not row.own)
        if not own:
            continue
        size, error = (np.array([getattr(row.edge, name) for row in own]) for name in names)
        truth = np.array([row.truth for row in own])
        hit = truth != 0
        right = np.abs(size - truth)[hit] <= np.maximum(_within(what[3]) * np.abs(truth), 3 * error)[hit]
        sure = [(row.edge.line_sigma if lines else row.edge.sigma) >= SURE for row in own]
        print(
            f"| {what[0]} | {what[2]} | {what[3]} | {what[4]:g} | {len(own)} | {np.mean(sure):.2f} | "
            f"{np.mean([row.edge.seen for row in own]):.2f} | {right.mean():.2f} | "
            f"{np.median(size[hit] / truth[hit]):.2f} | {np.median([row.apart for row in own]):.1f} | {others} |"
        )


def _within(kind):
    return 0.3 if kind.startswith("ramp") else 0.1


if __name__ == "__main__":
    main()
