"""Points of a mosaic, and what tiles hold there."""

import numpy as np
import pytest
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from zemosaic_twopass.measure.sampling import draw_points, sample_tile
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.records import Tile


class Sparing:
    """A generator that draws no more numbers than a mosaic has pixels."""

    def __init__(self, most):
        self._rng, self._most = np.random.default_rng(1), most
        self.permutation = self._rng.permutation

    def integers(self, low, high, size):
        assert size <= self._most
        return self._rng.integers(low, high, size)


@pytest.mark.parametrize("covered", [1, 700, 100_000, 250_000])
def test_points_of_a_mosaic_that_is_all_but_empty(covered):
    coverage = np.zeros((500, 500), np.float32)
    coverage.flat[np.random.default_rng(2).permutation(coverage.size)[:covered]] = 1
    rows, columns = draw_points(coverage, 20_000, Sparing(coverage.size))
    assert len(rows) == pytest.approx(min(covered, 20_000), rel=0.02)
    assert (coverage[rows, columns] == 1).all()
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)


def sky_of(left, top):
    """A WCS whose first pixel is so far from that of the mosaic."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (-1e-3, 1e-3), (80.0, 20.0)
    wcs.wcs.crpix = 30 - left, 30 - top
    return wcs


@pytest.mark.parametrize("covered", [False, True], ids=["no coverage", "coverage"])
def test_points_of_a_tile_pixel_by_pixel(covered):
    rng = np.random.default_rng(4)
    left, top, shape = 9.25, 12.5, (32, 38)
    tile = rng.normal(100, 5, (*shape, 2)).astype(np.float32)
    # Holes with an inside, in both channels and in one; a single NaN and an infinity.
    tile[4:14, 20:30], tile[3:13, 3:13, 1], tile[25, 8, 1], tile[16, 16, 0] = np.nan, np.nan, np.nan, np.inf
    coverage = np.ones(shape)
    coverage[20:32, 14:26], coverage[6, 6] = 0, 0
    rows, columns = np.indices((60, 60)).reshape(2, -1)
    own = Tile(tile, sky_of(left, top), coverage if covered else None)
    found = sample_tile(own, Place.of(shape[:2], own.wcs, (60, 60), sky_of(0, 0)), (rows, columns))
    expected = {"inside": [], "masked": [], "doubtful": []}
    for point, (y, x) in enumerate(zip(rows - top, columns - left, strict=True)):
        if not (-2.5 < x < shape[1] + 1.5 and -2.5 < y < shape[0] + 1.5):
            continue
        if not (2 <= x < shape[1] - 3 and 2 <= y < shape[0] - 3):
            expected["doubtful"].append(point)
            continue
        window = tuple(slice(int(np.floor(place)) - 2, int(np.floor(place)) + 4) for place in (y, x))
        finite = np.isfinite(tile[window])
        good = finite.any(axis=2) & (coverage[window] > 0 if covered else True)
        if not finite.all():
            # Nowhere near anything that could have been used, or near it.
            expected["doubtful"] += [point] if good.any() else []
        else:
            expected["inside" if good.all() else "doubtful" if good.any() else "masked"].append(point)
    assert all(expected.values()) == covered
    np.testing.assert_array_equal(found.points, expected["inside"])
    np.testing.assert_array_equal(found.masked, expected["masked"])
    # One a little further away from the tile may be called doubtful too.
    assert set(expected["doubtful"]) <= set(found.doubtful.tolist())
    beyond = np.setdiff1d(found.doubtful, expected["doubtful"])
    x, y = columns[beyond] - left, rows[beyond] - top
    assert ((x <= -2.5) | (x >= shape[1] + 1.5) | (y <= -2.5) | (y >= shape[0] + 1.5)).all()
    places = rows[found.points] - top, columns[found.points] - left
    np.testing.assert_allclose((found.y, found.x), places, atol=1e-6)
    for channel in range(2):
        there = map_coordinates(np.nan_to_num(tile[..., channel], posinf=0), places, order=1, output=np.float64)
        np.testing.assert_allclose(found.values[:, channel], there, rtol=1e-6)
