"""Light on one tile that no term explains: that tile is named with its size, its neighbours are not."""

import tracemalloc
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from helpers.flat_skies import NOISE, SHAPE, SIZE, flat_tiles, found, surveyed
from zemosaic_twopass.diagnosis.acceptance import accept
from zemosaic_twopass.diagnosis.comparison import CorrectedTiles, corrections, residual_findings
from zemosaic_twopass.diagnosis.evidence import gather
from zemosaic_twopass.diagnosis.examination import Examination, put_in_order
from zemosaic_twopass.diagnosis.gains import Gains
from zemosaic_twopass.diagnosis.photometry import bending, levelling
from zemosaic_twopass.diagnosis.photometry import solution as solution_module
from zemosaic_twopass.diagnosis.photometry.common_light import foretell
from zemosaic_twopass.diagnosis.photometry.overlaps import Layout
from zemosaic_twopass.diagnosis.photometry.scatter import Misfit, Residuals, misfit
from zemosaic_twopass.diagnosis.photometry.unevenness import light_beyond
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.synthetic.surveys import make_pass
from zemosaic_twopass.synthetic.surveys import survey as survey_of

ODD = 4
ROWS, COLUMNS = np.indices(SHAPE)


def moon(height):
    return height * ((ROWS / SHAPE[0]) ** 2 + (COLUMNS / SHAPE[1]) ** 2) / 2


def banding(height):
    return height * np.sin(2 * np.pi * ROWS / 90)


def glow(corner, height, reach=40):
    """Corners are 0 and 1 in the first row, 2 and 3 in the last."""
    down, right = divmod(corner, 2)
    away = np.hypot(ROWS - down * SHAPE[0], COLUMNS - right * SHAPE[1])
    return height * np.exp(-away / reach)


def clouds(height, seed=1):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 30)
    return height * (smooth - smooth.min()) / np.ptp(smooth)


def with_light(tiles, light, indices=(ODD,)):
    return [
        replace(tile, pixels=tile.pixels + light[..., np.newaxis].astype(np.float32)) if index in indices else tile
        for index, tile in enumerate(tiles)
    ]


def over_mosaic(tiles):
    """All of them against one another, in the mosaic that holds them."""
    return survey_of(make_pass(tiles))


LIGHTS = [moon(200), banding(8), banding(40), clouds(100)]
NAMES = ["moon200", "banding8", "banding40", "clouds100"]


@pytest.mark.parametrize("nebula", [0.0, 20.0])
@pytest.mark.parametrize("light", LIGHTS, ids=NAMES)
def test_the_tile_alone_is_named(light, nebula):
    survey = surveyed(with_light(flat_tiles(31, nebula=nebula), light))
    said = found(survey)
    assert {tile for _, tile in said} == {ODD}
    assert ("gain_residual", ODD) not in said
    finding = said["uneven_background", ODD]
    assert NOISE / 4 < finding.value < 1.1 * np.ptp(light)
    assert survey.fits[ODD] is None
    # It is not in the mean that the others are judged by, and nothing is taken out of it but what is of second order.
    assert corrections(survey)[ODD].empty == (light is not LIGHTS[0])


@pytest.mark.parametrize("kind", ["offset", "gradient"])
def test_level_and_slope_beside_it_are_told(kind):
    more = 150.0 if kind == "offset" else 200.0 * (COLUMNS / SHAPE[1] - 0.5)
    said = found(surveyed(with_light(flat_tiles(32), banding(10) + more)))
    assert set(said) == {("uneven_background", ODD), (kind, ODD)}
    size = 150.0 if kind == "offset" else 200.0
    assert said[kind, ODD].value == pytest.approx(size, abs=4 * said[kind, ODD].error)


def test_a_scale_that_the_stars_tell_beside_it():
    tiles = flat_tiles(33)
    tiles[ODD] = replace(tiles[ODD], pixels=(1000 + 0.7 * (tiles[ODD].pixels - 1000)).astype(np.float32))
    said = found(surveyed(with_light(tiles, clouds(60))))
    assert said["gain_residual", ODD].value == pytest.approx(-0.3, abs=0.05)
    assert ("uneven_background", ODD) in said


def test_the_tile_is_named_where_too_few_are_left_to_judge_each_without_it():
    """Without a sound one the rest share too little to be judged one by one, which says nothing against that."""
    tiles = synthetic_tiles(rows=2, columns=3, shape=(220, 240), overlap=0.39, noise=6.0, seed=404621865)
    bands = 9.6 * np.sin(2 * np.pi * np.arange(220) / 47)
    tiles[0] = replace(tiles[0], pixels=tiles[0].pixels + bands[:, np.newaxis, np.newaxis].astype(np.float32))
    survey = over_mosaic(tiles)
    assert {tile for _, tile in found(survey)} == {0}


def test_it_is_looked_for_where_no_tile_shares_enough_to_be_judged():
    """A slope and an offset stand in for most of a cloud where overlaps are narrow: no such may be claimed."""
    tiles = synthetic_tiles(rows=2, columns=3, shape=SHAPE, overlap=0.3, noise=NOISE, seed=1)
    tiles = with_light(tiles, 120.0 * (COLUMNS / SHAPE[1] - 0.5) - clouds(150))
    survey = over_mosaic(tiles)
    assert {tile for _, tile in found(survey)} == {ODD}
    assert ("uneven_background", ODD) in found(survey)


def test_what_little_a_tile_shares_is_held_against_what_chance_makes_of_so_little():
    """Twenty pairs, each of which shares one square of sky."""
    side, count = 8, 40
    rows, columns = np.divmod(np.arange(side**2), side)
    places = [rows * side * count + side * (tile // 2) + columns for tile in range(count)]
    corner = np.array([[side * (tile // 2), 0] for tile in range(count)]).T
    starts = side**2 * np.arange(count + 1)
    layout = Layout((side, side * count), starts, np.concatenate(places), corner, np.full((2, count), side))
    ones, rng = np.ones(starts[-1]), np.random.default_rng(8)
    # Each is half of the sky that it is held against.
    left = rng.normal(0, np.sqrt(0.5), starts[-1])
    sound = misfit([Residuals(layout, left, ones, 0.5 * ones, ones > 0, ones)])
    assert not sound.judged.any()
    assert sound.each.max() < 1
    left[: side**2] += 1.5
    assert np.flatnonzero(misfit([Residuals(layout, left, ones, 0.5 * ones, ones > 0, ones)]).each > 1).tolist() == [0]


def test_in_all_tiles_it_is_one_finding_of_no_tile():
    survey = surveyed(with_light(flat_tiles(34), banding(30), range(6)))
    assert {tile for _, tile in found(survey)} == {None}
    assert [one.tile for one in survey.uneven] == [None]


@pytest.mark.parametrize(
    ("judged", "fits", "left_out", "exposures"),
    [(0, 3, None, range(4)), (0, 1, (0,), range(4)), (4, 3, (0,), range(4)), (0, 4, None, (0, 0, 1, 1))],
    ids=["as well without three", "without one alone", "judged", "one of two exposures or the other"],
)
def test_where_none_is_judged_one_is_left_out_only_if_no_other_does_as_well(judged, fits, left_out, exposures):
    """Terms that stand in for the light make the rest fit without a sound tile, and without the odd one with fewer."""

    def solved(misfit, faults=0):
        is_judged = np.arange(4) < judged
        solution = SimpleNamespace(
            misfit=Misfit(np.full(4, misfit), is_judged, misfit),
            sharing=np.array(exposures),
            neighbours=((1, 2, 3),) * 4,
            active=np.arange(4) < faults,
            astray=(),
        )
        return SimpleNamespace(solution=solution)

    class Odd(SimpleNamespace):
        def with_tiles(self, tiles):
            return Odd(tiles=tuple(tiles))

        def solve_rest(self):
            return solved(0.5 if self.tiles[0] < fits else 5.0, faults=self.tiles[0])

    found = solved(2.0)
    found.solution.misfit = Misfit(np.array([9.0, 8.0, 7.0, 6.0]), np.arange(4) < judged, 2.0)
    chosen = levelling._oddest(Odd(), found)
    assert (None if chosen is None else chosen.tiles) == left_out


def test_a_neighbour_whose_fault_stands_in_for_its_light_is_tried():
    """Its own misfit is small, and that of the tile beside it large."""

    def solved(whose):
        whose = np.array(whose)
        misfit, active = Misfit(whose, np.ones(4, dtype=bool), whose.max()), np.zeros((4, 3), dtype=bool)
        active[1, 1] = True
        drop = np.array([[0.0], [50.0], [0.0], [0.0]])
        neighbours = ((1, 2), (0, 3), (0, 3), (1, 2))
        values = {"misfit": misfit, "sharing": np.arange(4), "neighbours": neighbours, "active": active}
        return SimpleNamespace(solution=SimpleNamespace(**values, deviance_drop=drop, astray=()))

    class Odd(SimpleNamespace):
        def with_tiles(self, tiles):
            return Odd(tiles=tuple(tiles))

        def solve_rest(self):
            return solved([0.1] * 4 if self.tiles == (1,) else [5.0, 0.1, 0.1, 0.1])

    assert levelling._oddest(Odd(), solved([12.0, 0.1, 0.1, 0.1])).tiles == (1,)


@pytest.mark.parametrize(
    ("ran_away", "better", "left_out"),
    [((2, 0), {1}, 1), ((None, 1), {1}, 1), ((2, 0), set(), 2), ((None, 1), set(), None), ((), {1}, None)],
    ids=["another drew it along", "all at once", "at least a solution", "none is why", "there is a solution"],
)
def test_without_a_solution_that_is_left_out_without_which_the_rest_fits(ran_away, better, left_out):
    def solved(astray, misfit):
        each = Misfit(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.zeros(5, dtype=bool), misfit)
        # The fifth meets nobody: it has no blocks.
        neighbours = ((1, 2, 3), (0,), (0,), (0,), ())
        return SimpleNamespace(solution=SimpleNamespace(astray=astray, misfit=each, neighbours=neighbours), uneven=())

    class Odd(SimpleNamespace):
        def with_tiles(self, tiles):
            return Odd(tiles=tuple(tiles))

        def solve_rest(self):
            (tile,) = self.tiles
            assert tile != 4
            # Without tile 3, too, there is none.
            return solved((0, 0) if tile == 3 else (), 0.5 if tile in better else 5.0)

        def describe(self, rest):
            return SimpleNamespace(uneven=(SimpleNamespace(certain=True),))

    whole, given = Odd(tiles=()), solved(ran_away, 5.0)
    odd, found = levelling._leave_out_astray(whole, given)
    assert (odd.tiles, found is given) == (() if left_out is None else (left_out,), left_out is None)


def test_stars_of_what_is_left_out_are_no_witness_of_the_rest(monkeypatch):
    """They are what is said of it all the same."""
    asked, solved_with = [], []

    def scales(looks):
        asked.append([len(look.fluxes) for look in looks])
        return len(asked)

    def solve(looks, shape_out, stars):
        solved_with.append(stars)
        return levelling.Solution(*[None] * 12, stars, *[None] * 4)

    monkeypatch.setattr(levelling, "solve", solve)
    monkeypatch.setattr(levelling, "flatten", lambda looks, first, solve_again: (looks, first, None))
    monkeypatch.setattr(levelling, "bent_alike", lambda *of: None)
    looks = [SimpleLook(None, ("two",)), SimpleLook("blocks", ("two",))]
    found = levelling._Odd(tuple(looks), scales, SIZE).solve_rest()
    assert asked == [[0, 1], [1, 1]]
    assert (solved_with, found.solution.stars) == ([1], 2)


@dataclass
class SimpleLook:
    blocks: object
    fluxes: tuple
    noise: float = 1.0


def test_levels_that_are_told_as_gains_go_with_a_slope_too():
    middles = np.array([[x, y] for y in (-70.0, 70.0) for x in (-150.0, 0.0, 150.0)])
    along = 10 + middles @ [0.02, 0.03]
    active = np.zeros((6, 3), dtype=bool)
    # All but two are gains of a sky of 1000 adu.
    active[:2, 0] = active[2:, 1] = True
    terms = np.zeros((1, 6, 4))
    terms[0, :2, 0], terms[0, 2:, 1] = along[:2], along[2:] / 1000
    solution = SimpleNamespace(active=active, fits=(object(),) * 6, terms=terms, level=np.full((1, 6), 1000.0))
    layout = SimpleNamespace(middles=middles)
    assert bending._slope_alike(layout, solution)
    solution.active = active & [True, False, False]
    assert not bending._slope_alike(layout, solution)


def test_terms_that_move_by_nothing_have_moved_by_a_number():
    """What a tile alone tells is below 0 by rounding where it makes the sky alone."""
    channel = SimpleNamespace(terms=np.zeros((2, 7)), move=lambda terms: None)
    equations = SimpleNamespace(terms=lambda: np.ones((2, 7)), alone=np.array([[-1e-18] * 4, [4.0] * 4]))
    assert solution_module._move(channel, SimpleNamespace(equations=equations), weighing=False) == 2.0


def test_banding_in_all_tiles_is_in_common_though_most_of_it_cancels():
    """Tiles lie two periods apart, all but: what few places differ by counts by how much it is."""
    tiles = synthetic_tiles(rows=2, columns=3, shape=SHAPE, overlap=0.4, noise=NOISE, seed=2)
    tiles = with_light(tiles, 6.0 * np.sin(2 * np.pi * ROWS / 66), range(6))
    ((kind, tile), finding) = found(over_mosaic(tiles)).popitem()
    assert (kind, tile) == ("uneven_background", None)
    assert finding.message.startswith("All tiles have in common light")


@pytest.mark.parametrize("corner", range(4))
@pytest.mark.parametrize("height", [40, 200])
def test_a_glow_in_a_corner_of_all_tiles_is_one_finding_of_no_tile(corner, height):
    survey = surveyed(with_light(flat_tiles(41, nebula=20.0), glow(corner, height), range(6)))
    assert list(found(survey)) == [("uneven_background", None)]
    assert found(survey)["uneven_background", None].message.startswith("All tiles have in common light")
    assert foretell(survey.looks) > 0.9


def test_light_of_its_own_on_each_tile_is_not_said_to_be_in_common():
    """What most of them show does not foretell what the rest do."""
    tiles = flat_tiles(34)
    for index in range(6):
        tiles = with_light(tiles, clouds(100, seed=index), [index])
    survey = surveyed(tiles)
    assert foretell(survey.looks) < 0.1
    (said,) = found(survey).values()
    assert (said.kind, said.tile) == ("uneven_background", None)
    assert said.message.startswith("More tiles than can be told apart have, each its own or not, light")


def test_what_many_tiles_have_in_common_takes_little_memory():
    """It is asked in the pipeline's process: 3 MB a pair of tiles were gigabytes for a large mosaic."""
    looks = surveyed(with_light(flat_tiles(34, channels=3), banding(30), range(6))).looks
    tracemalloc.start()
    try:
        foretell(looks)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("light", LIGHTS, ids=NAMES)
def test_light_on_one_tile_is_not_in_common(light):
    looks = surveyed(with_light(flat_tiles(42, nebula=20.0), light)).looks
    assert foretell(looks) < 0.1


@pytest.mark.parametrize("corner", range(4))
@pytest.mark.parametrize("height", [40, 200])
def test_a_glow_in_a_corner_accuses_no_sound_tile(corner, height):
    """Where it meets two others it is told, where it meets one nobody can say whose it is."""
    survey = surveyed(with_light(flat_tiles(36, nebula=20.0), glow(corner, height)))
    assert {tile for _, tile in found(survey)} <= {ODD, None}
    assert all(ODD in one.tiles for one in found(survey).values() if one.tile is None)


def test_in_a_corner_that_two_tiles_alone_share_nobody_can_say_whose_it_is():
    # The last corner of tile 3 is met by tile 4 alone.
    survey = surveyed(with_light(flat_tiles(37, nebula=20.0), glow(3, 80, 20), [3]))
    ((kind, tile), finding), *more = found(survey).items()
    assert not more
    assert (kind, tile) == ("uneven_background", None)
    assert finding.tiles == (3, 4)
    assert "tile 3 or on tile 4" in finding.message
    assert accept(survey, SIZE).refused == {}
    assert all(own.empty for own in corrections(survey))
    # Both are compared with the others all the same.
    assert all(fit is not None for fit in survey.fits)


@pytest.mark.parametrize(("seed", "height"), [(2, 60.0), (3, 25.0)])
def test_nor_where_two_tiles_meet_in_a_narrow_strip(seed, height):
    """A ghost of a bright star, sharp at its edge: too little is known there for squares of four blocks each way."""
    shape = 220, 260
    tiles = synthetic_tiles(rows=3, columns=3, shape=shape, overlap=0.2, noise=6.0, seed=seed)
    rows, columns = np.indices(shape)
    ghost = height * (np.hypot(rows - shape[0] / 2, columns - 25) < 40)
    tiles[7] = replace(tiles[7], pixels=(tiles[7].pixels + ghost[..., np.newaxis]).astype(np.float32))
    ((kind, tile), finding), *more = found(over_mosaic(tiles)).items()
    assert not more
    assert (kind, tile, finding.tiles) == ("uneven_background", None, (6, 7))


@pytest.mark.parametrize("wide", [1, 2, 4])
def test_no_slope_is_told_across_a_strip(wide):
    """Of one square or less, a tile meets the others along a side: the level is told, and the slope along it."""
    rng = np.random.default_rng(wide)
    look = SimpleNamespace(value=1000 + rng.normal(0, 1, (1, 40, 40)))
    others = np.where(np.arange(40) < 40 - wide, np.nan, 970 + np.linspace(-40, 40, 40)[:, np.newaxis])[np.newaxis]
    light = light_beyond((0,), look, others, np.ones(1))
    assert light.plane[0] == pytest.approx([30, 0, -80], abs=4)
    assert (light.plane_error[0] < 5).tolist() == [True, False, True]
    assert np.isfinite(light.error).all()


@pytest.mark.parametrize(
    ("seed", "depth", "overlap", "tile"),
    [
        (58, 0.28, 0.35, 0),
        (1, 0.4, 0.4, 2),
        (15, 0.6, 0.3, 1),
        (47, 0.4, 0.4, 2),
        (35, 0.28, 0.35, 0),
    ],
    ids=[
        "steep enough to look like noise",
        "a factor stands in for it",
        "another ran away, or a shift of 60 px stands in for it",
        "another ran away",
        "all ran away",
    ],
)
def test_a_deep_cloud_is_that_of_its_tile(seed, depth, overlap, tile):
    # As `examine` has it: what runs away leaves the numbers there are.
    with np.errstate(all="ignore"):
        told = found(over_mosaic(with_deep_cloud(seed, depth, overlap, tile)))
    assert ("uneven_background", tile) in told
    assert {own for _, own in told} == {tile}


def with_deep_cloud(seed, depth, overlap, tile):
    tiles = synthetic_tiles(rows=2, columns=3, shape=SHAPE, overlap=overlap, noise=6.0, seed=seed)
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 50)
    part = 1 - depth * (smooth - smooth.min()) / np.ptp(smooth)
    tiles[tile] = replace(tiles[tile], pixels=(tiles[tile].pixels * part[..., np.newaxis]).astype(np.float32))
    return tiles


@pytest.mark.parametrize("twin", [False, True], ids=["no pixel", "the pixels of another"])
def test_a_tile_that_is_not_compared_is_not_tried_where_there_is_no_solution(twin):
    tiles = with_deep_cloud(47, 0.4, 0.4, 2)
    tiles[5] = tiles[0] if twin else replace(tiles[5], pixels=np.full_like(tiles[5].pixels, np.nan))
    with np.errstate(all="ignore"):
        told = found(over_mosaic(tiles))
    assert ("uneven_background", 2) in told
    assert {own for _, own in told} <= {2, 5}


@pytest.mark.parametrize("height", [20, 120])
def test_moonlight_in_all_tiles_is_no_slope_of_single_ones(height):
    survey = surveyed(with_light(flat_tiles(38, nebula=20.0), moon(height), range(6)))
    assert {tile for _, tile in found(survey)} <= {None}
    assert ("uneven_background", None) in found(survey)
    assert all(own.empty for own in corrections(survey))


@pytest.mark.parametrize(
    ("seed", "height", "overlap"),
    [(2, 24, 0.45), (1, 24, 0.45), (382119378, 50, 0.5458624252702122)],
    ids=["levels as gains", "slopes beside the bow", "no bow that leaves fewer faults"],
)
def test_nor_are_the_levels_that_the_slope_of_such_light_makes(seed, height, overlap):
    tiles = synthetic_tiles(rows=2, columns=3, shape=SHAPE, overlap=overlap, noise=6.0, seed=seed)
    told = found(over_mosaic(with_light(tiles, moon(height), range(6))))
    assert set(told) == {("uneven_background", None)}


@pytest.mark.parametrize("more", [0.0, 60.0])
def test_a_surface_that_three_sides_hold_is_taken_out(more):
    clean = flat_tiles(39, nebula=20.0)
    survey = surveyed(with_light(clean, moon(120) + more))
    own, before = corrections(survey)[ODD], surveyed(clean).looks[ODD].blocks.value
    assert np.nanmax(np.abs(survey.looks[ODD].blocks.value - before)) > 100
    # Of what is in the pixels nothing but the light: the noise is the same.
    left = own.of_blocks(survey.looks[ODD].blocks) - before
    assert np.nanmedian(np.abs(left)) < NOISE / 8
    assert np.nanpercentile(np.abs(left), 95) < NOISE / 2
    accepted = accept(survey, SIZE)
    assert accepted.refused == {}
    assert [not one.empty for one in accepted.corrections] == [index == ODD for index in range(6)]


@pytest.mark.parametrize(("light", "tile"), [("moon", 5), ("glow", ODD), ("clouds", ODD)])
def test_what_two_sides_hold_or_no_surface_takes_out_stays(light, tile):
    light = {"moon": moon(120), "glow": glow(0, 200), "clouds": clouds(100)}[light]
    accepted = accept(surveyed(with_light(flat_tiles(40, nebula=20.0), light, [tile])), SIZE)
    assert all(own.empty for own in accepted.corrections)


def test_it_is_not_repaired():
    survey = surveyed(with_light(flat_tiles(35), banding(40)))
    accepted = accept(survey, SIZE)
    assert list(accepted.refused) == [ODD]
    assert all(own.empty for own in accepted.corrections)


@pytest.mark.parametrize("nebula", [0.0, 40.0])
def test_sound_tiles_fit(nebula):
    for seed in range(6):
        survey = surveyed(flat_tiles(60 + seed, nebula=nebula, channels=2))
        assert survey.uneven == ()
        assert survey.solution.misfit.largest < 0.8


def test_nothing_is_drawn_before_and_after():
    """It is in nobody's mean, and nothing is taken out: a picture of both would be empty, or the same twice."""
    survey = surveyed(with_light(flat_tiles(32), banding(10) + 150.0))
    nothing = np.full(6, np.nan)
    gains = Gains(nothing, nothing, nothing)
    findings = put_in_order(residual_findings(survey))
    assert {finding.kind for finding in findings} >= {"uneven_background", "offset"}
    seen = gather(Examination(findings, survey.fits, CorrectedTiles.of(survey, gains)), None)
    assert len(seen) == len(findings)
    assert not any(one.layers or one.chart for one in seen)
