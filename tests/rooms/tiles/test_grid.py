"""The WCS of blocks, pixels of one grid in another, and the box of a tile."""

import numpy as np
import pytest
from astropy.wcs import WCS, DistortionLookupTable, Sip
from astropy.wcs.utils import pixel_to_pixel

from zemosaic_twopass.tiles.grid import (
    block_wcs,
    common_part,
    copy_wcs,
    pixel_box,
    pixels_between,
    tile_outline,
)


def tangent(crval=(83.0, -5.0), scale=2 / 3600, angle=0.3, shape=(60, 80), projection="TAN"):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = f"RA---{projection}", f"DEC--{projection}"
    wcs.wcs.crval = crval
    wcs.wcs.crpix = shape[1] / 2 + 0.3, shape[0] / 2 - 0.7
    wcs.wcs.cd = scale * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.array_shape = shape
    wcs.wcs.set()
    return wcs


def with_pc():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 10, 70
    wcs.wcs.crpix = 33.2, 21.9
    wcs.wcs.cdelt = -0.002, 0.0021
    wcs.wcs.pc = [[0.8, -0.6], [0.6, 0.8]]
    wcs.wcs.set()
    return wcs


def with_sip():
    wcs = tangent()
    wcs.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
    a, b = np.zeros((2, 4, 4))
    a[2, 0], a[1, 1], a[0, 3] = 3e-5, -2e-5, 4e-7
    b[0, 2], b[2, 1] = -4e-5, 5e-7
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def with_tables():
    """Distortion as lookup tables, in pixels, on a coarser lattice of their own."""
    wcs = tangent()
    rng = np.random.default_rng(2)
    for name in ("cpdis1", "cpdis2", "det2im1", "det2im2"):
        table = rng.uniform(-0.5, 0.5, (9, 11)).astype(np.float32)
        setattr(wcs, name, DistortionLookupTable(table, (1.0, 1.0), (-5.0, -4.0), (12.0, 10.0)))
    return wcs


@pytest.mark.parametrize("make", [tangent, with_pc, with_sip, with_tables])
@pytest.mark.parametrize("factor", [1, 3, 8])
def test_block_wcs_puts_block_centres_where_they_are(make, factor):
    wcs = make()
    coarse = block_wcs(wcs, factor)
    x, y = np.meshgrid(np.arange(10.0), np.arange(7.0))
    full = wcs.all_pix2world(factor * x + (factor - 1) / 2, factor * y + (factor - 1) / 2, 0)
    np.testing.assert_allclose(coarse.all_pix2world(x, y, 0), full, rtol=0, atol=3e-9)


def test_block_wcs_leaves_its_argument_alone():
    wcs = with_sip()
    before = wcs.to_header_string(relax=True)
    assert block_wcs(wcs, 8).array_shape == (7, 10)
    assert wcs.to_header_string(relax=True) == before


@pytest.mark.parametrize(
    ("wcs", "error", "words"), [("a string", TypeError, "str"), (WCS(naxis=3), ValueError, "3 pixel axes: 2")]
)
def test_block_wcs_bad_input(wcs, error, words):
    with pytest.raises(error, match=words):
        block_wcs(wcs, 8)


@pytest.mark.parametrize(
    ("tile", "mosaic", "shape_out"),
    [
        (tangent(), tangent(scale=2 / 3600, angle=0.0, shape=(200, 200)), (200, 200)),
        (tangent(angle=0.8), tangent(angle=0.0, scale=5 / 3600, shape=(40, 40)), (40, 40)),
        (tangent((0.0, 10.0)), tangent((359.99, 10.0), angle=0.0, shape=(150, 150)), (150, 150)),
        (tangent((40.0, 90.0), scale=0.05), tangent((0.0, 0.0), 0.5, 0.0, (360, 720), "CAR"), (360, 720)),
        (tangent((0.0, 40.0), scale=0.1), tangent((0.0, 0.0), 0.5, 0.0, (360, 720), "CAR"), (360, 720)),
    ],
    ids=["turned", "coarser", "ra seam", "pole", "all-sky seam"],
)
def test_box_holds_every_pixel_of_the_tile(tile, mosaic, shape_out):
    rows, columns = pixel_box((60, 80), tile, mosaic, shape_out)
    y_out, x_out = np.indices(shape_out)
    x, y = pixel_to_pixel(mosaic, tile, x_out, y_out)
    with np.errstate(invalid="ignore"):
        inside = (x >= -0.5) & (x <= 79.5) & (y >= -0.5) & (y <= 59.5)
    assert inside.any()
    outside_box = inside.copy()
    outside_box[rows, columns] = False
    assert not outside_box.any()


def test_box_is_not_much_larger_than_the_tile():
    tile, mosaic = tangent(angle=0.0, shape=(600, 800)), tangent(angle=0.0, shape=(4000, 4000))
    rows, columns = pixel_box((600, 800), tile, mosaic, (4000, 4000))
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 1.15 * 600 * 800


def test_box_of_a_tile_elsewhere_or_empty():
    assert pixel_box((60, 80), tangent((90.0, -5.0)), tangent(), (60, 80)) is None
    assert pixel_box((0, 80), tangent(), tangent(), (60, 80)) is None


def test_box_of_a_tile_that_the_projection_cannot_hold():
    assert pixel_box((60, 80), tangent((263.0, 5.0)), tangent(projection="SIN"), (50, 70)) == (
        slice(0, 50),
        slice(0, 70),
    )


@pytest.mark.parametrize("make", [tangent, with_sip])
def test_outline_goes_round_the_outer_edges_of_the_pixels(make):
    height, width = 40, 70
    wcs = make()
    x, y = wcs.world_to_pixel_values(*tile_outline((height, width), wcs).T)
    corners = [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)]
    np.testing.assert_allclose(np.column_stack((x, y))[::8], corners, atol=1e-6)
    on_edge = [np.isclose(axis, end, atol=1e-6) for axis, n in ((x, width), (y, height)) for end in (-0.5, n - 0.5)]
    assert np.logical_or.reduce(on_edge).all()
    steps = np.hypot(np.diff(x), np.diff(y)).reshape(-1)
    np.testing.assert_allclose(
        steps, [width / 8] * 8 + [height / 8] * 8 + [width / 8] * 8 + [height / 8] * 7, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        ((slice(0, 9), slice(5, 8)), (slice(4, 20), slice(0, 6)), ((4, 9, 0, 1), (0, 5, 5, 6))),
        ((slice(2, 4), slice(2, 4)), (slice(2, 4), slice(2, 4)), ((0, 2, 0, 2), (0, 2, 0, 2))),
        ((slice(0, 4), slice(0, 4)), (slice(4, 8), slice(0, 4)), None),
        ((slice(0, 4), slice(5, 9)), (slice(0, 4), slice(0, 5)), None),
    ],
)
def test_common_part(box, other, expected):
    found = common_part(box, other)
    numbers = found and tuple(tuple(n for part in own for n in (part.start, part.stop)) for own in found)
    assert numbers == expected


def test_pixels_in_another_frame_may_be_given_as_lists():
    galactic = WCS(naxis=2)
    galactic.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    galactic.wcs.crval, galactic.wcs.crpix, galactic.wcs.cdelt = [10.0, 20.0], [5.0, 5.0], [-0.01, 0.01]
    turned = galactic.deepcopy()
    turned.wcs.crpix = [7.0, 4.0]
    x, y = pixels_between(galactic, turned, [1.0, 2.0], [3.0, 4.0])
    np.testing.assert_allclose([x, y], [[3.0, 4.0], [2.0, 3.0]], atol=1e-6)


@pytest.mark.parametrize("make", [tangent, with_pc, with_sip, with_tables])
def test_a_copy_of_a_wcs_is_one_of_its_own_without_what_astropy_keeps_in_it(make):
    wcs = make()
    at = wcs.pixel_to_world(3.0, 4.0)
    own = copy_wcs(wcs)
    assert own.pixel_to_world(3.0, 4.0) == at
    assert own.array_shape == wcs.array_shape
    own.wcs.crpix = 0.0, 0.0
    own.wcs.set()
    assert wcs.pixel_to_world(3.0, 4.0) == at
    # It takes ten times as long to copy as all else.
    wcs._components_and_classes_cache = Untouchable()
    copy_wcs(wcs)


class Untouchable:
    def __deepcopy__(self, memo):
        raise AssertionError("copied")
