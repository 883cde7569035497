"""Stars of a tile lie where the sky has them, whatever smooth light lies over it."""

from dataclasses import replace

import numpy as np
import pytest

from zemosaic_twopass.measure.stars import find_stars
from zemosaic_twopass.synthetic.sky import synthetic_tiles


@pytest.fixture(scope="module")
def tile():
    return synthetic_tiles(rows=1, columns=1, shape=(260, 330), seed=3)[0]


def light(shape, kind):
    """Smooth light over an image, 300 adu at most, shape (H, W, 1)."""
    rows, columns = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    rows = rows[:, np.newaxis]
    layers = {"ramp": rows + columns, "bow": -(rows**2 + columns**2), "saddle": 2 * rows * columns}
    return 150 * layers[kind][..., np.newaxis]


@pytest.mark.parametrize("kind", ["ramp", "bow", "saddle"])
def test_smooth_light_does_not_move_them(tile, kind):
    """Within a tenth of their errors: the bow's slope alone would move those near the edges by more than one."""
    plain = find_stars(tile, tile.wcs)
    lit = find_stars(replace(tile, pixels=tile.pixels + light(tile.shape, kind)), tile.wcs)
    assert len(plain) > 15
    apart = np.hypot(*(lit.places[:, np.newaxis] - plain.places).transpose(2, 0, 1))
    nearest = apart.argmin(axis=1)
    assert np.count_nonzero(apart.min(axis=1) < 0.5) > 0.97 * len(plain)
    same = apart.min(axis=1) < 0.5
    assert np.max(apart.min(axis=1)[same] / plain.errors[nearest][same]) < 0.1
    np.testing.assert_allclose(lit.errors[same], plain.errors[nearest][same], rtol=0.05)
