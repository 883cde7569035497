"""Two mosaics of one sky, edge by edge: where the second is better than the first, where worse, and on the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from .records import Edge, SeamMap

# One in so many comparisons of two mosaics that differ in nothing but their errors, Gaussian ones, has an edge that is
# said to have changed.
_ONE_IN = 100
# Part of a pixel's noise: the steps of two equal runs may be so far beside each other, for matching draws at random.
_REPEATS = 0.01
# Edges of one side have directions within this angle, and are no further apart across, in pixels; along, they overlap.
_TURN = np.cos(np.deg2rad(25))
_ACROSS = 24.0
# An edge of no tile that both know is told by its place alone.
_ACROSS_ALONE = 12.0


@dataclass(frozen=True)
class Size:
    """The step at an edge, or the thin line along it, in two mosaics.

    Attributes
    ----------
    channel : int or None
        Where the larger of the two is; None where it is not known in both.
    values : (float, float)
        In adu in that channel; NaN where not known.
    error : float
        Standard error of the change of its size, with what two equal runs differ by.
    """

    channel: int | None
    values: tuple[float, float]
    error: float

    @classmethod
    def of(cls, first, second, repeats):
        """Size from (values, errors) a channel in both, and from what two equal runs differ by."""
        pairs = list(zip(first[0], second[0], first[1], second[1], strict=False))
        known = [channel for channel, pair in enumerate(pairs) if np.isfinite(pair).all()]
        if not known:
            return cls(None, (math.nan, math.nan), math.nan)
        channel = max(known, key=lambda index: max(map(abs, pairs[index][:2])))
        before, after, *errors = pairs[channel]
        return cls(channel, (before, after), math.hypot(*errors, *repeats))

    @property
    def growth(self):
        """By how much it became larger, in adu."""
        return abs(self.values[1]) - abs(self.values[0])


@dataclass(frozen=True)
class Change:
    """One edge in two mosaics.

    Attributes
    ----------
    first, second : Edge
        Each in the pixels of its own mosaic.
    step, line : Size
        Sizes of the step, inside − outside, and of the line along it.
    beyond : float
        So many errors one of them must change by for a change.
    """

    first: Edge
    second: Edge
    step: Size
    line: Size
    beyond: float

    @classmethod
    def of(cls, first, second, beyond):
        """Change of an edge that is in both mosaics."""
        # An edge whose noise is not known has nothing added.
        repeats = (_REPEATS * np.nan_to_num(np.mean([first.noise, second.noise], axis=1))).tolist()
        step = Size.of((first.step, first.error), (second.step, second.error), repeats)
        line = Size.of((first.line, first.line_error), (second.line, second.line_error), repeats)
        return cls(first, second, step, line, beyond)

    @property
    def most(self):
        """Step or line, whichever changed by more of those that did; the step where neither did."""
        changed = [size for size in (self.step, self.line) if abs(size.growth) > self.beyond * size.error]
        return max(changed, key=lambda size: abs(size.growth), default=self.step)

    @property
    def verdict(self):
        """`better`, `worse` or `same` within the errors; `unknown` where neither step nor line is known in both."""
        if self.step.channel is None and self.line.channel is None:
            return "unknown"
        most = self.most
        if not abs(most.growth) > self.beyond * most.error:
            return "same"
        return "worse" if most.growth > 0 else "better"


@dataclass(frozen=True)
class Comparison:
    """Two mosaics side by side.

    Attributes
    ----------
    maps : (SeamMap, SeamMap)
    changes : tuple of Change
        Changes of every edge that is in both.
    rms, error : (float, float)
        Root mean square of the steps at the edges that are known in both, in adu, the errors taken out, all channels
        together, by length; and its standard error. NaN where there are none.
    lines : (float, float)
        The same of the thin lines.
    result : {"better", "worse", "same", "unknown"}
        Whether steps and lines together are smaller or larger in the second beyond their errors; where they are not,
        whether the edges that changed make it so.
    """

    maps: tuple[SeamMap, SeamMap]
    changes: tuple[Change, ...]
    rms: tuple[float, float]
    error: tuple[float, float]
    lines: tuple[float, float]
    result: str

    def count(self, verdict):
        """How many edges have a verdict."""
        return sum(change.verdict == verdict for change in self.changes)

    def largest_first(self):
        """What became better or worse, by how much."""
        changed = [change for change in self.changes if change.verdict in ("better", "worse")]
        return sorted(changed, key=lambda change: -abs(change.most.growth))


def compare_seams(first, second, project=None, tiles=None):
    """Hold the seams of two mosaics of one sky against each other.

    Edges go together that end the same tile on the same side, those that lie nearest first; then, by their places
    alone, those that are left.

    Parameters
    ----------
    first, second : SeamMap
        In the same adu, of as many channels.
    project : callable, optional
        From x, y in pixels of the second mosaic to those of the first, arrays of shape (n,) each. Without it both are
        on one grid.
    tiles : mapping of int to int, optional
        From the tiles of the second to those of the first. By default they have the same numbers.

    Returns
    -------
    Comparison
    """
    pairs = _pair(first.edges, second.edges, project, tiles)
    # A step and a line in each channel.
    beyond = _beyond(2 * len(pairs) * len(first.rms))
    changes = [Change.of(first.edges[one], second.edges[other], beyond) for one, other in pairs]
    squares, of_lines = _mean_squares(changes, "step", "error"), _mean_squares(changes, "line", "line_error")
    rms, error = zip(*map(_take_root, squares), strict=True)
    lines, _ = zip(*map(_take_root, of_lines), strict=True)
    both = [
        (np.nansum([step, line]), np.hypot(error, np.nan_to_num(beside))) if not math.isnan(step) else (line, beside)
        for (step, error), (line, beside) in zip(squares, of_lines, strict=True)
    ]
    return Comparison((first, second), tuple(changes), rms, error, lines, _result(changes, both))


def _pair(first, second, project, tiles):
    """(index, index) of the edges that are in both, in the order of the first."""
    if not first or not second:
        return []
    own, other = _Lines.of(first), _Lines.of(second).move_by(project)
    numbers = [edge.tile if tiles is None or edge.tile is None else tiles.get(edge.tile) for edge in second]
    same = np.array([[one.tile == number and number is not None for number in numbers] for one in first])
    apart = np.stack([other.x - own.x[:, np.newaxis], other.y - own.y[:, np.newaxis]])
    across = np.abs(apart[0] * own.right[:, np.newaxis] + apart[1] * own.down[:, np.newaxis])
    along = np.abs(apart[0] * own.down[:, np.newaxis] - apart[1] * own.right[:, np.newaxis])
    turned = own.right[:, np.newaxis] * other.right + own.down[:, np.newaxis] * other.down
    near = (turned >= _TURN) & (2 * along < own.length[:, np.newaxis] + other.length)
    near &= across <= np.where(same, _ACROSS, _ACROSS_ALONE)
    candidates = np.argwhere(near)
    order = np.lexsort((along[near] + across[near], ~same[near]))
    taken, found = (set(), set()), []
    for one, other_one in candidates[order].tolist():
        if one not in taken[0] and other_one not in taken[1]:
            taken[0].add(one)
            taken[1].add(other_one)
            found.append((one, other_one))
    return sorted(found)


@dataclass(frozen=True, eq=False)
class _Lines:
    """Edges as arrays of shape (n,): middles, unit normals, lengths."""

    x: np.ndarray
    y: np.ndarray
    right: np.ndarray
    down: np.ndarray
    length: np.ndarray

    @classmethod
    def of(cls, edges):
        rows = np.array([(edge.x, edge.y, *edge.normal, edge.length) for edge in edges], dtype=float)
        return cls(*rows.T)

    def move_by(self, project):
        """In another mosaic's pixels."""
        if project is None:
            return self
        (x, y), (x_out, y_out) = project(self.x, self.y), project(self.x + self.right, self.y + self.down)
        # The direction by the ends, which lie far enough apart for it.
        reach = self.length / 2
        first, last = (
            np.array(project(self.x - sign * reach * self.down, self.y + sign * reach * self.right)) for sign in (-1, 1)
        )
        length = np.hypot(*(last - first))
        with np.errstate(invalid="ignore", divide="ignore"):
            right, down = (last[1] - first[1]) / length, (first[0] - last[0]) / length
        # One of them may be mirrored.
        sign = np.sign(right * (x_out - x) + down * (y_out - y))
        return _Lines(x, y, sign * right, sign * down, length)


def _mean_squares(changes, size, its_error):
    """Mean square of steps or lines in both mosaics, errors taken out, and its standard error: two pairs, in adu²."""
    changes = [one for one in changes if getattr(one.first, size) and getattr(one.second, size)]
    if not changes:
        return [(math.nan, math.nan)] * 2
    step, error = (
        np.array([[getattr(edge, what) for edge in (change.first, change.second)] for change in changes])
        for what in (size, its_error)
    )
    known = (np.isfinite(step) & np.isfinite(error)).all(axis=1)
    some = known.any(axis=0)
    if not some.any():
        return [(math.nan, math.nan)] * 2
    weight = np.where(known, np.array([[change.first.length] for change in changes]), 0.0)[:, some]
    weight /= weight.sum(axis=0)
    step, error = (np.where(known[:, np.newaxis], values, 0.0)[..., some] for values in (step, error))
    off = step**2 - error**2
    square = np.sum(weight[:, np.newaxis] * off, axis=0)
    variance = np.sum(weight[:, np.newaxis] ** 2 * (4 * np.maximum(off, 0) * error**2 + 2 * error**4), axis=0)
    # The channels have the sky in common: their errors do not average out.
    return list(zip(square.mean(axis=1).tolist(), np.sqrt(variance).mean(axis=1).tolist(), strict=True))


def _take_root(square):
    """Root of a mean square and its error."""
    value, error = square
    root = math.sqrt(max(value, 0.0))
    return root, math.sqrt(max(value, 0.0) + error) - root


def _beyond(tests):
    """Errors that a change must have, so that of `_ONE_IN` sets of so many tests of nothing one has a change."""
    return -float(ndtri(0.5 / _ONE_IN / max(tests, 1)))


def _result(changes, squares):
    """As `Comparison.result`."""
    (before, *first), (after, *second) = squares
    if math.isnan(before):
        return "unknown"
    if abs(after - before) > _beyond(1) * math.hypot(*first, *second):
        return "worse" if after > before else "better"
    changed = [change for change in changes if change.verdict in ("better", "worse")]
    # What each edge adds to the mean square, and with what error.
    sizes = np.array([change.first.length * sum(map(abs, change.most.values)) for change in changed])
    net = float(np.sum(sizes * [change.most.growth for change in changed]))
    error = float(np.linalg.norm(sizes * [change.most.error for change in changed]))
    if not changed or abs(net) <= changed[0].beyond * error:
        return "same"
    return "worse" if net > 0 else "better"
