"""What was taken out of each tile: as a table, as log lines and for the header of the copy."""

from __future__ import annotations

import io
import math
from dataclasses import asdict

import numpy as np
from astropy.table import Table

from .. import __version__
from ..diagnosis.acceptance import too_few_stars
from ..diagnosis.photometry import Correction
from ..files import whole_file
from ..report.lines import finding_lines, label
from ..report.report import plain
from ..report.tables import MISSING
from ..tiles.planes import channel_names

TABLE_NAME = "twopass_corrections.ecsv"

_AXES = "xx", "xy", "yy"
_DESCRIPTIONS = {
    "idx": "position of the tile in the call's list",
    "id": "file name of the tile",
    "copy": "file name of its copy; - for one that could not be written",
    "corrected": "whether anything was taken out; otherwise the copy is the tile byte for byte",
    "compared": "whether the tile could be compared with others",
    "refused": "why what was found in the tile is not taken out: it would do harm; - for a tile of which it is",
    "lowest": "lowest pixel of the copy that is below 0 where the tile is not, in adu; 0 for none",
    "stars": "number of stars shared with other tiles that tell its scale, in the channel that has most",
}
# Each term's unit, and what it is.
_TERMS = {
    "gain": (None, "factor of the pixels: copy = pixel x gain + offset; slopes, curvature and shift left aside"),
    "offset": ("adu", "added to pixel x gain"),
    "star_scale": (None, "brightness of the stars of the tile as given over that in the others as given"),
    "slope_x": ("adu", "rise of the tile along columns of the mosaic from end to end, taken out before the gain"),
    "slope_y": ("adu", "rise of the tile along rows of the mosaic from end to end, taken out before the gain"),
    "bend_xx": ("adu", "light that is no plane: what is taken out of the tile is this times u^2, before the gain"),
    "bend_xy": ("adu", "and this times u v"),
    "bend_yy": ("adu", "and this times v^2; u and v run from -1/2 to 1/2 along columns and rows of the mosaic"),
    "curvature": ("adu", "rise of every tile from its middle to its corners, taken out first"),
    "shift_x": ("pix", "how far the tile was seen to the right of its place, in mosaic pixels, put into the WCS"),
    "shift_y": ("pix", "how far the tile was seen above its place, in mosaic pixels, put into the WCS"),
}


def corrections_table(done):
    """The corrections as a table of scalar columns with units and descriptions.

    Parameters
    ----------
    done : Repair

    Returns
    -------
    astropy.table.Table
        One row a tile, by channel gain and offset in the form pixel × gain + offset, slopes, and the shift, each with
        its standard error. What was not taken out is 0, a gain 1, its error NaN.
    """
    channels = channel_names(len(next(own for own in done.corrections if own is not None).offset))
    rows = []
    for index, (name, own, file) in enumerate(zip(done.names, done.corrections, done.files, strict=True)):
        row = {"idx": index, "id": name, "copy": MISSING if file is None else file.name}
        row |= {"corrected": own is not None and not own.empty, "compared": own is not None}
        row |= {"refused": done.refused.get(index, MISSING), "stars": int(done.stars.counts[index].max())}
        row["lowest"] = done.lowest[index]
        rows.append(row | _cells(own, channels) | _star_cells(done.stars, index, channels))
    table = Table(rows=rows)
    for column in table.itercols():
        column.unit, column.description = _unit_and_description(column.name)
    table.meta |= {"verdict_before": done.before.verdict, "verdict_after": done.after.verdict}
    return table


def write_corrections(done, path):
    """Write the table of a `Repair` as ECSV, UTF-8 whatever the locale; whole or not at all, else `OSError`."""
    text = io.StringIO()
    corrections_table(done).write(text, format="ascii.ecsv")
    with whole_file(path) as temporary:
        # A file name that is not UTF-8 reaches us as lone surrogates, which UTF-8 cannot hold.
        temporary.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))


def repair_lines(done):
    """The log lines of a `Repair`: before and after, what is still found, each correction, and what came of it."""
    lines = [_comparison_line("before", done.before), _comparison_line("after", done.after)]
    lines += finding_lines(done.after.findings)
    for index, (name, own) in enumerate(zip(done.names, done.corrections, strict=True)):
        if index in done.refused:
            lines.append(f"[TwoPassRepair] tile={label(name)} left as it is: {done.refused[index]}")
        elif own and not own.empty:
            terms = " ".join(_terms_of(own))
            lines.append(f"[TwoPassRepair] tile={label(name)} {terms}{_note_unwitnessed(done, index)}")
    if not any(own and not own.empty for own in done.corrections):
        lines.append("[TwoPassRepair] nothing to correct: every copy is its tile, byte for byte")
    if below := sum(value < 0 for value in done.lowest):
        # Not added by us: the gains of a second pass multiply a pedestal too, and that makes steps.
        lines.append(
            f"[TwoPassRepair] copies below 0: {below}, lowest {min(done.lowest):.4g} adu: a mean takes that as it is; "
            f"for a step that cuts at 0 add {math.ceil(-min(done.lowest))} adu to every copy"
        )
    before, after = (f"{value:.3g}" for value in done.steps)
    return [*lines, f"[TwoPassRepair] steps rms {before} -> {after} adu (noise {done.noise:.3g})"]


def to_dict(done):
    """A `Repair` as plain numbers, strings, lists and dicts, ready for JSON; None for NaN."""
    table = corrections_table(done)
    return plain(
        {
            **{when: _comparison(getattr(done, when)) for when in ("before", "after")},
            "corrections": [dict(zip(table.colnames, row, strict=True)) for row in table.iterrows()],
            "steps_rms": {"before": done.steps[0], "after": done.steps[1], "noise": done.noise, "unit": "adu"},
            "refused": {done.names[index]: reason for index, reason in done.refused.items()},
            "failed": done.failed,
            "files": [str(path) for path in done.files if path is not None],
        }
    )


def history_of(correction):
    """Lines for the header of a copy, ASCII, one card each."""
    gain, _, offset, _ = correction.multiplier()
    yield f"zemosaic-twopass {__version__} repair"
    names = [f"channel {name}: " if len(gain) > 1 else "" for name in channel_names(len(gain))]
    for name, height in zip(names, _curvature(correction)[0], strict=True):
        if height:
            kind = "added" if correction.curvature.level is None else "factor"
            reach = correction.curvature.reach
            yield f"{name}bow of {height:.5g} adu in {reach:.0f} mosaic px ({kind}) taken out"
    for channel, name in enumerate(names):
        if correction.slope[channel].any():
            x, y = correction.slope[channel]
            yield f"{name}slope of {x:.5g} adu in x, {y:.5g} in y taken out"
        if correction.bend[channel].any():
            xx, xy, yy = correction.bend[channel]
            yield f"{name}light of {xx:.5g} u^2 {xy:+.5g} uv {yy:+.5g} v^2 adu taken out"
        if gain[channel] != 1 or offset[channel]:
            yield f"{name}then pixel x {gain[channel]:.8g} {offset[channel]:+.8g} adu"
    if correction.shift.any():
        x, y = correction.shift
        yield f"CRPIX moved: image lay {x:+.4f}, {y:+.4f} mosaic pixels beside its place"


def _comparison(found):
    return {"verdict": found.verdict, "findings": [asdict(finding) for finding in found.findings]}


def _comparison_line(when, found):
    compared, worst = sum(fit is not None for fit in found.fits), found.worst
    return (
        f"[TwoPassRepair] {when} verdict={found.verdict} tiles={compared} "
        f"findings={len(found.findings)} worst_idx={'-' if worst is None else worst}"
    )


def _cells(own, channels):
    """Terms of a correction with their errors, by column; those of nothing for a tile that was not compared."""
    own = own or Correction.nothing(len(channels))
    gain, gain_error, offset, offset_error = own.multiplier()
    (slope_x, slope_y), (slope_x_error, slope_y_error) = own.slope.T, own.slope_error.T
    cells = {}
    for term, values, errors in (
        ("gain", gain, gain_error),
        ("offset", offset, offset_error),
        ("slope_x", slope_x, slope_x_error),
        ("slope_y", slope_y, slope_y_error),
        *((f"bend_{axes}", *both) for axes, *both in zip(_AXES, own.bend.T, own.bend_error.T, strict=True)),
        ("curvature", *_curvature(own)),
    ):
        for what, numbers in ((term, values), (f"{term}_error", errors)):
            cells |= {f"{what}_{name}": float(number) for name, number in zip(channels, numbers, strict=True)}
    for axis, value, error in zip("xy", own.shift, own.shift_error, strict=True):
        cells |= {f"shift_{axis}": float(value), f"shift_{axis}_error": float(error)}
    return cells


def _star_cells(stars, index, channels):
    """Scale of a tile from its stars and the error, by column; NaN where they say nothing."""
    logarithm, error = (layer[index] for layer in stars.against_others(np.ones_like(stars.logarithm)))
    cells = {}
    for what, values in (("star_scale", np.exp(logarithm)), ("star_scale_error", np.exp(logarithm) * error)):
        cells |= {f"{what}_{name}": float(value) for name, value in zip(channels, values, strict=True)}
    return cells


def _curvature(own):
    """Height of the curvature that goes out of a tile, and its error, by channel."""
    if own.curvature is None:
        return np.zeros(len(own.offset)), np.full(len(own.offset), np.nan)
    height = own.curvature.height
    return height, np.where(height != 0, own.curvature.error, np.nan)


def _note_unwitnessed(done, index):
    """That no stars bear out the factor of a tile; empty where they do, or there is none."""
    if not too_few_stars(done.stars, index) or (done.corrections[index].factor == 1).all():
        return ""
    return f" (too few stars to bear out the factor: {done.stars.counts[index].max()})"


def _terms_of(own):
    """What was found in a tile, as key=value."""
    (slope_x, slope_y), (x_error, y_error) = own.slope.T, own.slope_error.T
    for key, values, errors, none, plus in (
        ("offset", own.offset, own.offset_error, 0, "+"),
        ("factor", own.factor, own.factor_error, 1, ""),
        ("slope_x", slope_x, x_error, 0, "+"),
        ("slope_y", slope_y, y_error, 0, "+"),
        *((f"bend_{axes}", *both, 0, "+") for axes, *both in zip(_AXES, own.bend.T, own.bend_error.T, strict=True)),
        ("curvature", *_curvature(own), 0, "+"),
        ("shift", own.shift, own.shift_error, 0, "+"),
    ):
        if (values != none).any():
            yield f"{key}=[{','.join(_format_measured(*pair, plus) for pair in zip(values, errors, strict=True))}]"


def _format_measured(value, error, plus):
    """A value with its error, to two digits of the error."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:{plus}.6g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:{plus}.{digits}f}+/-{error:.{digits}f}"


def _unit_and_description(name):
    if name in _DESCRIPTIONS:
        return "adu" if name == "lowest" else None, _DESCRIPTIONS[name]
    term = next(term for term in _TERMS if name.startswith(term))
    unit, text = _TERMS[term]
    rest = name.removeprefix(term).split("_")
    error = "standard error: " if "error" in rest else ""
    channel = "" if rest[-1] in ("", "error") else f", channel {rest[-1]}"
    return unit, f"{error}{text}{channel}" + ("; NaN: not taken out" if error else "")
