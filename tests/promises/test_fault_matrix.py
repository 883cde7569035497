"""Every function of the diagnostics fails in turn, and the pipeline does not notice."""

import pytest

import zemosaic_instrument
from helpers import bystander
from helpers.bystander import failing, functions_of, goes_up, modules_on_the_path
from helpers.replay import Night
from helpers.watching import FAILED, PICTURES, watching
from zemosaic_twopass.watch import hooks, host, run

# Not traced: the same lines again for every function, and no verdict on them.
pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

# The last is what a warnings filter "error" makes of a warning.
ERRORS = (ValueError, TypeError, MemoryError, RuntimeWarning)
MODULES = modules_on_the_path()
ODD = (
    "measure.borders",
    "diagnosis.pixels",
    "diagnosis.registration.strangers",
    "diagnosis.registration.stretches",
    "diagnosis.photometry.unevenness",
    "diagnosis.photometry.levelling",
    "diagnosis.photometry.surface",
    "diagnosis.photometry.bending",
    "diagnosis.photometry.sharing",
    "diagnosis.registration.crops",
    "measure.feathers",
    "diagnosis.photometry.held_out",
    # They need edges as long as those of tests/rooms/watch/test_seams_of_pass.py, where each of them fails.
    "diagnosis.explained",
    "diagnosis.seen",
    # Of `repair` and `compare`.
    "diagnosis.foreseen",
    "diagnosis.seams.changes",
    "report.compare_picture",
    "report.seam_changes",
)
# The frames of ours that stand around every guard: nothing of ours is above them, the pipeline is.
OUTERMOST = {
    "quietly",
    # The words of a failure go through it.
    "in_ascii",
    "call_observer",
    "observe_gains",
    "observe_coadd",
    "observe_caller",
    "observe_post_stack",
    "Tap.__call__",
}
# What every call runs through, with a delta map or without.
ENDS = ("run", "calls", "caller", "host", "journal", "hooks", "capture", "publish", "probe", "instrument")
ALWAYS = [module for module in MODULES if module.__name__.endswith(ENDS)]


def name_of(module):
    return module.__name__.removeprefix("zemosaic_")


@pytest.fixture(scope="module")
def watch(tmp_path_factory):
    with watching(tmp_path_factory.mktemp("matrix")) as watch:
        yield watch


@pytest.fixture(scope="module")
def reached(watch):
    """{code: pictures that have to be drawn for it} of all that a call runs through."""
    # Once before anything is compared: the first picture of a process opens the fonts.
    watch.draw(*PICTURES)
    watch.night.call(watch.logger)
    found = {}
    for pictures in ((), *((name,) for name in PICTURES)):
        watch.draw(*pictures)
        for code in bystander.reached(watch.call):
            found.setdefault(code, pictures)
    return found


@pytest.fixture(scope="module")
def functions(reached):
    """{module name: {name: function}} of what a call runs through, and can fail."""
    return {
        module.__name__: {
            name: function
            for name, function in functions_of(module).items()
            if function.__code__ in reached and name not in OUTERMOST and not goes_up(module, name)
        }
        for module in MODULES
    }


def test_most_functions_are_reached(reached):
    """Those that are not read and write tiles, open and close a probe, or need another fault in the tiles.

    Those of `host` need an application around the pass: `test_names.py` has one, and lets each of them fail. Those of
    `ODD` need tiles that nothing here has: edges that are no sky, stars that are nobody's, a WCS that is turned, light
    that no term explains.
    """
    others = (host.__name__, *(f"zemosaic_twopass.{name}" for name in ODD))
    modules = [module for module in MODULES if module.__name__ not in others]
    named = [function for module in modules for function in functions_of(module).values()]
    count = sum(function.__code__ in reached for function in named)
    assert count > 0.7 * len(named) > 150, (count, len(named))


def check_each(functions, check):
    """Run a check on every function; name all for which it fails."""
    problems = []
    for index, (name, function) in enumerate(functions.items()):
        try:
            check(index, function)
            # What closes a run are the functions whose failure leaves it behind.
            assert not run._running or name in ("Run.close", "Run.drop")
        except AssertionError as error:
            problems.append(f"{name}: {error}")
        finally:
            run._running.clear()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_each_function_fails(module, watch, reached, functions):
    """One error each, in rotation; each of the calls must be seen up to there, and one after all of them in full."""
    codes = {function: function.__code__ for function in functions[module.__name__].values()}

    def check(index, function):
        watch.draw(*reached[codes[function]])
        watch.survive(function, error=ERRORS[index % len(ERRORS)])

    check_each(functions[module.__name__], check)
    watch.draw()
    watch.observe()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("module", ALWAYS, ids=name_of)
def test_each_function_fails_in_every_way(module, error, watch, functions):
    """Without a map there is no time to be lost: every error in every function."""
    watch.probe.delta_map = False
    codes = bystander.reached(watch.call)
    chosen = {name: f for name, f in functions[module.__name__].items() if f.__code__ in codes}
    assert chosen

    def check(index, function):
        watch.survive(function, error=error, delta_map=False)
        watch.observe(delta_map=False)

    check_each(chosen, check)


def test_everything_fails_together(watch, functions):
    """Still one warning; only what has to know that it was given is left alone."""
    machinery = (
        "zemosaic_instrument",
        *(f"zemosaic_twopass.watch.{name}" for name in ("run", "calls", "capture", "caller")),
    )
    chosen = [function for name in functions if name not in machinery for function in functions[name].values()]
    watch.survive(*chosen, error=ValueError)
    watch.observe(delta_map=False)


@pytest.fixture
def stranger():
    """A worker that is not watched, and a function that says whether all of it is as it was."""
    worker = Night.make(fault="mask").worker
    spaces = [(vars(owner), dict(vars(owner))) for owner in (worker, worker.zemosaic_utils)]
    listening = list(hooks.open_probes)

    def is_clean():
        same = all(space[name] is value for space, kept in spaces for name, value in kept.items())
        return same and hooks.open_probes == listening

    return worker, is_clean


def opening_functions(codes):
    """(name, function) of what runs while a worker is attached to or decorated, and can fail."""
    # The last turns a ValueError into a complaint of its own, once a process.
    outermost = {"quietly", "in_ascii", "attach_on_import", "two_pass_diagnostics", "_flag"}
    named = [item for module in MODULES for item in functions_of(module).items() if item[0] not in outermost]
    return [(name, function) for name, function in named if function.__code__ in codes]


def fails_to_open(watch, function, error, opening):
    """What an opening gives in which a function fails; it says so once."""
    watch.handler.messages.clear()
    with failing(function, error=error) as count:
        result = opening()
        assert count() > 0
    assert [text.startswith(FAILED) for level, text in watch.handler.messages if level == "WARNING"] == [True]
    return result


@pytest.mark.parametrize("error", ERRORS)
def test_attaching_fails(error, watch, stranger, monkeypatch):
    """The import goes on, nothing is left on the worker, and the next attempt succeeds."""
    worker, is_clean = stranger
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "1")
    chosen = opening_functions(bystander.reached(lambda: zemosaic_instrument.attach_on_import(worker)))
    assert len(chosen) > 15
    assert not is_clean()
    zemosaic_instrument.detach(worker)
    for name, function in chosen:
        assert is_clean(), name
        fails_to_open(watch, function, error, lambda: zemosaic_instrument.attach_on_import(worker))
    assert is_clean()
    zemosaic_instrument.attach_on_import(worker)
    assert not is_clean()
    zemosaic_instrument.detach(worker)
    assert is_clean()


@pytest.mark.parametrize("error", ERRORS)
def test_decorating_fails(error, watch, stranger, monkeypatch):
    """A function that cannot be watched stays what it is."""
    worker, is_clean = stranger
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "1")
    plain = worker.run_second_pass_coverage_renorm
    decorated = []
    chosen = opening_functions(
        bystander.reached(lambda: decorated.append(zemosaic_instrument.two_pass_diagnostics(plain)))
    )
    assert not is_clean()
    decorated.clear()
    assert len(chosen) > 8
    for name, function in chosen:
        opened = fails_to_open(watch, function, error, lambda: zemosaic_instrument.two_pass_diagnostics(plain))
        assert opened is plain, name
        assert is_clean(), name
