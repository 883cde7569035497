"""What became of the second pass: how much of it is in what its caller returned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...tiles.planes import channels_last
from ..finding import Finding

# A pixel is the first pass's where it is nearer to that than this part of its distance to the second.
_AS_GOOD = 0.1
# Rows that are compared at a time.
_ROWS = 256


@dataclass(frozen=True)
class Merge:
    """What the caller of a second pass made of it.

    Attributes
    ----------
    share : float
        Part of the pixels that both passes cover, and in which they differ, in which the caller returned the second;
        NaN where there is no such pixel.
    pixels : int
        How many these are.
    reason : str
        Why nothing of the second pass was returned, as far as that can be seen; empty where something was, or where
        the two do not differ.
    """

    share: float
    pixels: int
    reason: str = ""

    @property
    def unused(self):
        """Whether nothing of the second pass is in what the caller returned."""
        return bool(self.reason)

    def line(self):
        """The log line of it."""
        said = self.reason or "the part of the second pass in what its caller returned, where both passes differ"
        if not self.pixels and not self.unused:
            said = "both passes are equal wherever both are: nothing is claimed"
        return f"[TwoPassMerge] second_pass={self.share:.6g} pixels={self.pixels} {said}"


def merge_of(first, second, returned, trouble=""):
    """What a caller made of a second pass.

    Parameters
    ----------
    first, second : (mosaic, coverage)
        Mosaic and coverage of each pass: ndarray, shape (H, W) or (H, W, C), and ndarray, shape (H, W); None for what
        is not known. A second pass without a mosaic gave none.
    returned : ndarray, shape as `first` or `second`, or None
        The mosaic that the caller returned.
    trouble : str, optional
        What kept the second pass from a mosaic, in words.

    Returns
    -------
    Merge or None
        None where it cannot be told: a mosaic is missing, or what was returned has the shape of neither.
    """
    coverages = [coverage for _, coverage in (first, second)]
    first, second = first[0], second[0]
    if second is None:
        return Merge(0.0, 0, trouble or "it gave no mosaic")
    if first is None or returned is None:
        return None
    first, second, returned = map(channels_last, (first, second, returned))
    if first.shape != second.shape:
        if returned.shape != first.shape:
            return None
        shapes = f"its mosaic has shape {second.shape[:2]} != {first.shape[:2]} of the first pass"
        return Merge(0.0, 0, shapes)
    if returned.shape != first.shape:
        return None
    differ = taken = 0
    for top, one, two, got in _bands(first, second, returned):
        with np.errstate(invalid="ignore"):
            apart = np.any([a != b for a, b in zip(one, two, strict=True)], axis=0)
            for plane in (*one, *two):
                apart &= np.isfinite(plane)
            for coverage in coverages:
                if np.shape(coverage) == first.shape[:2]:
                    apart &= np.asarray(coverage)[top : top + _ROWS] > 0
            # What was done to it afterwards leaves it nearer to the one that it was.
            nearer = _distance(got, two) < _distance(got, one)
        differ += int(np.count_nonzero(apart))
        taken += int(np.count_nonzero(apart & nearer))
    if not differ:
        return Merge(np.nan, 0)
    none = f"its caller kept the first pass in all {differ} pixels in which the two differ"
    return Merge(taken / differ, differ, "" if taken else none)


def part_of(first, second, returned):
    """Which pixels of what a caller returned are the second pass's.

    Parameters
    ----------
    first, second, returned : ndarray, shape (H, W) or (H, W, C)

    Returns
    -------
    ndarray, shape (H, W), bool
        False where it is as good as the first pass, or the second has nothing. True where both are the same, or where
        something else was done to it afterwards.
    """
    first, second, returned = map(channels_last, (first, second, returned))
    part = np.empty(first.shape[:2], dtype=bool)
    for top, one, two, got in _bands(first, second, returned):
        with np.errstate(invalid="ignore"):
            from_one, from_two = _distance(got, one), _distance(got, two)
            # NaN is neither nearer nor further.
            part[top : top + _ROWS] = (_AS_GOOD * from_two <= from_one) | ~np.isfinite(from_one)
    return part


def _bands(*mosaics):
    """First row of each band, and of each mosaic its planes there."""
    for top in range(0, len(mosaics[0]), _ROWS):
        # Channel by channel: sums over an axis of three take several times as long.
        yield top, *(np.moveaxis(mosaic[top : top + _ROWS], 2, 0) for mosaic in mosaics)


def _distance(planes, others):
    return sum(map(np.abs, map(np.subtract, planes, others)))


def merge_finding(merge, others):
    """The finding on a second pass that had no effect.

    Parameters
    ----------
    merge : Merge
        One that is `unused`.
    others : sequence of Finding
        What else was found.

    Returns
    -------
    Finding
    """
    faulty = any(finding.about.group == finding.about.test == "residual" for finding in others)
    stands = "has the faults of the tiles that other findings name" if faulty else "is sound as far as it was seen"
    advice = "see the [TwoPass] lines of the log"
    if "shape" in merge.reason:
        # Without its crop to the signal the newest one crops to the coverage instead.
        advice = (
            "the application cropped it, to its signal or else to what is covered, before it made the second: "
            "that is for its author to mend"
        )
    if any(finding.kind == "pass_misregistration" for finding in others):
        advice += ". As the second lies, it would have made every star double"
    said = {"reason": merge.reason, "stands": stands, "then": advice}
    return Finding.of("second_pass_unused", None, merge.share, np.inf, said)
