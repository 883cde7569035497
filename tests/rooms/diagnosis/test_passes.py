"""Where the second pass lies on the first: shifts, turns and scales put into skies of many sorts, and none of it."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from helpers.scenes import Pass
from zemosaic_twopass.diagnosis.registration.passes import compare_passes, register_passes

SHAPE = (420, 640)


def sky(seed, stars, shape=SHAPE):
    """A level with nebulosity and stars, without noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    image = 1000 + 40 * np.sin(rows / 47 + seed) * np.cos(columns / 83)
    for y, x, flux in zip(
        *rng.uniform(0, 1, (2, stars)) * np.array(shape)[:, None], 800 * (rng.pareto(1, stars) + 0.3), strict=True
    ):
        box = tuple(slice(max(0, int(at) - 9), int(at) + 10) for at in (y, x))
        image[box] += flux / 10.6 * np.exp(-((rows[box] - y) ** 2 + (columns[box] - x) ** 2) / 3.4)
    return image


def noisy(image, seed, sigma=5.0):
    return image + np.random.default_rng(seed).normal(0, sigma, image.shape)


def displaced(image, shift=(0.0, 0.0), turn=0.0, scale=1.0):
    """The image as seen that far to the right and above, turned from columns to rows about its middle; NaN beyond."""
    angle, middle = np.deg2rad(turn), (np.array(image.shape) - 1) / 2
    # Of (row, column): what is here now was there before.
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    start = middle - back @ (middle + np.array(shift)[::-1])
    return affine_transform(image, back, start, order=3, cval=np.nan)


@pytest.mark.parametrize("stars", [40, 300, 6000])
@pytest.mark.parametrize("shift", [(0.3, 0.2), (0.0, -0.4), (12.0, 9.0), (-33.0, -30.0), (47.0, 5.0)])
def test_shift(stars, shift):
    given = noisy(sky(stars, stars), 1)
    found = register_passes(given, noisy(displaced(given, shift), 2, 1.0))
    assert found.pixels == pytest.approx(shift, abs=max(0.03, 5 * found.error))
    assert found.matters
    assert found.typical == pytest.approx(np.hypot(*shift), abs=0.05)
    assert abs(found.turn) < max(5 * found.turn_error, 0.01)


@pytest.mark.parametrize(("turn", "scale"), [(0.1, 1.0), (-0.6, 1.002), (2.0, 1.0), (0.0, 0.997)])
def test_turn_and_scale(turn, scale):
    given = noisy(sky(4, 500), 1)
    found = register_passes(given, displaced(given, (5.0, -7.0), turn, scale))
    assert found.matters
    assert found.turn == pytest.approx(turn, abs=0.01)
    assert 1 + found.scale == pytest.approx(scale, abs=1e-4)


@pytest.mark.parametrize("stars", [0, 3, 40, 300, 6000])
@pytest.mark.parametrize("seed", range(4))
def test_no_shift(stars, seed):
    clear = sky(seed, stars)
    found = register_passes(noisy(clear, seed), 1.02 * noisy(clear, seed + 50) + 3)
    assert (found is None) == (stars < 40)
    assert found is None or not found.matters


def test_shapes_need_not_agree():
    given = noisy(sky(5, 300), 1)
    assert not register_passes(given[:350], given).matters
    found = register_passes(given[20:, 31:], given)
    assert found.pixels == pytest.approx((31, 20), abs=0.01)


def test_skies_that_are_not_the_same():
    assert register_passes(noisy(sky(6, 300), 1), noisy(sky(7, 300), 2)) is None


def test_what_is_not_covered_is_not_looked_at():
    given = noisy(sky(8, 300), 1)
    other, coverage = displaced(given, (8.0, 0.0)), np.ones(SHAPE)
    # Half of the second holds the first where nothing covers it.
    other[:, :400], coverage[:, :400] = given[:, :400], 0
    assert register_passes(given, other, None, coverage).pixels == pytest.approx((8, 0), abs=0.05)


def test_a_few_tiles_that_are_displaced_do_not_speak_for_the_pass():
    given = noisy(sky(9, 300), 1)
    other = given.copy()
    other[:, :200] = displaced(given, (3.0, 0.0))[:, :200]
    found = register_passes(given, other)
    assert found is None or not found.matters


def test_findings():
    clear = Pass.make(rows=2, columns=2, shape=(240, 330), overlap=0.5).coadd()
    shift, found = compare_passes(clear.second_pass())
    assert (shift.corner, found) == ((0, 0), [])
    moved = np.roll(clear.mosaic, (6, -9), axis=(0, 1))
    shift, (finding,) = compare_passes(clear.second_pass(first_pass=moved))
    assert shift.corner == (9, -6)
    assert (finding.kind, finding.tile, finding.unit) == ("pass_misregistration", None, "px")
    assert finding.value == pytest.approx(np.hypot(6, 9), abs=0.05)
    assert "(x +9, y -6)" in finding.message
    for first, words in ((None, "was not seen"), (np.full_like(clear.mosaic, 7), "too few stars")):
        shift, (note,) = compare_passes(clear.second_pass(first_pass=first))
        assert shift is None
        assert (note.kind, note.test) == ("undetermined", "passes")
        assert words in note.message
