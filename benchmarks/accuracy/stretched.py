"""One tile of nine whose WCS is turned or scaled, or a lens that bends all of them: who is named, and by how much?

Run: python -m benchmarks.accuracy.stretched [--runs N] [--seed N]

Nights of nine tiles of 560 × 760 pixels, and white mosaics of nine of 220 × 260 that overlap by 20 to 50 % and share
few stars. The WCS of one tile is turned by 0.03 to 0.5 degrees or scaled by 0.03 to 0.6 %, on white mosaics by four
times as much, and lies up to a pixel aside. A lens moves what all tiles show in their corners by 0.5 to 4 px.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace

import numpy as np
from scipy.ndimage import map_coordinates

from benchmarks.measure import machine
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.diagnosis.kinds import NOTES
from zemosaic_twopass.synthetic.nights import night_tiles
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.synthetic.surveys import make_pass, survey
from zemosaic_twopass.tiles.grid import copy_wcs

TURN, SCALE, CORNER = (0.03, 0.5), (3e-4, 6e-3), (0.5, 4.0)
WHITE = 4.0


def scene(sort, rng):
    """Tiles without a fault, and how much larger those are that it is given."""
    seed = int(rng.integers(1 << 30))
    if sort == "night":
        return list(night_tiles(seed, frames=4).tiles), 1.0
    return list(
        synthetic_tiles(rows=3, columns=3, shape=(220, 260), overlap=rng.uniform(0.2, 0.5), noise=6.0, seed=seed)
    ), WHITE


def turn(tile, degrees, scale, aside):
    """The same tile, its WCS turned and scaled about its middle, and that many pixels aside."""
    wcs, angle = copy_wcs(tile.wcs), np.deg2rad(degrees)
    middle = (np.array(tile.shape[::-1]) - 1) / 2
    sky = wcs.pixel_to_world_values(*middle)
    wcs.wcs.cd = wcs.pixel_scale_matrix @ (
        scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    )
    wcs.wcs.set()
    wcs.wcs.crpix += middle + aside - wcs.world_to_pixel_values(*sky)
    wcs.wcs.set()
    return replace(tile, wcs=wcs)


def bend(tile, corner):
    """The same tile as a lens shows it that moves what is in its corners by so many pixels."""
    middle = (np.array(tile.shape) - 1) / 2
    away = np.stack(np.indices(tile.shape)) - middle[:, np.newaxis, np.newaxis]
    places = away * (1 + corner * np.sum(away**2, axis=0) / np.hypot(*middle) ** 3) + middle[:, np.newaxis, np.newaxis]
    planes = (map_coordinates(plane, places, order=1, cval=np.nan) for plane in np.moveaxis(tile.pixels, 2, 0))
    return replace(tile, pixels=np.stack(list(planes), axis=2).astype(np.float32))


def outcome(sort, kind, rng):
    """Words for what came of one mosaic, and the tile's own finding."""
    tiles, larger = scene(sort, rng)
    odd, sign = int(rng.integers(len(tiles))), rng.choice([-1, 1])
    if kind == "lens":
        corner = sign * rng.uniform(*CORNER)
        tiles = [bend(tile, corner) for tile in tiles]
    elif kind != "sound":
        degrees = sign * larger * rng.uniform(*TURN) if kind == "turned" else 0.0
        scale = 1 + (sign * larger * rng.uniform(*SCALE) if kind == "scaled" else 0.0)
        tiles[odd] = turn(tiles[odd], degrees, scale, rng.uniform(-1, 1, 2))
    found = survey(make_pass(tiles))
    told = [one for _, one in residual_findings(found) if one.kind not in NOTES and one.kind != "unmasked_border"]
    places = [one for one in told if one.kind == "astrometry"]
    words = ["of no tile"] if any(one.tile is None for one in places) else []
    words += ["the tile"] if kind != "lens" and any(one.tile == odd for one in places) else []
    words += (
        ["a sound tile"] if any(one.tile is not None and (kind == "lens" or one.tile != odd) for one in told) else []
    )
    words += ["nothing"] if not told else []
    stretch = found.shifts[odd] and found.shifts[odd].stretch
    if stretch is not None and kind in ("turned", "scaled"):
        error = stretch.error / stretch.reach
        off = max(abs(stretch.turn - degrees) / np.rad2deg(error), abs(stretch.scale - scale) / error)
        words += ["as turned or scaled", *(["within three errors"] if off < 3 else [])]
    return words


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="mosaics of each sort and fault (default: 20)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for number, sort in enumerate(("night", "white")):
        for kind in ("turned", "scaled", "lens", "sound"):
            rng = np.random.default_rng([options.seed, number, len(kind)])
            counts = Counter(word for _ in range(options.runs) for word in outcome(sort, kind, rng))
            print(f"| {sort} | {kind} | {options.runs} | {dict(sorted(counts.items()))} |", flush=True)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
