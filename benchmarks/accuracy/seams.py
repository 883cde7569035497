"""Seams put straight into mosaics, and found again: with the tiles and on the picture by itself.

Run: python -m benchmarks.accuracy.seams [--runs N] [--sorts white night] [--seed S]

Scenes of two sorts: white noise (9 RGB tiles of 400 × 520 that share 0.35 to 0.5 of a side) and nights of a small
colour camera (9 RGB tiles of 560 × 760, stacks of ten frames). The mosaics are means of the tiles: as they are, with
levels matched, and with weights that fall off towards the edges of each tile, so that noise and sky of mosaic and tiles
are not the same. What is put in is in units of the noise of a pixel of the mosaic. Everything is drawn anew from the
seed.
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
from scipy.ndimage import map_coordinates

from benchmarks.accuracy.scenes import survey
from benchmarks.measure import machine
from zemosaic_twopass.diagnosis.comparison import Mended
from zemosaic_twopass.diagnosis.gains import Gains
from zemosaic_twopass.diagnosis.seams import SURE, Edge, Picture, Regions, seams_alone, seams_with_tiles
from zemosaic_twopass.synthetic.mosaics import Grid, coadd
from zemosaic_twopass.synthetic.nights import night_tiles
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.records import SecondPass, TileList

SIZES = (0.1, 0.3, 1.0, 3.0)
RAMPS = (10, 30)
# In adu, and places on a side of an edge: for a side to have one level.
_EVEN, _FEWEST = 0.02, 3


class Scene:
    """Tiles of a sort with what they are compared by, and their coadds."""

    def __init__(self, sort, seed):
        rng = np.random.default_rng(seed)
        if sort == "night":
            self.tiles = night_tiles(seed).tiles
        else:
            self.tiles = synthetic_tiles(shape=(400, 520), overlap=rng.uniform(0.35, 0.5), seed=seed)
        self.grid = Grid.of(self.tiles)
        found = survey(SecondPass(TileList.of(self.tiles), self.grid.wcs, self.grid.shape))
        ones = np.ones(len(self.tiles))
        self.footprints = [look.blocks.footprint for look in found.looks]
        self.corrected = Mended.of(found, Gains(ones, ones, 0 * ones)).in_boxes_of(found.looks)
        self.projected = []
        for tile, place in zip(self.tiles, self.grid.places, strict=True):
            planes = [
                map_coordinates(tile.pixels[..., channel], place.positions, order=1, cval=np.nan, prefilter=False)
                for channel in range(3)
            ]
            self.projected.append(np.stack(planes, axis=-1))
        self.coverage = self.coadd("plain")[1]

    def coadd(self, how):
        """A mean of the tiles and its coverage: "plain", "matched", or "weighted" towards their middles."""
        total, weights = np.zeros((*self.grid.shape, 3)), np.zeros(self.grid.shape)
        if how == "matched":
            return coadd(self.tiles, self.grid)[:2]
        for index, (values, place) in enumerate(zip(self.projected, self.grid.places, strict=True)):
            weight = np.isfinite(values).all(axis=-1) * 1.0
            if how == "weighted":
                # Never as little as to be no edge: a seam would be smoothed away.
                row, column = (2 * at / n - 1 for at, n in zip(place.positions, self.tiles[index].shape, strict=True))
                weight *= 0.3 + np.clip((1 - row**2) * (1 - column**2), 0, 1) + 0.1 * (index % 3)
            total[place.box] += np.nan_to_num(values) * weight[..., np.newaxis]
            weights[place.box] += weight
        with np.errstate(invalid="ignore", divide="ignore"):
            mosaic = np.where(weights > 0, 1, np.nan)[..., np.newaxis] * total / weights[..., np.newaxis]
        return mosaic.astype(np.float32), weights.astype(np.float32)

    def side(self, tile, number):
        """How far each pixel of a tile's box lies from a side of it, in pixels of the tile; NaN outside of the tile."""
        place, shape = self.grid.places[tile], self.tiles[tile].shape
        along = place.positions[number // 2]
        distance = along if number % 2 == 0 else shape[number // 2] - 1 - along
        return np.where(np.isfinite(self.projected[tile]).all(axis=-1), distance, np.nan)

    def measured(self, mosaic, how):
        """The seams of a mosaic, with the tiles or alone."""
        picture = Picture.of("mosaic", mosaic)
        if how == "tiles":
            return seams_with_tiles([picture], self.footprints, self.corrected).maps[0]
        return seams_alone([(picture, mosaic)], self.regions()).maps[0]

    def regions(self):
        footprints = []
        for values, place in zip(self.projected, self.grid.places, strict=True):
            footprints.append((place.box, np.isfinite(values).all(axis=-1).astype(np.float32)))
        return Regions.of_footprints(footprints, self.grid.shape, 1)


def added(scene, tile, kind, size, rng):
    """What is put into a mosaic, shape (h, w, 3) in the tile's box, and of its edges the side that has it."""
    shape, side = scene.tiles[tile].shape, int(rng.integers(4))
    distance = scene.side(tile, side)
    inside = np.isfinite(distance)
    if kind == "side":
        # Highest at one side, gone at the other.
        values = np.where(inside, size * (1 - distance / shape[side // 2]), 0)
    elif kind.startswith("ramp"):
        nearest = np.min([scene.side(tile, number) for number in range(4)], axis=0)
        values = np.where(inside, size * np.clip(nearest / int(kind[4:]), 0, 1), 0)
    else:
        values = np.where(inside, size, 0)
    channels = np.eye(3)[int(rng.integers(3))] if kind == "channel" else np.ones(3)
    return values[..., np.newaxis] * channels, side, channels


def side_of(scene, tile, edge):
    """The side of a tile that an edge of it is, and how far along the way to the other side it lies."""
    place = scene.grid.places[tile]
    row, column = (int(round(at)) - part.start for at, part in zip((edge.y, edge.x), place.box, strict=True))
    shape = place.positions.shape[1:]
    here = place.positions[:, np.clip(row, 0, shape[0] - 1), np.clip(column, 0, shape[1] - 1)]
    height, width = scene.tiles[tile].shape
    gaps = [here[0], height - 1 - here[0], here[1], width - 1 - here[1]]
    return int(np.argmin(gaps)), gaps


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


def run(case):
    """What came of a case, a list of Row."""
    sort, seed = case
    scene, rng = Scene(sort, seed), np.random.default_rng(seed + 1)
    rows = []
    plain, _ = scene.coadd("plain")
    for coadded in ("plain", "matched", "weighted"):
        mosaic, _ = scene.coadd(coadded)
        # Levels that are matched leave steps that are real, and known to the bit.
        made = mosaic - plain if coadded == "matched" else None
        for how in ("tiles", "alone"):
            for edge in scene.measured(mosaic, how).edges:
                truth = np.zeros(3) if made is None else across(made, edge)
                if truth is not None:
                    rows.append(Row((sort, coadded, how, "sound", 0.0), False, truth, edge))
    mosaic, _ = scene.coadd("weighted")
    noise = float(np.nanmedian(Picture.of("", mosaic).noise))
    for kind in ("side", "around", "channel", *(f"ramp{width}" for width in RAMPS)):
        for size in SIZES:
            tile = int(rng.integers(len(scene.tiles)))
            values, side, channels = added(scene, tile, kind, size * noise, rng)
            faulty = mosaic.copy()
            faulty[scene.grid.places[tile].box] += values
            for how in ("tiles", "alone"):
                truth = (tile, side if kind == "side" else None, size * noise, channels)
                rows += _rows(scene, scene.measured(faulty, how), (sort, "weighted", how, kind, size), truth)
    return rows


@dataclass
class Row:
    """An edge: what was measured how, whether the fault is at it, and the true step of each channel."""

    what: tuple
    own: bool
    truth: np.ndarray
    edge: Edge


def _rows(scene, found, what, truth):
    for edge in found.edges:
        tile, side, size, channels = truth
        expected, own = np.zeros(3), edge.tile == tile
        if own:
            at, gaps = side_of(scene, tile, edge)
            shape = scene.tiles[tile].shape
            share = 1.0 if side is None else 1 - gaps[side] / shape[side // 2]
            expected, own = size * share * channels, side is None or at == side
        yield Row(what, own, expected, edge)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="scenes of each sort (default: 20)")
    parser.add_argument("--sorts", nargs="*", default=["white", "night"], choices=["white", "night"])
    parser.add_argument("--seed", type=int, default=28)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    started, rows = time.time(), []
    cases = [(sort, options.seed + number) for sort in options.sorts for number in range(options.runs)]
    with ProcessPoolExecutor(options.jobs) as pool:
        for found in pool.map(run, cases):
            rows += found
    report(rows)
    print(f"\n{time.time() - started:.0f} s; {machine()}")


def report(rows):
    """Print everything."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.what].append(row)
    print("Steps, and how far they are read beside the truth, 68 %, and the median error: in units of the noise.\n")
    print("| sort | coadd | how | edges | told | steps | off | error | z, 68 % | z > 5 | faint | visible |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for what, found in sorted(groups.items()):
        if what[3] == "sound":
            step, error = (np.array([getattr(row.edge, name) for row in found]) for name in ("step", "error"))
            off, noise = step - [row.truth for row in found], [np.hypot(*row.edge.noise) / 2**0.5 for row in found]
            known, looks = np.isfinite(off) & np.isfinite(error), [row.edge.look for row in found]
            noise = np.broadcast_to(np.array(noise)[:, np.newaxis], off.shape)[known]
            z = np.abs(off[known] / error[known])
            sizes = " | ".join(f"{np.nanquantile(np.abs(own[known]) / noise, 0.683):.4f}" for own in (step, off))
            print(
                f"| {' | '.join(what[:3])} | {len(found)} | {1 - looks.count('unknown') / len(found):.2f} | {sizes} | "
                f"{np.nanmedian(error[known] / noise):.4f} | {np.quantile(z, 0.683):.2f} | {np.mean(z > 5):.4f} | "
                f"{looks.count('faint')} | {looks.count('visible')} |"
            )
    print("\n| sort | how | put in | x noise | edges of it | found | size right | median size | z, 68 % |")
    print("|---|---|---|---|---|---|---|---|---|")
    for what, found in sorted(groups.items()):
        own = [row for row in found if row.own and np.isfinite(row.edge.step).all()]
        if what[3] == "sound" or not own:
            continue
        step, error = (np.array([getattr(row.edge, name) for row in own]) for name in ("step", "error"))
        truth = np.array([row.truth for row in own])
        hit = truth != 0
        off, within = np.abs(step - truth), 0.3 if what[3].startswith("ramp") else 0.1
        right = off[hit] <= np.maximum(within * np.abs(truth), 3 * error)[hit]
        sure = np.abs(step[hit]) >= SURE * error[hit]
        print(
            f"| {what[0]} | {what[2]} | {what[3]} | {what[4]:g} | {len(own)} | {sure.mean():.2f} | "
            f"{right.mean():.2f} | {np.median(step[hit] / truth[hit]):.3f} | {np.quantile(off / error, 0.683):.2f} |"
        )


if __name__ == "__main__":
    main()
