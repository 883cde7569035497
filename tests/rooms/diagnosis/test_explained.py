"""Which finding makes which seam, and at which edge it is shown, by edges made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.examination import Examination
from zemosaic_twopass.diagnosis.explained import explain
from zemosaic_twopass.diagnosis.finding import Finding
from zemosaic_twopass.diagnosis.seams import Edge, Left, SeamMap, Seams

NOISE = 4.0


def edge(tile, x, step, neighbours=()):
    """A left edge; its step in units of the noise."""
    size = step * NOISE
    return Edge(tile, neighbours, x, 200.0, (-1.0, 0.0), 60.0, (size,), (0.02,), (NOISE, NOISE), abs(step), (size,))


def told(edges, *findings, beyond=(), of_gains=None):
    """What is made of findings, each with what it makes at every edge in units of the noise, or None."""
    found, made = zip(*findings, strict=True) if findings else ((), ())
    steps = np.array([own.step for own in edges])
    known = np.array([own.expected is not None for own in edges])[:, np.newaxis]
    left = Left(np.where(known, 0.0, np.nan), 0 * steps + 0.02, np.where(known, 0.0, np.nan))
    *made, of_gains = (own and NOISE * np.array(own)[:, np.newaxis] for own in (*made, of_gains))
    seams = Seams((SeamMap.of("second_pass", edges, 1),), (), (left,), tuple(made), of_gains, dict(beyond))
    return explain(Examination(found), seams, found)


def light(tile=4):
    return Finding("uneven_background", tile, 8.0, 20.0, f"Tile {tile} has light that is no plane.")


@pytest.mark.parametrize("x", [192.0, 210.0])
def test_a_finding_is_shown_at_the_seam_that_it_makes_beside_its_own_edge(x):
    own, beside = edge(4, 184.0, 0.45, (0, 3)), edge(1, x, 0.6, (0, 3, 4))
    found, last = told([own, beside], (light(), [0.4, 0.5]))
    (finding,) = found.findings
    assert finding.seam is beside
    assert finding.what_if.mosaic_taken_out == pytest.approx(0.1 * NOISE)
    assert "that is no plane" in found.told
    assert last.edges[last.worst] is beside


def test_a_finding_is_shown_at_its_own_edge_where_that_is_seen():
    own, beside = edge(4, 184.0, 0.55, (0, 3)), edge(1, 192.0, 0.9, (0, 3, 4))
    found, _ = told([own, beside], (light(), [0.5, 0.8]))
    assert found.findings[0].seam is own


def test_a_finding_that_makes_no_seam_is_given_none_of_another():
    own, other = edge(4, 184.0, 0.3, (0, 3)), edge(8, 500.0, 0.7, (5,))
    found, _ = told([own, other], (light(), [0.28, 0.1]))
    assert found.findings[0].seam is own
    assert "and none of them stands out" in found.told


@pytest.mark.parametrize(
    ("made", "said"), [(0.2, "nobody sees that in the mosaic, 0.2 times"), (1.3, "is not sure, 1.3 times")]
)
def test_what_may_show_is_not_said_to_be_unseen(made, said):
    """The step itself is known too badly to be seen."""
    unsure = replace(edge(4, 184.0, made, (0, 3)), error=(3 * NOISE,))
    finding = Finding.of("gradient", 4, 60.0, 30.0, {"where": "", "effect": "7", "beside": ""})
    sure = [edge(8, x, 0.01, (5,)) for x in (500.0, 600.0)]
    found, _ = told([unsure, *sure], (finding, [made, 0.0, 0.0]))
    assert said in found.findings[0].message
    assert ("nothing to do" in found.findings[0].message) == (made < 0.5)


@pytest.mark.parametrize("reached", [True, False])
def test_a_border_makes_the_edge_of_another_tile_where_it_reaches_it(reached):
    # Nothing is expected there, for it is not known what of the border was used.
    crossed = replace(edge(1, 192.0, 9.0, (0, 3)), expected=None)
    border = Finding("unmasked_border", 4, 0.06, 20.0, "Tile 4 is filled at its edge.")
    found, last = told([crossed], (border, None), beyond={4: np.array([reached])})
    (finding,) = found.findings
    assert (finding.seam is crossed) == reached
    assert ("what makes it is not known" in found.told) != reached


@pytest.mark.parametrize("reached", [True, False])
def test_a_line_that_a_border_of_another_tile_reaches_is_told_with_it(reached):
    size = -9.0 * NOISE
    crossed = replace(edge(1, 192.0, 0.1, (0, 3)), line=(size,), line_error=(0.5,), line_contrast=9.0, line_px=24.0)
    border = Finding("unmasked_border", 4, 0.06, 20.0, "Tile 4 is filled at its edge.")
    found, _ = told([crossed], (border, None), beyond={4: np.array([reached])})
    assert found.told.startswith("A broad dark line, 9 times the noise, at the left side of tile 1 (x=192, y=200): ")
    assert ("Tile 4 is filled" in found.told.partition(": ")[2][:20]) == reached
    assert ("no step, but darker on both sides" in found.told) != reached


@pytest.mark.parametrize(("made", "said"), [([0.6], "the gains make it"), ([0.2], "none of them stands out")])
def test_a_seam_of_no_finding_may_be_the_gains(made, said):
    found, _ = told([edge(8, 500.0, 0.7, (5,))], of_gains=made)
    assert said in found.told
    assert found.verdict == "clean"
