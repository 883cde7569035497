"""All tiles at once: truth put in comes out, nothing else does, and the errors are the errors there are."""

from dataclasses import replace

import numpy as np
import pytest
from reproject.mosaicking import find_optimal_celestial_wcs

from zemosaic_twopass.diagnosis.comparison import Survey, residual_findings
from zemosaic_twopass.diagnosis.photometry import StarScales, solve
from zemosaic_twopass.diagnosis.photometry.model import Channel
from zemosaic_twopass.diagnosis.photometry.normal_equations import FURTHEST
from zemosaic_twopass.diagnosis.photometry.overlaps import find_shared_blocks
from zemosaic_twopass.diagnosis.photometry.solution import _begin
from zemosaic_twopass.diagnosis.photometry.witness import Witness
from zemosaic_twopass.measure.coarse import FACTOR, CoarseTile, coarse_shape, project_blocks
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.place import Place

NOISE = 8.0


def looks_at(tiles, noise=NOISE, rng=None, channels=1):
    """Blocks of tiles, with noise drawn anew."""
    out, shape = find_optimal_celestial_wcs([(t.shape, t.wcs) for t in tiles])
    looks = []
    for tile in tiles:
        pixels = tile.pixels[..., :channels]
        if rng is not None:
            pixels = pixels + rng.normal(0, noise, pixels.shape).astype(np.float32)
        looks.append(
            (
                project_blocks(replace(tile, pixels=pixels), Place.of(tile.shape, tile.wcs, shape, out)),
                np.full(channels, noise),
            )
        )
    return looks, shape


def findings_of(solution):
    """What is found in tiles of whose places nothing is known."""
    return residual_findings(Survey((), (None,) * len(solution.fits), solution, None, ()))


@pytest.fixture(scope="module")
def sky():
    """Nine tiles without noise."""
    return synthetic_tiles(rows=3, columns=3, shape=(250, 320), noise=0.0, seed=5)


@pytest.fixture(scope="module")
def night(sky):
    return looks_at(sky, rng=np.random.default_rng(7))


@pytest.fixture(scope="module")
def colour(sky):
    return looks_at(sky, rng=np.random.default_rng(8), channels=3)


def with_fault(looks, index, offset=0.0, gain=0.0, slope=0.0, channels=slice(None)):
    """The same with a fault in one tile, the slope along columns from end to end."""
    changed = list(looks)
    tile, noise = looks[index]
    columns = np.flatnonzero(np.isfinite(tile.value[0]).any(axis=0))[[0, -1]]
    u = (np.arange(tile.value.shape[2]) - columns[0] + 0.5) / (columns[1] - columns[0] + 1) - 0.5
    layers = {name: np.array(getattr(tile, name)) for name in ("value", "dx", "dy", "curvature")}
    for layer in layers.values():
        layer[channels] *= 1 + gain
    layers["value"][channels] += offset + slope * u
    changed[index] = replace(tile, **layers), noise * abs(1 + gain)
    return changed


def test_what_is_no_number_makes_no_finding(night):
    """Edges that are NaN where the blocks are known: nothing can be solved, and nothing is claimed or raised."""
    (tile, noise), *others = night[0]
    with np.errstate(invalid="ignore"):
        solution = solve([(replace(tile, dx=np.full_like(tile.dx, np.nan)), noise), *others], night[1])
    assert not solution.active.any()
    assert all(fit is None for fit in solution.fits)


def found(solution):
    """(kind, tile) of what is found, the largest first."""
    return [
        (finding.kind, finding.tile)
        for _, finding in sorted(findings_of(solution), key=lambda item: -item[0])
        if finding.kind != "undetermined"
    ]


def test_nothing_is_found_where_nothing_is(night, colour):
    for looks, shape in (night, colour):
        solution = solve(looks, shape)
        assert not solution.active.any()
        assert findings_of(solution) == []
        assert all(fit.overlaps == len(p) for fit, p in zip(solution.fits, solution.neighbours, strict=True))


def test_errors_are_the_errors_there_are(sky):
    rng, z = np.random.default_rng(9), {"offset": [], "gain": [], "slope_x": [], "slope_y": []}
    for _ in range(12):
        for fit in solve(*looks_at(sky, rng=rng)).fits:
            for name, values in z.items():
                values.extend(getattr(fit, name) / getattr(fit, name + "_error"))
    for name, values in z.items():
        assert 0.75 < np.std(values) < 1.3, name
        assert abs(np.mean(values)) < 0.4, name
        assert np.max(np.abs(values)) < 4.5, name


@pytest.mark.parametrize("offset", [0.3, 25.0, -4000.0])
def test_an_offset_of_any_size(night, offset):
    looks, shape = night
    solution = solve(with_fault(looks, 4, offset=offset), shape)
    fit = solution.fits[4]
    assert np.flatnonzero(solution.active.any(axis=1)).tolist() == [4]
    assert abs(fit.offset[0] - offset) < 4.5 * fit.offset_error[0] + 1e-4 * abs(offset)
    assert fit.offset_error[0] < 0.01 * NOISE
    assert abs(fit.gain[0]) < 4.5 * fit.gain_error[0] or abs(offset) < 1


@pytest.mark.parametrize("gain", [0.5, 2.0, -0.5, -0.9])
@pytest.mark.parametrize("tile", [0, 4])
def test_a_gain_of_any_size(night, tile, gain):
    looks, shape = night
    solution = solve(with_fault(looks, tile, gain=gain), shape)
    assert found(solution) == [("gain_residual", tile)]
    (finding,) = (finding for _, finding in findings_of(solution))
    assert finding.value == pytest.approx(gain, abs=0.002 * (1 + gain))
    assert solution.fits[tile].gain[0] == pytest.approx(gain, abs=0.002 * (1 + gain))


@pytest.mark.parametrize("slope", [4.0, 800.0])
def test_a_gradient_has_its_direction_and_size(night, slope):
    looks, shape = night
    solution = solve(with_fault(looks, 2, slope=slope), shape)
    fit = solution.fits[2]
    assert found(solution) == [("gradient", 2)]
    assert abs(fit.slope_x[0] - slope) < 4.5 * fit.slope_x_error[0]
    assert abs(fit.slope_y[0]) < 4.5 * fit.slope_y_error[0]


def test_of_a_gain_and_an_offset_both_are_told(night):
    looks, shape = night
    solution = solve(with_fault(with_fault(looks, 4, gain=0.1), 4, offset=60.0), shape)
    assert set(found(solution)) == {("gain_residual", 4), ("offset", 4)}
    by_kind = {finding.kind: finding for _, finding in findings_of(solution)}
    # The gain multiplies the sky too: both together are what one sees at its level.
    seen = 60.0 + 0.1 * float(solution.level[0, 4])
    for kind, truth in (("gain_residual", 0.1), ("offset", seen)):
        assert abs(by_kind[kind].value - truth) < 4.5 * by_kind[kind].error


def test_one_channel_alone(colour):
    looks, shape = colour
    ((_, finding),) = findings_of(solve(with_fault(looks, 3, offset=3.0, channels=1), shape))
    assert (finding.kind, finding.tile, finding.channel) == ("offset", 3, 1)
    assert finding.value == pytest.approx(3.0, abs=5 * finding.error)


def test_three_faulty_neighbours(night):
    looks, shape = night
    looks = with_fault(with_fault(with_fault(looks, 0, offset=20.0), 1, gain=0.05), 3, slope=30.0)
    assert set(found(solve(looks, shape))) == {("offset", 0), ("gain_residual", 1), ("gradient", 3)}


def test_the_large_one_where_all_have_something(night):
    looks, shape = night
    rng = np.random.default_rng(10)
    for index in range(9):
        looks = with_fault(looks, index, 2 * NOISE * rng.normal(), 0.01 * rng.normal(), 1.5 * NOISE * rng.normal())
    assert found(solve(with_fault(looks, 5, offset=-200.0), shape))[0] == ("offset", 5)


def test_where_all_differ_levels_are_those_of_the_best_possible(night):
    looks, shape = night
    offsets = np.random.default_rng(11).normal(0, 2 * NOISE, 9)
    for index, offset in enumerate(offsets):
        looks = with_fault(looks, index, offset)
    solution = solve(looks, shape)
    left = np.array([fit.offset[0] for fit in solution.fits]) - offsets
    # The median tile has none, the others are measured from it.
    assert np.argsort(offsets)[4] == np.flatnonzero(~solution.active[:, 0])
    assert np.std(left) < 0.08
    errors = [fit.offset_error[0] for fit in solution.fits]
    assert np.isnan(errors[np.argsort(offsets)[4]])


def test_all_of_it_does_not_depend_on_the_unit_or_the_level(night):
    looks, shape = with_fault(night[0], 4, offset=2.0), night[1]
    one = solve(looks, shape).fits[4]
    scaled = []
    for tile, noise in looks:
        layers = {name: 16 * getattr(tile, name) for name in ("value", "dx", "dy", "curvature")}
        layers["value"] = layers["value"] + 4096
        scaled.append((replace(tile, **layers), 16 * noise))
    other = solve(scaled, shape).fits[4]
    assert other.offset == pytest.approx(16 * one.offset, rel=1e-3)
    assert other.offset_error == pytest.approx(16 * one.offset_error, rel=0.01)


@pytest.mark.parametrize("gain", [-0.5, 0.5, 2.0])
def test_a_large_gain_is_told_by_little_structure(sky, gain):
    """Where a gain of a few per cent could not be told from an offset."""
    faint = [replace(t, pixels=(900 + 0.15 * (t.pixels - 900)).clip(880, 925).astype("f4")) for t in sky]
    looks, shape = looks_at(faint, rng=np.random.default_rng(12))
    solution = solve(with_fault(looks, 4, gain=gain), shape)
    assert found(solution) == [("gain_residual", 4)]
    assert solution.fits[4].gain[0] == pytest.approx(gain, abs=0.02)


def test_a_sky_without_structure_tells_no_gain(sky):
    flat = [replace(tile, pixels=np.where(np.isfinite(tile.pixels), 900, tile.pixels).astype("f4")) for tile in sky]
    looks, shape = looks_at(flat, rng=np.random.default_rng(12))
    solution = solve(with_fault(looks, 4, gain=0.1), shape)
    assert found(solution) == [("offset", 4)]
    assert all(np.isnan(fit.gain[0]) for fit in solution.fits)


def test_small_tiles_are_tested():
    tiles = synthetic_tiles(rows=3, columns=3, shape=(128, 128), overlap=0.34, noise=0.0, seed=6)
    looks, shape = looks_at(tiles, rng=np.random.default_rng(13))
    solution = solve(looks, shape)
    assert all(fit is not None for fit in solution.fits)
    assert findings_of(solution) == []
    assert found(solve(with_fault(looks, 0, offset=NOISE), shape)) == [("offset", 0)]


def test_a_tile_that_is_not_there_and_a_channel_that_is_not(colour):
    looks, shape = colour
    looks = [*with_fault(looks, 4, offset=20.0), (None, np.full(3, NOISE))]
    tile, noise = looks[0]
    blind = np.array(tile.value)
    blind[2] = np.nan
    looks[0] = replace(tile, value=blind), noise
    solution = solve(looks, shape)
    assert found(solution) == [("offset", 4)]
    assert solution.fits[9] is None
    assert np.isnan(solution.fits[0].offset).tolist() == [False, False, True]


def test_two_tiles_alone_accuse_neither(sky):
    looks, shape = looks_at(sky[:2], rng=np.random.default_rng(14))
    ((_, finding),) = findings_of(solve(with_fault(looks, 1, offset=20.0), shape))
    assert finding.tile is None and finding.value == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize("tiles", [[0], [0, 8]])
def test_tiles_that_meet_nobody_are_undetermined(sky, tiles):
    small = [sky[i] for i in tiles]
    ((_, note),) = findings_of(solve(*looks_at(small, rng=np.random.default_rng(15))))
    assert (note.kind, note.tile) == ("undetermined", None)


def test_nothing_at_all_is_no_error():
    assert [n.kind for _, n in findings_of(solve([(None, np.ones(1))], (64, 64)))] == ["undetermined"]
    blank = np.full((1, 8, 8), np.nan)
    tile = CoarseTile((slice(0, 8), slice(0, 8)), blank, blank, blank, blank, blank)
    assert solve([(tile, np.ones(1))] * 2, (8 * FACTOR, 8 * FACTOR)).fits == (None, None)
    zeros = np.zeros((1, 8, 8))
    tile = replace(tile, value=zeros, dx=zeros, dy=zeros, curvature=zeros, share=np.ones((1, 8, 8)))
    assert findings_of(solve([(tile, np.full(1, 1e-30))] * 3, (8 * FACTOR, 8 * FACTOR))) == []


def channel_of(looks, shape):
    """The second channel of tiles of which one is in units of its own."""
    stars = StarScales.none(len(looks), 2)
    stars.logarithm[3:6, 1] = 0.0, np.log(7.0), 0.0
    stars.covariance[1, range(3, 6), range(3, 6)] = 1e-4
    witness = Witness.of(stars, 1, np.ones(len(looks), bool), np.full(len(looks), np.nan))
    assert np.ptp(witness.units()) > 1
    shared = find_shared_blocks([tile for tile, _ in looks], coarse_shape(shape), [witness.units()] * 2)[1]
    return Channel(shared, np.array([noise[1] for _, noise in looks]), witness)


def test_a_gain_that_all_tiles_have_is_told_by_nothing(colour):
    channel = channel_of(*colour)
    terms = np.random.default_rng(4).normal(0, 0.02, channel.terms.shape) * [50, 1, 1, 1, 0, 0, 0]
    terms[:, 1] = 0.4 * (1 + channel.witness.gains()) * (1 + terms[:, 1]) - 1
    channel.move(terms)
    left = channel.subtract(np.zeros_like(terms))
    channel.scale_sky([np.arange(channel.count)])
    np.testing.assert_allclose(channel.subtract(np.zeros_like(terms)), left, rtol=1e-6, atol=1e-6 * np.abs(left).max())
    assert np.median((1 + channel.terms[:, 1]) / (1 + channel.witness.gains())) == pytest.approx(1)


def test_a_tile_that_is_in_another_channel_alone_has_no_say_in_that(colour):
    looks, shape = colour
    absent = len(looks) // 2
    for index in range(absent):
        tile, noise = looks[index]
        known = np.arange(len(noise))[:, np.newaxis, np.newaxis] != 1
        looks = [*looks[:index], (replace(tile, value=np.where(known, tile.value, np.nan)), noise), *looks[index + 1 :]]
    channel = channel_of(looks, shape)
    terms = np.zeros_like(channel.terms)
    terms[:, 1] = 0.4 * (1 + channel.witness.gains()) - 1
    terms[:absent] = 0
    channel.move(terms)
    channel.scale_sky([np.arange(channel.count)])
    ratio = (1 + channel.terms[:, 1]) / (1 + channel.witness.gains())
    assert np.median(ratio[absent:]) == pytest.approx(1, rel=1e-6)
    np.testing.assert_array_equal(channel.terms[:absent], 0)


def test_where_all_begin_the_usual_gain_is_that_of_the_stars(colour):
    channel = channel_of(*colour)
    terms = np.zeros_like(channel.terms)
    terms[:, 1] = 0.4 * (1 + channel.witness.gains()) - 1
    channel.move(terms)
    _begin(channel, [np.arange(channel.count)])
    ratio = (1 + channel.terms[:, 1]) / (1 + channel.witness.gains())
    assert np.median(ratio[np.diff(channel.layout.starts) > 0]) == pytest.approx(1, rel=1e-6)
    assert (np.abs(channel.terms[:, 4:]) <= FURTHEST).all()


def test_equations_are_sums_over_the_blocks_of_every_tile(colour):
    """The sky eliminated block by block, against dense sums over the whole design."""
    channel = channel_of(*colour)
    rng = np.random.default_rng(3)
    channel.move(rng.normal(0, 0.05, channel.terms.shape))
    left = channel.subtract(np.zeros_like(channel.terms))
    channel.weigh(left, left)
    channel.move(channel.terms)
    left = channel.subtract(np.zeros_like(channel.terms))
    matrix, score, _ = channel.normal()
    layout, count = channel.layout, channel.count
    step = np.eye(channel.terms.size).reshape(-1, *channel.terms.shape)
    # Of each term by itself: what the residuals lose, weights in, is a column of the equations.
    lost = np.array([left - channel.subtract(own) for own in step])
    weight = channel._weight
    dense = (lost * weight) @ lost.T
    np.testing.assert_allclose(matrix.reshape(dense.shape), dense, rtol=1e-6, atol=1e-8 * np.abs(dense).max())
    np.testing.assert_allclose(score.ravel(), (lost * weight) @ left, rtol=1e-6, atol=1e-8 * np.abs(score).max())
    assert sum(len(layout.cell[layout.own(index)]) for index in range(count)) == len(layout.cell)


def test_squares_are_numbered_without_a_gap(night):
    looks, shape = night
    (shared,) = find_shared_blocks([tile for tile, _ in looks], coarse_shape(shape), [np.ones(len(looks))])
    layout = shared.layout
    rows, columns = np.divmod(layout.cell, layout.shape[1])
    for side in (1, 3, 16):
        keys = np.stack([layout.tile, rows // side, columns // side])
        np.testing.assert_array_equal(layout.square(side), np.unique(keys, axis=1, return_inverse=True)[1].ravel())
