"""Whatever goes through a second pass, watched or not: the same bytes, the same error, the same inputs."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from helpers.comparing import compared
from helpers.odd_skies import FAULTS, PLACES, PLAIN, Call, odd_skies
from helpers.passes import digest
from zemosaic_twopass.diagnosis.closure import displacement, faulty_tile, solve, steps
from zemosaic_twopass.diagnosis.photometry import overlaps
from zemosaic_twopass.report.pictures import MAP_PICTURE, TILES_PICTURE
from zemosaic_twopass.synthetic.faults import Fault, faulty_pass

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]


# Without shrinking: a case can be read as it is, and a red run ends as soon as a green one.
repeatable = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
DEEP = replace(PLAIN, shapes=((50, 50), (48, 52), (60, 45)), places=("near",) * 3, shape_out=(50, 52))


@pytest.fixture
def low_bars(monkeypatch):
    """Skies of 50 pixels are enough for the closure and the fits, whose answers are of no interest here."""
    bars = {
        overlaps: {"_FEWEST_BLOCKS": 10},
        solve: {"_MIN_POINTS": 30, "_MIN_TILE_POINTS": 5},
        faulty_tile: {"MIN_POINTS": 5},
        displacement: {"MIN_POINTS": 5, "_FURTHEST_PX": 2},
        steps: {"MIN_BLOCKS": 5},
    }
    for module, values in bars.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


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


@settings(repeatable, max_examples=20)
@given(odd_skies())
@example(replace(PLAIN, places=("near", "far"), shapes=((30, 40), (30, 40)), shape_out=(30, 40)))
@example(replace(PLAIN, shape_out=(5, 32)))
@example(replace(PLAIN, channels=0, holes="infinite"))
@example(replace(PLAIN, dtype=">f8", level="huge", places=("near", "near")))
def test_odd_but_legal(no_pictures, odd_worker, folder, sky):
    check_sky(sky, odd_worker, folder)


deep_skies = odd_skies(count=(2, 4), side=(40, 60), places=PLACES[:4], faults=FAULTS)


@settings(repeatable, max_examples=7)
@given(deep_skies)
@example(replace(DEEP, level="zero"))
@example(replace(DEEP, fault="mask_bug"))
@example(replace(DEEP, fault="not_closed", dtype="f8", level="huge"))
def test_odd_skies_reach_the_fits(no_pictures, low_bars, odd_worker, folder, sky):
    check_sky(sky, odd_worker, folder)


@settings(repeatable, max_examples=2)
@given(odd_skies(count=(1, 3)))
def test_odd_skies_are_drawn(odd_worker, folder, sky):
    probe = check_sky(sky, odd_worker, folder)
    assert (folder / MAP_PICTURE).exists() == (probe.reports[-1].delta is not None)
    assert (folder / TILES_PICTURE).exists()
