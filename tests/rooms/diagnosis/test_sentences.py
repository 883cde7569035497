"""No sentence contradicts the numbers that it has, or those of its finding: over many faulty skies."""

import re
from dataclasses import replace

import numpy as np
import pytest

from helpers.flat_skies import SHAPE, flat_tiles, surveyed
from zemosaic_twopass.diagnosis.closure.steps import Step
from zemosaic_twopass.diagnosis.comparison import CorrectedTiles, residual_findings
from zemosaic_twopass.diagnosis.evidence import with_what_if
from zemosaic_twopass.diagnosis.examination import put_in_order
from zemosaic_twopass.diagnosis.gains import Gains

ROWS, COLUMNS = (axis[..., np.newaxis] / n - 0.5 for axis, n in zip(np.indices(SHAPE), SHAPE, strict=True))
_NUMBER = r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_RULED_OUT = re.compile(rf"ruled out by {_NUMBER} sigma")
_STEP = re.compile(rf"largest step to a neighbour, {_NUMBER} adu, is {_NUMBER} adu with that taken out")
FAULTS = {
    "offset": lambda own, size: own + 3 * size,
    "gain": lambda own, size: own * (1 + size / 40),
    "slope": lambda own, size: own + 6 * size * COLUMNS,
    "banding": lambda own, size: own + size * np.sin(20 * ROWS),
    "bow": lambda own, size: own + 4 * size * (ROWS**2 + COLUMNS**2),
    "noise": lambda own, size: own + np.random.default_rng(1).normal(0, size, own.shape),
}


def contradictions(finding):
    """What in a sentence cannot be true together."""
    text = f"{finding.message} | {finding.runner_up}"
    if any(float(one) < 1 for one in _RULED_OUT.findall(text)):
        yield f"ruled out by next to nothing: {text}"
    if ("cannot be told from" in text or "would look the same" in text) and "ruled out" in text:
        yield f"ruled out, and not to be told: {text}"
    for given, left in _STEP.findall(text):
        if not float(left) <= float(given):
            yield f"a step that grows: {text}"
    if finding.what_if is not None and not finding.what_if.taken_out < finding.what_if.given:
        yield f"what would be is worse: {text}"
    if not finding.sigma > 1 or re.search(r"\bnan\b|\binf\b", text):
        yield f"no number: {text}"


def said_of(tiles):
    survey = surveyed(tiles)
    nothing = np.full(len(tiles), 1.0)
    corrected_tiles = CorrectedTiles.of(survey, Gains(nothing, nothing, 0 * nothing))
    return [
        one
        for one in with_what_if(put_in_order(residual_findings(survey)), corrected_tiles)
        if one.about.group == "residual"
    ]


@pytest.mark.parametrize("size", [0.3, 3.0, 30.0])
@pytest.mark.parametrize("kind", FAULTS)
def test_no_sentence_contradicts_its_numbers(kind, size):
    # A flat sky with few stars, where little is told, and another; at the ends of the sizes one of the two.
    skies = (71, 0.0, 30), (72, 30.0, 150)
    for seed, nebula, stars in {0.3: skies[:1], 3.0: skies, 30.0: skies[1:]}[size]:
        tiles = flat_tiles(seed, stars=stars, nebula=nebula)
        for index in (0, 4):
            faulty = FAULTS[kind](tiles[index].pixels, size).astype(np.float32)
            tiles[index] = replace(tiles[index], pixels=faulty)
        assert [line for finding in said_of(tiles) for line in contradictions(finding)] == []


def test_a_step_that_grew_the_other_way_is_none_that_gains_made():
    step = Step((0, 1), 0, before=5.0, added=-1444.0, after=176.0, noise=5.0, left=-1444.0)
    assert step.deepened == 0
    assert replace(step, left=171.0).deepened == pytest.approx(171 / 5)
