"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path


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
