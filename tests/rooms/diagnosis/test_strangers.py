"""Tiles whose stars are nobody's: named, not compared, and never those of a sound sparse field."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import NOISE, Pass
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.diagnosis.evidence import gather
from zemosaic_twopass.diagnosis.examine import examine_pass
from zemosaic_twopass.diagnosis.registration import find_strangers
from zemosaic_twopass.measure.stars import Stars
from zemosaic_twopass.synthetic.surveys import survey
from zemosaic_twopass.tiles.tile_set import TileSet


def turned_wcs(wcs, degrees):
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    wcs = wcs.deepcopy()
    wcs.wcs.cd = np.array([[cos, -sin], [sin, cos]]) @ wcs.wcs.cd
    wcs.wcs.set()
    return wcs


def off(wcs, arcmin):
    wcs = wcs.deepcopy()
    wcs.wcs.crval = wcs.wcs.crval + np.array([arcmin / 60, 0])
    wcs.wcs.set()
    return wcs


WRONG = {
    "upside down": lambda pixels, wcs: (pixels[::-1, ::-1], wcs),
    "mirrored": lambda pixels, wcs: (pixels[:, ::-1], wcs),
    "matrix of another solution": lambda pixels, wcs: (pixels, turned_wcs(wcs, 40)),
    "far off": lambda pixels, wcs: (pixels, off(wcs, 4)),
}


def found_in(scene):
    # As `examine` does: a pair has sums of nothing.
    with np.errstate(all="ignore"):
        surveyed = survey(scene.second_pass())
        return surveyed, [finding for _, finding in residual_findings(surveyed)]


@pytest.fixture
def scene():
    return Pass.make(rows=2, columns=3, shape=(200, 240), overlap=0.6)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("tile", [0, 4])
def test_a_tile_whose_stars_are_nobodys_is_named_and_not_compared(scene, tile, name):
    scene.tiles[tile], scene.wcs[tile] = WRONG[name](scene.tiles[tile], scene.wcs[tile])
    scene.coverage[tile] = np.isfinite(scene.tiles[tile]).astype(np.float32)
    surveyed, findings = found_in(scene)
    assert [(finding.kind, finding.tile) for finding in findings] == [("astrometry", tile)]
    assert np.isnan(findings[0].value)
    assert f"stars of tile {tile} are nobody's" in findings[0].message
    assert "solve it anew" in findings[0].message
    assert surveyed.fits[tile] is None
    assert all(fit is not None for index, fit in enumerate(surveyed.fits) if index != tile)


def test_the_others_are_judged_without_it(scene):
    scene.tiles[4] = scene.tiles[4][::-1, ::-1]
    scene.coverage[4] = np.isfinite(scene.tiles[4]).astype(np.float32)
    scene.tiles[0] = scene.tiles[0] + np.float32(3 * NOISE)
    findings = found_in(scene)[1]
    assert [(finding.kind, finding.tile) for finding in findings] == [("astrometry", 4), ("offset", 0)]
    assert findings[1].value == pytest.approx(3 * NOISE, abs=1)


def test_its_evidence_is_its_sentence(scene):
    scene.tiles[4] = scene.tiles[4][::-1, ::-1].copy()
    scene.coverage[4] = np.isfinite(scene.tiles[4]).astype(np.float32)
    second_pass = scene.coadd().second_pass()
    found = examine_pass(second_pass)
    (own,) = (one for one in gather(found, TileSet.of_pass(second_pass), second_pass) if one.finding.tile == 4)
    assert own.finding.kind == "astrometry"
    assert own.layers == ()


def test_of_two_nobody_can_tell_which():
    pair = Pass.make(rows=1, columns=2, shape=(200, 240), overlap=0.8)
    pair.tiles[1] = pair.tiles[1][::-1, ::-1]
    pair.coverage[1] = np.isfinite(pair.tiles[1]).astype(np.float32)
    finding = found_in(pair)[1][0]
    assert (finding.kind, finding.tile, finding.tiles) == ("astrometry", None, (0, 1))
    assert "Tiles 0 and 1 have no star in common" in finding.message


@pytest.mark.parametrize("seed", range(6))
def test_sound_fields_of_few_stars(seed):
    """Even where what is found beside them differs from tile to tile, as hot pixels do."""
    scene = Pass.make(rows=2, columns=2, shape=(120, 140), overlap=0.6, seed=seed)
    rng = np.random.default_rng(seed)
    for tile in scene.tiles:
        tile[rng.integers(0, 120, 12), rng.integers(0, 140, 12)] += 400
    surveyed = survey(scene.second_pass())
    assert surveyed.strangers == ()


def test_tiles_of_hot_pixels_and_no_star_that_meet_nobody():
    assert find_strangers([], [], [], []) == ()
    scene = Pass.make(rows=1, columns=2, shape=(120, 140), overlap=0.6)
    scene.tiles = [np.full_like(tile, np.nan) for tile in scene.tiles]
    assert survey(scene.second_pass()).strangers == ()


# Far enough from one another and from all edges of what three tiles share.
PLACES = np.array([[80.0, 60.0], [110.0, 60.0], [140.0, 60.0], [80.0, 90.0], [110.0, 90.0], [140.0, 90.0], [95, 75]])
BRIGHT = 0.03


@pytest.fixture(scope="module")
def blocks():
    """Blocks of three tiles that lie on one another."""
    scene = Pass.make(rows=1, columns=2, shape=(160, 220), overlap=0.9)
    first, _ = survey(scene.second_pass()).looks
    return [first.blocks] * 3


def stars_at(*numbers, error=BRIGHT):
    return Stars(PLACES[list(numbers)], np.full(len(numbers), error))


def strangers(blocks, *stars, noise=(5.0, 5.0, 5.0)):
    return [(one.tiles, one.own, one.others) for one in find_strangers(stars, blocks, noise, [None] * len(stars))]


def test_three_bright_stars_of_its_own_and_three_that_it_lacks_tell(blocks):
    assert strangers(blocks, stars_at(0, 1, 2), stars_at(0, 1, 2), stars_at(3, 4, 5)) == [((2,), 3, 3)]


ALL = stars_at(*range(7))


@pytest.mark.parametrize(
    ("others", "stars"),
    [
        (stars_at(0, 1, 2), stars_at(3, 4)),
        # A tile that sees nothing; the trail of a satellite in one tile alone.
        (ALL, stars_at()),
        (stars_at(), ALL),
        (stars_at(0, 1, 2), ALL),
        (stars_at(0, 1, 2), stars_at(3, 4, 5, 6, error=0.3)),
        (stars_at(0, 1, 2), replace(stars_at(3, 4, 5, 6), wide=np.zeros(4, dtype=bool))),
    ],
    ids=["two", "blind", "a trail", "a trail beside stars", "faint", "hot pixels"],
)
def test_what_does_not_tell(blocks, others, stars):
    assert strangers(blocks, others, others, stars) == []


def test_stars_that_its_noise_hides_are_not_missed(blocks):
    assert strangers(blocks, stars_at(0, 1, 2), stars_at(0, 1, 2), stars_at(3, 4, 5), noise=(5.0, 5.0, 50.0)) == []


def test_a_star_counts_once_however_many_tiles_have_it(blocks):
    assert strangers(blocks, stars_at(0, 1), stars_at(0, 1), stars_at(3, 4)) == []


@pytest.mark.parametrize("name", WRONG)
def test_few_stars_are_enough(name):
    """No tile holds more than some thirty."""
    scene = Pass.make(rows=2, columns=2, shape=(200, 240), overlap=0.5, seed=7)
    scene.tiles[1], scene.wcs[1] = WRONG[name](scene.tiles[1], scene.wcs[1])
    scene.coverage[1] = np.isfinite(scene.tiles[1]).astype(np.float32)
    surveyed, findings = found_in(scene)
    assert max(len(look.stars) for look in surveyed.looks) < 40
    assert [(finding.kind, finding.tile) for finding in findings] == [("astrometry", 1)]
