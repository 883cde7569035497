"""The command ``seams``: the steps that are in finished mosaics, where footprints end."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from ..console import say, stage
from ..offline.output_folder import OutputFolder
from ..offline.seams import seams_by_coverage, seams_by_tiles, seams_of_run
from ..report.lines import label
from ..report.report import plain
from ..report.seam_picture import SEAMS_PICTURE, write_seam_picture
from ..report.seams import SEAMS_TABLE, seam_dict, seam_line, seam_sentence, write_seam_table
from ..settings import LOGGER_NAME, in_ascii
from ..tiles.images import TileError
from .drawing import draw_to


def seams_command(options):
    """Measure the seams of mosaics, write their files, say what was found.

    1 if a mosaic looks as ``--fail-on`` says, else 0.
    """
    found, backdrops = _measure(options)
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


def _measure(options):
    """Seams and backdrops of what was given; what is to be said of a run's folder is said."""
    folders = [path for path in options.mosaics if path.is_dir()]
    if folders and len(options.mosaics) > 1:
        raise TileError(f"{folders[0]}: one folder of a run, or mosaics; `compare` holds two runs against each other")
    run = OutputFolder.of(folders[0], options.science_suffix) if folders else None
    mosaics = [run.mosaic] if run else options.mosaics
    for path in (*mosaics, *(options.tiles or ()), *([options.coverage] if options.coverage else ())):
        if not Path(path).is_file():
            raise TileError(f"{path}: no such file")
    if options.coverage:
        return seams_by_coverage(mosaics, options.coverage, stage)
    if options.tiles:
        return seams_by_tiles(mosaics, options.tiles, stage=stage)
    if run is None:
        raise TileError(f"{mosaics[0]}: where footprints end is not known: give --coverage or --tiles")
    *found, remarks = seams_of_run(run, stage)
    tell_of_run(run, remarks)
    return found


def tell_of_run(run, remarks=()):
    """Say what of a run's folder was used, and what was not there."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.info(
        "[TwoPassFolder] dir=%s mosaic=%s tiles=%d",
        in_ascii(label(str(run.folder))),
        in_ascii(run.mosaic.name),
        len(run.tiles),
    )
    for remark in (*run.remarks, *remarks):
        say_of(run.folder, remark)


def say_of(folder, remark):
    """Say something of a folder."""
    logging.getLogger(LOGGER_NAME).info("[TwoPassFolder] dir=%s %s", in_ascii(label(str(folder))), in_ascii(remark))


def _write(directory, found, backdrops):
    table, picture = directory / SEAMS_TABLE, directory / SEAMS_PICTURE
    write_seam_table(found.maps, table)
    return [table, *draw_to(picture, write_seam_picture, found.maps, found.profiles, backdrops)]
