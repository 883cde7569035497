"""From the solution of all tiles to what each is called: scaled, sloping or offset, or none of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..finding import Finding, Nearly, of_a_pair, untested
from .normal_equations import COLUMNS, KINDS
from .selection import subset_number

# Effects smaller than these are of no consequence, however sure: in units of a pixel's noise.
OFFSET_FLOOR = 0.05
GRADIENT_FLOOR = 0.1
# Of two faults in one tile the lesser is only told where it is not a leftover of the greater.
_LESSER = 0.1
_OFFSET, _GAIN, _GRADIENT = range(len(KINDS))


@dataclass(frozen=True)
class Candidate:
    """One way in which a tile differs from the others, in the channel where that is surest.

    Attributes
    ----------
    kind : str
    channel : int
    value, error : float
        In the unit of its kind.
    sigma : float
        Standard errors from none, all channels together.
    effect : float
        Size in units of a pixel's noise.
    runner_up : str
    told_apart : bool
        Whether the runner-up is ruled out.
    """

    kind: str
    channel: int
    value: float
    error: float
    sigma: float
    effect: float
    runner_up: str
    told_apart: bool


def level_findings(solution, curvature):
    """What is found in the levels, scales and slopes of tiles, and in all of them in common.

    Parameters
    ----------
    solution : Solution
    curvature : Curvature or None

    Returns
    -------
    list of (float, Finding)
        With the size of each effect in units of a pixel's noise, what all have in common first, then tile by tile,
        largest first; what could not be tested, as notes of size 0.
    """
    tested = [fit is not None for fit in solution.fits]
    found = _of_all(curvature, solution.noise)
    for index in np.flatnonzero(tested).tolist():
        found += [(one.effect, _finding(index, one, solution)) for one in candidates(solution, index)]
    if not any(tested):
        reason = "No tile meets the others in enough places to be compared with them."
        return [*found, (0.0, untested(None, reason, "residual"))]
    for index in np.flatnonzero(np.logical_not(tested)).tolist():
        reason = f"Tile {index} meets the others in too few places to be tested."
        found.append((0.0, untested(index, reason, "residual")))
    return found


def _of_all(curvature, noise):
    """What all tiles have in common, as (effect, Finding)."""
    if curvature is None:
        return []
    effect = np.abs(curvature.height) / np.nanmedian(noise, axis=0)
    channel = int(np.argmax(np.abs(curvature.height) / curvature.error))
    height = float(curvature.height[channel])
    said = {
        "how": "brighter" if height > 0 else "darker",
        "size": abs(height),
        "where": f" in channel {channel}" if len(effect) > 1 else "",
        "effect": effect[channel],
    }
    error = float(curvature.error[channel])
    finding = Finding.of("vignetting", None, height, curvature.sigma, said, error=error, channel=channel)
    return [(float(effect[channel]), finding)]


def candidates(solution, index):
    """What is both sure and large enough to matter in one tile: list of Candidate, largest effect first."""
    found = []
    for kind in np.flatnonzero(solution.inside[index]):
        value, error, effect = _sizes(solution, index, kind)
        if not np.isfinite(error).any():
            continue
        fall = brings(solution, index, kind)
        channel = int(np.nanargmax(np.abs(value) / error))
        floor = GRADIENT_FLOOR if kind == _GRADIENT else OFFSET_FLOOR
        if fall >= solution.price[index, kind] and effect[channel] > floor:
            found.append(
                Candidate(
                    KINDS[kind],
                    channel,
                    float(value[channel]),
                    float(error[channel]),
                    _in_errors(solution, fall),
                    float(effect[channel]),
                    *_runner_up(solution, index, kind),
                )
            )
    found.sort(key=lambda one: -one.effect)
    return [one for one in found if one.effect >= _LESSER * found[0].effect]


def limits(solution, index):
    """How many errors an offset and a gain of a tile take to be sure, alike in all channels, and which size to matter.

    Returns
    -------
    sure, large : ndarray, shape (2, C)
        `large` in adu and as a part.
    """
    channels = len(solution.level)
    sure = np.sqrt(solution.price[index, [_OFFSET, _GAIN]] / channels)
    height = OFFSET_FLOOR * solution.noise[index]
    large = np.stack([height, height / np.maximum(np.abs(solution.level[:, index]), np.finfo(float).tiny)])
    return np.repeat(sure[:, np.newaxis], channels, axis=1), large


def _sizes(solution, index, kind):
    """Value, its error and its effect in units of the noise in each channel."""
    if kind == _OFFSET and solution.inside[index, _GAIN]:
        # Beside a gain: what one sees at the level of the sky, not where the straight line meets a sky of 0.
        fit = solution.fits[index]
        return fit.offset, fit.offset_error, np.abs(fit.offset) / solution.noise[index]
    columns = list(COLUMNS[kind])
    terms, errors = solution.terms[:, index, columns], solution.errors[:, index, columns]
    size = np.hypot.reduce(terms, axis=1)
    value = terms[:, 0] if len(columns) == 1 else size
    along = np.divide(terms, size[:, np.newaxis], out=np.ones_like(terms), where=size[:, np.newaxis] > 0)
    height = size * np.abs(solution.level[:, index]) if kind == _GAIN else size
    return value, np.hypot.reduce(along * errors, axis=1), height / solution.noise[index]


def brings(solution, index, kind):
    """By how much the deviance falls with a kind, all else that a tile has as it is."""
    there, own = set(np.flatnonzero(solution.inside[index]).tolist()), solution.brought[index]
    return float(own[subset_number(there | {kind})] - own[subset_number(there - {kind})])


def _runner_up(solution, index, kind):
    """The next best explanation, and whether it is ruled out."""
    there = set(np.flatnonzero(solution.inside[index]).tolist())
    own = solution.brought[index]
    if kind == _GRADIENT:
        gains = {other: abs(own[subset_number(there ^ {other})] - own[subset_number(there)]) for other in (0, 1)}
        other = max(gains, key=gains.get)
        return f"{KINDS[other]} {_in_errors(solution, gains[other]):.1f} sigma", True
    other = _OFFSET + _GAIN - kind
    if other in there:
        return f"{KINDS[other]} {_in_errors(solution, brings(solution, index, other)):.1f} sigma", True
    against = float(own[subset_number(there)] - own[subset_number(there - {kind} | {other})])
    text = f"{KINDS[other]}, ruled out by {_in_errors(solution, against):.1f} sigma"
    return text, against > solution.price[index, kind]


def _in_errors(solution, deviance):
    """A fall of the deviance in all channels as a number of standard errors."""
    return float(np.sqrt(max(deviance, 0.0) * solution.independent / len(solution.level)))


def _finding(index, one, solution):
    said = {
        "factor": 1 + one.value,
        "where": f" in channel {one.channel}" if len(solution.level) > 1 else "",
        "effect": one.effect,
        "doubt": "" if one.told_apart else f"; this cannot be told from {one.runner_up}",
    }
    fields = {"error": one.error, "channel": one.channel, "runner_up": one.runner_up}
    finding = Finding.of(one.kind, index, one.value, one.sigma, said, **fields)
    own = solution.partners[index]
    alone = len(own) == 1 and solution.partners[own[0]] == (index,)
    return of_a_pair(finding, (index, own[0])) if alone else finding


def near_levels(solution, tile):
    """Level, scale and slope of a tile as what is nearly a finding, as far as they are told; at most three `Nearly`."""
    fit = solution.fits[tile]
    if fit is None:
        return
    slope = np.hypot(fit.slope_x, fit.slope_y)
    along = np.hypot(fit.slope_x * fit.slope_x_error, fit.slope_y * fit.slope_y_error) / slope
    terms = (fit.offset, fit.offset_error), (fit.gain, fit.gain_error), (slope, along)
    for kind, (value, error) in enumerate(terms):
        size = np.abs(value / error)
        if not (np.isfinite(size).any() and np.isfinite(solution.price[tile, kind])):
            continue
        channel = int(np.nanargmax(size))
        height = abs(value[channel]) * (abs(solution.level[channel, tile]) if kind == _GAIN else 1.0)
        floor = GRADIENT_FLOOR if kind == _GRADIENT else OFFSET_FLOOR
        number = float(value[channel]), float(size[channel])
        finding = Finding.of(KINDS[kind], tile, *number, message="", error=float(error[channel]), channel=channel)
        sure = max(brings(solution, tile, kind) / float(solution.price[tile, kind]), 0.0)
        yield Nearly(finding, sure, float(height / (floor * solution.noise[tile, channel])))
