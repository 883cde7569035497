"""Tiles as given against one another: unbiased, where the fault is and nowhere else, errors that are true."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import NOISE, Pass
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.diagnosis.registration.adjustment import information
from zemosaic_twopass.synthetic.surveys import survey

TERMS = ("offset", "gain", "slope_x", "slope_y")


@pytest.fixture(scope="module")
def scene():
    return Pass.make(rows=2, columns=2, shape=(340, 430), overlap=0.7).coadd()


def surveyed(scene, change=None, tile=0):
    tiles = list(scene.tiles)
    if change is not None:
        tiles[tile] = change(tiles[tile]).astype(np.float32)
    return survey(replace(scene, tiles=tiles).second_pass())


def test_information_of_a_term_that_nothing_is_known_of_is_zero():
    covariance = np.array([[4.0, 0, 1], [0, np.inf, 0], [1, 0, 2.0]])
    expected = np.zeros((3, 3))
    expected[::2, ::2] = np.linalg.inv(covariance[::2, ::2])
    np.testing.assert_allclose(information(covariance), expected)
    np.testing.assert_array_equal(information(np.diag([0.0, np.inf])), np.zeros((2, 2)))
    np.testing.assert_array_equal(information(np.full((2, 2), np.inf)), np.zeros((2, 2)))


def test_clean_tiles_have_z_of_one_and_no_findings(scene):
    rng = np.random.default_rng(8)
    z = []
    for _ in range(6):
        # Half the noise is drawn anew: the sky and what it does to the fits stay.
        again = replace(scene, tiles=[t + rng.normal(0, NOISE, t.shape).astype(np.float32) for t in scene.tiles])
        found = surveyed(again)
        assert residual_findings(found) == []
        for fit in found.fits:
            assert fit.overlaps == 3
            z += [(getattr(fit, term) / getattr(fit, f"{term}_error"))[0] for term in TERMS]
            z += [fit.shift_x / fit.shift_error, fit.shift_y / fit.shift_error]
    z = np.array(z)[np.isfinite(z)]
    assert 0.75 < np.std(z) < 1.3
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize("tile", [0, 3])
def test_offset_is_unbiased_and_stays_where_it_is(scene, tile):
    for index, fit in enumerate(surveyed(scene, lambda t: t + 12, tile).fits):
        expected = 12 if index == tile else 0
        assert abs(fit.offset[0] - expected) < max(4.5 * fit.offset_error[0], 0.05 * NOISE)


def test_gain_and_gradient_are_told_apart(scene):
    scaled = surveyed(scene, lambda t: t * 1.1, 2).fits[2]
    assert scaled.offset[0] == pytest.approx(0.1 * np.nanmedian(scene.tiles[2]), rel=0.05)
    assert scaled.gain[0] == pytest.approx(0.1, abs=0.03)
    sloping = surveyed(scene, lambda t: t + np.linspace(-20, 20, t.shape[0])[:, np.newaxis], 2).fits[2]
    assert np.hypot(sloping.slope_x[0], sloping.slope_y[0]) == pytest.approx(40, rel=0.1)
    assert abs(sloping.gain[0]) < 0.03


def test_a_shift_is_taken_out_of_what_is_compared(scene):
    found = surveyed(scene, lambda t: np.roll(t, 3, axis=1), 1)
    # The tile is turned by a few degrees at most, and its edge is rolled round.
    assert (found.fits[1].shift_x, found.fits[1].shift_y) == pytest.approx((3, 0), abs=0.25)
    assert {finding.kind for _, finding in residual_findings(found) if finding.tile != 1} == set()
    assert abs(found.fits[1].offset[0]) < 0.1 * NOISE


def test_every_tile_with_a_level_of_its_own():
    scene = Pass.make(rows=3, columns=3, shape=(340, 430), overlap=0.7, seed=5)
    levels = np.random.default_rng(9).normal(0, 15, 9)
    scene.tiles = [(tile + level).astype(np.float32) for tile, level in zip(scene.tiles, levels, strict=True)]
    found = np.array([fit.offset[0] for fit in survey(scene.second_pass()).fits])
    # A constant no data can tell; the median tile has none.
    assert np.std(found - levels) < 0.02 * NOISE
    assert np.min(np.abs(found)) < 0.05 * NOISE


def test_one_tile_and_tiles_that_do_not_meet_have_no_fit(scene):
    part = replace(scene, tiles=scene.tiles[:1], wcs=scene.wcs[:1], coverage=scene.coverage[:1])
    found = survey(part.second_pass())
    assert found.fits == (None,)
    assert [finding.kind for _, finding in residual_findings(found)] == ["undetermined"]


def test_a_gain_with_an_offset_of_its_own():
    """As an intertile match was seen to leave the tiles: one of them 0.75 t, the others 0.5 t + 411."""
    scene = Pass.make(rows=2, columns=3, shape=(340, 430), overlap=0.6, seed=4)
    scene.tiles = [(0.75 * t if i == 0 else 0.5 * t + 411).astype(np.float32) for i, t in enumerate(scene.tiles)]
    found = survey(scene.second_pass())
    fit = found.fits[0]
    assert abs(fit.gain[0] - 0.5) < 4 * fit.gain_error[0] < 0.1
    (_, first), (_, second) = sorted(residual_findings(found), key=lambda entry: -entry[0])
    assert {(first.kind, first.tile), (second.kind, second.tile)} == {("gain_residual", 0), ("offset", 0)}
    # What one sees at the level of the sky, about 1000, and not at a sky of 0.
    offset = first if first.kind == "offset" else second
    assert offset.value == pytest.approx(750 - 911, abs=15)


def blank(tile, value):
    tile[:] = value
    return tile


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: blank(t, 0.0),
        lambda t: blank(t, 1000.0),
        lambda t: np.where(np.indices(t.shape)[0] < 0.6 * t.shape[0], np.float32(0), t),
        lambda t: np.where(np.indices(t.shape)[0] < 0.2 * t.shape[0], np.float32(0), t),
    ],
    ids=["zeros", "one value", "most of it zero", "a part of it zero"],
)
def test_what_holds_one_value_all_over_outweighs_nothing(scene, spoil):
    """It has no noise, but it is no sky: the fault of another tile is found as ever, and nobody else is accused."""
    tiles = [tile.copy() for tile in scene.tiles]
    tiles[0], tiles[2] = spoil(tiles[0]), tiles[2] + np.float32(20)
    found = survey(replace(scene, tiles=tiles).second_pass())
    named = [(f.kind, f.tile) for _, f in residual_findings(found) if f.kind != "undetermined" and f.tile != 0]
    assert named == [("offset", 2)]
    assert found.fits[2].offset[0] == pytest.approx(20, abs=0.5)
    assert np.isfinite(found.solution.level).all()
