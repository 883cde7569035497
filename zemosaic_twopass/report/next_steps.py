"""What to do after a report, in three sentences with the commands that do it."""

from __future__ import annotations

from typing import NamedTuple

# `repair` makes copies without these.
_REPAIRED = "offset", "gain_residual", "gradient", "uneven_background", "vignetting", "astrometry"
# So many tiles are named by number in a sentence.
_NAMED_TILES = 4
_PROGRAM = "zemosaic-twopass"
# What shells read between double quotes too; PowerShell takes curly ones for such quotes.
_READ_BY_SHELLS = frozenset('"$`\\!\u201c\u201d\u201e')
_WATCH = f"{_PROGRAM} exec --out look -- run_zemosaic.py"
# Where a ZeMosaic run keeps its master tiles, in its output folder.
MASTER_TILES = "zemosaic_temp_master_tiles"
_CROP_OFF = "Stack repaired as existing master tiles, with the crop of master tiles switched off."
_TAKE_OUT = "take what was found out of copies of {}; your own files are not written to:"
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
        Three at most. Commands have the names of folders as far as the run told them, and no shell reads more in them
        than a name; else TILES and OUT.
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
        first = _TAKE_OUT.format(_at_fault(report, found))
        first = f"{_FOR_LEVELS} {first}" if report.picture == "no_seam" else f"{first[0].upper()}{first[1:]}"
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


def _at_fault(report, found):
    """The tiles that `repair` is for: by name where it is one, by number where they are few."""
    tiles = [tile for finding in found if finding.kind in _REPAIRED for tile in (finding.tiles or (finding.tile,))]
    if None in tiles:
        return "all tiles"
    tiles = sorted(set(tiles))
    if len(tiles) > _NAMED_TILES:
        return f"{len(tiles)} tiles"
    if len(tiles) > 1:
        return f"tiles {', '.join(map(str, tiles[:-1]))} and {tiles[-1]}"
    name = next((record.name for record in report.tiles if record.index == tiles[0]), None)
    return f"tile {tiles[0]} ({name})" if name else f"tile {tiles[0]}"


def _compare(report, text):
    if "output" in report.run or "mosaic" not in report.settings:
        return Step(text, f"{_PROGRAM} compare {_quote(report.run.get('output', ''), 'OUT')} NEW")
    mosaic = _quote(report.settings["mosaic"], "MOSAIC.fits")
    return Step(text, f"{_PROGRAM} compare {mosaic} NEW.fits --tiles {_tiles(report)}")


def _tiles(report):
    """The folder of the tiles."""
    if "tiles" in report.run:
        return _quote(report.run["tiles"], "TILES")
    return _quote(f"{report.run['output']}/{MASTER_TILES}", "TILES") if "output" in report.run else "TILES"


def _quote(name, otherwise):
    """A name as one word of a shell, PowerShell too; what stands in for one in which they would read a command."""
    if not name or name.startswith("-") or not name.isprintable() or _READ_BY_SHELLS.intersection(name):
        return otherwise
    return f'"{name}"' if any(not (letter.isalnum() or letter in "._-/+") for letter in name) else name
