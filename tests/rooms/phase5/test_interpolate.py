"""Positions of one's own are those of reproject, and what is interpolated there is its own, to the bit."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from reproject import reproject_interp

from zemosaic_twopass.phase5.interpolate import interpolate

OUT = (44, 52)


def wcs_of(crval=(80.0, 20.0), angle=0.0, kinds=("RA---TAN", "DEC--TAN"), **settings):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = kinds, crval, (20.0, 15.0)
    sine, cosine = np.sin(angle), np.cos(angle)
    wcs.wcs.cd = 1e-3 * np.array([[-cosine, sine], [sine, cosine]])
    for name, value in settings.items():
        setattr(wcs.wcs, name, value)
    return wcs


GALACTIC = SkyCoord(80.005, 20.003, unit="deg").galactic
WCSS = {
    "turned": wcs_of((80.005, 20.003), 0.4),
    "FK5": wcs_of((80.005, 20.003), 0.4, radesys="FK5", equinox=2000.0),
    "galactic": wcs_of((GALACTIC.l.deg, GALACTIC.b.deg), 0.4, ("GLON-TAN", "GLAT-TAN")),
    "declination first": wcs_of((20.003, 80.005), 0.4, ("DEC--TAN", "RA---TAN")),
    "seam": wcs_of((0.001, 20.0), 0.4),
    "pole": wcs_of((10.0, 89.995), 0.4),
    "negative": wcs_of((80.005 - 360, 20.003), 0.4),
}
CENTRES = {"seam": (0.0, 20.0), "pole": (0.0, 90.0), "negative": (-280.0, 20.0)}


@pytest.mark.parametrize("planes", [(30, 40), (3, 30, 40)], ids=["plane", "planes"])
@pytest.mark.parametrize("name", WCSS)
def test_same_bits_as_reproject(name, planes):
    wcs, wcs_out = WCSS[name], wcs_of(CENTRES.get(name, (80.0, 20.0)))
    rng = np.random.default_rng(4)
    image = rng.normal(1000, 50, planes).astype(np.float32)
    image[..., rng.random(planes[-2:]) < 0.05] = np.nan
    shape = (*planes[:-2], *OUT)
    expected = reproject_interp((image, wcs), wcs_out, shape, return_footprint=False, roundtrip_coords=False)
    assert np.isfinite(expected).any()
    found = interpolate(image, wcs, wcs_out, lambda x, y: (x, y), OUT)
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()
    # Some of the pixels, in another order.
    rows, columns = (rng.integers(0, n, 300) for n in OUT)

    def pixels(x, y):
        index = x.astype(int)
        return columns[index].astype(float), rows[index].astype(float)

    picked = interpolate(image, wcs, wcs_out, pixels, (1, 300))
    np.testing.assert_array_equal(picked[..., 0, :], expected[..., rows, columns])
