"""Mosaics made over and over with the positions kept: what `reproject_and_coadd` would make."""

from dataclasses import replace

import numpy as np
import pytest
from reproject import reproject_interp
from reproject.mosaicking import reproject_and_coadd

from zemosaic_twopass.synthetic.dense import DenseScene
from zemosaic_twopass.synthetic.mosaics import Grid, coadd, coadd_planes, homography
from zemosaic_twopass.synthetic.sky import synthetic_tiles, tangent_wcs


@pytest.fixture(scope="module")
def tiles():
    masters = synthetic_tiles(rows=2, columns=2, shape=(60, 72), overlap=0.5)
    return [replace(tile, pixels=tile.pixels[..., 0].copy()) for tile in masters]


@pytest.mark.parametrize("matched", [True, False])
def test_the_coadd_is_that_of_reproject(tiles, matched):
    grid = Grid.of(tiles)
    mosaic, coverage = coadd_planes([tile.pixels for tile in tiles], grid.places, grid.shape, matched)
    np.random.seed(1)
    expected, weights = reproject_and_coadd(
        [(tile.pixels, tile.wcs) for tile in tiles],
        grid.wcs,
        shape_out=grid.shape,
        input_weights=[tile.coverage for tile in tiles],
        reproject_function=reproject_interp,
        combine_function="mean",
        match_background=matched,
    )
    np.testing.assert_allclose(coverage, weights, atol=1e-5)
    known = coverage > 0.01
    # Matching goes by the median of a part of the pixels, another part here and there: half an adu of noise of 8.
    np.testing.assert_allclose(mosaic[known], expected[known], atol=0.5 if matched else 1e-2)
    assert np.isnan(mosaic[coverage == 0]).all()


def test_gains_multiply_the_tiles_on_their_way(tiles):
    grid = Grid.of(tiles)
    gained, *_ = coadd(tiles, grid, gains=[1.1] * 4)
    plain, _, wcs, shape = coadd(tiles, grid)
    assert wcs is grid.wcs and shape == grid.shape
    np.testing.assert_allclose(gained, np.float32(1.1) * plain, rtol=1e-5)
    rgb = [replace(tile, pixels=np.stack([tile.pixels] * 3, axis=-1)) for tile in tiles]
    np.testing.assert_array_equal(coadd(rgb, grid)[0][..., 2], plain)


def test_only_gnomonic_wcs_have_a_projective_map(tiles):
    curved = tangent_wcs((83.82, -5.39), 0.0, (60, 72))
    curved.wcs.ctype = "RA---CAR", "DEC--CAR"
    curved.wcs.cd = 100 * curved.wcs.cd
    with pytest.raises(ValueError, match="both WCS must be gnomonic"):
        homography(curved, tiles[0].wcs, (60, 72))


def test_in_a_dense_layout_every_tile_meets_twenty_others():
    scene = DenseScene.make(3, count=40, shape=(32, 40))
    boxes = [place.box for place in scene.grid.places]
    for one in boxes:
        meets = [all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True)) for other in boxes]
        assert sum(meets) - 1 >= 20
    noisy = scene.tiles_with_noise(np.random.default_rng(0))
    spread = [np.std(one.pixels - plain.pixels) for one, plain in zip(noisy, scene.tiles, strict=True)]
    np.testing.assert_allclose(spread, 8.0, rtol=0.1)
    assert DenseScene.make(3, count=40, shape=(32, 40), rgb=True).tiles[0].pixels.shape == (32, 40, 3)
