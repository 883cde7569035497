"""What the application around a second pass knows: names of the tiles, by identity and never by position; its run.

The observers have the signature of a wrapt wrapper, as those of `hooks`. They keep only the last parts of
the paths of a call, with weak references to WCS objects.
"""

from __future__ import annotations

import contextvars
import os
import weakref
from contextlib import suppress
from functools import cache

import numpy as np
from astropy.wcs import WCS

from ..guard import quietly
from ..tiles.grid import copy_wcs
from .calls import arguments_of
from .journal import tell_end

# {WCS object that tiles were handed on with: name of its file, or None where that cannot be told}.
_names = weakref.WeakKeyDictionary()
_run = contextvars.ContextVar("zemosaic_run", default=None)
_FOLDERS = {"input": "input_folder", "output": "output_folder"}


def observe_assembly(wrapped, instance, args, kwargs):
    """Note which tile each of the WCS is of that the assembly of the first pass collects for the second."""
    result = wrapped(*args, **kwargs)
    quietly(_note_collected, wrapped, args, kwargs)
    return result


def observe_loader(wrapped, instance, args, kwargs):
    """Note which tile each of the WCS is of that are loaded for the second pass."""
    loaded = wrapped(*args, **kwargs)
    quietly(_note_loaded, wrapped, args, kwargs, loaded)
    return loaded


def observe_host(wrapped, instance, args, kwargs):
    """Note the folders of the run that is under way in this thread, and what ends it before its time."""
    token = _run.set(quietly(_folders_of, wrapped, args, kwargs))
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        quietly(tell_end, error)
        raise
    finally:
        _run.reset(token)


# What of a worker tells names. Any version may lack any of them.
OBSERVERS = {
    "assemble_final_mosaic_reproject_coadd": observe_assembly,
    "_load_master_tiles_for_two_pass": observe_loader,
    "run_hierarchical_mosaic": observe_host,
}


def names_of(tiles_wcs):
    """Names of the tiles of a second pass.

    Parameters
    ----------
    tiles_wcs : sequence of astropy.wcs.WCS, or None
        The very objects that the pass was given.

    Returns
    -------
    tuple of (str or None)
        One a tile; None where the application did not tell, or it cannot be told which tile it is.
    """
    return () if tiles_wcs is None else tuple(_name_noted(wcs) for wcs in tiles_wcs)


def run_under_way():
    """Last parts of the names of the folders that the run in this thread reads and writes.

    Returns
    -------
    dict of str
        Has "input" and "output" as far as they are known.
    """
    return dict(_run.get() or {})


def _name_noted(wcs):
    # What nothing can refer to weakly was not noted either.
    with suppress(TypeError):
        return _names.get(wcs)
    return None


def _note_collected(wrapped, args, kwargs):
    arguments = arguments_of(wrapped, args, kwargs)
    collected = arguments.get("collect_tile_data")
    if collected:
        _note(arguments["master_tile_fits_with_wcs_list"], [entry[1] for entry in collected])


def _note_loaded(wrapped, args, kwargs, loaded):
    if loaded and len(loaded) > 1:
        _note(arguments_of(wrapped, args, kwargs)["master_tile_fits_with_wcs_list"], loaded[1])


def _note(listed, handed_on):
    """Remember what the tiles are called whose WCS are handed on, by the (path, WCS) list that they come from."""
    listed = [(os.fspath(entry[0]), entry[1]) for entry in listed if _is_path(entry[0])]
    solution = cache(_solution_of)
    for wcs in handed_on:
        found = {path for path, own in listed if _is_same(own, wcs)}
        if not found:
            # Cropped on the way: a copy, with another CRPIX.
            found = {path for path, own in listed if solution(wcs) is not None and solution(own) == solution(wcs)}
        with suppress(TypeError):
            _names[wcs] = _last_part(found.pop()) if len(found) == 1 else None


def _is_same(one, other):
    """Whether two are one WCS, or share what a shallow copy shares."""
    return one is other or (isinstance(one, WCS) and isinstance(other, WCS) and one.wcs is other.wcs)


def _solution_of(wcs):
    """CTYPE, CRVAL and scale matrix; None for what is no WCS."""
    if not isinstance(wcs, WCS):
        return None
    # To ask for the matrix changes the WCS inside.
    own = copy_wcs(wcs)
    return tuple(own.wcs.ctype), tuple(own.wcs.crval), tuple(np.ravel(own.pixel_scale_matrix))


def _folders_of(wrapped, args, kwargs):
    arguments = arguments_of(wrapped, args, kwargs)
    given = {word: arguments.get(name) for word, name in _FOLDERS.items()}
    return {word: _last_part(path) for word, path in given.items() if _is_path(path)}


def _is_path(value):
    return isinstance(value, str | os.PathLike) and bool(os.fspath(value))


def _last_part(path):
    return os.path.basename(os.path.abspath(path))
