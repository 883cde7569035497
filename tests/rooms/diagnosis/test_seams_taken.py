"""What matching took of each tile, read off a mosaic."""

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.seams.taken import fit_matching


@pytest.mark.parametrize("size", [30, 200, 400])
def test_what_matching_took_is_read_off_mosaics_of_any_size_however_narrow_a_tile_is(size):
    rng = np.random.default_rng(size)
    boxes = [(0, size, 0, size // 2 + 4), (0, size, size // 2 - 4, size), (3, 27, 6, 9), (2, size - 2, 12, 14)]
    weights, total, true = rng.uniform(0.5, 2.0, len(boxes)), np.zeros((size, size)), rng.normal(0, 20, (len(boxes), 2))
    for (top, bottom, left, right), weight in zip(boxes, weights, strict=True):
        total[top:bottom, left:right] += weight
    shares, taken = [], np.zeros((2, size, size))
    for (top, bottom, left, right), weight, own in zip(boxes, weights, true, strict=True):
        box = slice(top, bottom), slice(left, right)
        shares.append((box, weight / total[box]))
        taken[:, box[0], box[1]] -= own[:, np.newaxis, np.newaxis] * shares[-1][1]
    taken += rng.normal(0, 0.001, taken.shape)
    taken[0, -3:] = np.nan
    # A Huber fit: what is wrong with a part of it is not taken for it.
    taken[1, :3, :9] += 50.0
    found = fit_matching(taken, [*shares, None])
    np.testing.assert_allclose(found[:4], true, atol=0.01)
    assert np.isnan(found[4]).all()
