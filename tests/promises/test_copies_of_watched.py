"""A program that copies what holds a watched function: as if nobody watched."""

import copy
import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from helpers.passes import probe_of

pytestmark = pytest.mark.usefixtures("no_pictures")


@dataclass
class Plan:
    """A step of a program and what it is to be called with."""

    step: object
    notes: list


class Pipeline:
    """Has the function in its class, so that it is bound to each object."""

    def __init__(self):
        self.notes = []


@pytest.fixture(params=["bare", "watched"])
def second_pass(request, tiny):
    """The function of a worker, as it is and as it is watched."""
    if request.param == "bare":
        yield tiny.run_second_pass_coverage_renorm
        return
    with probe_of(tiny):
        yield tiny.run_second_pass_coverage_renorm


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_function_itself(second_pass, copied):
    assert copied(second_pass) is second_pass
    assert copied({"a": [second_pass]})["a"][0] is second_pass
    assert copied((second_pass, []))[0] is second_pass
    bound = functools.partial(second_pass, sigma_px=5)
    assert copied(bound).func is second_pass
    assert copied(bound).keywords == {"sigma_px": 5}
    plan = Plan(second_pass, [1])
    assert copied(plan) == plan
    assert copied(plan).step is second_pass
    assert (copied(plan).notes is plan.notes) is (copied is copy.copy)
    assert replace(plan, notes=[]).step is second_pass


def test_a_method_goes_with_the_copy_of_its_object(second_pass):
    owner = type("Owner", (Pipeline,), {"step": second_pass})()
    holder = {"owner": owner, "step": owner.step}
    both = copy.deepcopy(holder)
    assert both["owner"] is not owner
    assert both["step"].__self__ is both["owner"]
    assert both["step"].__func__ is owner.step.__func__


def test_what_was_copied_is_still_watched(tiny, tiles):
    with probe_of(tiny) as probe:
        steps = copy.deepcopy({"second pass": tiny.run_second_pass_coverage_renorm, "tiles": tiles})
        plan = copy.copy(functools.partial(steps["second pass"], steps["tiles"]))
        found, _ = plan([None] * len(tiles), None, None, (4, 4))
    assert len(probe.reports) == 1
    np.testing.assert_array_equal(found, tiny.run_second_pass_coverage_renorm(tiles, [None] * 3, None, None, (4, 4))[0])
