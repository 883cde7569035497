"""Backgrounds matched in little memory: what reproject itself makes of the same planes, to the bit."""

import tempfile
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from astropy.wcs import WCS
from reproject import mosaicking, reproject_interp

from zemosaic_twopass.phase5 import matching
from zemosaic_twopass.phase5.coadd import SharedReprojection
from zemosaic_twopass.phase5.matching import CoaddInputs, reproject_and_coadd, solve_backgrounds

SHAPE, OUT = (40, 50), (130, 150)
PLACES = [(0, 0), (22, 8), (20, 48), (55, 30)]
LONE = (90, 110)
MISSES = (400, 0)


def wcs_of(place, angle=0.0):
    """WCS of a tile with its first pixel at a place (row, column) of the mosaic, turned about it."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ("RA---TAN", "DEC--TAN"), (80.0, 20.0), (70.0, 60.0)
    wcs.wcs.crpix -= place[::-1]
    sine, cosine = np.sin(angle), np.cos(angle)
    wcs.wcs.cd = 1e-3 * np.array([[-cosine, sine], [sine, cosine]])
    return wcs


def scene(places, with_weights=True, shape=SHAPE):
    """Tiles of two channels on different levels, with NaN in them, their WCS and weights."""
    rng = np.random.default_rng(3)
    tiles = [rng.normal(1000 + 30 * n, 5, (*shape, 2)).astype(np.float32) for n in range(len(places))]
    for tile in tiles:
        tile[rng.random(tile.shape) < 0.02] = np.nan
    weights = [(rng.random(shape) > 0.1).astype(np.float32) * np.float32(1 + n) for n in range(len(places))]
    return tiles, [wcs_of(place, 0.02 * n) for n, place in enumerate(places)], weights if with_weights else None


def both(tiles, wcs, weights):
    """(mosaic, footprint) of all channels from here and from reproject, and the state of the global generator."""
    results = []
    with warnings.catch_warnings(), SharedReprojection(tiles, None, weights) as shared:
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)
        for coadd, own in ((reproject_and_coadd, True), (mosaicking.reproject_and_coadd, False)):
            np.random.seed(5)
            found = []
            for channel in range(2):
                planes = shared.planes(channel) if own else [tile[..., channel] for tile in tiles]
                found += coadd(
                    CoaddInputs(planes, wcs),
                    wcs_of((0, 0)),
                    shape_out=OUT,
                    input_weights=shared.weights if own else weights,
                    reproject_function=shared.reproject if own else reproject_interp,
                    combine_function="mean",
                    match_background=True,
                )
            results.append((found, np.random.get_state()[1:3]))
    return results


@pytest.mark.parametrize("with_weights", [True, False])
@pytest.mark.parametrize(
    "places",
    [PLACES, [*PLACES, LONE], [PLACES[0]], [MISSES, *PLACES], [MISSES], [PLACES[0], LONE]],
    ids=["meet", "one does not", "single", "one misses", "none", "none meet"],
)
def test_same_as_reproject_to_the_bit(places, with_weights, monkeypatch):
    used = []
    real = solve_backgrounds
    monkeypatch.setattr(matching, "solve_backgrounds", lambda offsets: used.append(offsets) or real(offsets))
    (found, state), (expected, expected_state) = both(*scene(places, with_weights))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(state[0], expected_state[0])
    assert state[1] == expected_state[1]
    assert len(used) == (0 if places == [MISSES] else 2), "this way was not taken at all"


def test_a_level_is_matched():
    (found, _), _ = both(*scene(PLACES))
    covered = found[1] > 0
    assert np.std(found[0][covered]) < 8, "tiles are 30 adu apart before"


def test_planes_of_somebody_else_go_to_reproject(monkeypatch):
    tiles, wcs, weights = scene(PLACES)
    expected = both(tiles, wcs, weights)[1][0][:2]
    monkeypatch.setattr(matching, "solve_backgrounds", None)
    with SharedReprojection(tiles, None, weights) as shared:
        common = {"shape_out": OUT, "input_weights": weights, "reproject_function": shared.reproject}
        common |= {"combine_function": "mean", "match_background": True}
        planes = list(shared.planes(0))
        np.random.seed(5)
        found = reproject_and_coadd(CoaddInputs(planes, wcs), wcs_of((0, 0)), **common)
        # And a reproject that hands on copies: of each plane, nothing is known.
        monkeypatch.setattr(shared, "find", lambda array: None)
        np.random.seed(5)
        copies = reproject_and_coadd(CoaddInputs(shared.planes(0), wcs), wcs_of((0, 0)), **common)
    np.testing.assert_array_equal(found, copies)
    np.testing.assert_array_equal(found, expected)


def test_channels_in_threads():
    tiles, wcs, weights = scene(PLACES[:2])
    expected, found = both(tiles, wcs, weights)[1][0], {}
    with SharedReprojection(tiles, None, weights) as shared:
        together = threading.Barrier(2)

        def work(channel):
            together.wait()
            found[channel] = reproject_and_coadd(
                CoaddInputs(shared.planes(channel), wcs),
                wcs_of((0, 0)),
                shape_out=OUT,
                input_weights=shared.weights,
                reproject_function=shared.reproject,
                match_background=True,
            )

        threads = [threading.Thread(target=work, args=(channel,)) for channel in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for channel in range(2):
        np.testing.assert_allclose(found[channel][0], expected[2 * channel], rtol=1e-6)
        np.testing.assert_array_equal(found[channel][1], expected[2 * channel + 1])


def test_lists_of_different_length():
    with pytest.raises(ValueError, match="1 planes != 2 WCS"):
        CoaddInputs([np.zeros(SHAPE)], [wcs_of((0, 0))] * 2)


def test_corrections_even_out_the_offsets():
    levels = np.array([3.0, -1.0, 7.0, 2.0])
    offsets = np.triu(levels[:, np.newaxis] - levels, 1)
    offsets[0, 3] = offsets[np.tril_indices(4)] = np.nan
    found = solve_backgrounds(offsets)
    np.testing.assert_allclose(found - found.mean(), levels - levels.mean(), atol=1e-6)
    assert solve_backgrounds(np.full((1, 1), np.nan)) == 0


def test_memory_does_not_grow_with_the_tiles(tmp_path, monkeypatch):
    """Only tile × gain stays of each tile; and the file is gone after an error too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    peaks = []
    for count in (4, 16):
        tiles, wcs, weights = scene([PLACES[n % 4] for n in range(count)], shape=(160, 200))
        with pytest.raises(ZeroDivisionError), SharedReprojection(tiles, [1.0] * count, weights) as shared:
            common = {"shape_out": OUT, "input_weights": shared.weights, "reproject_function": shared.reproject}
            tracemalloc.start()
            reproject_and_coadd(CoaddInputs(shared.planes(0), wcs), wcs_of((0, 0)), match_background=True, **common)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            raise ZeroDivisionError
    size = tiles[0][..., 0].size
    corrected = 12 * tiles[0].nbytes
    assert peaks[1] - peaks[0] < corrected + 4 * 8 * size, "held, 12 more tiles are 12 times 2 planes of doubles more"
    assert not list(tmp_path.iterdir())
