"""What a mask reaches is decided from few positions as if all pixels had been interpolated."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip
from astropy.wcs.wcsapi import SlicedLowLevelWCS
from reproject import reproject_interp

from zemosaic_twopass.phase5 import reach
from zemosaic_twopass.phase5.reach import find_reached
from zemosaic_twopass.tiles.grid import pixel_box

THRESHOLD = 1e-3
SHAPE, OUT = (70, 90), (150, 170)
BARELY = np.nextafter(np.float32(1e-3), np.float32([0, 1]))


def wcs_of(angle=0.0, at=(75.0, 85.0), shape=SHAPE, scale=1e-3):
    """WCS of a tile of a shape, turned, with its centre at a place (row, column) of the mosaic."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = ("RA---TAN", "DEC--TAN"), ((shape[1] + 1) / 2, (shape[0] + 1) / 2)
    wcs.wcs.crval = mosaic().pixel_to_world_values(*at[::-1])
    sine, cosine = np.sin(angle), np.cos(angle)
    wcs.wcs.cd = scale * np.array([[-cosine, sine], [sine, cosine]])
    return wcs


def mosaic():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ("RA---TAN", "DEC--TAN"), (80.0, 60.0), (60.0, 90.0)
    wcs.wcs.cdelt = -1e-3, 1e-3
    return wcs


def galactic():
    wcs = wcs_of(0.7)
    centre = SkyCoord(*wcs.wcs.crval, unit="deg").galactic
    wcs.wcs.ctype, wcs.wcs.crval = ("GLON-TAN", "GLAT-TAN"), (centre.l.deg, centre.b.deg)
    return wcs


def declination_first():
    wcs = wcs_of(0.7)
    wcs.wcs.ctype, wcs.wcs.crval = ("DEC--TAN", "RA---TAN"), wcs.wcs.crval[::-1]
    return wcs


def bent():
    wcs, curve = wcs_of(0.3), np.zeros((3, 3))
    curve[2, 0] = curve[1, 1] = 2e-4
    wcs.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
    wcs.sip = Sip(curve, curve.T.copy(), -curve, -curve.T, wcs.wcs.crpix)
    return wcs


def bounded():
    wcs = wcs_of(0.3)
    wcs.pixel_bounds = [(10.0, 60.0), (5.0, 40.0)]
    return wcs


def other_projection():
    wcs = wcs_of(0.3)
    wcs.wcs.ctype = "RA---ZEA", "DEC--ZEA"
    return wcs


PROJECTIVE = {
    "upright": wcs_of(),
    # Positions at the very edges of pixels and in their very centres, but for the rounding.
    "half a pixel": wcs_of(at=(75.0, 85.5)),
    "whole pixels": wcs_of(at=(75.5, 85.5)),
    "turned": wcs_of(0.6),
    "upside down": wcs_of(np.pi),
    "half outside": wcs_of(0.2, (150.0, 10.0)),
    "coarse": wcs_of(0.4, scale=2e-3),
    "fine": wcs_of(0.4, scale=3e-4),
    "galactic": galactic(),
    "declination first": declination_first(),
}
OTHERS = {"bent": bent(), "bounded": bounded(), "other projection": other_projection()}


def masks(shape):
    rng = np.random.default_rng(8)
    good = np.ones(shape, np.float32)
    ragged, values, single = good.copy(), good.copy(), 0 * good
    for row, edge in zip(ragged, rng.integers(0, 9, shape[0]), strict=True):
        row[:edge] = 0
    values[:] = rng.choice([0, 5e-4, *BARELY, 1e-3, 1.0001e-3, -2, 1, 3e38], shape)
    single[shape[0] // 2, shape[1] // 2] = 1
    return {
        "all": good,
        "none": 0 * good,
        "margin": np.pad(good, 3)[3:-3, 3:-3] * np.pad(good, 3)[6:, 6:] if min(shape) > 6 else good,
        "ragged": ragged,
        "holes": (rng.random(shape) > 0.05).astype(np.float32),
        "weak": 0.01 * good,
        "around the threshold": values,
        "only just": np.where(rng.random(shape) > 0.1, *BARELY[::-1]).astype(np.float32),
        "smooth": np.linspace(0, 2e-3, good.size, dtype=np.float32).reshape(shape),
        "single pixel": single,
    }


def expected(mask, wcs, box):
    shape = [part.stop - part.start for part in box]
    part = SlicedLowLevelWCS(mosaic(), box)
    return reproject_interp((mask, wcs), part, shape_out=shape, return_footprint=False) > THRESHOLD


def agrees(mask, wcs):
    box = pixel_box(mask.shape, wcs, mosaic(), OUT)
    found = find_reached(mask, wcs, mosaic(), box, THRESHOLD)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected(mask, wcs, box))
    return found


@pytest.mark.parametrize("kind", masks(SHAPE))
@pytest.mark.parametrize("wcs", PROJECTIVE.values(), ids=PROJECTIVE)
def test_same_as_all_interpolated(wcs, kind, monkeypatch):
    monkeypatch.setattr(reach, "reproject_interp", None)
    agrees(masks(SHAPE)[kind], wcs)


@pytest.mark.parametrize("kind", ["all", "ragged", "around the threshold"])
@pytest.mark.parametrize("wcs", OTHERS.values(), ids=OTHERS)
def test_other_wcs_are_interpolated_as_a_whole(wcs, kind, monkeypatch):
    monkeypatch.setattr(reach, "interpolate", None)
    agrees(masks(SHAPE)[kind], wcs)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 2), (3, 3), (3, 50)])
@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_narrow_tiles(shape, angle):
    for mask in masks(shape).values():
        agrees(mask, wcs_of(angle, shape=shape))


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1)])
def test_boxes_of_a_line(size):
    box = tuple(slice(70, 70 + n) for n in size)
    mask, wcs = masks(SHAPE)["holes"], wcs_of(0.6)
    np.testing.assert_array_equal(find_reached(mask, wcs, mosaic(), box, THRESHOLD), expected(mask, wcs, box))


@pytest.mark.parametrize("apart", [30.0, 100.0, 180.0])
def test_tiles_far_away(apart):
    """Pixels of 2 degrees: part of the mosaic may lie behind the tile."""
    wide, tile = mosaic(), mosaic()
    wide.wcs.cdelt = tile.wcs.cdelt = -2.0, 2.0
    wide.wcs.crval, tile.wcs.crval = (80.0, 0.0), (80.0 + apart, 0.0)
    wide.wcs.crpix = tile.wcs.crpix = 20.0, 15.0
    mask, box = np.ones((30, 40), np.float32), (slice(0, 30), slice(0, 40))
    whole = reproject_interp((mask, tile), wide, (30, 40), return_footprint=False) > THRESHOLD
    np.testing.assert_array_equal(find_reached(mask, tile, wide, box, THRESHOLD), whole)


@pytest.mark.parametrize("error", [(0.45, -0.45), (-0.45, 0.3)])
def test_positions_may_be_wrong_by_almost_half_a_pixel(error, monkeypatch):
    right = reach.find_projective_map

    def wrong(*args):
        shift = np.eye(3)
        shift[:2, 2] = error
        return shift @ right(*args)

    monkeypatch.setattr(reach, "find_projective_map", wrong)
    for mask in masks(SHAPE).values():
        for name in ("half a pixel", "turned", "coarse"):
            agrees(mask, PROJECTIVE[name])


def test_few_pixels_are_interpolated(monkeypatch):
    counts, real = [], reach.interpolate

    def count(*args):
        counts.append(args[-1][1])
        return real(*args)

    monkeypatch.setattr(reach, "interpolate", count)
    shape = (300, 400)
    wide = masks(shape)
    wcs = wcs_of(0.5, (0.0, 0.0), shape, 3e-4)
    for kind in ("all", "margin"):
        agrees(wide[kind], wcs)
    assert max(counts) < 0.02 * np.prod(OUT)
    counts.clear()
    agrees(wide["none"], wcs)
    assert not counts
