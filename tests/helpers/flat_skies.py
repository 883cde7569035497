"""Tiles of one flat sky with stars, and whatever is to lie on one of them: made for the tests of what stars tell."""

import numpy as np
from astropy.wcs import WCS

from zemosaic_twopass.diagnosis.comparison import compare, residual_findings
from zemosaic_twopass.measure.measurement import measure_tile
from zemosaic_twopass.tiles.records import Tile
from zemosaic_twopass.tiles.tile_set import PlacedTile, TileSet

SHAPE, STEP = (220, 240), (140, 150)
NOISE, LEVEL = 6.0, 1000.0
_ROWS, _COLUMNS = 2, 3
SIZE = (STEP[0] * (_ROWS - 1) + SHAPE[0], STEP[1] * (_COLUMNS - 1) + SHAPE[1])


def wcs_at(row=0, column=0):
    """WCS of what begins at a row and column of the mosaic."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (192.7, 41.1)
    wcs.wcs.cd = [[-1.2e-3, 0], [0, 1.2e-3]]
    wcs.wcs.crpix = SIZE[1] / 2 - column, SIZE[0] / 2 - row
    wcs.wcs.set()
    return wcs


def flat_tiles(seed, stars=150, channels=1, level=LEVEL, nebula=0.0, colours=None, noise=NOISE):
    """Six tiles, each with noise of its own; `colours` is what each channel has of the nebula, by default all."""
    rng = np.random.default_rng(seed)
    xs, ys = rng.uniform(0, SIZE[1], stars), rng.uniform(0, SIZE[0], stars)
    flux = 10 ** rng.uniform(2.0, 3.5, stars)
    rows, columns = np.indices(SIZE)
    sky = np.zeros(SIZE)
    for x, y, one in zip(xs, ys, flux, strict=True):
        part = np.s_[max(int(y) - 9, 0) : int(y) + 10, max(int(x) - 9, 0) : int(x) + 10]
        sky[part] += one * np.exp(-((rows[part] - y) ** 2 + (columns[part] - x) ** 2) / 2 / 1.4**2)
    smooth = nebula * np.sin(columns / 31.0) * np.cos(rows / 27.0)
    colours = np.ones(channels) if colours is None else np.asarray(colours)
    tiles = []
    for number in range(_ROWS * _COLUMNS):
        top, left = STEP[0] * (number // _COLUMNS), STEP[1] * (number % _COLUMNS)
        part = np.s_[top : top + SHAPE[0], left : left + SHAPE[1]]
        image = level + sky[part][..., np.newaxis] + smooth[part][..., np.newaxis] * colours
        image = image + rng.normal(0, noise, image.shape)
        tiles.append(Tile(image.astype(np.float32), wcs_at(top, left)))
    return tiles


def surveyed(tiles):
    """All of them against one another."""
    wcs = wcs_at()
    placed = TileSet(range(len(tiles)), lambda index: PlacedTile.of(tiles[index], wcs, SIZE), SIZE, map)
    return compare(list(placed.each(measure_tile)), placed)


def found(survey):
    """What is found in tiles, each with its tile."""
    return {(one.kind, one.tile): one for _, one in residual_findings(survey) if one.about.group == "residual"}
