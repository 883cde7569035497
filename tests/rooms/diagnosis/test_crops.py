"""A crop of the tiles that moved each WCS twice is said once, with its own advice; tiles that are wrong stay so."""

import numpy as np
import pytest

from helpers.scenes import Pass
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.synthetic.surveys import survey

SHAPE = (220, 260)


@pytest.fixture(params=[3, 11])
def scene(request):
    """Six tiles, turned by up to 4 degrees."""
    return Pass.make(rows=2, columns=3, shape=SHAPE, overlap=0.55, seed=request.param)


def crop_layer(scene, x, y, tiles=range(6)):
    """Tiles less so many pixels on each side, whose WCS was moved for it twice."""
    for index in tiles:
        scene.tiles[index] = scene.tiles[index][y:-y, x:-x]
        scene.coverage[index] = scene.coverage[index][y:-y, x:-x]
        moved(scene, index, -2 * x, -2 * y)
    return scene


def moved(scene, index, x, y):
    scene.wcs[index] = scene.wcs[index].deepcopy()
    scene.wcs[index].wcs.crpix += x, y
    scene.wcs[index].array_shape = scene.tiles[index].shape[:2]
    scene.wcs[index].wcs.set()


def upside_down(scene, index):
    """The same tile as the other side of the pier gives it."""
    height, width = scene.tiles[index].shape[:2]
    scene.tiles[index], scene.coverage[index] = scene.tiles[index][::-1, ::-1], scene.coverage[index][::-1, ::-1]
    wcs = scene.wcs[index].deepcopy()
    wcs.wcs.crpix = np.array([width, height]) + 1 - wcs.wcs.crpix
    wcs.wcs.cd = -wcs.wcs.cd
    wcs.wcs.set()
    scene.wcs[index] = wcs


def found_in(scene):
    with np.errstate(all="ignore"):
        return [one for _, one in residual_findings(survey(scene.second_pass())) if one.about.group == "residual"]


@pytest.mark.parametrize(("x", "y"), [(8, 7), (16, 12), (3, 20)])
def test_a_crop_that_moved_the_wcs_twice_is_one_finding_of_no_tile(scene, x, y):
    (finding,) = found_in(crop_layer(scene, x, y))
    assert (finding.kind, finding.tile) == ("astrometry", None)
    assert finding.value == pytest.approx(np.hypot(x, y), abs=4 * finding.error)
    assert finding.error < 0.2 * finding.value
    assert "crop of the master tiles" in finding.message
    assert "solve it anew" not in finding.message


def test_tiles_from_both_sides_of_the_pier(scene):
    """Turned by 180 degrees they lie twice as far off: half of the tiles, all by the same."""
    for index in (0, 2, 4):
        upside_down(scene, index)
    (finding,) = found_in(crop_layer(scene, 7, 5))
    assert finding.tile is None
    assert finding.value == pytest.approx(np.hypot(7, 5), abs=0.3)


def test_a_tile_that_is_wrong_beside_it_keeps_its_own_finding(scene):
    crop_layer(scene, 12, 9)
    moved(scene, 2, 2.0, 1.0)
    findings = found_in(scene)
    assert sorted((one.kind, one.tile is None) for one in findings) == [("astrometry", False), ("astrometry", True)]
    own = next(one for one in findings if one.tile is not None)
    assert own.tile == 2
    assert own.value == pytest.approx(np.hypot(2, 1), abs=0.15)
    assert "solve it anew" in own.message


@pytest.mark.parametrize("tiles", [(1,), (0, 4), (1, 2, 5)])
def test_tiles_that_are_wrong_by_themselves_are_not_taken_for_a_crop(scene, tiles):
    rng = np.random.default_rng(len(tiles))
    for index in tiles:
        moved(scene, index, *rng.uniform(1, 3, 2) * rng.choice([-1, 1], 2))
    findings = found_in(scene)
    assert {(one.kind, one.tile) for one in findings} == {("astrometry", index) for index in tiles}
    assert all("solve it anew" in one.message for one in findings)
