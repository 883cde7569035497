"""How often is a fault in the pass, or in a tile, named rightly?

Run: python -m benchmarks.accuracy.diagnosis [--runs N]

Scenes of 9 to 36 tiles of 700 × 1000 pixels; noise, tile, size and fault are drawn anew for each run. Faults are put
into the tile, into the pass before the probe looks, and after. One run in twenty goes through
`reproject_and_coadd` itself, the others through the same sums with the positions kept.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict

import numpy as np

from benchmarks.accuracy.scenes import CLIP, NOISE, Injection, Scene
from zemosaic_twopass.diagnosis import diagnose
from zemosaic_twopass.diagnosis.contract import fingerprints
from zemosaic_twopass.diagnosis.kinds import NOTES
from zemosaic_twopass.synthetic.faults import Fault
from zemosaic_twopass.tiles.records import SecondPass, TileList

GRIDS = ((3, 3), (3, 4), (4, 4), (3, 3), (6, 6), (3, 4), (4, 5), (3, 3))
# Well above the limit: smallest and largest size.
LARGE = {
    ("offset", "tile"): (3 * NOISE, 8 * NOISE),
    ("gain_residual", "tile"): (0.03, 0.1),
    ("gradient", "tile"): (2 * NOISE, 10 * NOISE),
    ("astrometry", "tile"): (0.5, 3.0),
    ("misregistration", "after"): (0.2, 4.0),
    ("mask_bug", "before"): (0.2, 0.6),
    ("mask_bug", "after"): (0.2, 0.6),
    ("gain_not_applied", "before"): (1, 1),
    ("gain_not_applied", "after"): (1, 1),
    ("gain_swapped", "before"): (1, 1),
    ("gain_swapped", "after"): (1, 1),
    ("gain_mismatch", "before"): (1.002, 1.05),
    ("gain_mismatch", "after"): (1.002, 1.05),
    ("not_closed", "after"): (1.005, 1.05),
    ("gain_invalid", "before"): (0, 0),
    ("input_mutated", "before"): (0, 0),
    ("gain_seam", "after"): (1, 1),
    ("clip_saturated", "before"): (0, 0),
    ("gain_guard", "before"): (0, 0),
}
# Near the limit: sizes in units of the noise of a pixel (of a pixel, for a shift).
SMALL = {
    "offset": (0.02, 0.05, 0.1, 0.2, 0.5),
    "gain_residual": (0.05, 0.1, 0.2, 0.5, 1.0),
    "gradient": (0.05, 0.1, 0.2, 0.4),
    "astrometry": (0.03, 0.06, 0.1, 0.2, 0.4),
}


def injection_of(scene, key, rng):
    """A fault of a kind, in a tile where it can do something, of a size in its range."""
    kind, when = key
    gains = np.array(scene.gains)
    candidates = np.arange(len(gains))
    if kind == "gain_not_applied":
        candidates = np.flatnonzero(np.abs(gains - 1) > 1e-3)
    tile = int(rng.choice(candidates))
    size = float(rng.uniform(*LARGE[key]))
    if kind == "gain_swapped":
        size = float(rng.choice(np.flatnonzero(np.abs(gains - gains[tile]) > 1e-3)))
    return Injection(Fault(kind, tile, size), when)


def findings_of(scene, run, mutated=None):
    """What is said of a run."""
    second_pass = SecondPass(
        TileList(run.tiles, scene.wcs, scene.coverage),
        scene.out,
        scene.shape,
        gains=tuple(run.gains),
        gain_clip=CLIP,
        planes={(index, 0): plane for index, plane in enumerate(run.corrected)},
        combine="mean",
        mosaic=run.mosaic,
        coverage=run.coverage,
    )
    second_pass.before = fingerprints(second_pass)
    if mutated is not None:
        run.tiles[mutated][350, 500] += 1
    return diagnose(second_pass)


def told(findings, kind, scene):
    """The finding that a run is judged by: the first that the scene did not have by itself."""
    skip = {"gain_seam", *NOTES} - {kind}
    named = [finding for finding in findings if finding.kind not in skip]
    if kind in NOTES:
        own = {"gain_guard": lambda g: g == 1.0, "clip_saturated": lambda g: min(abs(g - c) for c in CLIP) < 1e-6}
        named = [f for f in named if f.kind != kind or not own[kind](scene.gains[f.tile])] or named
    return named[0] if named else None


def is_right(finding, fault):
    """Kind and tile; a swap is one of two, a seam is not in one tile."""
    if finding is None or finding.kind != fault.kind:
        return False
    if fault.kind == "gain_seam":
        return True
    return finding.tile in ((fault.tile, int(fault.size)) if fault.kind == "gain_swapped" else (fault.tile,))


class Tally:
    """Runs of all kinds, and what was said of them."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        np.random.seed(seed)
        self.number = self.alarms = 0
        self.matrix, self.detected = defaultdict(Counter), defaultdict(Counter)
        self.wrong = []

    def _run(self, scene, *injection):
        self.number += 1
        return scene.run(self.rng, *injection, exact=self.number % 20 == 0)

    def clean(self, scene):
        """A run without a fault."""
        run = self._run(scene)
        finding = told(findings_of(scene, run), "clean", scene)
        self.matrix["clean"][finding.kind if finding else "clean"] += 1
        if finding:
            self.alarms += 1
            self.wrong.append(("clean", len(scene.tiles), finding))

    def large(self, scene, key):
        """A run with a fault well above the limit."""
        injection = injection_of(scene, key, self.rng)
        run = self._run(scene, injection)
        mutated = injection.fault.tile if key[0] == "input_mutated" else None
        finding = told(findings_of(scene, run, mutated), key[0], scene)
        right = is_right(finding, injection.fault)
        label = finding.kind if finding else "clean"
        if finding and not right and label == key[0]:
            label += " (other tile)"
        self.matrix[f"{key[0]} ({key[1]})"][label] += 1
        if not right:
            self.wrong.append((injection, len(scene.tiles), finding))

    def small(self, scene, kind, size):
        """A run with a fault near the limit."""
        self.number += 1
        tile = int(self.rng.integers(len(scene.tiles)))
        level = float(np.nanmedian(scene.tiles[tile]))
        actual = {"gain_residual": size * NOISE / level, "astrometry": size}.get(kind, size * NOISE)
        run = scene.run(self.rng, Injection(Fault(kind, tile, actual), "tile"))
        kinds = {f.kind for f in findings_of(scene, run) if f.tile == tile} - {"gain_seam", *NOTES}
        self.detected[kind, size]["named" if kind in kinds else "seen" if kinds else "missed"] += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12, help="of each fault (default: 12)")
    parser.add_argument("--clean", type=int, default=72, help="runs without a fault (default: 72)")
    parser.add_argument("--small", type=int, default=10, help="runs of each small size (default: 10)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started, tally = time.time(), Tally(options.seed)
    for scene_number, grid in enumerate(GRIDS):
        scene = Scene.make(*grid, seed=100 + scene_number)
        clean, runs, small = (range(scene_number, n, len(GRIDS)) for n in (options.clean, options.runs, options.small))
        for _ in clean:
            tally.clean(scene)
        for key in LARGE:
            for _ in runs:
                tally.large(scene, key)
        for kind, sizes in SMALL.items():
            for size in sizes:
                for _ in small:
                    tally.small(scene, kind, size)
        print(f"# {grid[0] * grid[1]} tiles done, {tally.number} runs, {time.time() - started:.0f} s", flush=True)
    report(tally)


def report(tally):
    """Print everything."""
    print(f"\n{tally.number} runs\n\n## Well above the limit: what was injected (when) → first finding")
    total, right = 0, 0
    for injected, found in tally.matrix.items():
        hits = found[injected.split(" (")[0]]
        print(f"{injected:28s} {hits:3d}/{sum(found.values()):3d}  " + ", ".join(f"{k} {n}" for k, n in found.items()))
        if injected != "clean":
            total, right = total + sum(found.values()), right + hits
    clean = sum(tally.matrix["clean"].values())
    print(f"\nnamed rightly, at the right tile: {right}/{total} = {right / max(total, 1):.1%}")
    print(f"false alarms in clean scenes: {tally.alarms}/{clean} = {tally.alarms / max(clean, 1):.1%}")
    print("\n## Near the limit: size in units of the noise (px for a shift) → named, seen under another name, missed")
    for (kind, size), counts in tally.detected.items():
        print(f"{kind:16s} {size:5g}  {counts['named']:3d} {counts['seen']:3d} {counts['missed']:3d}")
    print("\n## Wrong")
    for injection, tiles, finding in tally.wrong:
        print(tiles, injection, "→", finding)


if __name__ == "__main__":
    main()
