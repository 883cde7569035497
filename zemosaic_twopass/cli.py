"""The command ``zemosaic-twopass``: demo, run and verify."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits
from tqdm import tqdm

from zemosaic_instrument import TwoPassProbe

from . import __version__
from .demo import synthetic_tiles
from .execute import environment_for, execute, split_command
from .faults import FAULTS, PIPELINE_FAULTS, Fault, faulty_pass
from .files import whole_file
from .report import finding_line
from .settings import LOGGER_NAME, Settings
from .tiles import MasterTile, TileError, load_master_tiles, write_master_tile
from .workers import OURS, fingerprint, load_worker, run_second_pass

_SEED = 20260421
_VERDICTS = ("clean", "residual", "pipeline_bug", "undetermined")


def main(argv=None):
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 when done, 1 when `verify` differs or `--fail-on` is met, 2 for input that cannot be used.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    program = []
    if argv[:1] == ["exec"]:
        ours, program = split_command(argv[1:], valued=("--out", "--downsample"))
        argv = ["exec", *ours]
    options = _parser().parse_args(argv, argparse.Namespace(program=program))
    try:
        if options.command is _exec:
            return _exec(options)
        with _console(options.json):
            return options.command(options)
    except (TileError, OSError, ValueError) as error:
        print(f"zemosaic-twopass: error: {' '.join(str(error).split())}", file=sys.stderr)
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
    return _process(options, _load(options.tiles), options.out)


def _process(options, tiles, directory, faults=()):
    """First pass, watched second pass, files, verdict."""
    logger = logging.getLogger(LOGGER_NAME)
    channels = tiles[0].data.shape[2] if tiles[0].data.ndim == 3 else 1
    ours, worker = _workers(options)
    names = [tile.name for tile in tiles]
    probe = TwoPassProbe(worker, downsample=options.downsample, directory=directory, logger=logger, names=names)
    np.random.seed(_SEED)
    with _progress(2 * channels + 1, "coadd "):
        first = _first_pass(ours, tiles, options.cpu_workers)
        with faulty_pass(worker, faults), probe:
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
            print(f"[TwoPassRun] wrote {path.stem}: {path}")
        for finding in report.findings:
            print(finding_line(finding))
        print(report.verdict_line())
    return int(report.verdict == options.fail_on)


def _verify(options):
    """Bare twice, instrumented once: the same bytes, or not."""
    tiles = _load(options.tiles) if options.tiles else synthetic_tiles(seed=options.seed)
    logger = logging.getLogger(LOGGER_NAME)
    ours, worker = _workers(options)
    np.random.seed(_SEED)
    first = _first_pass(ours, tiles, 1)

    def hashed():
        np.random.seed(_SEED)
        return fingerprint(
            *run_second_pass(worker, first, tiles, sigma=options.sigma, clip=options.clip, logger=logger)
        )

    hashes = {"bare_1": hashed(), "bare_2": hashed()}
    with tempfile.TemporaryDirectory() as scratch, TwoPassProbe(worker, directory=scratch) as probe:
        hashes["instrumented"] = hashed()
    if hashes["bare_1"] != hashes["bare_2"]:
        verdict, meaning = (
            "undetermined",
            "The two bare runs differ by themselves, so nothing can be said of the third.",
        )
    elif hashes["instrumented"] != hashes["bare_1"]:
        verdict, meaning = "different", "The probe changed the mosaic: please report this."
    elif probe.failures or not probe.reports:
        reason = next(iter(probe.failures), "its second pass was not called")
        verdict, meaning = "undetermined", f"The probe saw nothing: {reason}."
    else:
        verdict, meaning = "identical", "The probe changed no byte of mosaic and coverage."
    if options.json:
        print(json.dumps({"verdict": verdict, "sha256": hashes}))
    else:
        for run, digest in hashes.items():
            print(f"[TwoPassVerify] run={run} sha256={digest}")
        print(f"[TwoPassVerify] {verdict} {meaning}")
    return int(verdict != "identical")


def _exec(options):
    """An unmodified program with the probe attached."""
    return execute(options.program, environment_for(options.delta_map, options.out, options.downsample))


def _load(paths):
    with _progress(len(paths), "loaded "):
        data, wcs, coverage = load_master_tiles(paths)
    names = [Path(path).name for path in paths]
    return [MasterTile(*fields) for fields in zip(data, wcs, coverage, names, strict=True)]


def _workers(options):
    """Our worker, and the one whose second pass is asked for."""
    ours = load_worker()
    return ours, ours if options.worker == OURS else load_worker(options.worker)


def _first_pass(ours, tiles, cpu_workers):
    """The first pass is always ours, so that two versions' second passes start from the same mosaic."""
    columns = ([getattr(tile, field) for tile in tiles] for field in ("data", "wcs", "coverage"))
    return ours.assemble_first_pass(*columns, parallel_plan={"cpu_workers": cpu_workers})


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


class _Console(logging.StreamHandler):
    """Writes above a progress bar; leaves findings and verdict to the end of the command."""

    def emit(self, record):
        try:
            line = self.format(record)
            if not line.startswith(("[TwoPassFinding]", "[TwoPassVerdict]")):
                tqdm.write(line, file=self.stream)
        except Exception:
            self.handleError(record)


@contextmanager
def _console(quiet):
    """Show the worker's and our lines on standard output; only warnings, on standard error, if quiet."""
    logger = logging.getLogger(LOGGER_NAME)
    before = logger.level, logger.propagate
    handler = _Console(sys.stderr if quiet else sys.stdout)
    handler.setLevel(logging.WARNING if quiet else logging.DEBUG)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextmanager
def _progress(total, word):
    """A bar on a terminal that moves on with each of the worker's lines that holds `word`."""
    logger = logging.getLogger(LOGGER_NAME)
    # disable=None: silent where standard error is not a terminal.
    with tqdm(total=total, desc=word.strip(), disable=None, leave=False) as bar:
        ticker = logging.Handler()
        ticker.emit = lambda record: bar.update(word in record.getMessage())
        logger.addHandler(ticker)
        try:
            yield
        finally:
            logger.removeHandler(ticker)


def _parser():
    parser = argparse.ArgumentParser(prog="zemosaic-twopass", description="Diagnostics for ZeMosaic's second pass.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = _command(commands, "demo", _demo, "a synthetic mosaic through the worker, all diagnostics on")
    kinds = ", ".join(f"{kind} ({size:g} {unit})" for kind, (size, unit) in (FAULTS | PIPELINE_FAULTS).items())
    demo.add_argument(
        "--fault",
        action="append",
        default=[],
        type=_fault,
        metavar="KIND[:TILE[:SIZE]]",
        help=f"put a fault into a tile or into the pass; kinds and their usual sizes: {kinds}",
    )
    demo.add_argument("--out", type=Path, metavar="DIR", help="where files go (default: the runtime folder)")
    demo.add_argument("--write-tiles", action="store_true", help="also write the tiles, as FITS, to DIR/tiles")
    run = _command(commands, "run", _run, "the same on master tiles from disk")
    run.add_argument("tiles", nargs="+", type=Path, metavar="TILE.fits")
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="where files go")
    verify = _command(commands, "verify", _verify, "bare and instrumented: is the mosaic the same to the byte?")
    verify.add_argument("tiles", nargs="*", type=Path, metavar="TILE.fits", help="default: the demo's tiles")
    run_program = commands.add_parser(
        "exec",
        help="an unmodified ZeMosaic with the probe attached",
        description="Run an unmodified program, the probe attached to any ZeMosaic worker it or its children import.",
        usage="zemosaic-twopass exec [--delta-map] [--out DIR] [--downsample N] [--] SCRIPT.py|-m MODULE [ARGS ...]",
    )
    run_program.set_defaults(command=_exec)
    run_program.add_argument("--delta-map", action="store_true", help="also build and save the delta map")
    run_program.add_argument("--out", type=Path, metavar="DIR", help="where files go (default: the runtime folder)")
    run_program.add_argument("--downsample", type=int, metavar="N", help="delta map reduction (default: 8)")
    for command in (demo, run):
        command.add_argument("--downsample", type=int, default=8, metavar="N", help="delta map reduction (default: 8)")
        command.add_argument("--cpu-workers", type=int, default=1, metavar="N", help="channels at a time (default: 1)")
        command.add_argument("--fail-on", choices=_VERDICTS, metavar="VERDICT", help="exit 1 if this is the verdict")
    for command in (demo, verify):
        command.add_argument("--seed", type=int, default=1, help="of the synthetic sky (default: 1)")
    return parser


def _command(commands, name, function, description):
    command = commands.add_parser(name, help=description, description=description)
    command.set_defaults(command=function)
    command.add_argument("--worker", type=Path, default=OURS, metavar="PATH", help="use this worker's second pass")
    command.add_argument("--sigma", type=float, default=50.0, metavar="PX", help="blur of the coverage (default: 50)")
    command.add_argument("--clip", type=float, nargs=2, default=(0.85, 1.18), metavar=("LOW", "HIGH"), help="gains")
    command.add_argument("--json", action="store_true", help="one JSON object on standard output instead of lines")
    return command


def _fault(text):
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
