"""Steps told from ramps, against least squares of the whole design."""

from types import SimpleNamespace

import numpy as np

from zemosaic_twopass.diagnosis.seams.fit import RAMPS, ramps_of, rise


def test_that_ramp_is_told_which_leaves_least():
    rng = np.random.default_rng(11)
    distance = np.tile(8 * (np.arange(-8, 8) + 0.5), (240, 1)) + rng.uniform(-3, 3, (240, 1))
    distance[rng.random(distance.shape) < 0.15] = np.nan
    error = np.ones((240, 3, 16))
    truth = rng.integers(0, len(RAMPS), 240)
    shown = np.stack([rise(own, RAMPS[which]) for own, which in zip(np.nan_to_num(distance), truth, strict=True)])
    level = shown[:, np.newaxis] * rng.uniform(20, 60, (240, 3, 1)) + rng.normal(0, 1, error.shape)
    level += rng.uniform(-0.3, 0.3, (240, 3, 1)) * np.nan_to_num(distance)[:, np.newaxis]
    with np.errstate(all="ignore"):
        found = ramps_of(level, error, SimpleNamespace(middle_distance=distance))
    for index, own in enumerate(distance):
        known = np.isfinite(own)
        at, values, left = own[known], level[index][:, known], []
        for ramp in RAMPS:
            slopes = [at * (at < 0), at * (at >= 0)] if ramp == RAMPS[0] else [at]
            design = np.stack([rise(at, ramp), np.ones_like(at), *slopes], axis=1)
            terms = np.linalg.lstsq(design, values.T, rcond=None)[0]
            left.append(np.sum((values.T - design @ terms) ** 2))
        usual = max(min(left) / values.size, 1.0)
        assert found[index] == (np.argmin(left) if left[0] - min(left) > 30 * usual else 0)
    assert np.mean(found == truth) > 0.6
