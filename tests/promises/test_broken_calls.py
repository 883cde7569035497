"""Calls and workers that are wrong in some way: the same error or result, watched or not."""

import inspect

import numpy as np
import pytest

from helpers import mini
from helpers.comparing import compared
from helpers.odd_skies import CLIP, PLAIN, Call, odd_wcs
from helpers.passes import digest

pytestmark = pytest.mark.slow


def three_axes():
    wcs = odd_wcs((83.8, -5.4), (20, 24), np.random.default_rng(1), "near", 0.0)
    return wcs.sub([1, 2, 0])


def _swap(**changes):
    """A change of some of the arguments, each given as a function of the argument."""
    return lambda arguments: {name: change(arguments[name]) for name, change in changes.items()}


def of_second(change):
    return lambda entries: [entries[0], change(entries[1])]


def always(value):
    return lambda old: value


# What is wrong with the call: (change, do the diagnostics fail).
BROKEN = {
    "no_tiles": (_swap(tiles=always([]), tiles_wcs=always([]), tiles_coverage=always([])), False),
    "tiles_none": (_swap(tiles=always(None)), True),
    "tiles_number": (_swap(tiles=always(7)), True),
    "tiles_iterator": (_swap(tiles=iter), True),
    "more_tiles_than_wcs": (_swap(tiles_wcs=lambda wcs: wcs[:1]), True),
    "wcs_none": (_swap(tiles_wcs=always(None)), True),
    "one_wcs_none": (_swap(tiles_wcs=of_second(always(None))), False),
    "wcs_of_three_axes": (_swap(tiles_wcs=of_second(lambda wcs: three_axes())), False),
    "tile_none": (_swap(tiles=of_second(always(None))), True),
    "tile_text": (_swap(tiles=of_second(always("tile"))), True),
    "tile_of_one_axis": (_swap(tiles=of_second(lambda tile: tile[0, :, 0])), True),
    "tile_of_objects": (_swap(tiles=of_second(lambda tile: tile.astype(object))), True),
    "tile_complex": (_swap(tiles=of_second(lambda tile: tile.astype(complex))), True),
    "tile_without_pixels": (_swap(tiles=of_second(lambda tile: tile[:0]), tiles_coverage=always(None)), False),
    "channels_differ": (_swap(tiles=of_second(lambda tile: tile[..., :2])), True),
    "no_channels": (_swap(tiles=lambda tiles: [tile[..., :0] for tile in tiles]), True),
    "coverage_of_another_shape": (_swap(tiles_coverage=of_second(lambda mask: mask[:-1])), True),
    "coverage_missing": (_swap(tiles_coverage=lambda masks: masks[:1]), True),
    "weight_zero": (_swap(tile_weights=of_second(always(0.0))), False),
    "weights_too_few": (_swap(tile_weights=lambda weights: weights[:1]), False),
    "weights_text": (_swap(tile_weights=always("ab")), False),
    "mosaic_wcs_none": (_swap(final_wcs_p1=always(None)), False),
    "coverage_p1_none": (_swap(coverage_p1=always(None)), False),
    "coverage_p1_of_another_shape": (_swap(coverage_p1=lambda coverage: coverage[:-1]), False),
    "shape_out_none": (_swap(shape_out=always(None)), False),
    "shape_out_of_three": (_swap(shape_out=always((30, 32, 3))), False),
    "shape_out_negative": (_swap(shape_out=always((-30, 32))), False),
    "shape_out_text": (_swap(shape_out=always("ab")), False),
    "sigma_text": (_swap(sigma_px=always("wide")), False),
    "clip_none": (_swap(gain_clip=always(None)), False),
    "clip_nan": (_swap(gain_clip=always((np.nan, np.nan))), False),
}


def broken_call(change):
    call = Call.of(PLAIN)
    arguments = {
        "tiles": call.tiles,
        "tiles_wcs": call.wcs,
        "final_wcs_p1": call.final,
        "coverage_p1": call.first[1],
        "shape_out": PLAIN.shape_out,
        "sigma_px": PLAIN.sigma,
        "gain_clip": CLIP,
        "tiles_coverage": call.masks,
        "tile_weights": call.weights,
        "parallel_plan": {"cpu_workers": 1},
    }

    def run(worker, logger):
        np.random.seed(5)
        function = worker.run_second_pass_coverage_renorm
        # Anew for each call: an iterator is used up by one.
        given = {**arguments, **change(arguments), "logger": logger}
        return function(**{name: given[name] for name in inspect.signature(function).parameters if name in given})

    return run, lambda: digest(*call.arrays())


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_call(no_pictures, odd_worker, folder, kind):
    change, fails = BROKEN[kind]
    run, given = broken_call(change)
    failed, probe = compared(run, odd_worker, given, directory=folder)
    assert bool(failed) == fails, failed


def gives(make):
    """An inner function, of either kind, that gives what `make` does; its parameters are those of the real ones."""
    return lambda tiles=None, tiles_wcs=None, *args, data_list=None, wcs_list=None, **kwargs: make()


def raises(error):
    def make():
        raise error

    return gives(make)


# What an older worker is given, or gives itself: (names replaced in it, tiles, do the diagnostics fail).
GAINS, COADD = "compute_per_tile_gains_from_coverage", "reproject_and_coadd_wrapper"
PAIR = [np.full((6, 7), 3.0, "f4"), np.full((6, 7), 4.0, "f4")]


UNRULY = {
    "gains_raise": ({GAINS: raises(ZeroDivisionError("no gain"))}, lambda: PAIR, False),
    "gains_none": ({GAINS: gives(lambda: None)}, lambda: PAIR, True),
    "gains_text": ({GAINS: gives(lambda: ["1.5", "wide"])}, lambda: PAIR, True),
    "gains_too_few": ({GAINS: gives(lambda: [1.5])}, lambda: PAIR, True),
    "gains_too_many": ({GAINS: gives(lambda: [1.5, 1.25, 1.0])}, lambda: PAIR, True),
    "gains_iterator": ({GAINS: gives(lambda: iter([1.5, 1.25]))}, lambda: PAIR, True),
    "gains_array": ({GAINS: gives(lambda: np.array([1.5, 1.25]))}, lambda: PAIR, False),
    "coadd_raises": ({COADD: raises(MemoryError("no room"))}, lambda: PAIR, False),
    "coadd_gives_nothing": ({COADD: gives(lambda: None)}, lambda: PAIR, False),
    "tiles_iterator": ({GAINS: gives(lambda: [1.5, 1.25])}, lambda: iter(PAIR), True),
    "tiles_stacked": ({}, lambda: np.stack(PAIR), False),
    "tiles_missing": ({}, list, True),
    "tiles_none": ({}, lambda: None, True),
    "tile_text": ({}, lambda: ["a", "b"], True),
    "tile_of_four_axes": ({}, lambda: [np.ones((2, 2, 2, 2), "f4")] * 2, True),
}


@pytest.mark.parametrize("kind", UNRULY)
def test_unruly_worker(no_pictures, monkeypatch, folder, kind):
    replaced, tiles, fails = UNRULY[kind]
    module = mini.make(monkeypatch)
    for name, function in replaced.items():
        monkeypatch.setattr(module if name == GAINS else module.zemosaic_utils, name, function)

    def run(worker, logger):
        np.random.seed(5)
        return mini.call(worker, tiles(), [None, None], logger=logger)

    failed, _ = compared(run, module, lambda: digest(*PAIR), directory=folder)
    assert bool(failed) == fails, failed


def test_exceptions_are_compared(monkeypatch, folder):
    """The error of a body is seen by the comparison: another one would be told from it."""
    module = mini.make(monkeypatch)
    errors = iter([ValueError("a"), ValueError("a"), ValueError("b")])
    monkeypatch.setattr(module, GAINS, lambda *args, **kwargs: raises(next(errors))())
    with pytest.raises(AssertionError, match="ValueError"):
        compared(lambda worker, logger: mini.call(worker, PAIR), module, lambda: None, directory=folder)


def test_planes_that_can_be_read_only_once(no_pictures, monkeypatch, folder):
    source = mini.WORKER.replace("[tile[..., channel] for tile in corrected]", "(t[..., channel] for t in corrected)")
    module = mini.make(monkeypatch, source)
    failed, _ = compared(
        lambda worker, logger: mini.call(worker, PAIR, logger=logger), module, lambda: digest(*PAIR), directory=folder
    )
    assert "the list of planes: a generator can be read only once" in failed[0]


@pytest.mark.parametrize("result", ["(np.array(result),)", "(np.array(result), None, 1)", "np.array(result)[0]"])
def test_no_pair_is_no_mosaic(no_pictures, monkeypatch, folder, result):
    """What a worker gives that gives something else is not looked into."""
    module = mini.make(monkeypatch, mini.WORKER.replace("np.array(result), None", result))
    failed, probe = compared(
        lambda worker, logger: mini.call(worker, PAIR, [None, None], logger=logger),
        module,
        lambda: digest(*PAIR),
        directory=folder,
    )
    assert not failed
    assert probe.reports
