"""Kinds of findings: what one brings along is in its findings."""

import string

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.finding import Finding, in_digits
from zemosaic_twopass.diagnosis.kinds import KINDS, NOTES, PIPELINE, RESIDUAL


class Anything(dict):
    """Fills in any sentence."""

    def __missing__(self, key):
        return {"tiles": (1, 2), "gains": (1.0, 1.1), "shift": (0.5, -0.5)}.get(key, 1.0)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_finding_says_what_its_kind_says(kind):
    names = {name.split("[")[0] for _, name, _, _ in string.Formatter().parse(kind.sentence) if name}
    said = {name: Anything()[name] for name in names - {"tile", "value", "advice"}}
    finding = Finding.of(kind.name, 3, 1.5, 7.0, said)
    assert (finding.unit, finding.test, finding.about) == (kind.unit, kind.test, kind)
    assert kind.advice in finding.message
    assert bool(kind.advice) == ("advice" in names)
    # Lines say notes of many tiles in one, so each has to have words for that.
    assert kind.of_many or kind.group != "note"


def test_a_test_may_know_more_of_one_case():
    finding = Finding.of("gain_invalid", None, 3.0, 9.0, message="The list is short.", unit="values")
    assert (finding.message, finding.unit, finding.test) == ("The list is short.", "values", "contract")


@pytest.mark.parametrize(
    ("value", "words"),
    [(146.2, "150"), (1462, "1500"), (7.61, "7.6"), (12, "12"), (0.0362, "0.036"), (0, "0"), (np.nan, "nan")],
)
def test_digits_have_no_exponent(value, words):
    assert in_digits(value) == words


def test_every_kind_is_in_one_group():
    assert sorted((*PIPELINE, *RESIDUAL, *NOTES)) == sorted(KINDS)


def test_of_a_kind_that_another_version_knows_nothing_is_made():
    about = Finding("from_the_future", 1, 2.0, 3.0, "It is so.").about
    assert (about.name, about.group, about.evidence, about.of_many) == ("from_the_future", "note", "", "")
