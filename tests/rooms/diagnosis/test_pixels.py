"""What is found in the pixels of a tile by themselves, and that it is no fault of the tile against the others."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import Pass
from zemosaic_twopass.diagnosis.examination import summary_of
from zemosaic_twopass.diagnosis.kinds import NOTES
from zemosaic_twopass.synthetic.surveys import survey


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


@pytest.mark.parametrize(
    ("tiles", "words"),
    [((1,), "Of tile 1 in channel g 1"), ((1, 4), "and of 1 more tile fewer"), (range(6), "and of 5 more tiles fewer")],
)
def test_a_sky_that_was_cut_off_is_one_note(tiles, words):
    scene = Pass.make(channels=3, gains=[1.0] * 6)
    for index in tiles:
        pixels, level = scene.tiles[index].copy(), np.nanpercentile(scene.tiles[index][..., 1], 10)
        pixels[..., 1] = np.fmax(pixels[..., 1], level + 0 * pixels[..., 1])
        scene.tiles[index] = pixels
    findings = scene.coadd().diagnose()
    (note,) = [finding for finding in findings if finding.test == "pixels"]
    assert (note.kind, note.tile) == ("undetermined", None)
    assert words in note.message
    assert "unmasked_border" not in {finding.kind for finding in findings}
    # No test was left out for it.
    assert "as far as" not in summary_of([note], True)[0]


@pytest.fixture(scope="module")
def colours():
    # With other gains the pass itself would make steps.
    return Pass.make(channels=3, gains=[1.0] * 6)


def silenced(scene, tile, channels, value):
    pixels = scene.tiles[tile].copy()
    pixels[..., channels] = np.where(np.isnan(pixels[..., channels]), np.nan, value)
    tiles = [*scene.tiles[:tile], pixels, *scene.tiles[tile + 1 :]]
    # reproject warns of tiles between which there is no step.
    return replace(scene, tiles=tiles).coadd(match=not np.isnan(value))


@pytest.mark.parametrize("value", [0.0, np.nan, 700.0])
@pytest.mark.parametrize("channels", [[2], [0, 1]])
def test_a_channel_without_a_signal_is_named_and_takes_no_other_along(colours, channels, value):
    scene = silenced(colours, 1, channels, value)
    findings = scene.diagnose()
    assert kinds(findings) == [("no_signal", 1)]
    assert findings[0].value == len(channels)
    assert findings[0].channel == (2 if channels == [2] else None)
    assert ("Channel b of tile 1 has" if channels == [2] else "Channels r, g of tile 1 have") in findings[0].message
    assert not [finding for finding in findings if finding.kind == "undetermined" and finding.tile == 1]
    surveyed = survey(scene.second_pass())
    silent = np.isin(range(3), channels)
    known = np.isfinite(surveyed.looks[1].blocks.value).any(axis=(1, 2))
    np.testing.assert_array_equal(known, ~silent)
    # The others tell of this tile as they did.
    np.testing.assert_array_equal(np.isfinite(surveyed.fits[1].errors).any(axis=1), ~silent)
    assert surveyed.shifts[1] is not None
    assert not surveyed.shifts[1].matters


def test_a_fault_in_the_other_channels_of_a_tile_is_found(colours):
    scene = silenced(colours, 1, [2], 0.0)
    scene.tiles[1] = scene.tiles[1] + np.float32([25, 25, 0])
    assert kinds(scene.coadd().diagnose()) == [("no_signal", 1), ("offset", 1)]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_tile_without_a_signal_is_said_once(colours, value):
    findings = silenced(colours, 4, [0, 1, 2], value).diagnose()
    assert kinds(findings) == [("no_signal", 4)]
    assert not [finding for finding in findings if finding.kind == "undetermined" and finding.tile == 4]


def doubled(scene, index, at, gain):
    """The scene with a copy of a tile at a place in its lists, under another gain."""
    own = {name: list(getattr(scene, name)) for name in ("tiles", "wcs", "coverage", "gains")}
    for name, values in own.items():
        values.insert(at, gain if name == "gains" else values[index])
    return replace(scene, **own).coadd()


@pytest.mark.parametrize(("index", "at"), [(0, 6), (0, 0), (3, 5)])
@pytest.mark.parametrize("factor", [1.0, 1.04])
def test_of_two_that_are_the_same_the_later_is_left_out(index, at, factor):
    scene = Pass.make()
    second = doubled(scene, index, at, factor * scene.gains[index])
    findings = second.diagnose()
    later, first = max(index + (at <= index), at), min(index + (at <= index), at)
    notes = [finding for finding in findings if finding.kind == "duplicate_tile"]
    assert [finding.tile for finding in notes] == [later]
    assert f"tile {later} " in notes[0].message.lower()
    assert f"tile {first}:" in notes[0].message
    assert not [finding for finding in findings if finding.about.group == "pipeline"]
    assert not [finding for finding in findings if finding.tile == later and finding.kind == "undetermined"]


def test_a_gain_that_went_wrong_is_found_beside_a_copy_and_in_it():
    scene = doubled(Pass.make(), 0, 6, 1.02)
    for wrong in (2, 6):
        planes = scene.planes()
        planes[wrong] = planes[wrong] * np.float32(1.05)
        found = kinds(scene.coadd(planes).diagnose())
        assert ("gain_mismatch", 2 if wrong == 2 else 0) in found


def test_black_tiles_are_no_copies_of_one_another(colours):
    scene = silenced(silenced(colours, 4, [0, 1, 2], 0.0), 1, [0, 1, 2], 0.0)
    assert not [finding for finding in scene.diagnose() if finding.kind == "duplicate_tile"]
