"""Block means of a tile as the coadd sees it, and the noise of its pixels."""

import numpy as np
import pytest
from scenes import NOISE, Pass

from zemosaic_twopass.measure.coarse import FACTOR, pixel_noise, project_blocks
from zemosaic_twopass.tiles.records import Tile


@pytest.fixture(scope="module")
def scene():
    return Pass.make(rows=2, columns=2, shape=(340, 430), overlap=0.7).coadd()


def test_noise_is_that_of_a_pixel(scene):
    for tile in scene.tiles:
        assert pixel_noise(tile)[0] == pytest.approx(NOISE, rel=0.05)
    assert np.isnan(pixel_noise(np.full((5, 5), np.nan))).all()


def test_blocks_are_means_of_what_the_coadd_sees(scene):
    tile = project_blocks(Tile(scene.tiles[0], scene.wcs[0], scene.coverage[0]), scene.out, scene.shape)
    alone = Pass([scene.tiles[0]], [scene.wcs[0]], [scene.coverage[0]], scene.out, scene.shape, [1.0]).coadd()
    rows, columns = 20, 20
    block = tuple(
        slice((part.start + n) * FACTOR, (part.start + n + 1) * FACTOR)
        for part, n in zip(tile.box, (rows, columns), strict=True)
    )
    assert tile.value[0, rows, columns] == pytest.approx(float(alone.mosaic[block].mean()), abs=2e-3)
    image = alone.mosaic[..., 0].astype(float)
    grid_y, grid_x = (np.arange(part.start, part.stop) for part in block)
    slope = (image[np.ix_(grid_y, grid_x + 1)] - image[np.ix_(grid_y, grid_x - 1)]) / 2
    assert tile.dx[0, rows, columns] == pytest.approx(slope.mean(), abs=2e-3)


def test_tile_off_the_mosaic(scene):
    far = scene.wcs[0].deepcopy()
    far.wcs.crval = far.wcs.crval + [20, 0]
    assert project_blocks(Tile(scene.tiles[0], far), scene.out, scene.shape) is None
