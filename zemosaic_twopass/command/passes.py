"""What the commands that run a second pass begin with: tiles, workers, the first pass."""

from __future__ import annotations

from pathlib import Path

from ..console import progress
from ..offline.workers import OURS, load_worker
from ..tiles.reading import load_master_tiles
from ..tiles.records import TileList
from .capacity import check_capacity

# Seed of the global NumPy generator, which reproject draws from: a run is to be repeatable.
SEED = 20260421


def load_tiles(paths):
    """Master tiles from disk as a list of Tile, each with its file's name; refused where there is no room for a run."""
    check_capacity(paths)
    with progress(len(paths), "loaded "):
        data, wcs, coverage = load_master_tiles(paths)
    names = [Path(path).name for path in paths]
    return list(TileList(data, wcs, coverage, names=names))


def choose_workers(path):
    """Our worker, and the one whose second pass is asked for."""
    ours = load_worker()
    return ours, ours if path == OURS else load_worker(path)


def make_first_pass(ours, tiles, cpu_workers):
    """The first pass is always ours, so that two versions' second passes start from the same mosaic."""
    columns = ([getattr(tile, field) for tile in tiles] for field in ("pixels", "wcs", "coverage"))
    return ours.assemble_first_pass(*columns, parallel_plan={"cpu_workers": cpu_workers})
