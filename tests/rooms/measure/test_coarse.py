"""Block means of a tile as the coadd sees it, and the noise of its pixels."""

import numpy as np
import pytest
from astropy.wcs.utils import pixel_to_pixel
from scipy.ndimage import map_coordinates

from helpers.scenes import NOISE, Pass
from zemosaic_twopass.measure.coarse import FACTOR, pixel_noise, project_blocks
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.records import Tile


@pytest.fixture(scope="module")
def scene():
    return Pass.make(rows=2, columns=2, shape=(340, 430), overlap=0.7).coadd()


def test_noise_is_that_of_a_pixel(scene):
    for tile in scene.tiles:
        assert pixel_noise(tile)[0] == pytest.approx(NOISE, rel=0.05)
    assert np.isnan(pixel_noise(np.full((5, 5), np.nan))).all()


def test_blocks_are_means_of_what_the_coadd_sees(scene):
    own = Tile(scene.tiles[0], scene.wcs[0], scene.coverage[0])
    tile = project_blocks(own, Place.of(own.shape, own.wcs, scene.shape, scene.out))
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


def test_pixels_near_the_ends_of_float32_are_left_out(scene):
    """The difference of two of them is no number."""
    pixels = scene.tiles[0].copy()
    pixels[100, 100], pixels[100, 101], pixels[130, 130] = 3e38, -3e38, 3e38
    place = Place.of(pixels.shape[:2], scene.wcs[0], scene.shape, scene.out)
    found, plain = (project_blocks(Tile(tile, scene.wcs[0]), place) for tile in (pixels, scene.tiles[0]))
    for name in ("value", "dx", "dy", "curvature"):
        own, usual = getattr(found, name), getattr(plain, name)
        assert not np.isinf(own).any()
        # One pixel less of a block changes its mean by little.
        assert np.nanmax(np.abs(own - usual)) < NOISE
        np.testing.assert_array_equal(np.isnan(own), np.isnan(usual))


def test_tile_off_the_mosaic(scene):
    far = scene.wcs[0].deepcopy()
    far.wcs.crval = far.wcs.crval + [20, 0]
    place = Place.of(scene.tiles[0].shape[:2], far, scene.shape, scene.out)
    assert place is None
    assert project_blocks(Tile(scene.tiles[0], far), place) is None


def test_every_block_is_what_its_own_pixels_say(scene):
    """Whole blocks and ragged ones against sums over their pixels, each by `map_coordinates`."""
    rng = np.random.default_rng(5)
    tile, wcs = np.repeat(scene.tiles[0][..., np.newaxis], 2, axis=2).copy(), scene.wcs[0]
    tile[90:140, 200:230, 1] = np.nan
    tile[tuple(rng.integers(0, n, 60) for n in tile.shape)] = np.nan
    place = Place.of(tile.shape[:2], wcs, scene.shape, scene.out)
    found = project_blocks(Tile(tile, wcs, scene.coverage[0]), place)
    rows, columns = (np.arange(part.start * FACTOR, part.stop * FACTOR) for part in found.box)
    x, y = np.meshgrid(columns, rows)
    positions = np.stack(pixel_to_pixel(scene.out, wcs, x, y)[::-1])
    for channel in range(2):
        plane = np.where(scene.coverage[0] > 0, tile[..., channel], np.nan)
        image = np.pad(map_coordinates(plane, positions, order=1, cval=np.nan), 1, constant_values=np.nan)
        image = image.astype(float)
        middle, left, right = image[1:-1, 1:-1], image[1:-1, :-2], image[1:-1, 2:]
        above, below = image[:-2, 1:-1], image[2:, 1:-1]
        curvature = left + right + above + below - 4 * middle
        known = np.isfinite(curvature)
        count = known.reshape(known.shape[0] // FACTOR, FACTOR, -1, FACTOR).sum(axis=(1, 3))
        assert 0 < np.count_nonzero((count > 0) & (count < FACTOR**2)) < count.size
        whole = np.isfinite(middle).reshape(known.shape[0] // FACTOR, FACTOR, -1, FACTOR).sum(axis=(1, 3))
        assert np.any(whole > count)
        np.testing.assert_array_equal(found.share[channel], whole / FACTOR**2)
        # The value is that of all pixels that are there: next to a star a mean without some of them is another one.
        layers = {"value": (middle, np.isfinite(middle), whole), "dx": ((right - left) / 2, known, count)}
        layers |= {"dy": ((below - above) / 2, known, count), "curvature": (curvature, known, count)}
        for name, (layer, own, number) in layers.items():
            total = np.where(own, layer, 0).reshape(known.shape[0] // FACTOR, FACTOR, -1, FACTOR).sum(axis=(1, 3))
            wanted = np.where(4 * count >= 3 * FACTOR**2, total / np.maximum(number, 1), np.nan)
            np.testing.assert_allclose(getattr(found, name)[channel], wanted, rtol=0, atol=3e-4)
