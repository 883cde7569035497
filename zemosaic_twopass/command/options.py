"""The command line: its commands, their options and their defaults."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import __version__
from ..diagnosis.kinds import VERDICTS
from ..diagnosis.seams import PICTURES
from ..offline.output_folder import SCIENCE
from ..offline.workers import OURS
from ..synthetic.faults import FAULTS, PIPELINE_FAULTS, Fault
from .execute import split_command

_TILES = "files, patterns or folders"


def read_options(argv):
    """Read the command line; ends the process with code 2 and a usage line where it cannot be read.

    Parameters
    ----------
    argv : list of str
        Without the program's name.

    Returns
    -------
    argparse.Namespace
        `name` is the command; for ``exec``, `program` is what to run.
    """
    program = []
    if argv[:1] == ["exec"]:
        # argparse would read the program's own options as ours.
        own, program = split_command(argv[1:], valued=("--out", "--downsample"))
        argv = ["exec", *own]
    return _parser().parse_args(argv, argparse.Namespace(program=program))


def _parser():
    parser = argparse.ArgumentParser(prog="zemosaic-twopass", description="Diagnostics for ZeMosaic's second pass.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    demo = _second_pass(commands, "demo", "a synthetic mosaic through the worker, all diagnostics on")
    run = _second_pass(commands, "run", "the same on master tiles from disk")
    verify = _second_pass(commands, "verify", "bare and instrumented: is the mosaic the same to the byte?")
    show = _command(commands, "show", "a report on disk: verdict, findings and tiles")
    compare = _command(commands, "compare", "two runs side by side: whose seams are smaller, edge by edge")
    _add_demo(demo)
    run.add_argument("tiles", nargs="+", type=Path, metavar="TILE.fits", help=_TILES)
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="where files go")
    verify.add_argument(
        "tiles", nargs="*", type=Path, metavar="TILE.fits", help=f"{_TILES} (default: the demo's tiles)"
    )
    show.add_argument("directory", type=Path, metavar="DIR", help="where the report was written")
    _add_compare(compare)
    for command in (demo, run, show):
        _add_fail_on(command)
    for command in (demo, run):
        command.add_argument("--downsample", type=int, default=8, metavar="N", help="delta map reduction (default: 8)")
        command.add_argument("--cpu-workers", type=int, default=1, metavar="N", help="channels at a time (default: 1)")
    for command in (demo, verify):
        command.add_argument("--seed", type=int, default=1, help="of the synthetic sky (default: 1)")
    _add_replay(commands)
    _add_repair(commands)
    _add_seams(commands)
    _add_exec(commands)
    return parser


def _command(commands, name, description):
    command = commands.add_parser(name, help=description, description=description)
    command.add_argument("--json", action="store_true", help="one JSON object on standard output instead of lines")
    return command


def _second_pass(commands, name, description):
    command = _command(commands, name, description)
    command.add_argument("--worker", type=Path, default=OURS, metavar="PATH", help="use this worker's second pass")
    command.add_argument("--sigma", type=float, default=50.0, metavar="PX", help="blur of the coverage (default: 50)")
    command.add_argument("--clip", type=float, nargs=2, default=(0.85, 1.18), metavar=("LOW", "HIGH"), help="gains")
    return command


def _add_demo(demo):
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


def _add_replay(commands):
    command = _command(commands, "replay", "tiles on disk against a finished first-pass mosaic, without a second pass")
    command.add_argument("mosaic", type=Path, metavar="MOSAIC.fits|OUT", help="a finished mosaic, or a run's folder")
    command.add_argument("tiles", nargs="*", type=Path, metavar="TILE.fits", help=f"{_TILES} (default: those in OUT)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where files go")
    _add_suffix(command)
    command.add_argument("--downsample", type=int, default=8, metavar="N", help="delta map reduction (default: 8)")
    _add_fail_on(command)
    command.add_argument("--report", type=Path, metavar="FILE", help="the JSON of a run: gains by the tiles' names")
    _add_dask(command)


def _add_repair(commands):
    command = _command(commands, "repair", "corrected copies of tiles, and the proof that the steps are gone")
    command.add_argument("tiles", nargs="+", type=Path, metavar="TILE.fits", help=_TILES)
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the copies go")
    _add_dask(command)


def _add_seams(commands):
    command = _command(commands, "seams", "the steps in finished mosaics where footprints end")
    command.add_argument(
        "mosaics", nargs="+", type=Path, metavar="MOSAIC.fits|OUT", help="linear, of any program; or a run's folder"
    )
    _add_suffix(command)
    where = command.add_mutually_exclusive_group()
    where.add_argument("--coverage", type=Path, metavar="MAP.fits", help="how many tiles cover each pixel")
    where.add_argument("--tiles", nargs="+", type=Path, metavar="TILE.fits", help="what the mosaics were made of")
    command.add_argument("--out", type=Path, metavar="DIR", help="where table and picture go")
    command.add_argument("--fail-on", choices=PICTURES, metavar="PICTURE", help="exit 1 if a mosaic looks so")


def _add_compare(command):
    command.add_argument(
        "sides", nargs=2, type=Path, metavar="DIR|MOSAIC.fits|OUT", help="two reports, mosaics, or folders of runs"
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument("--coverage", nargs="+", type=Path, default=(), metavar="MAP.fits", help="of both, or one each")
    where.add_argument("--tiles", nargs="+", type=Path, metavar="TILE.fits", help="what the mosaics were made of")
    command.add_argument("--out", type=Path, metavar="DIR", help="where table and picture go")
    command.add_argument(
        "--fail-on",
        choices=("worse", *PICTURES),
        metavar="worse|PICTURE",
        help="exit 1 if the second has the larger seams, or looks so",
    )
    _add_suffix(command)


def _add_fail_on(command):
    command.add_argument(
        "--fail-on",
        choices=(*VERDICTS, "visible"),
        metavar="VERDICT|visible",
        help="exit 1 if this is the verdict, or if a seam is visible",
    )


def _add_suffix(command):
    command.add_argument(
        "--science-suffix",
        default=SCIENCE,
        metavar="TEXT",
        help=f"in a run's folder, what follows the name of the mosaic to be measured (default: {SCIENCE})",
    )


def _add_dask(command):
    where = command.add_mutually_exclusive_group()
    where.add_argument("--scheduler", metavar="ADDRESS", help="work on the tiles on this Dask cluster")
    where.add_argument("--dask-workers", type=_count, metavar="N", help="work on the tiles in N local Dask workers")


def _add_exec(commands):
    command = commands.add_parser(
        "exec",
        help="an unmodified ZeMosaic with the probe attached",
        description="Run an unmodified program, the probe attached to any ZeMosaic worker it or its children import.",
        usage="zemosaic-twopass exec [--no-delta-map] [--out DIR] [--downsample N] [--] SCRIPT.py|-m MODULE [ARGS ...]",
    )
    command.add_argument("--no-delta-map", action="store_true", help="neither delta map nor diagnosis")
    command.add_argument("--out", type=Path, metavar="DIR", help="where files go (default: the runtime folder)")
    command.add_argument("--downsample", type=_count, metavar="N", help="delta map reduction (default: 8)")


def _count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: an integer of at least 1 is needed")
    return int(text)


def _fault(text):
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
