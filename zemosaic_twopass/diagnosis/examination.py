"""What came of looking into a second pass: the findings in order, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .closure import Closure
from .comparison import CorrectedTiles
from .contract import merge_finding
from .finding import Finding
from .kinds import KINDS
from .photometry import TileFit
from .registration import PassShift

NO_MOSAIC = "The second pass gave no mosaic."
_TILES_AGREE = "Every tile agrees with the others; what a second pass makes of them was not looked at."


@dataclass(frozen=True, eq=False)
class Examination:
    """What came of looking into a second pass, or at tiles without one.

    Attributes
    ----------
    findings : tuple of Finding
        Worst first, notes last.
    fits : tuple of (TileFit or None)
        Every tile as given against the others, findings or not; empty where nothing could be compared.
    corrected_tiles : CorrectedTiles or None
        The tiles as they are and with what was found taken out; None where nothing could be compared.
    closure : Closure or None
    of_pass : bool
        Whether there was a second pass to look into.
    asked : bool
        Whether a diagnosis was asked for; where it was not the verdict is "undetermined".
    told : str
        What it comes to, the picture first; empty where that is not known.
    shift : PassShift or None
        How the second pass lies on the first; None where that is not known.
    """

    findings: tuple[Finding, ...]
    fits: tuple[TileFit | None, ...] = ()
    corrected_tiles: CorrectedTiles | None = None
    closure: Closure | None = None
    of_pass: bool = True
    asked: bool = True
    told: str = ""
    shift: PassShift | None = None

    @property
    def verdict(self):
        """As `verdict_of`, of a diagnosis that was asked for."""
        return verdict_of(self.findings) if self.asked else "undetermined"

    @property
    def sentence(self):
        """One sentence on what was found, or two."""
        if self.told:
            return self.told
        if not self.of_pass and self.verdict == "clean":
            return " ".join([_TILES_AGREE, *(finding.message for finding in self.findings[:1])])
        return summary_of(self.findings, self.asked)[0]

    @property
    def worst(self):
        """Tile to look at first; None where none stands out."""
        return summary_of(self.findings, self.asked)[1]

    def after(self, merge):
        """The same with what the caller made of the second pass: a `Merge`, or None where that is not known."""
        if merge is None or not (self.asked and merge.unused):
            return self
        return replace(self, findings=(merge_finding(merge, self.findings), *self.findings))


def put_in_order(found):
    """Findings in the order in which they are to be told.

    Parameters
    ----------
    found : list of (float, Finding)
        With the size of each effect.

    Returns
    -------
    tuple of Finding
        Pipeline kinds in their order, then residual ones by size, then notes.
    """

    gravity = list(KINDS)

    def rank(item):
        effect, finding = item
        match finding.about.group:
            case "pipeline":
                return 0, gravity.index(finding.kind), -effect
            case "residual":
                return 1, 0, -effect
        return 2, gravity.index(finding.kind), 0.0

    return tuple(finding for _, finding in sorted(found, key=rank))


def verdict_of(findings):
    """The verdict that findings add up to.

    Returns
    -------
    {"pipeline_bug", "residual", "undetermined", "clean"}
        The first that applies: any pipeline kind; any residual kind; there was no mosaic to look into, or no tile could
        be compared with the others; none of these.
    """
    groups = {finding.about.group for finding in findings}
    if "pipeline" in groups:
        return "pipeline_bug"
    if "residual" in groups:
        return "residual"
    return "undetermined" if any(map(_leaves_it_open, findings)) else "clean"


def _leaves_it_open(finding):
    return finding.kind == "undetermined" and finding.tile is None and finding.test in ("mosaic", "residual")


def summary_of(findings, asked):
    """One sentence on what was found, and the tile it is about.

    Parameters
    ----------
    findings : sequence of Finding
        Worst first.
    asked : bool
        Whether a diagnosis was asked for.

    Returns
    -------
    sentence : str
    worst : int or None
        Tile to look at first; None where none stands out.
    """
    verdict = verdict_of(findings)
    if asked and verdict in ("pipeline_bug", "residual"):
        return findings[0].message, findings[0].tile
    # Another reference of the map, and what is in the pixels, leave no test out.
    notes = [finding for finding in findings if finding.kind == "undetermined"]
    open_questions = [finding for finding in notes if finding.test not in ("map", "pixels")]
    if verdict == "undetermined":
        return next(f.message for f in open_questions if _leaves_it_open(f)), None
    if not asked:
        return "No delta map, so nothing was compared: set ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP=1.", None
    return _clean_summary(open_questions), None


def _clean_summary(open_questions):
    """What the tests that ran have shown, and the first that did not run; `open_questions` are the notes on those."""
    fell_out = {finding.test for finding in open_questions if finding.tile is None}
    alone = sum(finding.tile is not None for finding in open_questions)
    shown = [f"every tile but {alone} agrees with the others" if alone else "every tile agrees with the others"]
    if not fell_out & {"contract", "gains"}:
        shown.append("what went into the coadd is gain x tile")
    if "passes" not in fell_out:
        shown.append("the second pass lies on the first")
    if "closure" not in fell_out:
        made = "a weighted mean of the tiles" if "gains" in fell_out else "what the recorded gains make of them"
        shown.append(f"the mosaic is {made}")
    text = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    if open_questions:
        return f"No fault found, as far as it could be tested: {text}. {open_questions[0].message}"
    return f"{text[0].upper()}{text[1:]}."
