"""The one way over tiles, wherever they are: in memory, on disk, on a Dask cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from astropy.wcs import WCS

from ..parallel import threads
from ..settings import worker_count
from .grid import copy_wcs
from .images import TileError
from .place import Place
from .reading import read_with_remarks
from .records import Tile


@dataclass(frozen=True, eq=False)
class PlacedTile:
    """A tile, and where it lies in a mosaic.

    Attributes
    ----------
    tile : Tile
    wcs : astropy.wcs.WCS
        Places the mosaic on the sky.
    place : Place or None
        Where the tile lies in it; None where it misses it.
    shape : tuple of int
        (H, W) of the mosaic.
    remarks : tuple of str
        What of the tile's WCS was passed over, as `headers.wcs_remarks` has it.
    """

    tile: Tile
    wcs: WCS
    place: Place | None
    shape: tuple[int, int]
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, tile, wcs, shape, remarks=()):
        """A tile in a mosaic of a WCS and a shape."""
        return cls(tile, wcs, Place.of(tile.shape, tile.wcs, shape, wcs), tuple(shape), tuple(remarks))


class TileSet:
    """Tiles of a mosaic, looked at one by one: of their pixels there are never more than are worked on at a time.

    Parameters
    ----------
    keys : sequence
        By what each tile is known.
    get : callable
        From a key to the tile; a `TileError` where it cannot be used.
    shape : tuple of int or None
        (H, W) of the mosaic.
    run : callable, optional
        As `map`: where the work is done, results in order. By default in threads, `settings.worker_count` of them.
    """

    def __init__(self, keys, get, shape=None, run=None):
        self._keys, self._get, self._run, self.shape = keys, get, run, shape

    @classmethod
    def of_pass(cls, second_pass):
        """The tiles of a `SecondPass`, each a `PlacedTile`."""
        return cls(range(len(second_pass.tiles)), partial(_of_pass, second_pass), second_pass.shape)

    @classmethod
    def on_disk(cls, paths, grid, run):
        """Tiles in files, as for `read_master_tile`, each a `PlacedTile`.

        Parameters
        ----------
        paths : sequence of path-like
        grid : MosaicGrid, or what has its `wcs` and `shape`
            Grid of the mosaic.
        run : callable
            As `map`, here or on a cluster that gets paths and gives what is small.
        """
        return cls(paths, partial(_on_disk, grid=grid), grid.shape, run)

    def __len__(self):
        return len(self._keys)

    def each(self, function, *columns, indices=None):
        """Do something with each tile.

        Parameters
        ----------
        function : callable
            Is called with a tile, and with what the columns hold for it.
        *columns : sequence
            One entry a tile.
        indices : sequence of int, optional
            Which tiles, one more than once too; all by default.

        Returns
        -------
        iterable
            In the order of the tiles a result each, or the `TileError` of a tile that cannot be used. Other exceptions
            are raised where the result is taken.
        """
        keys = self._keys if indices is None else [self._keys[index] for index in indices]
        work = partial(_outcome, function, self._get)
        if self._run is not None:
            return self._run(work, keys, *columns)
        with threads(worker_count()) as run:
            return list(run(work, keys, *columns))


def results(outcomes):
    """What `TileSet.each` gives as a list; raises the first `TileError` in it."""
    found = []
    for outcome in outcomes:
        if isinstance(outcome, TileError):
            raise outcome
        found.append(outcome)
    return found


def tell_each(outcomes, step):
    """What `TileSet.each` gives, a call of `step` with each."""
    for outcome in outcomes:
        step()
        yield outcome


def _outcome(function, get, key, *own):
    try:
        return function(get(key), *own)
    except TileError as error:
        return error


def _of_pass(second_pass, index):
    tile = second_pass.tiles[index]
    place = second_pass.place(index, tile)
    # Copies of every WCS: tiles are looked at in threads, one tile by two at a time too.
    own, wcs = replace(tile, wcs=copy_wcs(tile.wcs)), copy_wcs(second_pass.wcs)
    if place is not None:
        place = replace(place, wcs=own.wcs, wcs_out=wcs)
    return PlacedTile(own, wcs, place, tuple(second_pass.shape))


def _on_disk(path, grid):
    tile, remarks = read_with_remarks(path)
    return PlacedTile.of(tile, grid.wcs(), grid.shape, remarks)
