"""Positions that need no way back: only where it is proved."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip
from astropy.wcs.utils import pixel_to_pixel
from reproject import reproject_interp

from zemosaic_twopass.phase5.positions import find_projective_map, round_trips


def gnomonic(crval=(80.0, 20.0), scale=1e-3, kind="TAN"):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = (f"RA---{kind}", f"DEC--{kind}"), crval, (20.0, 15.0)
    wcs.wcs.cdelt = -scale, scale
    return wcs


BOX = slice(0, 30), slice(0, 40)


def test_near_tiles_need_none():
    assert round_trips(gnomonic(), gnomonic((80.01, 20.005)), BOX)
    galactic = gnomonic((184.0, -9.0))
    galactic.wcs.ctype = "GLON-TAN", "GLAT-TAN"
    assert round_trips(gnomonic(), galactic, BOX)


def test_unknown_projections_do():
    bent = gnomonic()
    bent.sip = Sip(np.zeros((3, 3)), np.zeros((3, 3)), None, None, (20.0, 15.0))
    for wcs in (bent, gnomonic(kind="ZEA"), gnomonic()[:20], object()):
        expected = isinstance(wcs, WCS) and wcs.wcs.ctype[0] == "RA---TAN" and wcs.sip is None
        assert round_trips(wcs, gnomonic(), BOX) == expected
        assert round_trips(gnomonic(), wcs, BOX) == expected


@pytest.mark.parametrize("apart", [60.0, 100.0, 180.0])
def test_the_far_side_of_the_sky_is_told(apart):
    """Pixels of 2 degrees: part of the mosaic lies behind the tile, where its projection has a mirror image."""
    tile, mosaic = gnomonic((80.0 + apart, 0.0), 2.0), gnomonic((80.0, 0.0), 2.0)
    image = np.ones((30, 40), np.float32)
    safe, bare = (
        reproject_interp((image, tile), mosaic, (30, 40), return_footprint=False, roundtrip_coords=way)
        for way in (True, False)
    )
    same = np.array_equal(safe, bare, equal_nan=True)
    assert not (round_trips(tile, mosaic, BOX) and not same), "a mirror image was taken for the sky"
    if apart > 90:
        assert not round_trips(tile, mosaic, BOX)


@pytest.mark.parametrize("scale", [1e-4, 1e-3, 0.2])
@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_gnomonic_projections_differ_by_a_projective_map(frame, scale):
    mosaic, tile = gnomonic(scale=scale), gnomonic((80.0 + 9 * scale, 20.0 - 7 * scale), 0.7 * scale)
    if frame == "galactic":
        centre = SkyCoord(*tile.wcs.crval, unit="deg").galactic
        tile.wcs.ctype, tile.wcs.crval = ("GLON-TAN", "GLAT-TAN"), (centre.l.deg, centre.b.deg)
    box = slice(700, 1100), slice(30, 31)
    for part in (box, box[::-1], (slice(5, 400), slice(900, 1500))):
        map_ = find_projective_map(tile, mosaic, part)
        rows, columns = np.indices([side.stop - side.start for side in part]).reshape(2, -1)
        *found, by = map_ @ [rows, columns, np.ones(len(rows))]
        exact = pixel_to_pixel(mosaic, tile, columns + float(part[1].start), rows + float(part[0].start))[::-1]
        np.testing.assert_allclose(found / by, exact, rtol=0, atol=1e-5)


def test_what_is_no_projective_map_is_told():
    assert find_projective_map(gnomonic(scale=1.0, kind="ZEA"), gnomonic(scale=1.0), BOX) is None
    bounded = gnomonic()
    bounded.pixel_bounds = [(0.0, 5.0), (0.0, 5.0)]
    assert find_projective_map(bounded, gnomonic(), BOX) is None
    assert find_projective_map(gnomonic(), bounded, BOX) is None
