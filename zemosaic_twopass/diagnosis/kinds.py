"""From the fits of a tile to what it is called: shifted, scaled, sloping or offset, or none of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .finding import Finding
from .residual import information
from .survey import GRADIENT_FLOOR, MIN_SIGNIFICANCE, OFFSET_FLOOR, is_shifted

# Of two faults in one tile the lesser is only told where it is not a leftover of the greater.
_LESSER = 0.1
_WHAT_TO_DO = {
    "offset": "level its background before Phase 5, or see how that was extracted",
    "gain_residual": "its photometric scale differs; see its exposure, flat field and normalisation",
    "gradient": "flatten it before Phase 5; see moonlight, flat field and gradient removal",
}


@dataclass(frozen=True)
class Candidate:
    """One explanation of how a tile differs from the others, in one channel.

    Attributes
    ----------
    kind : str
    channel : int
    value, error : float
        In `unit`.
    sigma : float
        Standard errors from none.
    effect : float
        Size in units of a pixel's noise.
    unit : str
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
    unit: str
    runner_up: str
    told_apart: bool


def residual_findings(states, trusted):
    """What is found in the tiles as given.

    Parameters
    ----------
    states : sequence of TileState
    trusted : bool
        Whether the mosaic itself is not known to be wrong.

    Returns
    -------
    list of (float, Finding)
        With the size of each effect, as `tile_findings` gives it; what could not be tested, as notes of size 0.
    """
    found, alone = [], []
    for index, state in enumerate(states):
        if not state.tested:
            alone.append(index)
            continue
        for effect, finding in tile_findings(index, state, name_shift=trusted):
            found.append((effect, _of_a_pair(finding, index, states)))
    # Of a pair of tiles each sees the other: one finding is enough.
    pairs = {}
    for effect, finding in found:
        key = (finding.kind, finding.tile) if finding.tile is not None else (finding.kind, finding.message)
        pairs.setdefault(key, (effect, finding))
    if len(alone) == len(states):
        reason = "No tile meets the others in enough places to be compared with them."
        return [(0.0, untested(None, reason, "residual"))]
    notes = [
        (0.0, untested(index, f"Tile {index} meets the others in too few places to be tested.", "residual"))
        for index in alone
    ]
    return [*pairs.values(), *notes]


def _of_a_pair(finding, index, states):
    """Where two tiles only meet each other nobody can say which of them is wrong."""
    partners = states[index].partners
    if len(partners) != 1 or states[partners[0]].partners != (index,):
        return finding
    first, second = sorted((index, partners[0]))
    size = abs(finding.value)
    message = (
        f"Tiles {first} and {second} differ by {size:.4g} {finding.unit}; no third tile says which of them is wrong: "
        "look at both."
    )
    fields = {**vars(finding), "tile": None, "value": size, "message": message}
    return Finding(**fields)


def tile_findings(index, state, name_shift=True):
    """What is found in one tile as given.

    Parameters
    ----------
    index : int
    state : TileState
    name_shift : bool, optional
        Whether a shift may be named; not where the mosaic itself is known to be wrong.

    Returns
    -------
    list of (float, Finding)
        With the size of the effect in units of a pixel's noise (of a pixel, for a shift), largest first; empty
        for a tile that agrees with the others.
    """
    found = []
    if name_shift and state.shift is not None and is_shifted(state.shift):
        found.append(_shift_finding(index, state.shift))
    best = {}
    for channel in range(len(state.fits)):
        for candidate in _candidates(state, channel):
            if candidate.kind not in best or candidate.effect > best[candidate.kind].effect:
                best[candidate.kind] = candidate
    largest = max((candidate.effect for candidate in best.values()), default=0.0)
    for candidate in sorted(best.values(), key=lambda item: -item.effect):
        if candidate.effect >= _LESSER * largest:
            found.append((candidate.effect, _finding(index, candidate, len(state.fits))))
    return found


def _candidates(state, channel):
    """Explanations of one channel that are both sure and large enough to matter."""
    fit, noise = state.fits[channel], float(state.noise[channel])
    terms, covariance, level = state.terms(channel), fit.covariance, fit.level
    found = _offset_or_gain(terms[:2], covariance[:2, :2], level, noise, channel)
    slope = terms[2:4]
    size = float(np.hypot(*slope))
    sigma = _length(slope, covariance[2:4, 2:4])
    if sigma > MIN_SIGNIFICANCE and size > GRADIENT_FLOOR * noise:
        runner_up = max((("offset", 0), ("gain_residual", 1)), key=lambda item: abs(_z(terms, covariance, item[1])))
        text = f"{runner_up[0]} {abs(_z(terms, covariance, runner_up[1])):.1f} sigma"
        found.append(Candidate("gradient", channel, size, size / sigma, sigma, size / noise, "adu", text, True))
    return found


def _offset_or_gain(terms, covariance, level, noise, channel):
    """A gain on a pedestal looks like an offset; the structure of the sky tells them apart.

    A pure offset leaves γ at 0, a pure gain leaves c − γ m0 at 0: the one that is contradicted less is
    named, with its size fitted to both terms; where both are contradicted both are there.
    """
    offset, gain = terms
    scale_only = np.array([level, 1.0])
    rest = np.array([1.0, -level])
    against_offset = abs(_z(terms, covariance, 1))
    left, left_error = float(rest @ terms), float(np.sqrt(max(rest @ covariance @ rest, 0.0)))
    against_gain = abs(left) / left_error if left_error > 0 else np.inf
    inverse = information(covariance)
    strength = float(scale_only @ inverse @ scale_only)
    joint_gain = float(scale_only @ inverse @ terms) / strength if strength > 0 else 0.0
    joint_sigma = abs(joint_gain) * np.sqrt(max(strength, 0.0))
    error = float(np.sqrt(covariance[0, 0]))
    found = []
    if min(against_offset, against_gain) > MIN_SIGNIFICANCE:
        found.append(_scaled(gain, against_offset, level, noise, channel, f"offset {against_gain:.1f} sigma", True))
        found.append(_offset(left, left_error, noise, channel, f"gain_residual {against_offset:.1f} sigma", True))
    elif against_offset > against_gain:
        text, apart = f"offset, ruled out by {against_offset:.1f} sigma", against_offset > MIN_SIGNIFICANCE
        found.append(_scaled(joint_gain, joint_sigma, level, noise, channel, text, apart))
    else:
        text, apart = f"gain_residual, ruled out by {against_gain:.1f} sigma", against_gain > MIN_SIGNIFICANCE
        found.append(_offset(offset, error, noise, channel, text, apart))
    return [item for item in found if item.sigma > MIN_SIGNIFICANCE and item.effect > OFFSET_FLOOR]


def _offset(value, error, noise, channel, runner_up, apart):
    sigma = abs(value) / error if error > 0 else 0.0
    return Candidate("offset", channel, float(value), error, sigma, abs(float(value)) / noise, "adu", runner_up, apart)


def _scaled(gain, sigma, level, noise, channel, runner_up, apart):
    error = abs(gain) / sigma if sigma > 0 else np.inf
    effect = abs(gain * level) / noise
    return Candidate("gain_residual", channel, float(gain), error, float(sigma), effect, "relative", runner_up, apart)


def _finding(index, candidate, channels):
    where = f" in channel {candidate.channel}" if channels > 1 else ""
    sizes = {
        "offset": f"lies {candidate.value:+.4g} adu",
        "gain_residual": f"is scaled by {1 + candidate.value:.5g}",
        "gradient": f"slopes by {candidate.value:.4g} adu from end to end",
    }
    doubt = "" if candidate.told_apart else f"; this cannot be told from {candidate.runner_up}"
    message = (
        f"Tile {index} as given {sizes[candidate.kind]} against the others{where}, "
        f"{candidate.effect:.2g} times the noise of a pixel{doubt}: {_WHAT_TO_DO[candidate.kind]}."
    )
    return Finding(
        candidate.kind,
        index,
        candidate.value,
        candidate.sigma,
        message,
        candidate.unit,
        candidate.error,
        candidate.channel,
        candidate.runner_up,
        "residual",
    )


def _shift_finding(index, shift):
    x, y = (float(value) for value in shift.pixels)
    size = float(np.hypot(x, y))
    # The first order is good to about the width of a star; a larger shift is read low.
    least = "at least " if size > 1 else ""
    message = (
        f"The stars of tile {index} lie {least}{size:.3g} px (x {x:+.3g}, y {y:+.3g}) from where the others have them: "
        "its WCS is wrong; solve it anew."
    )
    sigma = shift.significance
    return size, Finding("misregistration", index, size, sigma, message, "px", size / sigma, test="residual")


def _z(terms, covariance, index):
    error = covariance[index, index]
    return float(terms[index] / np.sqrt(error)) if error > 0 and np.isfinite(error) else 0.0


def _length(values, covariance):
    return float(np.sqrt(max(values @ information(covariance) @ values, 0.0)))


def untested(tile, reason, test):
    """A note that a test could not be made of a tile, or of none (None)."""
    return Finding("undetermined", tile, np.nan, 0.0, reason, "", test=test)
