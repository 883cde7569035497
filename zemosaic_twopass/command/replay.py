"""The command ``replay``: diagnostics from tiles on disk, here or on a Dask cluster."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from ..console import say, stage
from ..files import by_reason
from ..offline.gains import gains_from_report
from ..offline.output_folder import OutputFolder
from ..offline.replay import replay
from ..report.lines import label, log_lines, tile_lines
from ..settings import LOGGER_NAME, in_ascii
from ..tiles.images import TileError
from .runner import choose_runner
from .seams import say_of, tell_of_run


def replay_command(options):
    """Report on tiles against a first-pass mosaic, write its files, say what was left out.

    1 if a tile was left out or the verdict is the one of ``--fail-on``, else 0.
    """
    logger = logging.getLogger(LOGGER_NAME)
    folder, coverage = options.mosaic, None
    if folder.is_dir():
        coverage = _take_run(options)
    if not options.tiles:
        raise TileError(f"{options.mosaic}: no tiles are given; a run's folder is asked for its own")
    gone = by_reason((path, "no such file") for path in (options.mosaic, *options.tiles) if not Path(path).is_file())
    if gone:
        raise TileError(*gone)
    gains = None
    if options.report is not None:
        gains = gains_from_report(options.report, [path.name for path in options.tiles])

    def tell(record):
        # Without gains the second of the pair would have no number in it.
        for line in tile_lines(record)[: 1 if gains is None else 2]:
            logger.debug("%s", in_ascii(line))

    settings = {"downsample": options.downsample, "tell": tell, "stage": stage}
    with choose_runner(options) as run:
        report, left_out = replay(options.mosaic, options.tiles, gains, coverage, run=run, **settings)
    if "seams_by" in report.settings:
        say_of(folder, report.settings["seams_by"])
    if "mosaic_scale" in report.settings:
        logger.info("%s", in_ascii(_scale_line(report.settings)))
    for reason in left_out:
        logger.warning("[TwoPassReplay] left out: %s", in_ascii(reason))
    with stage("files"):
        files = report.write(options.out, logger)
    if options.json:
        found = {**report.to_dict(), "left_out": left_out, "files": [str(path) for path in files]}
        print(json.dumps(found, allow_nan=False))
    else:
        for _, line in log_lines(report, files):
            say(line)
    return int(bool(left_out) or options.fail_on in (report.verdict, report.picture))


def _take_run(options):
    """Put mosaic and tiles of a run's folder in its place; tiles that were given stay. Its coverage, or None."""
    run = OutputFolder.of(options.mosaic, options.science_suffix)
    if not (options.tiles or run.tiles):
        raise TileError(f"{run.folder}: {run.remarks[-1]}; `seams` can do without them")
    tell_of_run(run)
    options.mosaic, options.tiles = run.mosaic, options.tiles or list(run.tiles)
    return run.coverage


def _scale_line(settings):
    """What a mosaic that is not in the tiles' adu was taken for."""
    scale, level = (",".join(f"{value:.6g}" for value in settings[f"mosaic_{key}"]) for key in ("scale", "level"))
    return (
        f"[TwoPassReplay] mosaic={label(settings['mosaic'])} scale=[{scale}] level=[{level}] "
        "it is not in adu of the tiles: taken for scale x tiles + level"
    )
