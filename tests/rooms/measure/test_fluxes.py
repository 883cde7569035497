"""Fluxes of stars: those that were put in, whatever the seeing, the pixels and the light around them."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from zemosaic_twopass.measure.fluxes import TELLS_GROWTH, measure_fluxes
from zemosaic_twopass.measure.stars import Stars, find_stars
from zemosaic_twopass.tiles.records import Tile

SHAPE, NOISE, SPACING = (300, 360), 5.0, 30


def wcs_of(scale=1.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ("RA---TAN", "DEC--TAN"), (10.0, 20.0), (1.0, 1.0)
    wcs.wcs.cd = 1e-3 * scale * np.array([[-1, 0.05], [0.05, 1]])
    wcs.wcs.set()
    return wcs


def profile(kind, fwhm, dy, dx):
    """A star of flux 1: a Gaussian, or a Moffat function with β = 3, whose wings are wide."""
    square = dy**2 + dx**2
    if kind == "gaussian":
        sigma = fwhm / 2.3548
        return np.exp(-square / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    width = fwhm / 2 / np.sqrt(2 ** (1 / 3) - 1)
    return 2 / (np.pi * width**2) * (1 + square / width**2) ** -3


def made(kind="gaussian", fwhm=2.6, seed=1, channels=2):
    """(tile, places, fluxes): one star a field of 30 × 30 px, fluxes from 2000 to 60 000 adu, blue half as bright."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(SHAPE)
    y, x = (axis.ravel() for axis in np.mgrid[SPACING / 2 : SHAPE[0] : SPACING, SPACING / 2 : SHAPE[1] : SPACING])
    x, y = x + rng.uniform(-3, 3, x.shape), y + rng.uniform(-3, 3, y.shape)
    flux = 10 ** rng.uniform(3.3, 4.8, x.shape)
    image = np.zeros(SHAPE)
    for one, (a, b) in zip(flux, np.transpose([x, y]), strict=True):
        image += one * profile(kind, fwhm, rows - b, columns - a)
    image = np.stack([image * part for part in (1.0, 0.5)[:channels]], axis=-1)
    image += 1000 + 0.05 * columns[..., np.newaxis] + rng.normal(0, NOISE, image.shape)
    return Tile(image.astype(np.float32), wcs_of()), np.transpose([x, y]), flux


def ratios(tile, places, flux, wcs):
    """Measured over true fluxes and the measured star's record, of the stars that were found."""
    stars = find_stars(tile, wcs)
    away = np.hypot(*(stars.places[:, np.newaxis] - places).transpose(2, 0, 1))
    known = away.min(axis=1) < 1
    found = measure_fluxes(tile, stars)[0]
    true = flux[away.argmin(axis=1)][known, np.newaxis] * np.array([1.0, 0.5])
    growth = np.nanmedian(found.growth, axis=0)
    return found.flux[known] * growth / true, found.error[known] / true, found, away.argmin(axis=1)[known]


@pytest.mark.parametrize("kind", ["gaussian", "moffat"])
def test_seeing_does_not_change_them(kind):
    """An aperture of 4 px holds 12 % less of the wider of these two Moffat stars."""
    medians = []
    for seed, fwhm in enumerate((2.2, 2.8, 3.4)):
        tile, places, flux = made(kind, fwhm, seed)
        ratio, error, found, _ = ratios(tile, places, flux, tile.wcs)
        assert np.isfinite(ratio[:60]).all(axis=1).mean() > 0.75
        medians.append(np.nanmedian(ratio, axis=0))
        # The surest are so bright that the noise is little of what they scatter by.
        off = (ratio / medians[-1] - 1) / np.hypot(error, 0.003)
        assert 0.4 < np.nanstd(off) < 1.6
        told = np.isfinite(found.growth)
        assert (told.sum(axis=0) >= 10).all()
        assert np.std((found.growth - np.nanmedian(found.growth, axis=0))[told]) < TELLS_GROWTH
    assert np.ptp(medians, axis=0).max() < 0.02
    np.testing.assert_allclose(medians, 1, atol=0.05)


def test_the_unit_is_that_of_the_mosaic():
    tile, places, flux = made()
    fine, coarse = wcs_of(), wcs_of(2.0)
    plain = ratios(tile, places, flux, fine)[0]
    # On pixels twice as wide the same tile, in adu a pixel, covers a quarter as many.
    wide, own = (measure_fluxes(tile, find_stars(tile, wcs))[0] for wcs in (coarse, fine))
    # The standard apertures are others there.
    beyond = [np.nanmedian(one.growth, axis=0) for one in (wide, own)]
    other = wide.flux * beyond[0] / (own.flux * beyond[1])
    np.testing.assert_allclose(other[np.isfinite(other)], 0.25, rtol=0.01)
    assert np.nanmedian(plain) == pytest.approx(1, abs=0.03)


def test_what_is_cut_off_or_has_a_companion_is_left_out():
    tile, places, flux = made()
    bright = np.argsort(flux)[-2:]
    pixels = tile.pixels.copy()
    column, row = np.rint(places[bright[0]]).astype(int)
    rows, columns = np.indices(SHAPE)
    pixels[..., 0] = np.where(
        np.hypot(rows - row, columns - column) < 10,
        np.minimum(pixels[..., 0], 1000 + flux[bright[0]] / 30),
        pixels[..., 0],
    )
    x, y = places[bright[1]] + (4.0, 0.0)
    pixels += (0.5 * flux[bright[1]] * profile("gaussian", 2.6, rows - y, columns - x))[..., np.newaxis]
    before = ratios(tile, places, flux, tile.wcs)
    after = ratios(replace(tile, pixels=pixels), places, flux, tile.wcs)
    for index in bright:
        assert np.isfinite(before[0][before[3] == index]).all()
    assert np.isnan(after[0][after[3] == bright[0], 0]).all()
    assert np.isnan(after[0][after[3] == bright[1]]).all()
    assert np.isfinite(after[0][:60]).all(axis=1).mean() > 0.7


def test_pixels_that_are_not_known_leave_their_stars_out():
    tile, places, flux = made()
    coverage = np.ones(SHAPE, dtype=np.float32)
    coverage[:, :180] = 0
    stars = find_stars(tile, tile.wcs)
    found = measure_fluxes(replace(tile, coverage=coverage), stars)[0]
    assert np.isnan(found.flux[stars.places[:, 0] < 180]).all()
    right = stars.places[:, 0] > 200
    assert np.isfinite(found.flux[:60][right[:60]]).mean() > 0.7


def stars_at(places):
    """On a mosaic whose pixels are the tile's."""
    count = len(places)
    return Stars(places, np.full(count, 0.01), positions=places, area=np.ones(count))


def test_stars_beyond_the_image_and_at_its_edge_are_not_measured():
    tile, places, _ = made()
    beyond = [[2.0, 50.0], [-500.0, 50.0], [1e6, -1e6]]
    found = measure_fluxes(tile, stars_at(np.concatenate([beyond, places])))[0]
    assert np.isnan(found.flux[: len(beyond)]).all()
    assert np.isfinite(found.flux[len(beyond) : 60]).mean() > 0.7


@pytest.mark.parametrize("axis", [0, 1])
def test_a_sky_that_slopes_is_no_light_of_stars_at_an_edge(axis):
    """By what is on one side alone they were some 300 adu fainter than in a tile that goes on there."""
    tile, places, _ = made()
    slope = 4.0 * np.indices(SHAPE)[axis][..., np.newaxis].astype(np.float32)
    whole = replace(tile, pixels=tile.pixels + slope)
    # By so much beside a row of stars that all of each is left, and not all of what lies around it.
    cut = SPACING // 2 + 5 * SPACING - 11
    at = np.flatnonzero((places[:, 1 - axis] > cut) & (places[:, 1 - axis] < cut + 12))
    own = replace(tile, pixels=np.take(whole.pixels, np.arange(cut, SHAPE[axis]), axis=axis))
    moved = places[at] - np.eye(2)[1 - axis] * cut
    measured = measure_fluxes(own, stars_at(moved)), measure_fluxes(whole, stars_at(places[at]))
    step = max(each[0].step for each in measured)
    here, there = (next(one.flux for one in each if one.step == step) for each in measured)
    assert np.isfinite(here - there).sum() >= 6
    assert np.nanmax(np.abs(here - there)) < 60


@pytest.mark.parametrize("unit", [1e20, 1e-24])
def test_units_of_their_own(unit):
    """Squares of them are beyond single precision."""
    tile, places, _ = made()
    plain, other = (
        measure_fluxes(replace(tile, pixels=tile.pixels * np.float32(own)), stars_at(places))[0] for own in (1, unit)
    )
    np.testing.assert_allclose(other.flux / unit, plain.flux, rtol=1e-3)
    np.testing.assert_allclose(other.error / unit, plain.error, rtol=1e-2)


def test_a_pixel_that_is_not_known_leaves_its_star_out_in_its_channel():
    tile, places, _ = made()
    pixels = tile.pixels.copy()
    column, row = np.rint(places[5]).astype(int)
    pixels[row, column + 1, 0] = np.nan
    before, after = (measure_fluxes(replace(tile, pixels=own), stars_at(places))[0] for own in (tile.pixels, pixels))
    assert np.isfinite(before.flux[5]).all()
    assert (np.isnan(after.flux[5, 0]), np.isfinite(after.flux[5, 1])) == (True, True)
    np.testing.assert_array_equal(np.delete(after.flux, 5, axis=0), np.delete(before.flux, 5, axis=0))


def test_few_stars_and_none():
    tile, _, _ = made()
    for count in (0, 2):
        places = np.array([[15.0, 15.0], [45.0, 45.0]])[:count]
        assert measure_fluxes(tile, stars_at(places)) == ()
    empty = replace(tile, pixels=np.full((*SHAPE, 2), np.nan, dtype=np.float32))
    stars = stars_at(np.array([[50.0, 50.0], [80.0, 80.0], [110.0, 50.0]]))
    assert measure_fluxes(empty, stars) == ()


def test_a_channel_without_signal_says_nothing_and_harms_no_other():
    tile, places, flux = made()
    pixels = tile.pixels.copy()
    pixels[..., 1] = np.nan
    stars = find_stars(tile, tile.wcs)
    found = measure_fluxes(replace(tile, pixels=pixels), stars)[0]
    assert np.isnan(found.flux[:, 1]).all()
    assert np.isfinite(found.flux[:60, 0]).mean() > 0.75
