"""The tiles that a command is given: files, patterns and folders, for shells that expand nothing."""

from __future__ import annotations

import glob
from pathlib import Path

from ..files import by_reason
from ..report.artefacts import ARTEFACTS, JSON_NAME
from ..tiles.copies import name_unpacked
from ..tiles.images import TileError

_SUFFIXES = (".fits", ".fit", ".fts")
_MOSAICS = ("mosaic.fits", "coverage.fits")


def find_tile_paths(names, but=None):
    """The files that names on the command line stand for.

    Parameters
    ----------
    names : sequence of path-like
        A file stands for itself, be it there or not. A folder stands for its FITS files, plain and packed, but not for
        those of folders in it; a pattern, where no file is called so, for what a shell would make of it.
    but : path-like, optional
        A file that no folder and no pattern stands for.

    Returns
    -------
    list of pathlib.Path
        In the order of the names, those of one folder or pattern sorted by name. What `run` and `replay` wrote to a
        folder is left out unless it is named itself.

    Raises
    ------
    TileError
        If folders or patterns stand for no file; names all of them.
    """
    found, empty = [], []
    other = but and Path(but).resolve()
    for name in map(Path, names):
        if not (name.is_dir() or (not name.exists() and glob.has_magic(str(name)))):
            found.append(name)
            continue
        own = [path for path in _expand(name) if not _is_ours(path) and path.resolve() != other]
        found += own
        if not own:
            empty.append((name, "holds no .fits, .fit or .fts file" if name.is_dir() else "no such file"))
    if empty:
        raise TileError("; ".join(by_reason(empty)))
    return found


def _expand(name):
    if name.is_dir():
        return sorted(path for path in name.iterdir() if _is_fits(path))
    matches = map(Path, sorted(glob.glob(str(name))))
    return [path for match in matches for path in (_expand(match) if match.is_dir() else [match])]


def _is_fits(path):
    # Those with a dot are no images: what macOS puts beside each file, and what is being written.
    plain = Path(name_unpacked(path))
    return plain.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _is_ours(path):
    return path.name in ARTEFACTS or (path.name in _MOSAICS and path.with_name(JSON_NAME).exists())
