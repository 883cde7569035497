"""Load a worker from its file and run its second pass, whatever version it is."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np

from ..phase5.renorm import mask_finite, merge_passes
from ..settings import PREFIX
from ..tiles.images import TileError
from ..watch.hooks import CALLER, SECOND_PASS

OURS = Path(__file__).resolve().parents[2] / "zemosaic_worker.py"


def load_worker(path=OURS):
    """Import a worker from its file, undecorated whatever the environment says.

    By its file and not by its name: run inside a folder that has a `zemosaic_worker.py` of its own, the
    name would find that one.

    Parameters
    ----------
    path : path-like, optional
        Ours by default. Another one's folder is put on the import path, for what it imports itself.

    Returns
    -------
    module

    Raises
    ------
    TileError
        If the file cannot be imported or has no second pass; the message names it.
    """
    path = Path(path).resolve()
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        if path != OURS:
            # Its process pools find their functions by the module's name.
            sys.path.insert(0, str(path.parent))
            sys.modules[path.stem] = module
        with mock.patch.dict(os.environ):
            os.environ.pop(PREFIX, None)
            spec.loader.exec_module(module)
    except Exception as error:
        raise TileError(f"{path}: cannot be imported as a worker: {type(error).__name__}: {error}") from error
    if not callable(getattr(module, SECOND_PASS, None)):
        raise TileError(f"{path}: has no {SECOND_PASS}")
    return module


def run_second_pass(worker, first, tiles, *, sigma, clip, cpu_workers=1, logger=None):
    """Run a worker's second pass on a first-pass mosaic and merge the two.

    Parameters
    ----------
    worker : module
    first : (mosaic, coverage, WCS, shape)
        As `assemble_first_pass` gives it.
    tiles : sequence of Tile
    sigma : float
        Blur in pixels.
    clip : (float, float)
        Smallest and largest gain.
    cpu_workers : int, optional
        Channels at a time; 1 makes a seeded run repeatable to the bit.
    logger : logging.Logger, optional

    Returns
    -------
    mosaic : ndarray, shape (H, W, C)
    coverage : ndarray, shape (H, W)
    """
    mosaic, coverage, wcs, shape = first
    masks = [mask_finite(tile.pixels) if tile.coverage is None else tile.coverage for tile in tiles]
    common = {"logger": logger, "parallel_plan": {"cpu_workers": cpu_workers}, "use_gpu_two_pass": False}
    caller = getattr(worker, CALLER, None)
    if caller is not None:
        return _call(
            caller,
            (mosaic, coverage),
            two_pass_enabled=True,
            two_pass_sigma_px=sigma,
            gain_clip_tuple=tuple(clip),
            final_output_wcs=wcs,
            final_output_shape_hw=shape,
            collected_tiles=[(tile.pixels, tile.wcs, mask) for tile, mask in zip(tiles, masks, strict=True)],
            **common,
        )
    # The first versions have no such caller: the pass is called and merged from here.
    second = _call(
        getattr(worker, SECOND_PASS),
        ([tile.pixels for tile in tiles], [tile.wcs for tile in tiles], wcs, coverage, shape),
        sigma_px=sigma,
        gain_clip=tuple(clip),
        tiles_coverage=masks,
        **common,
    )
    return (mosaic, coverage) if second is None else merge_passes((mosaic, coverage), second)[0]


def _call(function, args, **kwargs):
    """Call with those keyword arguments that this version has."""
    known = inspect.signature(function).parameters
    return function(*args, **{key: value for key, value in kwargs.items() if key in known})


def fingerprint(*arrays):
    """SHA-256 over dtype, shape and bytes of arrays, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array)
    return digest.hexdigest()
