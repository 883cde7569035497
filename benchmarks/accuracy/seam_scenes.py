"""Scenes for the benchmarks of seams: tiles, coadds of them, and what is put into one."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, map_coordinates

from zemosaic_twopass.diagnosis.comparison import CorrectedTiles
from zemosaic_twopass.diagnosis.gains import Gains
from zemosaic_twopass.diagnosis.seams import Layout, Picture, Regions, seams_alone, seams_with_tiles
from zemosaic_twopass.synthetic.mosaics import Grid, coadd
from zemosaic_twopass.synthetic.nights import night_tiles
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.synthetic.surveys import survey
from zemosaic_twopass.tiles.records import SecondPass, TileList


class Scene:
    """Tiles of a sort with what they are compared by, and their coadds."""

    def __init__(self, sort, seed):
        rng = np.random.default_rng(seed)
        if sort == "night":
            self.tiles = night_tiles(seed, shape=(400, 540), frames=6).tiles
        else:
            self.tiles = synthetic_tiles(shape=(280, 360), overlap=rng.uniform(0.35, 0.5), seed=seed)
        self.grid = Grid.of(self.tiles)
        found = survey(SecondPass(TileList.of(self.tiles), self.grid.wcs, self.grid.shape))
        ones = np.ones(len(self.tiles))
        self.layout = Layout(look.blocks.footprint for look in found.looks)
        self.corrected = CorrectedTiles.of(found, Gains(ones, ones, 0 * ones)).in_boxes_of(found.looks)
        self.projected = []
        for tile, place in zip(self.tiles, self.grid.places, strict=True):
            planes = [
                map_coordinates(tile.pixels[..., channel], place.positions, order=1, cval=np.nan, prefilter=False)
                for channel in range(3)
            ]
            self.projected.append(np.stack(planes, axis=-1))
        self.plain, self.coverage = self.coadd("plain")

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

    def gaps(self, tile, x=None, y=None):
        """How far the pixels of a tile's box, or one of them, lie from its four sides, in pixels of the tile."""
        place, (height, width) = self.grid.places[tile], self.tiles[tile].shape
        down, across = place.positions
        if x is not None:
            rows, columns = (int(round(at)) - part.start for at, part in zip((y, x), place.box, strict=True))
            rows, columns = np.clip(rows, 0, len(down) - 1), np.clip(columns, 0, down.shape[1] - 1)
            down, across = down[rows, columns], across[rows, columns]
        return down, height - 1 - down, across, width - 1 - across

    def covered(self, tile):
        """Where a tile covers the mosaic."""
        found = np.zeros(self.grid.shape, dtype=bool)
        found[self.grid.places[tile].box] = np.isfinite(self.projected[tile]).all(axis=-1)
        return found

    def measured(self, mosaic, how, part=None):
        """The edges of a mosaic, by the tiles or by the coverage."""
        picture = Picture.of("mosaic", mosaic, None, part)
        if how == "tiles":
            picture = self.layout.with_lines(picture, mosaic)
            return seams_with_tiles([picture], self.layout, self.corrected).maps[0].edges
        return seams_alone([(picture, mosaic)], Regions.of_coverage(self.coverage)).maps[0].edges


def added(scene, tile, kind, size, rng):
    """What is put into a mosaic, shape (H, W, 3); where it is high, or None; the side that has it, or None."""
    inside, (height, width) = scene.covered(tile), scene.tiles[tile].shape
    values, box, side = inside * size, scene.grid.places[tile].box, None
    if kind == "side":
        side = int(rng.integers(4))
        values[box] *= np.clip(1 - scene.gaps(tile)[side] / ((height, width)[side // 2] - 1), 0, 1)
    elif kind.startswith("ramp"):
        values[box] *= np.clip(np.min(scene.gaps(tile), axis=0) / int(kind[4:]), 0, 1)
    elif kind == "part":
        # A second pass that has half of a tile, cut obliquely.
        down, _, across, _ = scene.gaps(tile)
        values[box] *= across + 0.2 * (down - height / 2) < width / 2
    elif kind == "line":
        values[binary_erosion(inside)] = 0
    channels = np.eye(3)[int(rng.integers(3))] if kind == "channel" else np.ones(3)
    return values[..., np.newaxis] * channels, side
