"""What is found in the pixels of a tile by themselves, and that it is no fault of the tile against the others."""

import numpy as np
import pytest
from scenes import Pass

from zemosaic_twopass.diagnosis.kinds import NOTES


def kinds(findings):
    return [(finding.kind, finding.tile) for finding in findings if finding.kind not in NOTES]


def filled(scene, tiles, width=0):
    """The scene with what is not known in some tiles filled with 0, and so many columns more, and nothing masked."""
    for index in tiles:
        pixels = np.nan_to_num(scene.tiles[index], nan=0.0)
        pixels[:, :width] = 0
        scene.tiles[index], scene.coverage[index] = pixels, np.ones(pixels.shape[:2], dtype=np.float32)
    return scene.coadd()


@pytest.mark.parametrize("tiles", [(1,), (0, 4), tuple(range(6))])
@pytest.mark.parametrize("width", [0, 25])
def test_an_unmasked_border_is_said_once_a_tile_and_nothing_else(tiles, width):
    # With other gains the pass itself would make steps.
    findings = filled(Pass.make(channels=3, gains=[1.0] * 6), tiles, width).diagnose()
    assert kinds(findings) == [("unmasked_border", index) for index in tiles]
    for finding in findings[: len(tiles)]:
        assert width / 190 < finding.value < width / 190 + 0.12
        assert "mask it" in finding.message


def test_a_fault_beside_a_border_comes_first():
    scene = Pass.make(channels=3)
    scene.tiles[2] = scene.tiles[2] + np.float32(30)
    findings = filled(scene, [4]).diagnose()
    assert kinds(findings) == [("offset", 2), ("unmasked_border", 4)]
    assert findings[0].value == pytest.approx(30, abs=1)


def test_of_a_border_that_the_coadd_left_out_nothing_is_said():
    scene = Pass.make(channels=3)
    scene.tiles = [np.nan_to_num(tile, nan=0.0) for tile in scene.tiles]
    assert kinds(scene.coadd().diagnose()) == []
