"""Every kind of finding, one object each: to add a kind begin here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

VERDICTS = ("clean", "residual", "pipeline_bug", "undetermined")


class Fault(NamedTuple):
    """How a fault of a kind is ordered: put into a "tile", the "pass" or its "caller", of which usual size and unit."""

    into: str
    size: float
    unit: str


@dataclass(frozen=True)
class Kind:
    """What can be found, and what goes with it whoever finds it.

    Attributes
    ----------
    name : str
    group : {"pipeline", "residual", "note"}
        What it makes of the verdict.
    sentence : str
        What it means, as a template of `str.format`: filled in by the test that finds it, with `advice`. A test that
        knows more of one case has a message of its own for it.
    advice : str
        What to look at or to do; empty where the sentence says it.
    unit : str
        Unit of the value of a finding.
    test : {"merge", "passes", "contract", "gains", "closure", "mosaic", "residual", "seam", "map"}
        What usually finds it.
    evidence : {"", "gains", "pixels", "coadd stars", "level", "bow", "stars", "step"}
        What it rests on, as numbers to be drawn: `evidence.choice` has what makes them. "" for its sentence alone.
    fault : Fault or None
        How to order one; None where it cannot be.
    of_many : str
        What is said of several tiles at once, after "Tiles 0-3"; empty where each has a line of its own.
    """

    name: str
    group: str
    sentence: str = "{message}"
    advice: str = ""
    unit: str = ""
    test: str = "contract"
    evidence: str = ""
    fault: Fault | None = None
    of_many: str = ""


_MULTIPLIED = "Tile {tile} was multiplied by {value:.6g}, recorded is {recorded:.6g}: "
_AGAINST = " against the others{where}, {effect} times the noise of a pixel{beside}: {advice}."
_COADD = "see the arguments and the result of the coadd"

# Those of the pipeline in their order of gravity, then those of the tiles, then the notes in their order.
_ALL = (
    Kind(
        "second_pass_unused",
        "pipeline",
        "The second pass had no effect: {reason}. The first pass stands and {stands}; {then}.",
        unit="share",
        test="merge",
        fault=Fault("caller", 1.0, "pass"),
    ),
    Kind(
        "pass_misregistration",
        "pipeline",
        "The second pass lies {value:.3g} px off the first (x {x:+.3g}, y {y:+.3g}{also}): every star is double where "
        "the two are merged. A crop of the master tiles leads there: {advice}.",
        "switch that crop off, or the second pass, and run again",
        "px",
        "passes",
        fault=Fault("caller", 15.0, "px"),
    ),
    Kind(
        "input_mutated",
        "pipeline",
        "{what} is not what it was before the call: {advice}.",
        "the pipeline writes to its input",
        fault=Fault("pass", 1.0, "adu"),
    ),
    Kind(
        "gain_invalid",
        "pipeline",
        "The gain of tile {tile} is {value:.6g}: {advice}.",
        "a finite value above 0 is needed; see its coverage",
        "gain",
        fault=Fault("pass", 0.0, "gain"),
    ),
    Kind(
        "gain_not_applied",
        "pipeline",
        _MULTIPLIED + "the gain was computed and then not applied.",
        unit="gain",
        evidence="gains",
        fault=Fault("pass", 1.0, "gain"),
    ),
    Kind(
        "gain_swapped",
        "pipeline",
        _MULTIPLIED + "that is the gain of tile {other}; the order of the lists differs.",
        unit="gain",
        evidence="gains",
        fault=Fault("pass", 1.0, "tiles on"),
    ),
    Kind(
        "gain_mismatch",
        "pipeline",
        _MULTIPLIED + "{ratio:.6g} times what was recorded.",
        unit="gain",
        evidence="gains",
        fault=Fault("pass", 1.01, "factor"),
    ),
    Kind(
        "mask_bug",
        "pipeline",
        "After the gains the coadd used another mask for tile {tile} than it has, over {value:.3%} of its area; "
        "{advice}.",
        _COADD,
        "fraction",
        "closure",
        "pixels",
        Fault("pass", 0.3, "of each side"),
    ),
    Kind(
        "misregistration",
        "pipeline",
        "After the gains the coadd put tile {tile} {value:.3g} px (x {shift[0]:+.3g}, y {shift[1]:+.3g}) from where "
        "its WCS says; {advice}.",
        _COADD,
        "px",
        "closure",
        "coadd stars",
        Fault("pass", 2.0, "px"),
    ),
    Kind(
        "not_closed",
        "pipeline",
        "After the gains what the coadd did to tile {tile} is neither gain nor offset nor shift ({value:.3g} adu is "
        "left); {advice}.",
        _COADD,
        "adu",
        "closure",
        "pixels",
        Fault("pass", 1.02, "factor"),
    ),
    Kind(
        "seam",
        "pipeline",
        "A {look} seam that no tile accounts for, made in {stage}: {value:+.3g} adu, {effect} times the noise, "
        "{where}{more}; {advice}.",
        "the tiles are not at fault: report it with this page, or do without that step",
        "adu",
        "seam",
        fault=Fault("caller", 25.0, "adu"),
    ),
    Kind(
        "offset",
        "residual",
        "Tile {tile} as given lies {value:+.4g} adu" + _AGAINST,
        "level its background before Phase 5, or see how that was extracted",
        "adu",
        "residual",
        "level",
        Fault("tile", 25.0, "adu"),
    ),
    Kind(
        "gain_residual",
        "residual",
        "Tile {tile} as given is scaled by {factor:.5g}" + _AGAINST,
        "its photometric scale differs; see its exposure, flat field and normalisation",
        "relative",
        "residual",
        "level",
        Fault("tile", 0.05, "relative"),
    ),
    Kind(
        "gradient",
        "residual",
        "Tile {tile} as given slopes by {value:.4g} adu from end to end" + _AGAINST,
        "flatten it before Phase 5; see moonlight, flat field and gradient removal",
        "adu",
        "residual",
        "level",
        Fault("tile", 60.0, "adu"),
    ),
    Kind(
        "uneven_background",
        "residual",
        "{who} light that is no plane: {size:.4g} adu from place to place{where}, {effect} times the noise of a "
        "pixel; no offset, factor or slope takes it out: {advice}.",
        "see cloud, moonlight, amplifier glow, banding and flat field",
        "adu",
        "residual",
        fault=Fault("tile", 30.0, "adu"),
    ),
    Kind(
        "vignetting",
        "residual",
        "All tiles are {how} in their corners than in their middle, the same in each, by {size:.4g} adu{where}, "
        "{effect} times the noise of a pixel: it stays with the camera; {advice}.",
        "see flat field, vignetting and stray light",
        "adu",
        "residual",
        "bow",
        Fault("tile", 0.04, "of each corner lost, in all tiles"),
    ),
    Kind(
        "astrometry",
        "residual",
        "The stars of tile {tile} lie {value:.3g} px (x {x:+.3g}, y {y:+.3g}) from where the others have them: its WCS "
        "is wrong; {advice}.",
        "solve it anew",
        "px",
        "residual",
        "stars",
        Fault("tile", 2.0, "px"),
    ),
    Kind(
        "no_signal",
        "residual",
        "{what} of tile {tile} {has} no signal ({holds}): that was not compared; {advice}.",
        "see how it was stacked and saved, or leave the tile out",
        "channels",
        "residual",
        fault=Fault("tile", 2.0, "channel"),
    ),
    Kind(
        "unmasked_border",
        "residual",
        "Tile {tile} {how} at its edge, over {value:.2%} of its area ({level:.4g} adu, behind it the sky has "
        "{sky:.4g}): a coadd takes that for sky; {advice}.",
        "mask it (NaN or ALPHA), or crop the tile",
        "fraction",
        "residual",
        fault=Fault("tile", 24.0, "px"),
        of_many="have edges that are filled, faded or else no sky: a coadd takes them for sky; {advice}.",
    ),
    Kind(
        "gain_seam",
        "residual",
        "The second pass made the step between tiles {tiles[0]} and {tiles[1]} worse, {before:+.4g} adu before and "
        "{after:+.4g} after ({deepened} times the noise of a pixel more): gains {gains[0]:.4g} and {gains[1]:.4g} "
        "on the pedestal put in {added:+.4g}{matched}; {pairs} pairs like it. {advice}.",
        "Subtract the pedestal before Phase 5, or narrow the gain clip",
        "adu",
        "seam",
        "step",
        Fault("pass", 1.0, "pass"),
    ),
    Kind(
        "clip_saturated",
        "note",
        "The gain of tile {tile}, {value:.6g}, is held at the clip, as most sets have it; {advice}.",
        "nothing is to be done",
        "gain",
        fault=Fault("pass", 1.0, "clip"),
        of_many="have gains held at the clip, as most sets have it; {advice}.",
    ),
    Kind(
        "gain_guard",
        "note",
        "The gain of tile {tile} is exactly 1: the pass most likely found too few pixels covered twice, and left it as "
        "it is.",
        unit="gain",
        fault=Fault("pass", 1.0, "gain"),
        of_many="have a gain of exactly 1: the pass most likely found too few pixels covered twice, and left them as "
        "they are.",
    ),
    Kind(
        "duplicate_tile",
        "note",
        "Tile {tile} has the very pixels of tile {other}: it counts twice in a mosaic, and was not compared; {advice}.",
        "remove one of the two",
        "tile",
        "residual",
        fault=Fault("tile", 1.0, "tiles back"),
        of_many="have the very pixels of others: they count twice in a mosaic, and were not compared; {advice}.",
    ),
    Kind(
        "undetermined",
        "note",
        fault=Fault("tile", 1.0, "tiles left"),
        of_many="meet the others in too few places to be tested.",
    ),
)
KINDS = {kind.name: kind for kind in _ALL}
PIPELINE, RESIDUAL, NOTES = (
    tuple(kind.name for kind in _ALL if kind.group == group) for group in ("pipeline", "residual", "note")
)
