"""The FITS file of the delta map, read back."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, DistortionLookupTable, Sip

from helpers.reports import SCALE, make_report, single_pixel_report, tangent_wcs
from zemosaic_twopass import DeltaMap, TwoPassReport
from zemosaic_twopass.measure.delta import CoarseGrid, compare_tiles
from zemosaic_twopass.report.maps import write_map
from zemosaic_twopass.tiles.grid import block_wcs, tile_outline

TURN = np.array([[-np.cos(0.4), np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])


def full_wcs(kind):
    """A full-resolution WCS of 600 × 500 pixels in one of the ways a header can say it."""
    wcs = tangent_wcs(crpix=(312.4, 240.9), angle=0.4)
    if kind.startswith("pc"):
        del wcs.wcs.cd
        wcs.wcs.cdelt = -SCALE, 1.1 * SCALE
        wcs.wcs.pc = TURN * [[-1], [1]]
    if kind.endswith("sip"):
        wcs.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
        a, b = np.zeros((4, 4)), np.zeros((4, 4))
        a[2, 0], a[1, 1], a[3, 0] = 4e-5, -2e-5, 3e-8
        b[0, 2], b[1, 1], b[0, 3] = -3e-5, 1e-5, 2e-8
        wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    if kind == "galactic":
        wcs.wcs.ctype = "GLON-TAN", "GLAT-TAN"
    wcs.wcs.set()
    return wcs


def map_of(wcs, values=((1.0, 2.0), (0.0, 4.0)), count=((1, 2), (0, 3))):
    values = np.array(values, np.float32)
    count = np.array(count)
    return DeltaMap(values, -values, count, np.where(count > 0, 5, -1), wcs, 8, "first_pass", (1.0, np.nan, 2.0))


@pytest.mark.parametrize("kind", ["cd", "pc", "cd+sip", "pc+sip", "galactic"])
def test_wcs_is_that_of_the_mosaic(tmp_path, kind):
    wcs = full_wcs(kind)
    delta = map_of(block_wcs(wcs, 8), np.ones((62, 75)), np.ones((62, 75), int))
    write_map(TwoPassReport(delta=delta, before=delta), tmp_path / "a.fits")
    x, y = np.meshgrid(np.linspace(0, 74, 13), np.linspace(0, 61, 11))
    expected = wcs.pixel_to_world((x + 0.5) * 8 - 0.5, (y + 0.5) * 8 - 0.5)
    with fits.open(tmp_path / "a.fits") as hdus:
        for hdu in hdus:
            found = WCS(hdu.header).pixel_to_world(x, y)
            assert found.separation(expected).arcsec.max() < 0.01
            # A matrix is said as it was given: some viewers read nothing but CD.
            assert ("CD1_1" in hdu.header) == (not kind.startswith("pc"))
            assert ("PC1_1" in hdu.header) == ("CDELT1" in hdu.header) == kind.startswith("pc")


def test_distortion_tables_come_along(tmp_path):
    wcs = full_wcs("cd")
    bump = np.linspace(0, 3, 30, dtype=np.float32).reshape(5, 6)
    wcs.cpdis1 = DistortionLookupTable(bump, (1, 1), (1, 1), (120, 120))
    wcs.cpdis2 = DistortionLookupTable(-bump, (1, 1), (1, 1), (120, 120))
    delta = map_of(block_wcs(wcs, 8), np.ones((62, 75)), np.ones((62, 75), int))
    write_map(TwoPassReport(delta=delta), tmp_path / "a.fits")
    x, y = np.meshgrid(np.linspace(0, 74, 13), np.linspace(0, 61, 11))
    expected = wcs.pixel_to_world((x + 0.5) * 8 - 0.5, (y + 0.5) * 8 - 0.5)
    with fits.open(tmp_path / "a.fits") as hdus:
        found = WCS(hdus[0].header, hdus).pixel_to_world(x, y)
    assert found.separation(expected).arcsec.max() < 0.01


def test_layers_and_cards(tmp_path):
    report = make_report(verdict="clean")
    write_map(report, tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["DELTA", "SIGNED", "COUNT", "WORST", "BEFORE"]
        delta = report.delta
        compared = delta.count > 0
        layers = {"DELTA": delta.delta, "SIGNED": delta.signed, "BEFORE": report.before.delta}
        for name, layer in layers.items():
            assert hdus[name].header["BUNIT"] == "adu"
            assert hdus[name].header["BITPIX"] == -32
            np.testing.assert_array_equal(hdus[name].data, np.where(compared, layer, np.nan))
        np.testing.assert_array_equal(hdus["COUNT"].data, delta.count)
        np.testing.assert_array_equal(hdus["WORST"].data, delta.worst)
        header = hdus[0].header
        cards = [header[name] for name in ("NAXIS", "DOWNSAMP", "REFERENC", "NTILES", "VERDICT", "DATE")]
        assert cards == [2, 4, "first_pass", 4, "clean", report.created[:19]]
        assert header["CREATOR"].startswith("zemosaic-instrument ")
        assert any("tile x gain" in line for line in header["HISTORY"])
        for hdu in hdus:
            assert not {"BSCALE", "BZERO", "BLANK"} & set(hdu.header)


def test_nothing_compared_is_nan_in_every_layer_of_values(tmp_path):
    write_map(TwoPassReport(delta=map_of(tangent_wcs())), tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["DELTA", "SIGNED", "COUNT", "WORST"]
        np.testing.assert_array_equal(hdus[0].data, [[1, 2], [np.nan, 4]])
        np.testing.assert_array_equal(hdus["SIGNED"].data, [[-1, -2], [np.nan, -4]])
        np.testing.assert_array_equal(hdus["WORST"].data, [[5, 5], [-1, 5]])


def test_one_pixel(tmp_path):
    write_map(single_pixel_report(), tmp_path / "a.fits")
    assert fits.getdata(tmp_path / "a.fits").shape == (1, 1)


def test_worst_is_the_tile_furthest_from_the_reference():
    grid = CoarseGrid.of(tangent_wcs(), (2, 3), 1)
    whole = (slice(0, 2), slice(0, 3))
    nan = np.nan
    projected = [
        (whole, np.array([[1.0, 5.0, nan], [0.0, 2.0, nan]])),
        None,
        (whole, np.array([[-3.0, 5.0, nan], [0.0, nan, nan]])),
        ((slice(0, 1), slice(2, 3)), np.array([[0.0]])),
    ]
    found = compare_tiles(projected, np.zeros((2, 3)), grid, "first_pass")
    np.testing.assert_array_equal(found.worst, [[2, 0, 3], [0, 0, -1]])
    nothing = compare_tiles([], np.zeros((2, 3)), grid, "first_pass")
    assert (nothing.worst == -1).all()


def test_outline_goes_round_the_outer_edge():
    wcs = full_wcs("cd+sip")
    outline = tile_outline((500, 600), wcs)
    assert outline.shape == (32, 2)
    corners = wcs.world_to_pixel_values(*outline[::8].T)
    np.testing.assert_allclose(
        np.transpose(corners), [(-0.5, -0.5), (599.5, -0.5), (599.5, 499.5), (-0.5, 499.5)], atol=1e-4
    )
    x, y = wcs.world_to_pixel_values(*outline.T)
    on_edge = np.isclose(x % 600, 599.5, atol=1e-3) | np.isclose(y % 500, 499.5, atol=1e-3)
    assert on_edge.all()


def test_outline_is_icrs_whatever_the_tile_says():
    equatorial = tangent_wcs()
    galactic = full_wcs("galactic")
    galactic.wcs.crval = equatorial.pixel_to_world(0, 0).galactic.l.deg, equatorial.pixel_to_world(0, 0).galactic.b.deg
    galactic.wcs.crpix = 1, 1
    centre = tile_outline((1, 1), galactic).mean(axis=0)
    np.testing.assert_allclose(centre, (83.82, -5.39), atol=1e-4)
