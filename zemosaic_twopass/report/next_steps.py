"""What to do after a report, in three sentences with the commands that do it."""

from __future__ import annotations

from typing import NamedTuple

# Of these `repair` makes copies without them.
_REPAIRED = "offset", "gain_residual", "gradient", "uneven_background", "vignetting", "astrometry"
_PROGRAM = "zemosaic-twopass"
_WATCH = f"{_PROGRAM} exec --out look -- run_zemosaic.py"
# Where a ZeMosaic run keeps its master tiles, in its output folder.
MASTER_TILES = "zemosaic_temp_master_tiles"
_CROP_OFF = "Stack repaired as existing master tiles, with the crop of master tiles switched off."
_TAKE_OUT = "Write copies of the tiles with what can be taken out taken out; your own are not written to:"
_NOTHING = "For this picture nothing has to be done: nobody sees a seam in it."
_FOR_LEVELS = f"{_NOTHING[:-1]}. Where the levels of the sky count,"
_RUN_AGAIN = "Do what the first sentence says, and run again."
_SEE = "Then see edge by edge whether the new mosaic is better:"


class Step(NamedTuple):
    """A sentence, and the command that it speaks of; empty for none."""

    text: str
    command: str = ""


def next_steps(report):
    """What to do after a report.

    Parameters
    ----------
    report : TwoPassReport

    Returns
    -------
    tuple of Step
        Three at most. Commands have the names of folders as far as the run told them, else TILES and OUT.
    """
    found = [finding for finding in report.findings if finding.about.group != "note"]
    seen, kinds = report.picture in ("faint", "visible"), {finding.kind for finding in found}
    if report.verdict == "pipeline_bug":
        return (
            Step("Do what the first sentence says; the tiles need no work for that."),
            Step("Report it where the program comes from, with this page: it names no folder but by its last part."),
            _compare(report, "After the change see edge by edge whether the new mosaic is better:"),
        )
    if kinds.intersection(_REPAIRED):
        first = f"{_FOR_LEVELS} {_TAKE_OUT[:1].lower()}{_TAKE_OUT[1:]}" if report.picture == "no_seam" else _TAKE_OUT
        return (
            Step(first, f"{_PROGRAM} repair {_tiles(report)} --out repaired"),
            Step(_CROP_OFF),
            _compare(report, _SEE),
        )
    if found:
        return Step(_NOTHING if report.picture == "no_seam" else _RUN_AGAIN), _compare(report, _SEE)
    if seen and not report.of_pass:
        return (
            Step("The tiles agree, so look at what made the mosaic of them: watch the next run,", _WATCH),
            Step("and open the page that it leaves under look/runs: it names the step that made the seam."),
        )
    if seen:
        return Step("No single tile made this seam. Try another setting and run again."), _compare(report, _SEE)
    if report.verdict == "clean" and report.picture == "no_seam":
        return (Step("Nothing has to be done."),)
    return (Step("Read the notes at the end of this page: they say what could not be tested, and why."),)


def _compare(report, text):
    if "output" in report.run or "mosaic" not in report.settings:
        return Step(text, f"{_PROGRAM} compare {_quoted(report.run.get('output', 'OUT'))} NEW")
    mosaic = _quoted(report.settings["mosaic"])
    return Step(text, f"{_PROGRAM} compare {mosaic} NEW.fits --tiles {_tiles(report)}")


def _tiles(report):
    """The folder of the tiles."""
    if "tiles" in report.run:
        return _quoted(report.run["tiles"])
    return _quoted(f"{report.run['output']}/{MASTER_TILES}") if "output" in report.run else "TILES"


def _quoted(name):
    """A name as one word of a shell, PowerShell too."""
    return f'"{name}"' if any(not (letter.isalnum() or letter in "._-/+") for letter in name) else name
