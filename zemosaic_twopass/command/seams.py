"""The command ``seams``: the steps that are in finished mosaics, where footprints end."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from ..console import progress, say
from ..offline.seams import seams_by_coverage, seams_by_tiles
from ..report.report import plain
from ..report.seam_picture import SEAMS_PICTURE, write_seam_picture
from ..report.seams import SEAMS_TABLE, seam_dict, seam_line, seam_sentence, write_seam_table
from ..report.style import PictureError
from ..settings import LOGGER_NAME
from ..tiles.images import TileError


def seams_command(options):
    """Measure the seams of mosaics, write their files, say what was found.

    1 if a mosaic looks as ``--fail-on`` says, else 0.
    """
    for path in (*options.mosaics, *(options.tiles or ()), *([options.coverage] if options.coverage else ())):
        if not Path(path).is_file():
            raise TileError(f"{path}: no such file")
    if options.tiles:
        with progress(len(options.tiles), "seams "):
            found, backdrops = seams_by_tiles(options.mosaics, options.tiles)
    elif options.coverage:
        found, backdrops = seams_by_coverage(options.mosaics, options.coverage)
    else:
        raise TileError(f"{options.mosaics[0]}: where footprints end is not known: give --coverage or --tiles")
    files = _write(options.out, found, backdrops) if options.out else []
    if options.json:
        seams = [seam_dict(seams) for seams in found.maps]
        result = {"picture": found.maps[-1].picture, "seams": seams, "files": [str(path) for path in files]}
        print(json.dumps(plain(result), allow_nan=False))
    else:
        for seams in found.maps:
            say(seam_line(seams))
        if files:
            say(f"[TwoPassReport] dir={options.out} files={len(files)}")
        for seams in found.maps:
            say(f"{seams.mosaic}: {seam_sentence(seams)}")
    return int(any(seams.picture == options.fail_on for seams in found.maps))


def _write(directory, found, backdrops):
    table, picture = directory / SEAMS_TABLE, directory / SEAMS_PICTURE
    write_seam_table(found.maps, table)
    try:
        write_seam_picture(found.maps, found.profiles, backdrops, picture)
    except PictureError as error:
        logging.getLogger(LOGGER_NAME).warning("[TwoPassReport] left out: %s cannot be drawn: %s", SEAMS_PICTURE, error)
        return [table]
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        logging.getLogger(LOGGER_NAME).warning(
            "[TwoPassReport] left out: %s; to have it, install the extra plot of zemosaic-instrument (see its README)",
            SEAMS_PICTURE,
        )
        return [table]
    return [table, picture]
