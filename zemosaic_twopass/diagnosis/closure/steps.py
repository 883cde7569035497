"""Steps between neighbouring tiles before and after the gains: did the second pass make a seam?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import lsqr

from ...measure.median import median_of_known
from ...tiles.grid import common_part
from ..finding import Finding, WhatIf, in_digits
from ..gains import GAIN_TOLERANCE

MIN_BLOCKS = 20
_CLOSE = 1e-9
# So much of what matching would take must be gone for it to have been there.
_MATCHED = 0.5

# The gains must make a step grow by so much of a pixel's noise.
_SEAM_FLOOR = 0.5


@dataclass(frozen=True)
class Step:
    """The step between two tiles where they overlap, in adu.

    Attributes
    ----------
    tiles : (int, int)
    channel : int
    before : float
        Median of first − second as given.
    added : float
        (g_i − g_j) × pedestal: what the gains add to it.
    after : float
        What is left of both once background matching took its part.
    noise : float
        Noise of one pixel.
    left : float
        What of `added` background matching would leave if there were nothing else.
    """

    tiles: tuple[int, int]
    channel: int
    before: float
    added: float
    after: float
    noise: float
    left: float

    @property
    def deepened(self):
        """By how much the gains made the step grow, in units of the noise.

        A tile that is at fault draws the matching of all with it: such a step is none that gains made, nor is one that
        grew the other way.
        """
        if (self.after - self.before) * self.left <= 0:
            return 0.0
        return min(abs(self.after) - abs(self.before), abs(self.left)) / self.noise


def gain_steps(coarse, gains, offsets, noise):
    """The step of every pair of tiles that overlap.

    Parameters
    ----------
    coarse : sequence of (CoarseTile or None)
        Tiles as given.
    gains : ndarray, shape (N,)
        As applied.
    offsets : ndarray, shape (N, C)
        What background matching took from each tile, in adu.
    noise : sequence of ndarray, shape (C,)
        Noise of one pixel of each tile, in adu.

    Returns
    -------
    list of Step
        The worst channel of each pair that shares at least 20 blocks.
    """
    found = {}
    for i, j, first, second in _meetings(coarse):
        for channel, (one, other) in enumerate(zip(first, second, strict=True)):
            known = np.isfinite(one) & np.isfinite(other)
            local = float(np.hypot(noise[i][channel], noise[j][channel]) / np.sqrt(2))
            if np.count_nonzero(known) >= MIN_BLOCKS and local > 0:
                taken = offsets[i, channel] - offsets[j, channel]
                step = _step(one[known], other[known], gains[i], gains[j], taken)
                found.setdefault(channel, []).append(Step((i, j), channel, *step, local, step[1]))
    worst = {}
    for channel, steps in found.items():
        for step in _match(steps, offsets[:, channel]):
            worst[step.tiles] = max(worst.get(step.tiles, step), step, key=lambda own: own.deepened)
    return list(worst.values())


def _match(steps, offsets):
    """Steps of one channel with what matching, if there was any, would leave of what the gains add."""
    pairs, number = np.array([step.tiles for step in steps]).T, np.arange(len(steps))
    signs = np.repeat([1.0, -1.0], len(steps))
    differences = csr_array((signs, (np.tile(number, 2), pairs.ravel())), shape=(len(steps), len(offsets)))

    def find_taken(values):
        # Matching looks for the offsets that leave least squares.
        return differences @ lsqr(differences, values, atol=_CLOSE, btol=_CLOSE)[0]

    taken = differences @ offsets
    expected = find_taken(np.array([step.after for step in steps]) + taken)
    if not taken @ expected > _MATCHED * (expected @ expected):
        return steps
    added = np.array([step.added for step in steps])
    return [replace(step, left=float(own)) for step, own in zip(steps, added - find_taken(added), strict=True)]


def median_steps(coarse):
    """The step of every pair of tiles that overlap, as given.

    Parameters
    ----------
    coarse : sequence of (CoarseTile or None)

    Returns
    -------
    dict of (int, int) to ndarray, shape (C,)
        Median of first − second in adu of each channel, of the pairs that share at least 20 blocks in every one.
    """
    found = {}
    for i, j, first, second in _meetings(coarse):
        left = first - second
        if np.isfinite(left).sum(axis=(1, 2)).min() >= MIN_BLOCKS:
            found[i, j] = np.nanmedian(left, axis=(1, 2))
    return found


def seam_findings(looks, closure):
    """The step that the second pass made or deepened most, as (effect, Finding); empty where it made none."""
    if closure is None:
        return []
    # A tile that did not close has no gain here, nor one whose channels differ: what became of its step is not known.
    alike = np.ptp(closure.gains, axis=1) <= np.maximum(GAIN_TOLERANCE, 6 * closure.errors.max(axis=1))
    applied = np.where(alike, closure.gains[:, 0], np.nan)
    usable = [look.blocks if np.isfinite(gain) else None for look, gain in zip(looks, applied, strict=True)]
    steps = gain_steps(usable, applied, closure.offsets, [look.noise for look in looks])
    steps = [step for step in steps if step.deepened > _SEAM_FLOOR]
    if not steps:
        return []
    worst = max(steps, key=lambda step: step.deepened)
    usual = np.nanmedian(applied)
    tile = max(worst.tiles, key=lambda index: abs(applied[index] - usual))
    said = {name: getattr(worst, name) for name in ("tiles", "before", "after", "added")}
    matched = f", of which background matching left {worst.left:+.4g}" if worst.left != worst.added else ""
    said |= {
        "matched": matched,
        "gains": applied[list(worst.tiles)],
        "pairs": len(steps),
        "deepened": in_digits(worst.deepened),
    }
    # With equal gains the pass would have left the step as it was, scaled like everything else.
    sizes = np.abs([worst.before, worst.after, usual * worst.before])
    finding = Finding.of(
        "gain_seam",
        tile,
        worst.after,
        worst.deepened,
        said,
        error=worst.noise,
        channel=worst.channel,
        tiles=worst.tiles,
        what_if=WhatIf(*map(float, sizes), "adu", worst.noise),
    )
    return [(worst.deepened, finding)]


def _meetings(coarse):
    """(i, j, blocks of the one, blocks of the other) where every two tiles meet, shape (C, h, w) each."""
    for i, first in enumerate(coarse):
        for j in range(i + 1, len(coarse)):
            parts = None if first is None or coarse[j] is None else common_part(first.box, coarse[j].box)
            if parts is not None:
                here, there = ((slice(None), *part) for part in parts)
                yield i, j, first.value[here], coarse[j].value[there]


def _step(one, other, gain, other_gain, taken):
    """(before, added, after) of a step, as `Step` has them."""
    layers = (one + other) / 2, one - other, one * float(gain) - other * float(other_gain)
    pedestal, before, after = median_of_known(np.stack(layers)).tolist()
    return before, float(gain - other_gain) * pedestal, after - float(taken)
