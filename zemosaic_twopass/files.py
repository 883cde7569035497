"""Files that are written whole or not at all, and text that is read within bounds."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path

# Bound of a text from a stranger: far beyond any report.
_MAX_BYTES = 32 * 1024 * 1024


@contextmanager
def whole_file(path):
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    Parameters
    ----------
    path : path-like
        Where the file is to be; its folder is made if need be. The temporary name keeps the
        suffix, by which some writers choose a format.

    Yields
    ------
    pathlib.Path
        Where to write. Removed if the block raises; `path` then stays as it was.

    Raises
    ------
    OSError
        If the folder cannot be made or the file cannot be put in place.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Process and thread in the name: two runs that share a folder never share a temporary file.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def reason_of(error):
    """Why a file could not be written, in one line."""
    # An OSError's own text names a temporary file that nobody will find.
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"


def by_reason(pairs):
    """Many files in few words.

    Parameters
    ----------
    pairs : iterable of (path-like, str)
        A file and what is to be said of it.

    Returns
    -------
    list of str
        "a.fits, b.fits: no such file", one for each thing that is said, in the order in which they come.
    """
    names = {}
    for path, reason in pairs:
        names.setdefault(reason, []).append(str(path))
    return [f"{', '.join(paths)}: {reason}" for reason, paths in names.items()]


def read_text_within_bounds(path):
    """Read a text file that may come from a stranger.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    str

    Raises
    ------
    OSError
        If the file is not there or cannot be read.
    ValueError
        If it is no regular file, larger than 32 MiB or not UTF-8; names the file.
    """
    path = Path(path)
    # A pipe would be waited for, a device never ends.
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: is not a regular file")
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{path}: more than {_MAX_BYTES} bytes, no more are read")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8: {error}") from None
