"""What is wrong with a second pass, in which tile, by how much, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS

from ..tiles.images import TileError
from .closure.solve import Closure, close_mosaic
from .closure.steps import gain_steps
from .comparison import compare, survey
from .contract.checks import GAIN_TOLERANCE, check_corrected, check_gains, check_inputs, fingerprints, gain_finding
from .evidence.what_if import Gains, Mended, with_what_if
from .finding import NOTES, PIPELINE, RESIDUAL, Finding, WhatIf
from .photometry.classify import residual_findings, untested
from .photometry.tile_fit import TileFit

_SEAM_FLOOR = 0.5
_CULPRITS = {
    "mask_bug": "the coadd used another mask for tile {tile} than it has, over {value:.3%} of its area",
    "misregistration": "the coadd put tile {tile} {value:.3g} px (x {shift[0]:+.3g}, y {shift[1]:+.3g}) from where its "
    "WCS says",
    "not_closed": "what the coadd did to tile {tile} is neither gain nor offset nor shift ({value:.3g} adu is left)",
}


@dataclass(frozen=True, eq=False)
class Examination:
    """What came of looking into a second pass.

    Attributes
    ----------
    findings : tuple of Finding
        Worst first, notes last.
    fits : tuple of (TileFit or None)
        Every tile as given against the others, findings or not; empty where nothing could be compared.
    mended : Mended or None
        The tiles as they are and with what was found taken out; None where nothing could be compared.
    closure : Closure or None
    """

    findings: tuple[Finding, ...]
    fits: tuple[TileFit | None, ...] = ()
    mended: Mended | None = None
    closure: Closure | None = None


def examine(second_pass):
    """Find what went wrong in a second pass; see `zemosaic_twopass.diagnose`.

    Parameters
    ----------
    second_pass : SecondPass

    Returns
    -------
    Examination
    """
    # Odd pixels are the pipeline's affair; what they do to sums here is dealt with where it matters.
    with np.errstate(all="ignore"):
        return _examined(second_pass)


def _examined(second_pass):
    tiles, gains = second_pass.tiles, second_pass.gains
    found = [] if second_pass.before is None else check_inputs(second_pass.before, fingerprints(second_pass))
    found += check_gains(gains, len(tiles), second_pass.gain_clip)
    if reason := _unfit(second_pass):
        return Examination(_ordered([(0.0, finding) for finding in [*found, untested(None, reason, "residual")]]))
    contract = _contract(second_pass)
    surveyed = survey(second_pass)
    closure, closed = _close(second_pass, float(np.nanmedian([look.noise for look in surveyed.looks])))
    exact = [*found, *_merged(contract, closed)]
    ranked = [*((0.0, finding) for finding in exact), *residual_findings(surveyed), *_seam(surveyed, closure)]
    return _examination(ranked, surveyed, _gains(second_pass, closure, exact), closure)


def examine_tiles(looks, shape_out, look_again, gains):
    """Find what is wrong with tiles as given, where there was no second pass to look into.

    Parameters
    ----------
    looks, shape_out, look_again
        As for `survey.compare`.
    gains : sequence of float
        One a tile; NaN where none is known.

    Returns
    -------
    Examination
        Of what `examine` finds the part that tells tiles from one another.
    """
    with np.errstate(all="ignore"):
        surveyed = compare(looks, shape_out, look_again)
        gains = np.array(gains, dtype=float)
        return _examination(residual_findings(surveyed), surveyed, Gains(gains, gains, np.zeros(len(gains))), None)


def _examination(ranked, surveyed, gains, closure):
    mended = Mended.of(surveyed, gains)
    return Examination(with_what_if(_ordered(ranked), mended), surveyed.fits, mended, closure)


def _gains(second_pass, closure, findings):
    """Gains as recorded, and as the mosaic or what went into the coadd shows them."""
    count = len(second_pass.tiles)
    recorded = np.array([second_pass.gain(index) for index in range(count)])
    applied, error = recorded.copy(), np.zeros(count)
    for finding in findings:
        if finding.tile is not None and finding.unit == "gain":
            applied[finding.tile] = finding.value
    for index in range(0 if closure is None else count):
        channel = closure.furthest(index, recorded[index])
        if channel is not None:
            applied[index], error[index] = closure.gains[index, channel], closure.errors[index, channel]
    return Gains(recorded, applied, error)


def _unfit(second_pass):
    """Why nothing can be tested; empty where it can."""
    tiles, mosaic, coverage = second_pass.tiles, second_pass.mosaic, second_pass.coverage
    if not len(tiles):
        return "There are no tiles."
    if mosaic is None:
        return "The second pass gave no mosaic."
    strange = [type(wcs).__name__ for wcs in (second_pass.wcs, *tiles.wcs) if not isinstance(wcs, WCS)]
    if strange or second_pass.shape is None:
        return f"Where the tiles lie in the mosaic is not known: {strange[0] if strange else 'no shape'} for its WCS."
    try:
        channels = tiles.check()
    except TileError as error:
        return f"The tiles do not fit together: {error}."
    shape_out, shape = tuple(int(n) for n in second_pass.shape), np.shape(mosaic)
    own = shape[2] if len(shape) == 3 else 1
    reason = ""
    if shape[:2] != shape_out or len(shape) not in (2, 3):
        reason = f"The mosaic has shape {shape}, its WCS is for {shape_out}."
    elif np.shape(coverage) != shape_out:
        reason = f"The coverage has shape {np.shape(coverage)} != {shape_out}."
    elif own != channels:
        reason = f"The mosaic has {own} channels != {channels} of the tiles."
    elif not np.any(np.asarray(coverage) > 0):
        reason = "The coverage is 0 everywhere: no tile is in the mosaic."
    return reason


def _contract(second_pass):
    """What went into the coadd against float32(tile) × gain."""
    tiles, gains = second_pass.tiles, second_pass.sound_gains
    findings, unseen = [], 0
    for index in range(len(tiles)):
        seen = second_pass.observed(index)
        unseen += seen is None
        finding = None if seen is None or gains is None else check_corrected(index, tiles[index].pixels, seen, gains)
        if finding is not None:
            findings.append(finding)
    if unseen:
        message = f"What went into the coadd was not seen of {unseen} of {len(tiles)} tiles: not held against its gain."
        findings.append(untested(None, message, "contract"))
    if second_pass.gains is None:
        message = "The gain list was not seen: whether it was applied is not known."
        findings.append(untested(None, message, "gains"))
    return findings


def _close(second_pass, noise):
    """The closure, None where none was made, and what it finds."""
    count, combine = len(second_pass.tiles), second_pass.combine
    if combine not in ("mean", None) or count < 2:
        why = f"the coadd combines by {combine} != mean" if count > 1 else f"there is but {count} tile"
        return None, [untested(None, f"The applied gains were not read off the mosaic: {why}.", "closure")]
    closure = close_mosaic(second_pass, noise)
    if combine is None and closure.culprit is not None:
        closure.reason = "the coadd was not seen, and what it made is no mean of the tiles"
    return closure, _closure_findings(closure, second_pass.sound_gains)


def _closure_findings(closure, gains):
    if closure.reason:
        return [untested(None, f"The applied gains were not read off the mosaic: {closure.reason}.", "closure")]
    findings = []
    culprit = closure.culprit
    if culprit is not None:
        text = _CULPRITS[culprit.kind].format(**vars(culprit))
        if culprit.tile is None:
            text = f"the mosaic is no weighted mean of the tiles: {culprit.value:.3g} adu is left"
        message = f"After the gains {text}; see the arguments and the result of the coadd."
        sigma = culprit.value / culprit.error if culprit.error > 0 else np.inf
        findings.append(
            Finding(
                culprit.kind, culprit.tile, culprit.value, sigma, message, culprit.unit, culprit.error, test="closure"
            )
        )
    if gains is None:
        return findings
    for index, recorded in enumerate(gains):
        # The channel that is furthest off: a fault may be in one plane only.
        channel = closure.furthest(index, recorded)
        if channel is None:
            continue
        applied, error = closure.gains[index, channel], closure.errors[index, channel]
        off = abs(applied - recorded)
        if off > max(GAIN_TOLERANCE * recorded, 6 * error):
            sigma = off / max(error, np.finfo(float).tiny)
            findings.append(gain_finding(index, float(applied), gains, "closure", sigma, error))
    return findings


def _merged(contract, closed):
    """Both tests' findings, each fault once: the exact one, unless it could not name what the closure can."""
    named = {finding.tile for finding in closed if finding.kind in PIPELINE}
    kept = [finding for finding in contract if not (finding.kind == "not_closed" and finding.tile in named)]
    seen = {finding.tile for finding in kept}
    return kept + [finding for finding in closed if finding.tile is None or finding.tile not in seen]


def _seam(surveyed, closure):
    """The step that the second pass made or deepened most, as (effect, Finding); empty where it made none."""
    if closure is None:
        return []
    # A tile that did not close has no gain here, nor one whose channels differ: what became of its step is not known.
    alike = np.ptp(closure.gains, axis=1) <= np.maximum(GAIN_TOLERANCE, 6 * closure.errors.max(axis=1))
    applied = np.where(alike, closure.gains[:, 0], np.nan)
    looks = surveyed.curved
    usable = [look.blocks if np.isfinite(gain) else None for look, gain in zip(looks, applied, strict=True)]
    steps = gain_steps(usable, applied, closure.offsets, [look.noise for look in looks])
    steps = [step for step in steps if step.deepened > _SEAM_FLOOR]
    if not steps:
        return []
    worst = max(steps, key=lambda step: step.deepened)
    usual = np.nanmedian(applied)
    tile = max(worst.tiles, key=lambda index: abs(applied[index] - usual))
    i, j = worst.tiles
    message = (
        f"The second pass made the step between tiles {i} and {j} worse, {worst.before:+.4g} adu before and "
        f"{worst.after:+.4g} after ({worst.deepened:.2g} times the noise of a pixel more): gains {applied[i]:.4g} and "
        f"{applied[j]:.4g} on the pedestal put in {worst.added:+.4g}; {len(steps)} pairs like it. Subtract "
        "the pedestal before Phase 5, or narrow the gain clip."
    )
    # With equal gains the pass would have left the step as it was, scaled like everything else.
    sizes = np.abs([worst.before, worst.after, usual * worst.before])
    finding = Finding(
        "gain_seam",
        tile,
        worst.after,
        worst.deepened,
        message,
        "adu",
        worst.noise,
        worst.channel,
        test="seam",
        tiles=worst.tiles,
        what_if=WhatIf(*map(float, sizes), "adu", worst.noise),
    )
    return [(worst.deepened, finding)]


def _ordered(found):
    """Pipeline kinds in their order, then residual ones by size, then notes."""

    def rank(item):
        effect, finding = item
        if finding.kind in PIPELINE:
            return 0, PIPELINE.index(finding.kind), -effect
        if finding.kind in RESIDUAL:
            return 1, 0, -effect
        return 2, NOTES.index(finding.kind), 0.0

    return tuple(finding for _, finding in sorted(found, key=rank))
