"""Whatever goes through a second pass, watched or not: the same bytes, the same error, the same inputs."""

import contextlib
import inspect
import logging
import sys
import warnings
from dataclasses import replace

import mini
import numpy as np
import pytest
from conftest import ListHandler, digest, load_copy
from hypothesis import HealthCheck, Phase, example, given, settings
from odd_skies import CLIP, FAULTS, PLACES, PLAIN, Call, odd_skies, odd_wcs

from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass import closure, culprit, levels, residual, steps
from zemosaic_twopass.artefacts import ARTEFACTS
from zemosaic_twopass.faults import Fault, faulty_pass
from zemosaic_twopass.pictures import MAP_PICTURE, TILES_PICTURE
from zemosaic_twopass.sampling import draw_points

pytestmark = pytest.mark.slow

FAILED = "[TwoPassProbe] diagnostics failed"
# Without shrinking: a case can be read as it is, and a red run ends as soon as a green one.
repeatable = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
DEEP = replace(PLAIN, shapes=((50, 50), (48, 52), (60, 45)), places=("near",) * 3, shape_out=(50, 52))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def odd_worker():
    yield load_copy("odd_worker")
    del sys.modules["odd_worker"]


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes most of the time; one test here draws, the others leave it out."""
    for name in (MAP_PICTURE, TILES_PICTURE):
        # Not taken out: put back, it would stand behind the page that shows it.
        monkeypatch.setitem(ARTEFACTS, name, (lambda report: False, None))


@pytest.fixture
def low_bars(monkeypatch):
    """Skies of 50 pixels are enough for the closure and the fits, whose answers are of no interest here."""
    bars = {
        residual: {"_CLUSTER_SIDES": (1,), "MIN_CLUSTERS": 10},
        levels: {"_MIN_BLOCKS": 10},
        closure: {"_MIN_POINTS": 30, "_MIN_TILE_POINTS": 5},
        culprit: {"_MIN_POINTS": 5, "_REACH": 2},
        steps: {"_MIN_BLOCKS": 5},
    }
    for module, values in bars.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


def outcome(call, worker, trap=False):
    """What the pipeline and its user see of a call, and what the probe says has failed.

    The first: digest of the result or the error, the worker's own lines, Python's warnings, the random state and
    numpy's error handling.
    """
    logger = logging.Logger("odd", logging.DEBUG)
    logger.addHandler(ListHandler())
    with warnings.catch_warnings(record=True) as said, np.errstate(all="raise" if trap else "warn"):
        warnings.simplefilter("always")
        try:
            result = call(worker, logger)
            found = None if result is None else digest(*map(np.asarray, result))
        except Exception as error:
            found = type(error), str(error)
        handling = np.geterr()
    lines = logger.handlers[0].messages
    own = [entry for entry in lines if entry[1].startswith("[TwoPass] ")]
    said = [(warning.category, str(warning.message)) for warning in said]
    failed = [text for level, text in lines if FAILED in text and level == "WARNING"]
    return (found, own, said, np.random.get_state()[1].tobytes(), handling), failed


def compared(call, worker, given, trap=False, **probe_settings):
    """Run bare, bare and watched; hold the three to the same outcome and the inputs to what they were."""
    before = given()
    first, second = (outcome(call, worker, trap)[0] for _ in range(2))
    assert first == second, "two bare runs differ: the comparison would prove nothing"
    with TwoPassProbe(worker, **probe_settings) as probe:
        watched, failed = outcome(call, worker, trap)
    assert watched == first
    assert given() == before
    assert len(failed) <= 1
    assert len(failed) == len(probe.failures)
    return failed, probe


@contextlib.contextmanager
def gain_of(worker, gain):
    """Every gain is this one; None leaves them alone."""
    with pytest.MonkeyPatch.context() as patch:
        if gain is not None:
            name = "compute_per_tile_gains_from_coverage"
            patch.setattr(worker, name, lambda tiles, tiles_wcs, *args, **kwargs: [gain] * len(tiles))
        yield


def check_sky(sky, worker, folder):
    """Nothing is noticed, and nothing fails, also where an error of ours would be let out."""
    call = Call.of(sky)

    def given():
        headers = [repr(wcs.to_header(relax=True)) for wcs in (*call.wcs, call.final)]
        return digest(*call.arrays()), headers, [array.flags.writeable for array in call.arrays()]

    faults = [Fault.parse(sky.fault)] if sky.fault else []
    with gain_of(worker, sky.gain), faulty_pass(worker, faults):
        failed, probe = compared(
            call, worker, given, sky.trap, downsample=sky.downsample, directory=folder, strict=bool(sky.seed % 2)
        )
    assert not failed, failed[0]
    # The merging caller makes no second pass of no tiles.
    assert len(probe.reports) == int(bool(sky.shapes) or not sky.merged)
    return probe


@settings(repeatable, max_examples=60)
@given(odd_skies())
@example(replace(PLAIN, places=("near", "far"), shapes=((30, 40), (30, 40)), shape_out=(30, 40)))
@example(replace(PLAIN, shape_out=(5, 32)))
@example(replace(PLAIN, channels=0, holes="infinite"))
@example(replace(PLAIN, dtype=">f8", level="huge", places=("near", "near")))
def test_odd_but_legal(no_pictures, odd_worker, folder, sky):
    check_sky(sky, odd_worker, folder)


deep_skies = odd_skies(count=(2, 4), side=(40, 60), places=PLACES[:4], faults=FAULTS)


@settings(repeatable, max_examples=24)
@given(deep_skies)
@example(replace(DEEP, level="zero"))
@example(replace(DEEP, fault="mask_bug"))
@example(replace(DEEP, fault="not_closed", dtype="f8", level="huge"))
def test_odd_skies_reach_the_fits(no_pictures, low_bars, odd_worker, folder, sky):
    check_sky(sky, odd_worker, folder)


@settings(repeatable, max_examples=4)
@given(odd_skies(count=(1, 3)))
def test_odd_skies_are_drawn(odd_worker, folder, sky):
    probe = check_sky(sky, odd_worker, folder)
    assert (folder / MAP_PICTURE).exists() == (probe.reports[-1].delta is not None)
    assert (folder / TILES_PICTURE).exists()


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


class Sparing:
    """A generator that draws no more numbers than a mosaic has pixels."""

    def __init__(self, most):
        self._rng, self._most = np.random.default_rng(1), most
        self.permutation = self._rng.permutation

    def integers(self, low, high, size):
        assert size <= self._most
        return self._rng.integers(low, high, size)


@pytest.mark.parametrize("covered", [1, 700, 100_000, 250_000])
def test_points_of_a_mosaic_that_is_all_but_empty(covered):
    coverage = np.zeros((500, 500), np.float32)
    coverage.flat[np.random.default_rng(2).permutation(coverage.size)[:covered]] = 1
    rows, columns = draw_points(coverage, 20_000, Sparing(coverage.size))
    assert len(rows) == pytest.approx(min(covered, 20_000), rel=0.02)
    assert (coverage[rows, columns] == 1).all()
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)
