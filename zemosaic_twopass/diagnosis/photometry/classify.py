"""From the solution of all tiles to what each is called: scaled, sloping or offset, or none of it."""

from __future__ import annotations

import numpy as np

from ...tiles.planes import in_channel
from ..finding import Finding, Nearly, in_digits, note_untested, of_a_pair
from ..terms import size_of
from .normal_equations import COLUMNS, KINDS
from .selection import subset_number
from .zero_points import FEWEST_STARS

# Effects smaller than these are of no consequence, however sure: in units of a pixel's noise.
OFFSET_FLOOR = 0.05
GRADIENT_FLOOR = 0.1
# The lesser of two faults in one tile is only told where it is not a leftover of the greater.
_LESSER = 0.1
_ROUNDING = 1e-12
_OFFSET, _GAIN, _GRADIENT = range(len(KINDS))
_FLOORS = OFFSET_FLOOR, OFFSET_FLOOR, GRADIENT_FLOOR


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
        own = filter(None, (_finding(solution, index, kind) for kind in np.flatnonzero(solution.active[index])))
        own = sorted(own, key=lambda one: -one[0])
        found += [one for one in own if one[0] >= _LESSER * own[0][0]]
    if not any(tested):
        return [*found, (0.0, note_untested(None, _why_none(solution), "residual"))]
    for index in np.flatnonzero(np.logical_not(tested)).tolist():
        reason = f"Tile {index} meets the others in too few places to be tested."
        found.append((0.0, note_untested(index, reason, "residual")))
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
        "where": in_channel(channel, len(effect)),
        "effect": in_digits(effect[channel]),
    }
    error = float(curvature.error[channel])
    finding = Finding.of("vignetting", None, height, curvature.sigma, said, error=error, channel=channel)
    return [(float(effect[channel]), finding)]


def _finding(solution, index, kind):
    """What a tile has of a kind that is there, as (effect, Finding); None unless sure and large enough to matter."""
    value, error, effect = _sizes(solution, index, kind, *_choose_told(solution, index, kind))
    if not np.isfinite(error).any():
        return None
    fall, channel = find_deviance_drop(solution, index, kind), int(np.nanargmax(np.abs(value) / error))
    # A tile in units of its own has so large a deviance that its last digits are no evidence.
    least = max(solution.threshold[index, kind], _ROUNDING * np.max(solution.deviance_drop[index]))
    if not (fall >= least and effect[channel] > _FLOORS[kind]):
        return None
    runner_up, told_apart = _runner_up(solution, index, kind)
    number = float(value[channel]), _in_errors(solution, fall)
    said = {
        "factor": 1 + number[0],
        "where": in_channel(channel, len(solution.level)),
        "effect": in_digits(effect[channel]),
        "beside": _by_stars(solution, index, kind, channel)
        if told_apart
        else _else(solution, index, kind, channel, number[0]),
    }
    fields = {"error": float(error[channel]), "channel": channel, "runner_up": runner_up}
    finding = Finding.of(KINDS[kind], index, *number, said, **fields)
    neighbours = solution.neighbours[index]
    alone = len(neighbours) == 1 and solution.neighbours[neighbours[0]] == (index,)
    return float(effect[channel]), of_a_pair(finding, (index, neighbours[0])) if alone else finding


def _else(solution, index, kind, channel, value):
    """What would look the same: an offset for a factor, or the other way round; and whether stars could tell."""
    level, count = float(solution.level[channel, index]), solution.stars.counts[index, channel]
    if kind == _GAIN:
        other = f"an offset of {value * level:+.4g} adu"
    else:
        other = f"a factor of {1 + value / level:.4g}" if level > max(-value, 0.0) else "a factor"
    few = f": the sky has too little structure, and it shares too few stars ({count}) to tell"
    return f"; {other} would look the same{few if count < FEWEST_STARS else ''}"


def _by_stars(solution, index, kind, channel):
    """What the stars say of a gain, or that they say nothing; beside an offset, where nothing tells a gain."""
    count = solution.stars.counts[index, channel]
    if kind == _OFFSET and not np.isfinite(solution.threshold[index, _GAIN]):
        few = f"the sky has too little structure, and it shares too few stars ({count})"
        return f"; nothing tells whether it is scaled too: {few}"
    if kind != _GAIN:
        return ""
    if count < FEWEST_STARS:
        return f", by the sky alone: it shares too few stars ({count}) to bear it out"
    left, error = (layer[index, channel] for layer in solution.stars.against_others(1.0))
    return f", by {count} stars that it shares {np.exp(left):.4g} +/- {error * np.exp(left):.2g}"


def _why_none(solution):
    if not solution.astray:
        return "No tile meets the others in enough places to be compared with them."
    tile, channel = solution.astray
    where = in_channel(channel, len(solution.level))
    if tile is None:
        return f"The comparison of the tiles found no solution{where}: no tile has a number."
    return f"The comparison of the tiles found no solution: tile {tile}{where} ran away. Leave it out and try again."


def limits(solution, index):
    """How many errors an offset and a gain of a tile take to be sure, alike in all channels, and which size to matter.

    Returns
    -------
    sure, large : ndarray, shape (2, C)
        `large` in adu and as a part.
    """
    channels = len(solution.level)
    sure = np.sqrt(solution.threshold[index, [_OFFSET, _GAIN]] / channels)
    height = OFFSET_FLOOR * solution.noise[index]
    large = np.stack([height, height / np.maximum(solution.signal[:, index], np.finfo(float).tiny)])
    return np.repeat(sure[:, np.newaxis], channels, axis=1), large


def _choose_told(solution, index, kind):
    """Terms that tell how large a kind is that is there, and their errors."""
    if kind == _OFFSET and solution.active[index, _GAIN]:
        # Beside a gain: what one sees at the level of the sky, not where the straight line meets a sky of 0.
        return solution.fits[index].seen, solution.fits[index].errors
    found, fit = solution.of(index), solution.fits[index]
    errors = found.errors
    errors[:, _GAIN] = np.fmax(errors[:, _GAIN], fit.gain_error)
    return found.value, errors


def _sizes(solution, index, kind, values, errors):
    """Value of a kind, its error and its effect in units of the noise in each channel; from (C, 4) each."""
    value, error = size_of(values, errors, COLUMNS[kind])
    height = np.abs(value) * solution.signal[:, index] if kind == _GAIN else np.abs(value)
    return value, error, height / solution.noise[index]


def find_deviance_drop(solution, index, kind):
    """By how much the deviance falls with a kind, all else that a tile has as it is."""
    there, own = set(np.flatnonzero(solution.active[index]).tolist()), solution.deviance_drop[index]
    return float(own[subset_number(there | {kind})] - own[subset_number(there - {kind})])


def _runner_up(solution, index, kind):
    """The next best explanation with what speaks for or against it, and whether it is ruled out."""
    there = set(np.flatnonzero(solution.active[index]).tolist())
    own = solution.deviance_drop[index]
    if kind == _GRADIENT:
        gains = {other: abs(own[subset_number(there ^ {other})] - own[subset_number(there)]) for other in (0, 1)}
        other = max(gains, key=gains.get)
        return f"{KINDS[other]} {_in_errors(solution, gains[other]):.1f} sigma", True
    other = _OFFSET + _GAIN - kind
    if other in there:
        return f"{KINDS[other]} {_in_errors(solution, find_deviance_drop(solution, index, other)):.1f} sigma", True
    against = float(own[subset_number(there)] - own[subset_number(there - {kind} | {other})])
    ruled_out, apart = against > solution.threshold[index, kind], f"{_in_errors(solution, against):.1f} sigma"
    return f"{KINDS[other]}, " + (f"ruled out by {apart}" if ruled_out else f"no more than {apart} apart"), ruled_out


def _in_errors(solution, deviance):
    """A fall of the deviance in all channels as a number of standard errors."""
    return float(np.sqrt(max(deviance, 0.0) * solution.independent / len(solution.level)))


def near_levels(solution, tile):
    """Level, scale and slope of a tile as what is nearly a finding, as far as they are told; at most three `Nearly`."""
    fit = solution.fits[tile]
    if fit is None:
        return
    for kind, columns in enumerate(COLUMNS):
        value, error, effect = _sizes(solution, tile, kind, fit.seen, fit.errors)
        size = np.abs(value / error)
        if not (np.isfinite(size).any() and np.isfinite(solution.threshold[tile, kind])):
            continue
        channel = int(np.nanargmax(size))
        number = float(value[channel]), float(size[channel])
        finding = Finding.of(KINDS[kind], tile, *number, message="", error=float(error[channel]), channel=channel)
        sure = max(find_deviance_drop(solution, tile, kind) / float(solution.threshold[tile, kind]), 0.0)
        terms = solution.of(tile).with_seen(columns, fit.seen, solution.level[:, tile])
        yield Nearly(finding, sure, float(effect[channel] / _FLOORS[kind]), terms)
