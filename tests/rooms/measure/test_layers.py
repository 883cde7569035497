"""Layers of a tile after its gain: as it went into the coadd, whether that was tile × gain or not."""

import numpy as np
import pytest

from zemosaic_twopass.measure.delta import CoarseGrid
from zemosaic_twopass.measure.measurement import measure_all
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.mosaic import MosaicGrid
from zemosaic_twopass.tiles.tile_set import PlacedTile

GAIN = 1.0625


@pytest.fixture(scope="module")
def placed():
    tiles = synthetic_tiles(rows=1, columns=2, shape=(120, 140), noise=5.0, seed=4)
    grid = MosaicGrid.make([tile.shape for tile in tiles], [tile.wcs for tile in tiles])
    return PlacedTile.of(tiles[0], grid.wcs(), grid.shape), CoarseGrid.of(grid.wcs(), grid.shape, 8)


@pytest.mark.parametrize("more", [0.0, 40.0])
def test_layers_after_the_gain_are_of_what_went_into_the_coadd(placed, more):
    tile, grid = placed
    corrected = np.float32(tile.tile.pixels) * np.float32(GAIN) + np.float32(more)
    found = measure_all(tile, GAIN, corrected, grid)
    assert found.exact == (more == 0)
    (box, given), (own_box, after) = found.layers
    assert own_box == box
    known = np.isfinite(given)
    assert known.any()
    assert np.array_equal(known, np.isfinite(after))
    assert after[known] == pytest.approx(GAIN * given[known] + more, rel=1e-6)


def test_without_a_gain_there_is_no_layer_after_it(placed):
    found = measure_all(placed[0], np.nan, None, placed[1])
    assert len(found.layers) == 1
    assert not found.exact
