"""Channels help and never harm; and where there is no solution it is said which tile ran away, and in which channel."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.flat_skies import LEVEL, NOISE, flat_tiles, found, surveyed
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.diagnosis.photometry.model import Channel
from zemosaic_twopass.diagnosis.photometry.normal_equations import FURTHEST, Equations

ODD = 4


def with_odd(tiles, change):
    changed = list(tiles)
    changed[ODD] = replace(tiles[ODD], pixels=change(tiles[ODD].pixels.astype(float)).astype(np.float32))
    return changed


def of_one_channel(tiles, known=1):
    """Tiles whose other channels are a flat sky without a star."""
    rng = np.random.default_rng(2)
    others = np.arange(3) != known
    return [
        replace(tile, pixels=np.where(others, rng.normal(LEVEL, NOISE, tile.pixels.shape), tile.pixels).astype("f4"))
        for tile in tiles
    ]


@pytest.mark.parametrize("known", [0, 2])
def test_stars_of_one_channel_tell_a_scale_that_two_know_nothing_of(known):
    tiles = of_one_channel(flat_tiles(31, channels=3), known)
    alone = [replace(tile, pixels=tile.pixels[..., [known]]) for tile in tiles]
    three, one = (found(surveyed(with_odd(own, lambda pixels: 1.3 * pixels))) for own in (tiles, alone))
    for seen in (three, one):
        assert list(seen) == [("gain_residual", ODD)]
        assert seen["gain_residual", ODD].value == pytest.approx(0.3, abs=0.03)
    assert three["gain_residual", ODD].channel in range(3)


@pytest.mark.parametrize("known", [0, 1])
def test_an_offset_of_one_channel_is_not_lost_among_three(known):
    tiles = flat_tiles(32, channels=3)
    seen = found(surveyed(with_odd(tiles, lambda pixels: pixels + 4.0 * (np.arange(3) == known))))
    assert list(seen) == [("offset", ODD)]
    assert seen["offset", ODD].channel == known
    assert seen["offset", ODD].value == pytest.approx(4.0, abs=1.0)


def test_channels_that_know_nothing_of_sound_tiles_accuse_none():
    for seed in range(3):
        assert not found(surveyed(of_one_channel(flat_tiles(40 + seed, channels=3))))


@pytest.mark.parametrize(
    ("thrown", "value", "words"),
    [
        (slice(2, 3), 1e9, "tile 2 in channel g ran away"),
        (slice(2, 3), np.nan, "tile 2 in channel g ran away"),
        (slice(None), np.nan, "no solution in channel g: no tile has a number"),
    ],
)
def test_a_solution_that_fails_is_said_with_tile_and_channel(monkeypatch, thrown, value, words):
    numbers, begin, move = {}, Channel.__init__, Channel.move

    def numbered(self, *args):
        numbers[id(self)] = len(numbers)
        begin(self, *args)

    def thrown_away(self, terms):
        terms = terms.copy()
        if numbers[id(self)] == 1:
            terms[thrown, 0] = value
        move(self, terms)

    tiles = flat_tiles(33, channels=3)
    monkeypatch.setattr(Channel, "__init__", numbered)
    monkeypatch.setattr(Channel, "move", thrown_away)
    with np.errstate(all="ignore"):
        findings = [one for _, one in residual_findings(surveyed(tiles))]
    (note,) = [one for one in findings if one.tile is None]
    assert (note.kind, note.test) == ("undetermined", "residual")
    assert words in note.message
    assert not any("too few places" in one.message for one in findings)
    assert {one.kind for one in findings} == {"undetermined"}


def test_a_gain_that_a_channel_knows_nothing_of_is_not_in_beside_an_offset():
    """What rounding leaves of it there is nothing, though another channel tells it: else all terms run away."""
    rng, level = np.random.default_rng(7), np.array([900.0, 1000.0, 1100.0])
    design = rng.normal(size=(40, 21))
    matrix, score = (design.T @ design).reshape(3, 7, 3, 7), (design.T @ rng.normal(size=40)).reshape(3, 7)
    matrix[1, 1], matrix[:, :, 1, 1], score[1, 1] = 0.0, 0.0, 0.0
    own = Equations(matrix, score, np.zeros((3, 7)), level).scale_by(1.0)
    rounding = np.finfo(float).eps * level**2 * own.alone[:, 0]
    assert (own.least[:, 1] > 100 * rounding).all()
    own.enter(np.array([[False] * 3, [True, True, False], [True, True, False]]))
    assert own.active[1:, :2].tolist() == [[True, False], [True, True]]


def test_a_shift_that_nothing_tells_does_not_run_away():
    """Noise in pairs of tiles tells no shift or blur of all, and next to none of two that share no star."""
    rng, count = np.random.default_rng(9), 4
    matrix, score = np.zeros((count, 7, count, 7)), np.zeros((count, 7))
    for i, j in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2)):
        design = rng.normal(0, 1, (200, 7)) * [1, 50, 0.3, 0.3, 1e-3, 1e-3, 1e-3]
        own, noise = design.T @ design, design.T @ rng.normal(0, 1, 200)
        for tile, other, sign in ((i, j, 1), (j, i, -1)):
            matrix[tile, :, tile] += own
            matrix[tile, :, other] -= own
            score[tile] += sign * noise
    found = Equations(matrix, score, np.zeros((count, 7)), np.full(count, 1000.0))
    assert (found.alone > 0).all()
    found = found.scale_by(1.0)
    for active in np.zeros((count, 3), dtype=bool), np.eye(count, 3, dtype=bool):
        found.enter(active)
        assert np.abs(found.terms()[:, 4:]).max() < 1.0


@pytest.mark.parametrize("further", [1, -1])
def test_a_shift_or_blur_beyond_where_the_straight_lines_hold_goes_no_further(further):
    """Light may ask for more and more of them; back they go."""
    rng = np.random.default_rng(10)
    design = rng.normal(size=(60, 14))
    matrix = (design.T @ design).reshape(2, 7, 2, 7)
    terms = np.zeros((2, 7))
    terms[1, 4:] = [FURTHEST[0], -FURTHEST[1], FURTHEST[2]]
    wanted = np.zeros((2, 7))
    wanted[1, 4:] = 3.0 * further * np.sign(terms[1, 4:])
    score = np.einsum("iajb,jb->ia", matrix, wanted)
    score[1, 4:] = np.abs(score[1, 4:]) * further * np.sign(terms[1, 4:])
    found = Equations(matrix, score, terms, np.full(2, 1000.0)).scale_by(1.0).terms()[1, 4:]
    if further > 0:
        assert found == pytest.approx(terms[1, 4:])
    else:
        assert (np.abs(found) < FURTHEST).all()
