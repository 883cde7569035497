"""Stars of a tile lie where the sky has them, whatever smooth light lies over it."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs.utils import pixel_to_pixel

from zemosaic_twopass.measure import stars
from zemosaic_twopass.measure.stars import find_stars
from zemosaic_twopass.synthetic.sky import synthetic_tiles, tangent_wcs
from zemosaic_twopass.tiles.records import Tile


@pytest.fixture(scope="module")
def tile():
    return synthetic_tiles(rows=1, columns=1, shape=(260, 330), seed=3)[0]


def light(shape, kind):
    """Smooth light over an image, 300 adu at most, shape (H, W, 1)."""
    rows, columns = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    rows = rows[:, np.newaxis]
    layers = {"ramp": rows + columns, "bow": -(rows**2 + columns**2), "saddle": 2 * rows * columns}
    return 150 * layers[kind][..., np.newaxis]


@pytest.mark.parametrize("kind", ["ramp", "bow", "saddle"])
def test_smooth_light_does_not_move_them(tile, kind):
    """Within a tenth of their errors: the bow's slope alone would move those near the edges by more than one."""
    plain = find_stars(tile, tile.wcs)
    lit = find_stars(replace(tile, pixels=tile.pixels + light(tile.shape, kind)), tile.wcs)
    assert len(plain) > 15
    apart = np.hypot(*(lit.places[:, np.newaxis] - plain.places).transpose(2, 0, 1))
    nearest = apart.argmin(axis=1)
    assert np.count_nonzero(apart.min(axis=1) < 0.5) > 0.97 * len(plain)
    same = apart.min(axis=1) < 0.5
    assert np.max(apart.min(axis=1)[same] / plain.errors[nearest][same]) < 0.1
    np.testing.assert_allclose(lit.errors[same], plain.errors[nearest][same], rtol=0.05)


def coloured(turn, beside, flux, noise=4.0):
    """100 stars on a tile turned by so many degrees, their red `beside` and their blue as far on the other side."""
    shape, rng = (240, 260), np.random.default_rng(4)
    places = np.stack(np.meshgrid(np.arange(20, 250, 24.0), np.arange(20, 230, 22.0)), axis=-1).reshape(-1, 2)
    places += rng.uniform(-3, 3, places.shape)
    rows, columns = (np.arange(n)[np.newaxis] for n in shape)
    image = 500 + rng.normal(0, noise, (*shape, len(flux)))
    for channel, (part, side) in enumerate(zip(flux, (1, 0, -1), strict=False)):
        x, y = (places + side * np.asarray(beside)).T[..., np.newaxis]
        down, across = (np.exp(-(d**2) / (2 * 1.1**2)) for d in (rows - y, columns - x))
        image[..., channel] += part * np.einsum("nr,nc->rc", down, across)
    return Tile(image.astype(np.float32), tangent_wcs((80.0, 20.0), np.deg2rad(turn), shape))


@pytest.mark.parametrize("turn", [0, 180, 70])
def test_colours_that_lie_beside_one_another(turn):
    """Equally weighted they lie at 0; by their light, on the red side."""
    tile, upright = coloured(turn, (0.25, -0.1), (900, 600, 300)), coloured(0, (0, 0), (600,))
    stars = find_stars(tile, upright.wcs)
    nearby = find_stars(tile, tile.wcs)
    expected = -np.array([0.25, -0.1]) / 3
    np.testing.assert_allclose(nearby.beside, expected, atol=4 * nearby.beside_error + 0.005)
    middle = np.array([130.0, 120.0])
    before, after = (np.array(pixel_to_pixel(tile.wcs, upright.wcs, *at)) for at in (middle, middle + expected))
    np.testing.assert_allclose(stars.beside, after - before, atol=4 * stars.beside_error + 0.005)
    assert 0 < stars.beside_error < 0.02


def test_colours_that_tell_nothing():
    """One channel, one without stars, one of zeros, whole numbers that hold one value, hardly any stars."""
    one = coloured(0, (0, 0), (600,))
    assert find_stars(one, one.wcs).beside_error == 0
    full = coloured(0, (0.3, 0), (900, 600, 300))
    blank = full.pixels.copy()
    blank[..., 2] = 0
    cut = full.pixels.copy()
    cut[70:] = np.nan
    cut[:, 70:] = np.nan
    for pixels in (blank, cut, np.zeros((60, 60, 3), np.uint16), full.pixels[:30, :30]):
        stars = find_stars(replace(full, pixels=pixels), full.wcs)
        assert stars.beside_error == 0
        np.testing.assert_array_equal(stars.beside, 0)


def test_colours_of_one_place_lie_beside_nothing():
    tile = coloured(0, (0, 0), (900, 600, 300))
    stars = find_stars(tile, tile.wcs)
    assert np.hypot(*stars.beside) < 4 * stars.beside_error < 0.02


@pytest.mark.parametrize("share", [(1.0, 0.0), (0.5, 0.5)])
def test_a_hot_pixel_is_narrower_than_a_star_resampled_or_not(share):
    tile = coloured(0, (0, 0), (600,))
    pixels = tile.pixels.copy()
    for column, part in enumerate(share):
        pixels[7:230:22, 8 + column : 250 : 24] += np.float32(part * 900)
    stars = find_stars(replace(tile, pixels=pixels), tile.wcs)
    beside = (stars.places - [8 + share[1], 7] + [12, 11]) % [24, 22] - [12, 11]
    hot = np.hypot(*beside.T) < 1.5
    assert np.count_nonzero(hot) > 50
    assert not stars.wide[hot].any()
    assert np.count_nonzero(stars.wide) > 80


def test_a_star_whose_pixel_has_no_area_in_the_mosaic_is_left_out(tile, monkeypatch):
    """At the rim of a projection the pixel above it may be nowhere."""
    plain = find_stars(tile, tile.wcs)

    def rim(wcs, wcs_out, x, y):
        x, y = (own.copy() for own in stars.pixels_between.plain(wcs, wcs_out, x, y))
        x[2, 0] = y[2, 0] = np.nan
        return x, y

    rim.plain = stars.pixels_between
    monkeypatch.setattr(stars, "pixels_between", rim)
    found = find_stars(tile, tile.wcs)
    assert len(found) == len(plain) - 1
    assert np.isfinite(found.area).all()
