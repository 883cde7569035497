"""Which factors the stars contradict: one channel in thirty is three errors off by chance."""

from types import SimpleNamespace

import numpy as np
import pytest

from zemosaic_twopass.diagnosis import acceptance
from zemosaic_twopass.diagnosis.photometry import StarScales

ERROR = 0.01


def objections(said, factor):
    """Against a factor of tile 1 in three channels, where its stars say these logarithms of its scale."""
    logarithm = np.zeros((4, 3))
    logarithm[1] = said
    covariance = np.tile(ERROR**2 * np.diag([0.0, 1.0, 0.0, 0.0]), (3, 1, 1))
    counts = np.full((4, 3), 20)
    stars = StarScales(logarithm, covariance, np.zeros((4, 3), dtype=int), counts, np.ones(3))
    found = [None, SimpleNamespace(factor=np.asarray(factor)), None, None]
    return [one.tile for one in acceptance._by_stars(found, stars)]


@pytest.mark.parametrize(
    ("said", "factor", "refused"),
    [
        ((0.0, 0.03, 0.03), 1.03, False),
        ((0.0, 0.0, 0.0), 1.03, True),
        ((0.005, 0.005, 0.005), 1.03, True),
        ((0.02, 0.02, 0.02), 1.03, False),
        ((-0.02, 0.03, 0.03), 1.03, True),
        ((0.07, 0.07, 0.07), 1.03, True),
    ],
    ids=["one channel", "all", "further than without it", "nearer", "one channel far", "far"],
)
def test_stars_object_by_all_channels_together_or_by_one_that_is_far(said, factor, refused):
    assert objections(said, np.full(3, factor)) == [1] * refused


def test_what_no_star_tells_and_what_is_not_scaled_meets_no_objection():
    with np.errstate(all="ignore"):
        assert objections((np.nan, np.nan, np.nan), np.full(3, 1.5)) == []
        assert objections((0.2, 0.2, 0.2), np.ones(3)) == []
        assert objections((np.nan, 0.0, 0.0), np.array([1.5, 1.0, 1.0])) == []
