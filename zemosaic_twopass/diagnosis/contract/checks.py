"""What was seen of a second pass, held against what it says it does: exact comparisons, no statistics."""

from __future__ import annotations

import numpy as np

from ...measure.bits import fingerprint, is_product
from ...tiles.planes import channels_last
from ..finding import Finding, note_untested
from ..gains import gain_finding

_CLIP_TOLERANCE = 1e-6
_ROUNDING = 4 * np.finfo(np.float32).eps
_SAME = 0.99
_FEWEST_FILLED = 16


def fingerprints(second_pass, tiles=None):
    """A short hash over shape, dtype and bytes of every input of a second pass as it is now.

    Parameters
    ----------
    second_pass : SecondPass
    tiles : sequence of int, optional
        Those of its tiles, where they were visited before.

    Returns
    -------
    dict
        From (what, index) to int: ("tile", 0), ("tile coverage", 0), …, ("first-pass coverage", None).
    """
    given = second_pass.tiles
    masks = () if given.coverages is None else given.coverages
    named = {("tile coverage", index): mask for index, mask in enumerate(masks)}
    named["first-pass coverage", None] = second_pass.first_coverage
    codes = map(fingerprint, given.pixels) if tiles is None else tiles
    found = {("tile", index): code for index, code in enumerate(codes)}
    return found | {key: fingerprint(array) for key, array in named.items() if array is not None}


def check_inputs(before, after):
    """Inputs that are not what they were.

    Parameters
    ----------
    before, after : dict
        From `fingerprints`.

    Returns
    -------
    list of Finding
        Kind `input_mutated`, one for each input.
    """
    findings = []
    for (what, index), value in before.items():
        if after.get((what, index)) != value:
            name = what if index is None else f"{what} {index}"
            findings.append(_exact("input_mutated", index, np.nan, {"what": name.capitalize()}))
    return findings


def check_gains(gains, count, gain_clip=None):
    """The recorded gain list by itself.

    Parameters
    ----------
    gains : sequence of float or None
        None where none was seen.
    count : int
        Number of tiles.
    gain_clip : (float, float), optional
        Smallest and largest gain, in any order.

    Returns
    -------
    list of Finding
        Kinds `gain_invalid`, `clip_saturated` and `gain_guard`.
    """
    if gains is None:
        return []
    findings = []
    if len(gains) != count:
        message = f"The gain list has {len(gains)} values != {count} tiles: some tiles get another's gain or none."
        findings.append(_exact("gain_invalid", None, len(gains), message=message, unit="values"))
    for index, gain in enumerate(gains[:count]):
        if not (np.isfinite(gain) and gain > 0):
            findings.append(_exact("gain_invalid", index, gain))
        elif gain == 1.0:
            findings.append(_exact("gain_guard", index, gain))
        elif gain_clip is not None and min(abs(gain - bound) for bound in gain_clip) < _CLIP_TOLERANCE:
            findings.append(_exact("clip_saturated", index, gain))
    return findings


def check_planes(second_pass, sound=()):
    """What went into the coadd against float32(tile) × gain.

    Parameters
    ----------
    second_pass : SecondPass
    sound : container of int
        Tiles of which it is known that what was seen of them is that in every bit.

    Returns
    -------
    list of Finding
        As from `check_corrected`, and notes on what was not seen.
    """
    tiles, gains = second_pass.tiles, second_pass.sound_gains
    findings, unseen = [], 0
    for index in range(len(tiles)):
        if index in sound:
            continue
        pixels = tiles.pixels[index]
        seen = second_pass.find_observed(index, pixels)
        unseen += seen is None
        finding = None if seen is None or gains is None else check_corrected(index, pixels, seen, gains)
        if finding is not None:
            findings.append(finding)
    if unseen:
        message = f"What went into the coadd was not seen of {unseen} of {len(tiles)} tiles: not held against its gain."
        findings.append(note_untested(None, message, "contract"))
    if second_pass.gains is None:
        message = "The gain list was not seen: whether it was applied is not known."
        findings.append(note_untested(None, message, "gains"))
    return findings


def check_corrected(index, tile, corrected, gains):
    """A plane that went into the coadd against float32(tile) × gain, bit for bit.

    Parameters
    ----------
    index : int
        Index of the tile.
    tile : array_like, shape (H, W) or (H, W, C)
        As given.
    corrected : array_like
        As the coadd was given it; the same shape, but for a channel axis of length 1.
    gains : sequence of float
        Gains of all tiles, finite.

    Returns
    -------
    Finding or None
        Kind `mask_bug`, `gain_not_applied`, `gain_swapped`, `gain_mismatch`, or `not_closed` where no one
        gain explains the plane; None where all is well.
    """
    given, seen = channels_last(tile), channels_last(corrected)
    if given.shape != seen.shape:
        message = f"Tile {index} went into the coadd with shape {seen.shape} != {given.shape} as given."
        return _exact("not_closed", index, np.nan, message=message, unit="")
    if is_product(seen, given, gains[index]):
        # As nearly every plane is, NaN and all.
        return None
    given, seen = (array.astype(np.float32, copy=False) for array in (given, seen))
    expected = given * np.float32(gains[index])
    if np.array_equal(expected, seen, equal_nan=True):
        return None
    known, still = np.isfinite(expected), np.isfinite(seen)
    if not np.array_equal(known, still):
        share = np.count_nonzero(known != still) / known.size
        message = (
            f"Tile {index}: {share:.3%} of its pixels changed between finite and not while the gain was applied; "
            "the coadd sees another mask than the tile has."
        )
        return _exact("mask_bug", index, share, message=message)
    given, seen, expected = given[known], seen[known], expected[known]
    off = beyond_rounding(seen, expected)
    if not off.any():
        return None
    share = _constant_share(seen, off)
    if share:
        message = (
            f"Tile {index}: {share:.3%} of its pixels went into the coadd as one constant, the others are gain x tile; "
            "what is masked or missing was filled in and not left out."
        )
        return _exact("mask_bug", index, share, message=message)
    return gain_finding(index, _common_factor(given, seen), gains, "contract", np.inf, np.nan)


def beyond_rounding(seen, expected):
    """Where values differ by more than float32 rounds; False where either is not finite."""
    return np.abs(seen - expected) > _ROUNDING * np.abs(expected)


def _constant_share(seen, off):
    """Share of the pixels that are off, where all of them hold one value and are many but not all; else 0."""
    count = np.count_nonzero(off)
    if not _FEWEST_FILLED <= count < len(off):
        return 0.0
    values = seen[off]
    return count / len(off) if values.min() == values.max() else 0.0


def _common_factor(given, seen):
    """The one factor between two arrays; None where there is none."""
    usable = given != 0
    if not usable.any():
        return None
    ratio = seen[usable].astype(np.float64) / given[usable]
    factor = float(np.median(ratio))
    same = np.abs(ratio - factor) <= _ROUNDING * abs(factor)
    return factor if np.mean(same) >= _SAME else None


def _exact(kind, tile, value, said=(), **fields):
    return Finding.of(kind, tile, float(value), np.inf, said, test="contract", **fields)
