"""What of a tile is no sky: filled, feathered and odd borders are left out whole, and a sound tile loses nothing."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from zemosaic_twopass.measure.coarse import pixel_noise, project_blocks
from zemosaic_twopass.measure.measurement import measure_tile
from zemosaic_twopass.measure.not_sky import not_sky
from zemosaic_twopass.synthetic.sky import tangent_wcs
from zemosaic_twopass.tiles.records import Tile
from zemosaic_twopass.tiles.tile_set import PlacedTile

SHAPE = 190, 250
ROWS, COLUMNS = np.indices(SHAPE)
LEVEL, NOISE = 1000.0, 6.0
COLOURS = np.linspace(1, 0.8, 3)
SIDES = COLUMNS, SHAPE[1] - 1 - COLUMNS, ROWS, SHAPE[0] - 1 - ROWS
WCS = tangent_wcs((80.0, 20.0), 0.0, SHAPE)
# adu, 0..1, and a sky from which its level was subtracted.
UNITS = {"adu": lambda t: t, "0..1": lambda t: t / 65535, "level 0": lambda t: np.where(t == 0, 0, t - LEVEL * COLOURS)}


def sky(seed=0):
    """A nebula and stars with noise, float64."""
    rng = np.random.default_rng(seed)
    image = LEVEL + 80 * np.exp(-((COLUMNS - 90) ** 2 + (ROWS - 60) ** 2) / (2 * 50.0**2))
    for x, y, flux in zip(*rng.uniform(0, (SHAPE[1], SHAPE[0]), (60, 2)).T, 10 ** rng.uniform(1.5, 4, 60), strict=True):
        image = image + flux * np.exp(-((COLUMNS - x) ** 2 + (ROWS - y) ** 2) / (2 * 1.4**2))
    return image[..., np.newaxis] * COLOURS + rng.normal(0, NOISE, (*SHAPE, 3))


def turned(degrees, short=0.0):
    """True in the footprint of an image turned by an angle, each of its sides shorter by so many pixels."""
    angle = np.deg2rad(degrees)
    x, y = COLUMNS - SHAPE[1] / 2, ROWS - SHAPE[0] / 2
    right, up = np.abs(x * np.cos(angle) + y * np.sin(angle)), np.abs(y * np.cos(angle) - x * np.sin(angle))
    return (right < SHAPE[1] / 2 - short) & (up < SHAPE[0] / 2 - short)


def found_in(pixels, coverage=None):
    tile = Tile(pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels, WCS, coverage)
    return not_sky(tile, pixel_noise(tile.pixels, coverage))


def check(found, bad, how, most=0.0, eaten=0.02):
    """All of what is bad is left out, up to a part, and of the rest no more than a part of the tile."""
    assert found.border.how == how
    assert np.count_nonzero(bad & ~found.mask) <= most * np.count_nonzero(bad)
    assert np.count_nonzero(found.mask & ~bad) <= eaten * bad.size


SOUND = {
    "as it is": lambda t: t,
    "0..1": lambda t: t / 65535,
    "level 0": lambda t: t - LEVEL * COLOURS,
    "level 0, no negative values": lambda t: np.maximum(t - LEVEL * COLOURS, 0),
    "level 0 with a slope, no negative values": lambda t: np.maximum(
        t - LEVEL * COLOURS + 25 * (COLUMNS / SHAPE[1] - 0.7)[..., None], 0
    ),
    "whole numbers": lambda t: np.rint(t).astype(np.int16),
    "whole numbers, little noise": lambda t: np.rint(t / 10).astype(np.uint16),
    "8 bits": lambda t: np.rint(t / 20).clip(0, 255).astype(np.uint8),
    "saturated": lambda t: np.minimum(t, LEVEL + 70),
    "a glow along a side": lambda t: t + 300 * np.exp(-COLUMNS / 60)[..., None],
    "a glow in a corner": lambda t: t + 1000 * np.exp(-np.hypot(COLUMNS, ROWS) / 60)[..., None],
    "half the light at the corners": lambda t: (
        t * (1 - 0.5 * ((COLUMNS / SHAPE[1] - 0.5) ** 2 + (ROWS / SHAPE[0] - 0.5) ** 2) / 0.5)[..., None]
    ),
    "level 0, a nebula that ends at an edge": lambda t: (
        t - LEVEL * COLOURS + 200 * (1 - np.exp(-((COLUMNS / 40) ** 2)))[..., None]
    ),
    "a slope": lambda t: t + 300 * (ROWS / SHAPE[0])[..., None],
    "level 0, smoothed": lambda t: gaussian_filter(t - LEVEL * COLOURS, (1.5, 1.5, 0)),
    "level 0, less noise in the corners": lambda t: (
        (t - LEVEL * COLOURS) * np.sqrt(1 - ((COLUMNS / SHAPE[1] - 0.5) ** 2 + (ROWS / SHAPE[0] - 0.5) ** 2))[..., None]
    ),
    "level 0, less noise along a side": lambda t: (
        (t - LEVEL * COLOURS) * (0.5 + 0.5 * np.clip(COLUMNS / 80, 0, 1))[..., None]
    ),
    "turned, NaN": lambda t: np.where(turned(7)[..., None], t, np.nan),
    "one channel": lambda t: t[..., 0],
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_tile_loses_nothing(name, seed):
    found = found_in(SOUND[name](sky(seed)))
    assert (found.mask, found.border, found.silent) == (None, None, ())


def test_blocks_of_a_sound_tile_are_the_same_to_the_byte():
    tile = Tile(sky().astype(np.float32), WCS)
    placed = PlacedTile.of(tile, WCS, SHAPE)
    own, plain = measure_tile(placed).blocks, project_blocks(tile, placed.place)
    for name in ("value", "dx", "dy", "curvature", "share"):
        assert getattr(own, name).tobytes() == getattr(plain, name).tobytes()
    found = not_sky(tile, pixel_noise(tile.pixels))
    assert found.take_out(tile) is tile
    assert found.heard(tile) is tile


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("width", [2, 3, 5, 13, 40])
@pytest.mark.parametrize("side", range(4))
def test_filled_strip(side, width, units):
    bad, image = SIDES[side] < width, sky(side)
    image[bad] = 0
    found = found_in(UNITS[units](image))
    check(found, bad, "filled")
    assert found.border.share == pytest.approx(bad.mean())
    assert found.border.level == 0


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("degrees", [1.5, 5, 30])
def test_filled_corners_of_a_turned_tile(degrees, units):
    bad, image = ~turned(degrees), sky(1)
    image[bad] = 0
    found = found_in(UNITS[units](image))
    check(found, bad, "filled", eaten=0.04)
    assert found.border.share == pytest.approx(bad.mean())


@pytest.mark.parametrize(("share", "wave"), [(0.05, 25), (0.3, 25), (0.5, 0), (0.6, 0), (0.5, 6)])
def test_a_sky_that_was_cut_off_is_cut_and_no_border(share, wave):
    """Where it was darker than its level next to nothing of it is left, up to the edges."""
    image = sky(2) + wave * np.sin(COLUMNS / 40)[..., np.newaxis]
    found = found_in(np.maximum(image - np.percentile(image, 100 * share, axis=(0, 1)), 0))
    assert (found.mask, found.border) == (None, None)
    assert [(own.channel, own.value) for own in found.cut] == [(channel, 0) for channel in range(3)]
    assert [own.share for own in found.cut] == pytest.approx([share] * 3, abs=0.04)


@pytest.mark.parametrize("name", ["as it is", "0..1", "level 0"])
def test_what_has_a_least_value_by_chance_or_a_fill_is_not_cut_off(name):
    own, image = SOUND[name], sky()
    filled = own(image)
    filled[:, :12] = 0
    assert found_in(own(image)).cut == found_in(filled).cut == ()
    # A trail that was masked with what is far below the sky.
    masked = own(image)
    masked[80:100, 20:-20] = masked.min() - np.ptp(masked)
    assert found_in(masked).cut == ()
    # Coarse whole numbers, as next to no noise leaves them.
    assert found_in(np.rint(image / (2 * NOISE)).astype(np.int16)).cut == ()


def test_fill_that_packing_has_dithered():
    bad, image = ~turned(5), sky(1)
    image[bad] = np.random.default_rng(1).uniform(-0.1, 0.1, (np.count_nonzero(bad), 3)) * NOISE
    check(found_in(image), bad, "filled")


def test_a_nebula_that_ends_at_a_fill_is_no_feather():
    image, bad = SOUND["level 0, a nebula that ends at an edge"](sky(1)), SIDES[0] < 5
    image[bad] = 0
    check(found_in(image), bad, "filled")


def test_white_fill_and_fill_beside_nan():
    image = sky(1)
    image[SIDES[0] < 12] = 65535
    check(found_in(image), SIDES[0] < 12, "filled")
    image[SIDES[0] < 6] = np.nan
    found = found_in(image)
    check(found, (SIDES[0] >= 6) & (SIDES[0] < 12), "filled", eaten=0.05)
    assert found.border.share == pytest.approx(6 / SHAPE[1])


def test_fill_of_one_channel():
    image = sky(1)
    image[SIDES[2] < 9, 1] = 0
    check(found_in(image), SIDES[2] < 9, "filled")


def test_of_what_its_own_coverage_leaves_out_nothing_is_said():
    image, good = sky(1), turned(5)
    image[~good] = 0
    found = found_in(image, good.astype(np.float32))
    assert (found.mask, found.border) == (None, None)
    tile = Tile(image.astype(np.float32), WCS, turned(0, short=40))
    image[~tile.coverage] = np.random.default_rng(3).normal(0, 500, (np.count_nonzero(~tile.coverage), 3))
    noise = measure_tile(PlacedTile.of(replace(tile, pixels=image.astype(np.float32)), WCS, SHAPE)).noise
    np.testing.assert_allclose(noise, NOISE, rtol=0.15)


@pytest.mark.parametrize("level", [LEVEL, 0.0])
@pytest.mark.parametrize("width", [10, 20, 40, 60])
@pytest.mark.parametrize("kind", ["fill", "edge", "side", "NaN"])
@pytest.mark.parametrize("shape", ["straight", "curved"])
def test_feather(shape, kind, width, level):
    """Only noise and stars fade where the level of the sky is 0."""
    inside = np.ones(SHAPE, dtype=bool) if kind in ("edge", "side") else turned(4, short=8)
    distance = SIDES[1] + 1 if kind == "side" else distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    weight = np.clip(distance / width, 0, 1)
    weight = weight if shape == "straight" else (1 - np.cos(np.pi * weight)) / 2
    image = (sky(2) + (level - LEVEL) * COLOURS) * weight[..., np.newaxis]
    if kind == "NaN":
        image[~inside] = np.nan
    bad = (weight < 0.99) & (inside | (kind == "fill"))
    # Where noise has arrived is less sharp than where a level has.
    check(found_in(image), bad, "feathered", most=0.05 if level else 0.1, eaten=0.2 if level else 0.25)


@pytest.mark.parametrize("height", [-150, 300])
@pytest.mark.parametrize("width", [1, 2, 4, 7])
@pytest.mark.parametrize("side", range(4))
def test_rim(side, width, height):
    bad, image = SIDES[side] < width, sky(3)
    image[bad] += height
    found = found_in(image)
    check(found, bad, "rim")
    assert found.border.share == pytest.approx(bad.mean())


def test_whatever_is_asked_of_tiles_that_are_hardly_any():
    for shape in ((1, 1), (1, 9), (2, 2), (3, 40, 3), (40, 3, 1)):
        for value in (np.nan, 0.0):
            found = found_in(np.full(shape, value))
            assert found.border is None
    found = found_in(np.random.default_rng(1).normal(0, 1, (5, 7, 3)))
    assert found.border is None


@pytest.mark.parametrize("shape", [(8, 8), SHAPE])
def test_channels_that_have_no_pixel_in_common(shape):
    """As where each has a mask of its own: each holds a sky, and no pixel is known in all."""
    pixels = np.random.default_rng(2).normal(LEVEL, NOISE, (*shape, 3))
    pixels[np.arange(3) != (np.indices(shape).sum(axis=0) % 3)[..., np.newaxis]] = np.nan
    assert found_in(pixels).border is None


@pytest.mark.parametrize("seed", [8, 12, 44])
def test_a_nebula_without_noise_whose_level_was_subtracted_does_not_fade(seed):
    """What varies less near a side is its structure: there is no noise that could be less."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(500, 600)), rng.uniform(15, 60))[100:400, 100:500]
    smooth = (smooth - smooth.min()) / np.ptp(smooth) * rng.uniform(20, 300)
    found = found_in(np.repeat((smooth - np.median(smooth))[..., np.newaxis], 3, axis=2))
    assert found.border is None or found.border.how != "feathered"
