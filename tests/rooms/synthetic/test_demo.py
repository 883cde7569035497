"""The synthetic mosaic: reproducible, really overlapping, and faulty to order."""

import numpy as np
import pytest

from zemosaic_twopass import tile_statistics
from zemosaic_twopass.measure.stars import find_stars
from zemosaic_twopass.synthetic.faults import FAULTS, Fault
from zemosaic_twopass.synthetic.sky import synthetic_tiles

SMALL = {"rows": 2, "columns": 2, "shape": (80, 90)}


@pytest.fixture(scope="module")
def clean():
    return synthetic_tiles(**SMALL)


def test_same_seed_same_tiles(clean):
    state = np.random.get_state()[1].tobytes()
    again, other = synthetic_tiles(**SMALL), synthetic_tiles(**SMALL, seed=2)
    assert all(a.pixels.tobytes() == b.pixels.tobytes() for a, b in zip(clean, again, strict=True))
    assert any(a.pixels.tobytes() != b.pixels.tobytes() for a, b in zip(clean, other, strict=True))
    assert np.random.get_state()[1].tobytes() == state


def test_shape_of_things(clean):
    assert len(clean) == 4
    for tile in clean:
        assert tile.pixels.shape == (80, 90, 3)
        assert tile.pixels.dtype == tile.coverage.dtype == np.float32
        np.testing.assert_array_equal(np.isfinite(tile.pixels).all(axis=2), tile.coverage > 0)
        assert not tile.coverage[:2].any()
        assert 0.7 < tile.coverage.mean() < 0.95
        assert tile.wcs.array_shape == (80, 90)
    angles = [np.arctan2(tile.wcs.wcs.cd[1, 0], tile.wcs.wcs.cd[1, 1]) for tile in clean]
    assert np.ptp(angles) > 0.005


def test_sky_is_the_same_in_every_tile():
    tiles = synthetic_tiles(**SMALL, noise=0.0)
    sky = tiles[0].wcs.pixel_to_world_values(70.0, 60.0)
    seen = []
    for tile in tiles:
        x, y = (int(v) for v in np.rint(tile.wcs.world_to_pixel_values(*sky)))
        if 10 < x < 80 and 10 < y < 70:
            seen.append(np.nanmedian(tile.pixels[y - 4 : y + 5, x - 4 : x + 5, 0]))
    assert len(seen) >= 2
    assert np.ptp(seen) < 1.0


@pytest.mark.parametrize(("kind", "size"), [("offset", 20.0), ("gain_residual", 0.05), ("gradient", 30.0)])
def test_fault_is_where_and_what_was_ordered(clean, kind, size):
    faulty = synthetic_tiles(**SMALL, faults=[Fault(kind, 2, size)])
    for index in (0, 1, 3):
        assert faulty[index].pixels.tobytes() == clean[index].pixels.tobytes()
    change = faulty[2].pixels - clean[2].pixels
    expected = {
        "offset": size,
        "gain_residual": size * clean[2].pixels,
        "gradient": np.linspace(-15, 15, 90)[:, np.newaxis],
    }
    good = clean[2].coverage > 0
    np.testing.assert_allclose(change[good], np.broadcast_to(expected[kind], change.shape)[good], atol=1e-3)


def test_shift_moves_the_stars():
    clean, moved = (synthetic_tiles(**SMALL, noise=0.0, faults=f)[1] for f in ((), [Fault("astrometry", 1, 3.0)]))
    assert moved.wcs.to_header_string() == clean.wcs.to_header_string()
    here, there = (find_stars(tile, tile.wcs).places for tile in (clean, moved))
    apart = there[:, np.newaxis] - here
    # The same stars, whatever the direction: most are as far from where they were as was ordered.
    nearest = apart[np.arange(len(there)), np.argmin(np.hypot(*np.moveaxis(apart, 2, 0)), axis=1)]
    assert np.hypot(*np.median(nearest, axis=0)) == pytest.approx(3, abs=0.1)
    assert np.abs(np.median(nearest, axis=0)).min() > 0.1


def test_parse():
    assert Fault.parse("offset") == Fault("offset", None, FAULTS["offset"][0])
    assert Fault.parse("gain_residual:3") == Fault("gain_residual", 3, FAULTS["gain_residual"][0])
    assert Fault.parse("astrometry:3:1.5") == Fault("astrometry", 3, 1.5)
    assert Fault.parse("astrometry::1.5") == Fault("astrometry", None, 1.5)


@pytest.mark.parametrize("text", ["blur", "offset:two", "offset:1:big", "offset:1:2:3", ""])
def test_parse_bad_input(text):
    with pytest.raises(ValueError, match="fault"):
        Fault.parse(text)


@pytest.mark.parametrize("kind", ["offset", "astrometry"])
def test_tile_that_is_not_there(kind):
    with pytest.raises(ValueError, match="tile 4 is not one of 0 to 3"):
        synthetic_tiles(**SMALL, faults=[Fault(kind, 4, 1.0)])


def test_middle_tile_by_default(clean):
    faulty = synthetic_tiles(**SMALL, faults=[Fault("offset", None, 50.0)])
    differ = [
        tile_statistics(a.pixels).median != tile_statistics(b.pixels).median for a, b in zip(clean, faulty, strict=True)
    ]
    assert differ == [False, True, False, False]
