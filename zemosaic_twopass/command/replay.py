"""The command ``replay``: diagnostics from tiles on disk, here or on a Dask cluster."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

from ..console import progress, say
from ..offline.replay import gains_from_report, gains_from_text, replay
from ..report.report import file_lines, finding_line, tile_lines
from ..settings import LOGGER_NAME
from ..tiles.images import TileError


def replay_command(options):
    """Report on tiles against a first-pass mosaic, write its files, say what was left out.

    Parameters
    ----------
    options : argparse.Namespace
        From `options.read_options`.

    Returns
    -------
    int
        1 if a tile was left out or the verdict is the one of ``--fail-on``, else 0.

    Raises
    ------
    TileError, OSError, ValueError
        For input that cannot be used.
    """
    logger = logging.getLogger(LOGGER_NAME)
    for path in (options.mosaic, *options.tiles):
        if not Path(path).is_file():
            raise TileError(f"{path}: no such file")
    gains = _gains(options)

    def tell(record):
        for line in tile_lines(record):
            logger.debug("%s", line)

    with progress(len(options.tiles), "pre_gain "), _runner(options) as run:
        report, left_out = replay(
            options.mosaic, options.tiles, gains, downsample=options.downsample, run=run, tell=tell
        )
    for reason in left_out:
        logger.warning("[TwoPassReplay] left out: %s", reason)
    files = report.write(options.out, logger)
    if options.json:
        found = {**report.to_dict(), "left_out": left_out, "files": [str(path) for path in files]}
        print(json.dumps(found, allow_nan=False))
    else:
        for line in (*file_lines(report, files), *map(finding_line, report.findings), report.verdict_line()):
            say(line)
    return int(bool(left_out) or report.verdict == options.fail_on)


def _gains(options):
    if options.gains is not None:
        return gains_from_text(options.gains)
    if options.report is not None:
        return gains_from_report(options.report, [path.name for path in options.tiles])
    return None


def _runner(options):
    """Where the tiles are looked at."""
    if options.scheduler is None and options.dask_workers is None:
        return contextlib.nullcontext(map)
    try:
        from ..offline.cluster import cluster_map
    except ModuleNotFoundError as error:
        raise TileError(f"no module {error.name}: pip install 'zemosaic-instrument[dask]' to have it") from None
    return cluster_map(options.scheduler, options.dask_workers)
