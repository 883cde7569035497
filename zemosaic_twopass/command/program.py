"""What a program is that ``exec`` is to run: one for Python or another, and whether it is itself a worker."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ..tiles.images import TileError
from ..watch.hooks import SECOND_PASS

_SHELL = frozenset((".bat", ".cmd", ".sh", ".ps1", ".command"))
_FROZEN = frozenset((".exe", ".app", ".appimage", ".dmg"))
# First bytes of executables for Linux, Windows and macOS.
_MAGIC = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_INTERPRETER = re.compile(r"(python[\d.]*w?|py)(\.exe)?", re.IGNORECASE)
_INSTEAD = "start the .py of the source tree with exec"
_MAIN = ("__name__ == '__main__'", "'__main__' == __name__")

# In the compiled worker these make up for it not being its script; no name is left behind by them.
_PLACE = """
__import__("sys").argv[0] = __import__("sys").orig_argv[1] = {given!r}
if not getattr(__import__("sys").flags, "safe_path", False):
    __import__("sys").path[0] = {folder!r}
__file__ = {script!r}
__loader__ = __import__("importlib.machinery", fromlist=["machinery"]).SourceFileLoader("__main__", __file__)
"""
_ATTACH = """
try:
    __import__("zemosaic_twopass.command.attaching", fromlist=["attaching"]).attach_to(
        __import__("sys").modules["__main__"]
    )
except Exception:
    # A program without a console has no standard error.
    print("zemosaic-twopass: the program is a worker and could not be attached to", file=__import__("sys").stderr)
"""


def check_program(path):
    """Refuse what is no program for Python.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    TileError
        If it is not there, or is none; with what to do instead.
    """
    path = Path(path)
    if _INTERPRETER.fullmatch(path.name):
        raise TileError(f"{path}: exec starts Python itself, the one that it runs under: name the script alone")
    if not path.exists():
        raise TileError(f"{path}: no such script")
    head, suffix = _head_of(path), path.suffix.lower()
    if suffix in _FROZEN or head.startswith(_MAGIC):
        raise TileError(
            f"{path}: a frozen program brings its own Python, and nothing can be put into that: {_INSTEAD}, or look at "
            "what it has written with replay MOSAIC.fits TILE.fits... --out DIR"
        )
    if suffix in _SHELL or (head.startswith(b"#!") and b"python" not in head.split(b"\n")[0]):
        raise TileError(f"{path}: a script of the shell, not of Python: {_INSTEAD}, as that script does")


@contextmanager
def compile_watched(path):
    """A worker that is the program itself, compiled so that it is attached to before its main block runs.

    The processes that it spawns import the script as it is.

    Parameters
    ----------
    path : str
        Names a script.

    Yields
    ------
    pathlib.Path or None
        What Python is to run in place of the script; gone when the block ends. None for what is no worker, has no
        main block at its top level or cannot be compiled.
    """
    try:
        code = _insert_attaching(path)
    except (SyntaxError, ValueError, RecursionError, OSError):
        # No source, or one with a fault that Python itself will name.
        code = None
    if code is None:
        yield None
        return
    # On Windows what another program looks into cannot be removed; the exit code is to be the program's all the same.
    with tempfile.TemporaryDirectory(prefix="zemosaic-twopass-", ignore_cleanup_errors=True) as folder:
        compiled = Path(folder) / f"{Path(path).stem}.pyc"
        # Run in place of a script such a file has no frame above those of the script, unlike any that would run it.
        compiled.write_bytes(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
        yield compiled


def _insert_attaching(path):
    # As Python has it: not normalised; links are followed for the import path only.
    script = os.path.join(os.getcwd(), path)
    tree = ast.parse(Path(path).read_bytes(), script)
    body = tree.body
    main = next((node for node in body if isinstance(node, ast.If) and ast.unparse(node.test) in _MAIN), None)
    if main is None or not any(isinstance(node, ast.FunctionDef) and node.name == SECOND_PASS for node in body):
        return None
    place = _PLACE.format(given=path, script=script, folder=os.path.dirname(os.path.realpath(script)))
    _insert(body, body.index(main), _ATTACH)
    # The docstring and what is to come of Python have to be first.
    first = int(ast.get_docstring(tree, clean=False) is not None)
    first += sum(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in body)
    _insert(body, first, place)
    return compile(tree, script, "exec", dont_inherit=True)


def _insert(body, at, source):
    """Put statements before the one at an index, on its line, so that no line of the script has another number."""
    new = ast.parse(source).body
    for node in new:
        for part in ast.walk(node):
            ast.copy_location(part, body[at])
    body[at:at] = new


def _head_of(path):
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(256)
