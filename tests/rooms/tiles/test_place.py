"""Where a tile lies in a mosaic: as the WCS themselves say, however few of its positions are worked out."""

import numpy as np
import pytest
from astropy.wcs import WCS, Sip
from astropy.wcs.utils import pixel_to_pixel

from zemosaic_twopass.synthetic.sky import tangent_wcs
from zemosaic_twopass.tiles.grid import pixels_between
from zemosaic_twopass.tiles.place import Place

CENTRE = (83.82, -5.39)
SHAPE, SHAPE_OUT = (150, 210), (400, 500)


def bent(wcs):
    """The same WCS with the distortion of a camera."""
    bend = wcs.deepcopy()
    a, b = np.zeros((2, 4, 4))
    a[2, 0], a[1, 2], b[0, 2], b[3, 0] = 2e-5, 1e-8, -3e-5, 2e-8
    bend.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    bend.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
    return bend


def galactic(wcs):
    """A WCS of other axes over the same sky."""
    other = WCS(naxis=2)
    other.wcs.ctype, other.wcs.crval = ("GLON-TAN", "GLAT-TAN"), (208.9, -19.4)
    other.wcs.crpix, other.wcs.cdelt = wcs.wcs.crpix, (-2.4 / 3600, 2.4 / 3600)
    other.wcs.set()
    return other


@pytest.mark.parametrize("make", [lambda wcs: wcs, bent, galactic], ids=["plain", "distorted", "galactic"])
def test_positions_are_those_of_the_wcs(make):
    wcs, out = make(tangent_wcs(CENTRE, 0.4, SHAPE)), tangent_wcs(CENTRE, 0.0, SHAPE_OUT)
    place = Place.of(SHAPE, wcs, SHAPE_OUT, out)
    assert place.lattice is not None
    rows, columns = (np.arange(part.start - 8, part.stop + 8) + 0.25 for part in place.box)
    grid = np.meshgrid(columns, rows)
    exact = np.stack(pixel_to_pixel(out, wcs, *grid)[::-1])
    positions = place.positions(rows, columns)
    # A distortion is inverted by steps, which end within about 1e-7 px.
    np.testing.assert_allclose(positions(slice(None)), exact, rtol=0, atol=2e-7 if wcs.sip else 1e-9)
    np.testing.assert_allclose(positions(slice(5, 9)), positions(slice(None))[:, 5:9], rtol=0, atol=1e-9)
    np.testing.assert_allclose(pixels_between(out, wcs, *grid)[::-1], exact, rtol=0, atol=1e-8)


def test_positions_a_shift_beyond_the_box_are_near():
    """A tile that is put back to its place may lie outside of the grid by as much as it was moved."""
    wcs, out = tangent_wcs(CENTRE, 0.4, SHAPE), tangent_wcs(CENTRE, 0.0, SHAPE_OUT)
    place = Place.of(SHAPE, wcs, SHAPE_OUT, out)
    rows, columns = (np.arange(part.start - 32, part.stop + 32) for part in place.box)
    exact = np.stack(pixel_to_pixel(out, wcs, *np.meshgrid(columns, rows))[::-1])
    np.testing.assert_allclose(place.positions(rows, columns)(slice(None)), exact, rtol=0, atol=1e-6)


def test_positions_beyond_the_sky_are_far_outside():
    """A grid that ends in the middle of the box has no positions there; where it has, they are exact."""
    out = WCS(naxis=2)
    out.wcs.ctype, out.wcs.crpix, out.wcs.cdelt = ("RA---SIN", "DEC--SIN"), (50, 50), (-1.5, 1.5)
    out.wcs.set()
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (60.0, 0.0)
    wcs.wcs.crpix, wcs.wcs.cdelt = (50, 50), (-0.6, 0.6)
    wcs.wcs.set()
    place = Place.of((100, 100), wcs, (100, 100), out)
    assert place.lattice is None
    rows, columns = np.arange(100), np.arange(100)
    found = place.positions(rows, columns)(slice(None))
    exact = np.stack(pixel_to_pixel(out, wcs, *np.meshgrid(columns, rows))[::-1])
    known = np.isfinite(exact)
    assert known.any()
    assert not known.all()
    np.testing.assert_array_equal(found[known], exact[known])
    assert (found[~known] < -1000).all()


def test_no_place_off_the_grid():
    assert (
        Place.of(SHAPE, tangent_wcs((90.0, -5.0), 0.0, SHAPE), SHAPE_OUT, tangent_wcs(CENTRE, 0.0, SHAPE_OUT)) is None
    )
