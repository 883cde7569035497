"""The files of a report: which there are, and how they are written without losing one to another."""

from __future__ import annotations

import io
import json
import logging
from functools import partial

import numpy as np

from ..files import reason_of, whole_file
from ..guard import take_turn
from ..settings import LOGGER_NAME, in_ascii
from .evidence_picture import EVIDENCE_PICTURE, write_evidence_picture
from .map_picture import draw_map
from .maps import write_map
from .page import write_page
from .pictures import MAP_PICTURE, TILES_PICTURE, draw_tiles
from .seam_picture import SEAMS_PICTURE, write_seam_picture
from .seams import SEAMS_TABLE, write_seam_table
from .style import PictureError, write_picture
from .tables import write_table

MAP_NAME = "twopass_delta_map.npy"
FITS_NAME = "twopass_delta_map.fits"
TABLE_NAME = "twopass_tiles.ecsv"
JSON_NAME = "twopass_report.json"
PAGE_NAME = "twopass_report.html"

# Module that may be missing, and the extra that brings it.
_EXTRAS = {"matplotlib": "plot", "jinja2": "report"}
# Characters of a reason: TeX gives its whole log.
_LONGEST = 200


class ArtefactError(OSError):
    """Files of a report that could not be written; the message names each.

    Attributes
    ----------
    written : tuple of pathlib.Path
        The files that were written all the same.
    """

    def __init__(self, message, written=()):
        super().__init__(message)
        self.written = tuple(written)


def write_artefacts(report, directory, logger=None):
    """Write every file that a report has something for; none for one that knows of no tile and no finding.

    Parameters
    ----------
    report : TwoPassReport
    directory : pathlib.Path
        Made if need be.
    logger : logging.Logger, optional

    Returns
    -------
    tuple of pathlib.Path

    Raises
    ------
    ArtefactError
        After every file was tried.
    """
    if not (report.tile_count or report.findings):
        return ()
    _make_directory(directory)
    written, failed, missing, undrawn, cause = [], {}, {}, {}, None
    for name, (has, write) in ARTEFACTS.items():
        path = directory / name
        try:
            if has(report):
                with take_turn(), whole_file(path) as temporary:
                    write(report, temporary)
                written.append(path)
        except PictureError as error:
            undrawn.setdefault(" ".join(str(error).split())[:_LONGEST], []).append(name)
        except Exception as error:
            extra = _EXTRAS.get(error.name) if isinstance(error, ModuleNotFoundError) else None
            if extra:
                missing.setdefault(extra, []).append(name)
            else:
                cause = cause or error
                failed.setdefault(reason_of(error), []).append(name)
        if path not in written:
            _remove(path, failed)
    logger = logger or logging.getLogger(LOGGER_NAME)
    if missing:
        _say_missing(missing, logger)
    for reason, names in undrawn.items():
        # What the host's matplotlib cannot draw is no fault of the report.
        logger.warning("[TwoPassReport] left out: %s; cannot be drawn: %s", " ".join(names), in_ascii(reason))
    if failed:
        reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in failed.items())
        try:
            raise ArtefactError(f"{directory}: files not written: {reasons}", written) from cause
        finally:
            # It leads to this frame, and so to every array of the run, as long as this frame leads to it.
            cause = None
    return tuple(written)


def _make_directory(directory):
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ArtefactError(f"{directory}: is a file, a directory is needed for the report") from None
    except OSError as error:
        raise ArtefactError(f"{directory}: no directory for the report: {reason_of(error)}") from error


def _remove(path, failed):
    """Take away what an earlier report left under a name that this one has no file for."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        failed.setdefault(f"an older one cannot be removed: {reason_of(error)}", []).append(path.name)


def _say_missing(missing, logger):
    names = " ".join(name for group in missing.values() for name in group)
    extras = ",".join(sorted(missing))
    logger.warning(
        "[TwoPassReport] left out: %s; to have them, install the extra %s of zemosaic-instrument (see its README)",
        names,
        extras,
    )


def _has_map(report):
    return report.delta is not None


def _write_array(report, path):
    buffer = io.BytesIO()
    np.save(buffer, report.delta.delta, allow_pickle=False)
    # Not straight into the file: what NumPy's C stream cannot write when it is closed is lost without an error.
    path.write_bytes(buffer.getvalue())


def _write_json(report, path):
    text = _in_lines(report.to_dict())
    # What UTF-8 cannot hold becomes an escape that JSON knows too.
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _in_lines(value):
    """A value as JSON, with a line for each tile, edge and finding: an indent of numbers would take twice the bytes."""
    if isinstance(value, dict) and any(map(_is_table, value.values())):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {_in_lines(item)}" for key, item in value.items()) + "\n}"
    if _is_table(value):
        return "[\n" + ",\n".join(map(_in_lines, value)) + "\n]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _is_table(value):
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _has_seams(report):
    return any(seams.edges for seams in report.seams)


def _draw_seams(report, path):
    write_seam_picture(report.seams, report.profiles, report.backdrops, path)


# In this order: the page last, because it takes in the pictures that lie beside it.
ARTEFACTS = {
    MAP_NAME: (_has_map, _write_array),
    FITS_NAME: (_has_map, write_map),
    JSON_NAME: (lambda report: True, _write_json),
    TABLE_NAME: (lambda report: report.tile_count > 0, write_table),
    SEAMS_TABLE: (_has_seams, lambda report, path: write_seam_table(report.seams, path)),
    SEAMS_PICTURE: (_has_seams, _draw_seams),
    MAP_PICTURE: (_has_map, partial(write_picture, draw_map)),
    TILES_PICTURE: (lambda report: len(report.tiles) > 0, partial(write_picture, draw_tiles)),
    EVIDENCE_PICTURE: (lambda report: len(report.evidence) > 0, write_evidence_picture),
    PAGE_NAME: (lambda report: True, write_page),
}
