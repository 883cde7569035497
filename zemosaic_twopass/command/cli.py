"""The command ``zemosaic-twopass``: what each of its commands does."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

from zemosaic_instrument import TwoPassProbe

from ..console import complain, console, progress, say
from ..files import whole_file
from ..offline.workers import run_second_pass
from ..report.lines import finding_lines
from ..report.show import show
from ..settings import LOGGER_NAME, Settings
from ..synthetic.faults import PIPELINE_FAULTS, faulty_pass
from ..synthetic.sky import synthetic_tiles
from ..tiles.images import TileError
from ..tiles.reading import write_master_tile
from .compare import compare_command
from .execute import execute, make_environment
from .options import read_options
from .passes import SEED, choose_workers, load_tiles, make_first_pass
from .repair import repair_command
from .replay import replay_command
from .seams import seams_command
from .tile_paths import find_tile_paths
from .verify import verify_command


def main(argv=None):
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 when done, 1 when `verify` did not find the bytes identical or saw less than it should, `replay` left a tile
        out, `repair` could not write a copy or `--fail-on` is met, 2 for input that cannot be used.
    """
    options = read_options(list(sys.argv[1:] if argv is None else argv))
    command = _COMMANDS[options.name]
    try:
        if command is _exec:
            return _exec(options)
        if getattr(options, "tiles", None):
            options.tiles = find_tile_paths(options.tiles, getattr(options, "mosaic", None))
        with console(options.json):
            return command(options)
    except (TileError, OSError, ValueError, MemoryError) as error:
        complain(error)
        return 2


def _demo(options):
    tiles = synthetic_tiles(seed=options.seed, faults=options.fault)
    directory = options.out or Settings.from_environment().directory
    if options.write_tiles:
        (directory / "tiles").mkdir(parents=True, exist_ok=True)
        for tile in tiles:
            write_master_tile(directory / "tiles" / tile.name, tile)
    for fault in options.fault:
        if fault.kind in PIPELINE_FAULTS:
            fault.tile_of(len(tiles))
    return _process(options, tiles, directory, options.fault)


def _run(options):
    return _process(options, load_tiles(options.tiles), options.out)


def _process(options, tiles, directory, faults=()):
    """First pass, watched second pass, files, verdict."""
    logger = logging.getLogger(LOGGER_NAME)
    channels = tiles[0].pixels.shape[2] if tiles[0].pixels.ndim == 3 else 1
    ours, worker = choose_workers(options.worker)
    names = [tile.name for tile in tiles]
    probe = TwoPassProbe(worker, downsample=options.downsample, directory=directory, logger=logger, names=names)
    np.random.seed(SEED)
    with progress(channels, "coadd ", "first pass"):
        first = make_first_pass(ours, tiles, options.cpu_workers)
    with progress(channels, "coadd ", "second pass, diagnostics"), faulty_pass(worker, faults), probe:
        mosaic, coverage = run_second_pass(
            worker,
            first,
            tiles,
            sigma=options.sigma,
            clip=options.clip,
            cpu_workers=options.cpu_workers,
            logger=logger,
        )
    if probe.failures or not probe.reports:
        raise TileError(f"{options.worker}: {next(iter(probe.failures), 'its second pass was not called')}")
    report = probe.reports[-1]
    files = tuple(_write_mosaic(directory, mosaic, coverage, first[2]))
    if options.json:
        print(json.dumps({**report.to_dict(), "files": [str(path) for path in files]}, allow_nan=False))
    else:
        for path in files:
            say(f"[TwoPassRun] wrote {path.stem}: {path}")
        for line in finding_lines(report.findings):
            say(line)
        say(report.verdict_line())
    return int(options.fail_on in (report.verdict, report.picture))


def _exec(options):
    """An unmodified program with the probe attached."""
    return execute(options.program, make_environment(not options.no_delta_map, options.out, options.downsample))


def _show(options):
    report = show(options.directory, options.json)
    # One of the first schema has no picture.
    return int(options.fail_on is not None and options.fail_on in (report["verdict"], report.get("picture")))


def _write_mosaic(directory, mosaic, coverage, wcs):
    mosaic = mosaic[..., 0] if mosaic.shape[2] == 1 else np.moveaxis(mosaic, 2, 0)
    for name, data, unit in (("mosaic", mosaic, "adu"), ("coverage", coverage, "")):
        header = wcs.to_header(relax=True)
        if unit:
            header["BUNIT"] = unit
        path = Path(directory) / f"{name}.fits"
        with whole_file(path) as temporary:
            fits.PrimaryHDU(np.ascontiguousarray(data, dtype=np.float32), header).writeto(temporary)
        yield path


_COMMANDS = {
    "demo": _demo,
    "run": _run,
    "verify": verify_command,
    "exec": _exec,
    "show": _show,
    "compare": compare_command,
    "replay": replay_command,
    "repair": repair_command,
    "seams": seams_command,
}
