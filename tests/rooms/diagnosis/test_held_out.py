"""What helps where it was not fitted is claimed, what does not is not; tiles that share pixels are one exposure."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.flat_skies import NOISE, SHAPE, flat_tiles, found, surveyed
from zemosaic_twopass.diagnosis.photometry import pricing, solution

ODD, OFFSET, GRADIENT = 4, 0, 2
ROWS, COLUMNS = (axis[..., np.newaxis] / n - 0.5 for axis, n in zip(np.indices(SHAPE), SHAPE, strict=True))


def with_added(tiles, added, index=ODD):
    return [replace(t, pixels=(t.pixels + added).astype(np.float32)) if i == index else t for i, t in enumerate(tiles)]


@pytest.mark.parametrize(("kind", "added"), [(OFFSET, 3.0), (GRADIENT, 12.0 * COLUMNS), (GRADIENT, 60.0 * ROWS)])
def test_a_fault_that_is_there_helps(kind, added):
    own = surveyed(with_added(flat_tiles(81, nebula=20.0), added)).solution
    assert own.active[ODD, kind]
    assert own.helps.judged[ODD, kind]
    assert not own.helps.refuted.any()
    # As large as the size in errors lets expect: the square of it.
    size = np.sum((own.of(ODD).value / own.of(ODD).errors)[:, [0] if kind == OFFSET else [2, 3]] ** 2)
    assert own.helps.fall[ODD, kind] == pytest.approx(size, rel=0.5)


def test_of_what_noise_asks_for_little_is_claimed(monkeypatch):
    """As if a mosaic without a fault might have many: what half of the blocks asks for the other half does not."""
    monkeypatch.setattr(pricing, "_FALSE_ALARMS", 8.0)
    kept = surveyed(flat_tiles(82, nebula=20.0, channels=2)).solution
    monkeypatch.setattr(solution, "_DOUBTS", 0)
    asked = surveyed(flat_tiles(82, nebula=20.0, channels=2)).solution
    assert asked.helps.refuted[:, :3].any()
    assert not kept.helps.refuted[:, :3].any()
    assert np.count_nonzero(kept.active) < np.count_nonzero(asked.active)


def test_tiles_that_share_their_pixels_have_no_slope_of_their_own():
    """Crops of one stack: what they differ by is a constant, and its scatter is nil, not the noise of their pixels."""
    tiles = flat_tiles(83, nebula=20.0)
    # The first row is cut from one picture of the sky, with one noise.
    rng = np.random.default_rng(83)
    noise, step = rng.normal(0, NOISE, (SHAPE[0], 3 * SHAPE[1], 1)), 150
    clean = flat_tiles(83, nebula=20.0, noise=0.0)
    for index in range(3):
        own = noise[:, step * index : step * index + SHAPE[1]]
        tiles[index] = replace(tiles[index], pixels=(clean[index].pixels + own + 2.0 * index).astype(np.float32))
    survey = surveyed(tiles)
    assert survey.solution.sharing[0] == survey.solution.sharing[1] == survey.solution.sharing[2]
    assert len(set(survey.solution.sharing[2:].tolist())) == 4
    said = found(survey)
    assert {kind for kind, _ in said} == {"offset"}
    offsets = [float(fit.offset[0]) for fit in survey.fits[:3]]
    assert np.diff(offsets) == pytest.approx([2.0, 2.0], abs=0.02)
