"""The picture in words: where a seam is, what makes it, what a finding leaves in the mosaic."""

from __future__ import annotations

import numpy as np

from .finding import in_digits
from .kinds import KINDS

# So little is told as less than it.
_SMALL = 0.01
# What is left of a step that is expected.
_SMALL_PART = 0.5
# What leaves lines along edges.
_LINES = "mask_bug", "unmasked_border", "no_signal"
# Faults that make nothing but steps: where none is seen nothing has to be done.
_LEVELS = "offset", "gain_residual", "gradient", "uneven_background", "vignetting", "gain_seam"


def place_of(edge, tile=None):
    """Where an edge is, in words; along a tile whose own edge is read as one with it, where one is given."""
    at = f"(x={edge.x:.0f}, y={edge.y:.0f})"
    if tile not in (None, edge.tile):
        return f"along tile {tile} {at}"
    if edge.tile is None and not edge.neighbours:
        return f"at an edge of the coverage {at}"
    if edge.tile is None:
        return f"where the part of the second pass ends {at}"
    return f"at the {edge.side} side of tile {edge.tile} {at}"


def seam_words(edge, tile=None):
    """How an edge looks, how strong it is and where, such as ``A faint seam, 0.6 times the noise, at …``."""
    what, contrast = f"{edge.look} seam", edge.contrast
    if edge.lined:
        what, contrast = f"{'thin' if edge.thin else 'broad'} {edge.tone} line", edge.line_contrast
        what = f"faint, {what}" if edge.look == "faint" else what
    return f"A {what}, {in_digits(contrast)} times the noise, {place_of(edge, tile)}"


def tell_picture(found, edges, shares, stage):
    """What an `Examination` comes to, the picture first.

    Parameters
    ----------
    found : Examination
        Findings in order.
    edges : Edges
        Edges of the last mosaic.
    shares : sequence of (Share or None)
        One a finding.
    stage : str
        In which mosaic the worst edge is seen first, in words.

    Returns
    -------
    str
    """
    findings, worst = found.findings, edges.map.worst
    edge = edges.map.edges[worst]
    if not edge.seen:
        return f"No seam is in the mosaic{_of_none(found, edges, shares)}"
    number = edges.cause(worst, shares)
    if edge.lined:
        text = f"{seam_words(edge)}: {_of_line(edges, worst, findings, stage)}."
    elif number is None:
        rest = _without_cause(edges, worst) if found.of_pass else ""
        text = f"{seam_words(edge)}{rest}."
    elif findings[number].about.group == "pipeline":
        own = findings[number].message
        text = own if findings[number].kind == "seam" else f"{seam_words(edge)}. {own}"
    else:
        advice = findings[number].about.advice
        cause = ", ".join(_cause(findings[number], edges.along(worst, findings[number].tile) is not None))
        text = f"{seam_words(edge, edges.map.along)}: {cause}. {advice[:1].upper()}{advice[1:]}."
    # What has to be told whatever the picture is like.
    first = findings[0] if findings and findings[0].about.group == "pipeline" else None
    if number is None and found.verdict == "residual":
        first = findings[0]
    return text if first is None or first.message in text else f"{text} {first.message}"


def tell_of_tiles(found, seams):
    """What tiles come to beside a mosaic of theirs, the picture first, where nobody saw how that was made.

    Parameters
    ----------
    found : Examination
    seams : SeamMap

    Returns
    -------
    str
    """
    match seams.picture:
        case "no_seam":
            return f"No seam is in the mosaic. {found.sentence}"
        case "faint" | "visible":
            words = seam_words(seams.edges[seams.worst])
            return f"{words}: what made it cannot be told without its pass. {found.sentence}"
    return found.sentence


def _of_none(found, edges, shares):
    """The rest of a sentence on a picture without a seam."""
    told_of = [
        (finding, share)
        for finding, share in zip(found.findings, shares, strict=True)
        if finding.kind in _LEVELS and share is not None
    ]
    first = found.findings[0] if found.findings else None
    if not told_of or first is not told_of[0][0]:
        return f". {found.sentence}"
    finding, share = told_of[0]
    others = len({own.tile for own, _ in told_of} - {finding.tile})
    more = f" So it is with {others} more." if others else ""
    if finding.kind == "offset":
        return f": matching took the {finding.value:+.4g} adu of tile {finding.tile}.{more}"
    what = ", ".join(_cause(finding))
    return f": {what}, leaves {_at_most(share, edges)} times the noise at the edges.{more}"


def _of_line(edges, index, findings, stage):
    """What is said of a line."""
    edge = edges.map.edges[index]
    own = [one for one in findings if one.kind in _LINES and edges.mark(one.tile)[index]]
    if own:
        return own[0].message.rstrip(".")
    if not edge.thin:
        how = "darker" if edge.tone == "dark" else "brighter"
        return f"no step, but {how} on both sides of the edge, made in {stage}; try that without what smooths seams"
    return f"no step, but pixels at the edge that are none of the sky, in {stage}; look at masks and at the tile's rim"


def _without_cause(edges, index):
    """What is said of a seam that no finding makes."""
    if edges.of_gains is not None and edges.mostly(edges.of(edges.of_gains))[index]:
        advice = KINDS["gain_seam"].advice
        return f": the gains make it, which multiply the pedestal too. {advice}"
    left = np.nan if edges.left is None else edges.of(edges.left.step)[index]
    if not abs(left) < _SMALL_PART * abs(edges.of(edges.steps)[index]):
        return ": what makes it is not known"
    return ": the tiles make it together, and none of them stands out"


def _cause(finding, named=False):
    """What a finding is, as what makes a seam, and how much of it; whether its tile was just named."""
    whose = "its" if named else "the"
    of = "" if named or finding.tile is None else f" of tile {finding.tile}"
    match finding.kind:
        case "offset":
            return f"{whose} level{of}", f"{finding.value:+.4g} adu off"
        case "gain_residual":
            return f"{whose} scale{of}", f"{1 + finding.value:.4g} times that of the others"
        case "gradient":
            return f"{whose} slope{of}", f"{finding.value:.4g} adu from end to end"
        case "uneven_background":
            return f"{whose} light{of} that is no plane", f"{finding.value:.3g} adu from place to place"
        case "vignetting":
            how = "brighter" if finding.value > 0 else "darker"
            return "the corners of all tiles", f"{abs(finding.value):.3g} adu {how} than their middles"
        case "gain_seam":
            return "the gains", "which multiply the pedestal too"
        case "astrometry":
            return f"{whose} WCS{of}", f"{finding.value:.3g} px off"
        case "no_signal":
            return f"tile {finding.tile}", "which has no signal in a channel"
        case "unmasked_border":
            return f"{whose} edge{of}", "which is no sky"
    return (f"{whose} {finding.kind.replace('_', ' ')}{of}",)


def in_mosaic(finding, share, edges, worst):
    """The sentence of a finding with what it leaves in the mosaic; nothing to be done where nobody sees that.

    Parameters
    ----------
    finding : Finding
        With what would be without it, as far as that is known.
    share : Share
    edges : Edges
    worst : int or None
        Index of the worst of its seams.

    Returns
    -------
    str
    """
    advice = f"{finding.about.advice}."
    if finding.about.group == "pipeline" or share.guessed or not finding.message.endswith(advice):
        return finding.message
    what = finding.message.removesuffix(advice).rstrip(" :;")
    if finding.what_if is not None and finding.what_if.unit == "adu":
        # What tiles have beside each other is not what the mosaic has.
        what = what.replace(finding.what_if.between_tiles(), "")
    if worst is not None:
        edge = edges.map.edges[worst]
        step, own = edges.of(edges.steps)[worst], share.made[worst]
        place, left = place_of(edge, edges.along(worst, finding.tile)), in_digits(abs(step - own))
        text = f"in the mosaic that makes a {edge.step_look} step of {abs(step):.3g} adu {place}"
        text += f", {left} adu with that taken out: {advice}"
    elif finding.kind in _LEVELS and not share.may_show(edges):
        text = (
            f"nobody sees that in the mosaic, {_at_most(share, edges)} times the noise at its edges: nothing to do for "
            "this picture."
        )
    elif finding.kind in _LEVELS:
        text = (
            f"whether that is seen in the mosaic is not sure, {_at_most(share, edges)} times the noise there: {advice}"
        )
    else:
        text = f"it makes no seam that anybody sees: {advice}"
    return f"{what} {text[0].upper()}{text[1:]}" if what.endswith(".") else f"{what}; {text}"


def _at_most(share, edges):
    """The most that it makes, in units of noise and structure, in words."""
    size = share.largest(edges)
    return "less than 0.01" if size < _SMALL else in_digits(size)
