"""What the findings of a pass add up to: a verdict, and one sentence."""

from __future__ import annotations

from .finding import PIPELINE, RESIDUAL


def verdict_of(findings):
    """The verdict that findings add up to.

    Returns
    -------
    {"pipeline_bug", "residual", "undetermined", "clean"}
        The first that applies: any pipeline kind; any residual kind; no tile could be compared with the others;
        none of these.
    """
    kinds = {finding.kind for finding in findings}
    if kinds & set(PIPELINE):
        return "pipeline_bug"
    if kinds & set(RESIDUAL):
        return "residual"
    untested = any(f.kind == "undetermined" and f.tile is None and f.test == "residual" for f in findings)
    return "undetermined" if untested else "clean"


def summary_of(findings, asked, ran):
    """One sentence on what was found, and the tile it is about.

    Parameters
    ----------
    findings : sequence of Finding
        Worst first.
    asked : bool
        Whether a diagnosis was asked for.
    ran : bool
        Whether the second pass gave a mosaic.

    Returns
    -------
    sentence : str
    worst : int or None
        Tile to look at first; None where none stands out.
    """
    verdict = verdict_of(findings)
    if asked and verdict in ("pipeline_bug", "residual"):
        return findings[0].message, findings[0].tile
    if not ran:
        return "The second pass gave no mosaic, the first pass stands: see the [TwoPass] lines above.", None
    if not asked:
        return "No delta map, so nothing was compared: set ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP=1.", None
    # Another reference of the map leaves no test out.
    open_questions = [finding for finding in findings if finding.kind == "undetermined" and finding.test != "map"]
    if verdict == "undetermined":
        return next(f.message for f in open_questions if f.tile is None and f.test == "residual"), None
    return _clean_summary(open_questions), None


def _clean_summary(open_questions):
    """What the tests that ran have shown, and the first that did not run; `open_questions` are the notes on those."""
    fell_out = {finding.test for finding in open_questions if finding.tile is None}
    alone = sum(finding.tile is not None for finding in open_questions)
    shown = [f"every tile but {alone} agrees with the others" if alone else "every tile agrees with the others"]
    if not fell_out & {"contract", "gains"}:
        shown.append("what went into the coadd is gain x tile")
    if "closure" not in fell_out:
        made = "a weighted mean of the tiles" if "gains" in fell_out else "what the recorded gains make of them"
        shown.append(f"the mosaic is {made}")
    text = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    if open_questions:
        return f"No fault found, as far as it could be tested: {text}. {open_questions[0].message}"
    return f"{text[0].upper()}{text[1:]}."
