"""The grid of a mosaic that is not there yet."""

import pickle

import numpy as np
import pytest
from astropy.wcs.utils import pixel_to_pixel

from zemosaic_twopass.synthetic.sky import synthetic_tiles, tangent_wcs
from zemosaic_twopass.tiles import mosaic
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.mosaic import MosaicGrid, find_smallest_grid


@pytest.fixture(scope="module")
def tiles():
    return synthetic_tiles(rows=2, columns=2, shape=(60, 80))


def test_it_holds_every_tile_and_is_the_same_everywhere(tiles):
    grid = MosaicGrid.make([tile.shape for tile in tiles], [tile.wcs for tile in tiles])
    for tile in tiles:
        corners = np.array([[-0.5, -0.5, 79.5, 79.5], [-0.5, 59.5, -0.5, 59.5]])
        x, y = pixel_to_pixel(tile.wcs, grid.wcs(), *corners)
        assert x.min() > -1.5
        assert y.min() > -1.5
        assert x.max() < grid.shape[1] + 0.5
        assert y.max() < grid.shape[0] + 0.5
    there = pickle.loads(pickle.dumps(grid))
    assert there == grid
    for part in ("crpix", "crval", "cdelt"):
        assert getattr(grid.wcs().wcs, part).tobytes() == getattr(there.wcs().wcs, part).tobytes()
    assert grid.wcs().array_shape == grid.shape


def test_tiles_too_far_apart_and_none(tiles, monkeypatch):
    monkeypatch.setattr(mosaic, "_LARGE_MOSAIC", 1 << 15)
    far = tangent_wcs((95.0, -5.39), 0.0, (60, 80))
    with pytest.raises(TileError, match=r"mosaic of shape \(\d+, \d+\) for tiles of 9600 pixels in all: a tile has"):
        find_smallest_grid([(60, 80)] * 2, [tiles[0].wcs, far])
    with pytest.raises(TileError, match="the tiles have no common grid"):
        find_smallest_grid([(60, 80)], [None])
