"""Run an unmodified program, its children included, with the probe attached to any worker it imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ..settings import PREFIX
from ..tiles.images import TileError
from .hearing import listen_to_passes, say_aside
from .program import check_program, compile_watched

HOOK = Path(__file__).resolve().parent / "hook"


def split_command(argv, valued=()):
    """Part the options of ``exec`` from the program, whose own options are not ours to read.

    Parameters
    ----------
    argv : sequence of str
        What follows ``exec``.
    valued : sequence of str
        Options of ours that take a value.

    Returns
    -------
    options, program : list of str
        The program is what comes after ``--``, or from the first word on that is neither an option of ours nor its
        value; ``-m`` starts it too.
    """
    index = 0
    while index < len(argv) and (argv[index].startswith("--") or argv[index] == "-h"):
        if argv[index] == "--":
            return list(argv[:index]), list(argv[index + 1 :])
        index += 2 if argv[index] in valued else 1
    return list(argv[:index]), list(argv[index:])


def make_environment(delta_map=True, directory=None, downsample=None):
    """The environment that carries the probe into a program and its children.

    Parameters
    ----------
    delta_map : bool, optional
    directory : path-like, optional
        Where artefacts go; left as it is in the environment if not given.
    downsample : int, optional
        Likewise.

    Returns
    -------
    dict
        A copy of this process's, the switch on and the hook first on the import path.
    """
    environment = dict(os.environ)
    environment[PREFIX] = "1"
    environment[PREFIX + "_DELTA_MAP"] = "1" if delta_map else "0"
    if directory is not None:
        # Absolute: the program may change its working directory.
        environment[PREFIX + "_DIR"] = os.path.abspath(directory)
    if downsample is not None:
        environment[PREFIX + "_DOWNSAMPLE"] = str(downsample)
    paths = [str(HOOK), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment


def execute(program, environment):
    """Run a Python program in a child interpreter, wait for it, and say on standard error what was seen of it.

    Standard streams are the child's own; Ctrl-C reaches it from the terminal, a request to end is passed on.

    Parameters
    ----------
    program : sequence of str
        A script or ``-m`` and a module, with arguments.
    environment : dict

    Returns
    -------
    int
        Its exit code; 128 + n, as shells have it, if signal n ended it.

    Raises
    ------
    TileError
        If no program is named, the script is not there or is none for Python, or this Python is an embedded one that
        reads no environment.
    """
    if not program or program == ["-m"]:
        raise TileError("exec: no program: SCRIPT.py or -m MODULE is needed")
    if program[0] != "-m":
        check_program(program[0])
    elif program[1].rpartition(".")[2] == "zemosaic_worker":
        say_aside(f"a worker that -m runs is not watched: give its path, {program[1].replace('.', '/')}.py")
    _refuse_closed_python()
    with listen_to_passes() as journal, compile_watched(program[0]) as compiled:
        code = _run([str(compiled or program[0]), *program[1:]], {**environment, **journal})
    return code if code >= 0 else 128 - code


def _refuse_closed_python():
    """Raise where Python is an embedded one, as for Windows: it reads no environment, so nothing can be put into it."""
    folder = Path(sys.executable).parent
    for name in sorted(path.name for path in folder.glob("python*._pth")):
        raise TileError(
            f"{folder / name}: closes this Python to the environment, and so to exec: use another Python, or attach to "
            "the worker in code"
        )


def _run(program, environment):
    child = subprocess.Popen([sys.executable, *program], env=environment)
    before = signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
    try:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                # The terminal has told the child too; how it ends is for it to say.
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
