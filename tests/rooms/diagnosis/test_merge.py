"""What became of a second pass in what its caller returned."""

import numpy as np
import pytest

from zemosaic_twopass.diagnosis.contract import merge_finding, merge_of
from zemosaic_twopass.diagnosis.finding import Finding

ONES = np.ones((300, 7), np.float32)


@pytest.fixture
def passes():
    rng = np.random.default_rng(1)
    first, second = rng.normal(100, 5, (2, 300, 7, 3)).astype(np.float32)
    return (first, ONES), (second, ONES)


@pytest.mark.parametrize("share", [0.0, 0.24, 1.0])
def test_share(passes, share):
    (first, _), (second, _) = passes
    taken = np.random.default_rng(2).uniform(size=first.shape[:2]) < share
    found = merge_of(*passes, np.where(taken[..., None], second, first))
    assert found.share == taken.mean()
    assert found.pixels == taken.size
    assert found.unused == (share == 0)


def test_only_where_both_cover_and_differ(passes):
    (first, _), (second, cover) = passes
    second, cover = second.copy(), cover.copy()
    second[:50], second[50:60], cover[60:80] = first[:50], np.nan, 0
    found = merge_of(passes[0], (second, cover), np.where(np.isfinite(second), second, first))
    assert (found.share, found.pixels) == (1.0, 220 * 7)


def test_what_was_done_afterwards_does_not_matter(passes):
    (first, _), (second, _) = passes
    assert merge_of(*passes, second + np.float32(0.01)).share > 0.99
    assert merge_of(*passes, first + np.float32(0.01)).share < 0.01


def test_equal_passes_claim_nothing(passes):
    found = merge_of(passes[0], passes[0], passes[0][0])
    assert (np.isnan(found.share), found.pixels, found.unused) == (True, 0, False)
    assert "nothing is claimed" in found.line()


def test_what_cannot_be_told(passes):
    (first, _), (second, _) = passes
    assert merge_of((None, None), passes[1], second) is None
    assert merge_of(*passes, None) is None
    assert merge_of(*passes, first[:-1]) is None
    assert merge_of((first[:-1], ONES[:-1]), passes[1], second) is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda first, second: ((first[:-9], ONES[:-9]), (second, ONES), first[:-9], ""), "(300, 7) != (291, 7)"),
        (lambda first, second: ((first, ONES), (None, None), first, ""), "it gave no mosaic"),
        (lambda first, second: ((first, ONES), (None, None), first, "it ended with OSError"), "it ended with OSError"),
        (lambda first, second: ((first, ONES), (second, ONES), first, ""), "kept the first pass in all 2100 pixels"),
    ],
)
@pytest.mark.parametrize("others", [(), ("offset", "pass_misregistration"), ("gain_seam", "clip_saturated")])
def test_finding(passes, spoil, words, others):
    merge = merge_of(*spoil(passes[0][0], passes[1][0]))
    assert merge.unused
    finding = merge_finding(merge, [Finding(kind, 1, 1.0, 9.0, "Some.") for kind in others])
    assert (finding.kind, finding.tile, finding.value) == ("second_pass_unused", None, 0)
    assert words in finding.message and words in merge.line()
    assert ("sound as far as it was seen" in finding.message) == ("offset" not in others)
    assert ("the application cropped it" in finding.message) == ("!=" in words)
    assert ("every star double" in finding.message) == ("pass_misregistration" in others)
    assert "trust" not in finding.message
