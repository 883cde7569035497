"""What no term describes, in one tile of nine or in all: is it named, are sound tiles left alone, what does repair do?

Run: python -m benchmarks.accuracy.unmodelled [--runs N] [--seed N] [--small | --deep]

Synthetic skies of nine RGB tiles of 300 × 400 pixels, or, small, of six of 220 × 240, that overlap by 30 to 55 %; kind,
size, tile and place of the light are drawn anew for each run, and in every third run an offset, a scale or a slope lies
on the same tile. `--deep`: clouds of 28 and 40 % over a corner tile of six small ones, two mosaics a seed.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.measure import machine
from zemosaic_twopass.diagnosis.acceptance import accept
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.diagnosis.kinds import NOTES
from zemosaic_twopass.measure.measurement import measure_tile
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.synthetic.surveys import make_pass, survey
from zemosaic_twopass.tiles.tile_set import PlacedTile

NOISE = 6.0
LARGE, SMALL = (3, 3, (300, 400)), (2, 3, (220, 240))
DEPTHS = {"flat field": (0.005, 0.03), "moon": (10, 100), "cloud": (0.02, 0.4), "glow": (30, 600), "banding": (2, 15)}


def light(kind, size, shape, rng):
    """What a tile is multiplied by and what is added to it."""
    rows, columns = np.indices(shape)
    x, y = columns / shape[1], rows / shape[0]
    left, top = rng.integers(0, 2, 2)
    x, y = (x if left else 1 - x), (y if top else 1 - y)
    if kind == "flat field":
        square = (columns - (shape[1] - 1) / 2) ** 2 + (rows - (shape[0] - 1) / 2) ** 2
        return 1 - size * square / square.max(), 0.0
    if kind == "cloud":
        smooth = gaussian_filter(rng.normal(size=shape), rng.uniform(30, 70))
        return 1 - size * (smooth - smooth.min()) / np.ptp(smooth), 0.0
    if kind == "moon":
        return 1.0, size * (x**2 + y**2) / 2
    if kind == "glow":
        return 1.0, size * np.exp(-np.hypot(x * shape[1], y * shape[0]) / rng.uniform(40, 80))
    return 1.0, size * np.sin(2 * np.pi * rows / rng.uniform(40, 90))


def beside(shape, rng):
    """Another fault, as what a tile is multiplied by and what is added to it, and its kind."""
    kind = rng.choice(["offset", "gain_residual", "gradient"])
    if kind == "offset":
        return kind, 1.0, rng.uniform(30, 200)
    if kind == "gain_residual":
        return kind, rng.choice([0.6, 0.8, 1.3, 2.0]), 0.0
    return kind, 1.0, rng.uniform(50, 200) * (np.arange(shape[1]) / shape[1] - 0.5) * np.ones((shape[0], 1))


def scene(kind, everywhere, rng, layout=LARGE):
    """(tiles, index of the odd one, kind of what lies beside, or none, the odd one without any of it)."""
    rows, columns, shape = layout
    layout = {"rows": rows, "columns": columns, "shape": shape, "overlap": rng.uniform(0.3, 0.55)}
    tiles = synthetic_tiles(**layout, noise=NOISE, seed=int(rng.integers(1 << 30)))
    odd, more = int(rng.integers(len(tiles))), None
    true = tiles[odd]
    factor, added = light(kind, np.exp(rng.uniform(*np.log(DEPTHS[kind]))), shape, rng)
    for index in range(len(tiles)) if everywhere else [odd]:
        own = tiles[index].pixels * np.asarray(factor)[..., np.newaxis] + np.asarray(added)[..., np.newaxis]
        if rng.random() < 1 / 3 and not everywhere:
            more, by, plus = beside(shape, rng)
            own = own * by + np.asarray(plus)[..., np.newaxis]
        tiles[index] = replace(tiles[index], pixels=own.astype(np.float32))
    return tiles, odd, more, true


def judged(kind, everywhere, rng, layout):
    """What came of one scene, in words."""
    tiles, odd, more, true = scene(kind, everywhere, rng, layout)
    second_pass = make_pass(tiles)
    found = survey(second_pass)
    told = [one for _, one in residual_findings(found) if one.kind not in NOTES]
    named = {(one.kind, one.tile) for one in told}
    words = []
    if everywhere:
        words += ["one of no tile"] if any(tile is None for _, tile in named) else []
        words += ["single tiles"] if any(tile is not None for _, tile in named) else []
    else:
        words += ["sound tile named"] if {tile for _, tile in named} - {odd, None} else []
        words += ["left open between it and another"] if any(odd in one.tiles for one in told) else []
        words += ["said of all"] if any(one.tile is None and not one.tiles for one in told) else []
        words += ["odd tile named"] if any(tile == odd for _, tile in named) else ["nothing said of it"]
        words += ["as uneven"] if ("uneven_background", odd) in named else []
        words += (
            ["scaled, wrongly"]
            if ("gain_residual", odd) in named and kind != "cloud" and more != "gain_residual"
            else []
        )
        words += [f"{more} beside it seen"] if (more, odd) in named else []
        words += [f"with {more}"] if more else []
    accepted = accept(found, second_pass.shape).corrections
    changed = {index for index, own in enumerate(accepted) if own and not own.empty}
    if not everywhere:
        clean = measure_tile(PlacedTile.of(true, second_pass.wcs, second_pass.shape)).blocks
        sides = accepted[odd], found.looks[odd].blocks, clean
        words += ["repair changes a sound tile"] if changed - {odd} else []
        words += ["repair changes the odd tile"] if odd in changed else []
        words += ["repair takes it further off"] if odd in changed and _further(*sides) else []
    return words


def _further(correction, blocks, true):
    """Whether a tile lies further from what it would be without any fault than as given, beyond its noise."""
    off = [np.nanmedian(np.abs(own - true.value), axis=(1, 2)) for own in (blocks.value, correction.of_blocks(blocks))]
    return bool(np.any(off[1] > off[0] + 3 * NOISE / 8))


def deep(seed):
    """What is said of two mosaics with a deep cloud, in words."""
    rows, columns, shape = SMALL
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 50)
    for depth, overlap, odd in ((0.28, 0.35, 0), (0.4, 0.4, 2)):
        tiles = synthetic_tiles(rows=rows, columns=columns, shape=shape, overlap=overlap, noise=NOISE, seed=seed)
        part = 1 - depth * (smooth - smooth.min()) / np.ptp(smooth)
        tiles[odd] = replace(tiles[odd], pixels=(tiles[odd].pixels * part[..., np.newaxis]).astype(np.float32))
        named = {one.tile for _, one in residual_findings(survey(make_pass(tiles))) if one.kind not in NOTES}
        yield "mosaics"
        yield from (["sound tile named"] if named - {odd, None} else [])
        yield "odd tile named" if odd in named else "said of no tile" if None in named else "nothing said of it"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="of each kind of light in one tile (default: 40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="six tiles of 220 x 240 pixels")
    parser.add_argument("--deep", action="store_true", help="deep clouds over a corner tile of six small ones")
    options = parser.parse_args()
    if options.deep:
        seeds = range(options.seed, options.seed + options.runs)
        print(dict(Counter(word for seed in seeds for word in deep(seed))))
        return
    layout = SMALL if options.small else LARGE
    for everywhere in (False, True):
        counts = defaultdict(Counter)
        for number, kind in enumerate(DEPTHS):
            rng = np.random.default_rng([options.seed, everywhere, number])
            for _ in range(options.runs // 4 if everywhere else options.runs):
                counts[kind].update(["runs", *judged(kind, everywhere, rng, layout)])
        print(f"\n## {'all tiles' if everywhere else 'one tile'}\n")
        for kind, own in counts.items():
            print(f"- {kind}: " + ", ".join(f"{word} {count}" for word, count in own.items()), flush=True)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
