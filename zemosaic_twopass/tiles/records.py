"""The two records that everything works on: a tile, and a second pass as far as it was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from astropy.wcs import WCS

from .grid import copy_wcs
from .images import TileError
from .place import Place


@dataclass(frozen=True, eq=False)
class Tile:
    """One stacked tile.

    Attributes
    ----------
    pixels : array_like, shape (H, W) or (H, W, C)
        In adu, NaN where there are none.
    wcs : astropy.wcs.WCS
        Two-dimensional celestial WCS.
    coverage : array_like, shape (H, W), or None
        Positive where the tile is good; None: everywhere.
    weight : float
        Its weight in a coadd.
    name : str or None
        File name without its folder, where that is known.
    """

    pixels: np.ndarray
    wcs: WCS
    coverage: np.ndarray | None = None
    weight: float = 1.0
    name: str | None = None

    @property
    def shape(self):
        """(H, W)."""
        return np.shape(self.pixels)[:2]


class TileList(Sequence):
    """The tiles of a call, which come as lists side by side, one tile at a time.

    A tile is taken from the lists when it is asked for: one that reads its pixels from disk then is not read whole.

    Parameters
    ----------
    pixels : sequence of array_like
    wcs : sequence of astropy.wcs.WCS
    coverages : sequence of (array_like or None), optional
    weights : sequence of float, optional
        What is no weight, not finite or not above 0, counts as 1, as in the newest public pipeline.
    names : sequence of str, optional
        Passed over unless there is one a tile.
    """

    def __init__(self, pixels, wcs, coverages=None, weights=None, names=None):
        self.pixels, self.wcs, self.coverages, self.weights = pixels, wcs, coverages, weights
        self.names = names if names is not None and len(names) == len(pixels) else None

    @classmethod
    def of(cls, tiles):
        """A list of tiles that are there already; those of an empty one are none."""
        return cls(*([getattr(tile, each.name) for tile in tiles] for each in fields(Tile)))

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return Tile(
            self.pixels[index],
            self.wcs[index],
            None if self.coverages is None else self.coverages[index],
            self.weight_of(index),
            None if self.names is None else self.names[index],
        )

    def weight_of(self, index):
        """The weight of a tile, whose pixels stay where they are."""
        weight = 1.0 if self.weights is None else float(self.weights[index])
        return weight if np.isfinite(weight) and weight > 0 else 1.0

    def check(self):
        """Hold the tiles to what a second pass needs of them: the number of channels that all have, 0 for no tiles.

        Raises
        ------
        TileError
            At the first thing that does not fit, naming the tile and both values.
        """
        channels = check_tiles(self.pixels, self.wcs, self.coverages, self.names)
        if self.weights is not None and len(self.weights) != len(self):
            raise TileError(f"{len(self.weights)} tile weights != {len(self)} tiles")
        return channels


@dataclass(eq=False)
class SecondPass:
    """A second pass as far as it was seen; what was not seen is None, or missing among the planes.

    Attributes
    ----------
    tiles : TileList
        As given.
    wcs : astropy.wcs.WCS or None
        Places the mosaic on the sky.
    shape : tuple of int or None
        (H, W) of the mosaic.
    gains : tuple of float or None
        As the pipeline recorded them, whatever their number.
    gain_clip : (float, float) or None
        Smallest and largest gain, in any order.
    planes : dict of (int, int) to ndarray, shape (h, w)
        What went into the coadd, by tile and channel.
    combine : str or None
        How the coadd combined the tiles.
    mosaic : ndarray, shape (H, W) or (H, W, C), or None
        What came out, NaN where nothing covers it.
    coverage : ndarray, shape (H, W), or None
        What came out beside it.
    first_pass : ndarray, shape (H, W) or (H, W, C), or None
        The mosaic of the first pass.
    first_coverage : ndarray, shape (H, W), or None
        The coverage that the gains were made from.
    before : dict or None
        Fingerprints of the inputs before the pass, from `diagnosis.checks.fingerprints`.
    places : dict of int to (Place or None)
        What `place` has found so far.
    """

    tiles: TileList
    wcs: WCS | None = None
    shape: tuple[int, int] | None = None
    gains: tuple[float, ...] | None = None
    gain_clip: tuple[float, float] | None = None
    planes: dict = field(default_factory=dict)
    combine: str | None = None
    mosaic: np.ndarray | None = None
    coverage: np.ndarray | None = None
    first_pass: np.ndarray | None = None
    first_coverage: np.ndarray | None = None
    before: dict | None = None
    places: dict = field(default_factory=dict)

    def place(self, index, tile=None):
        """Where a tile lies in the mosaic, worked out once; None where it misses it. `tile`: where it is at hand."""
        if index not in self.places:
            tile = tile or self.tiles[index]
            # Copies: places are looked at in threads.
            self.places[index] = Place.of(tile.shape, copy_wcs(tile.wcs), self.shape, copy_wcs(self.wcs))
        return self.places[index]

    def gain(self, index):
        """The recorded gain of a tile; NaN where none was recorded."""
        return self.gains[index] if self.gains and index < len(self.gains) else np.nan

    @property
    def sound_gains(self):
        """The recorded gains where there is one a tile, each finite and above 0; else None."""
        gains = self.gains
        sound = gains is not None and len(gains) == len(self.tiles) and all(np.isfinite(g) and g > 0 for g in gains)
        return gains if sound else None

    def apply_gain(self, index, pixels=None):
        """A tile after its gain, and how it is known.

        Parameters
        ----------
        index : int
        pixels : array_like, optional
            Those of the tile, where they are at hand.

        Returns
        -------
        corrected : ndarray, shape (H, W) or (H, W, C)
            The array that the coadd was given; where it was not seen, float32(tile) × gain.
        source : {"observed", "derived"}
        """
        tile = np.asarray(self.tiles.pixels[index] if pixels is None else pixels)
        channels = tile.shape[2] if tile.ndim == 3 else 1
        planes = [self.planes.get((index, channel)) for channel in range(channels)]
        if not planes or any(plane is None or plane.shape != tile.shape[:2] for plane in planes):
            return tile.astype(np.float32, copy=False) * np.float32(self.gain(index)), "derived"
        if channels == 1:
            return planes[0], "observed"
        base = planes[0].base
        whole = isinstance(base, np.ndarray) and base.shape == (*tile.shape[:2], channels)
        if whole and all(plane.base is base for plane in planes):
            return base, "observed"
        return np.stack(planes, axis=-1), "observed"

    def find_observed(self, index, pixels=None):
        """The array of a tile that the coadd was given; None where it was not seen. Parameters as for `apply_gain`."""
        corrected, source = self.apply_gain(index, pixels)
        return corrected if source == "observed" else None


def check_tiles(tiles, tiles_wcs, tiles_coverage=None, names=None):
    """Hold a set of tiles to what a second pass needs of them.

    Parameters
    ----------
    tiles : sequence of ndarray, shape (H, W) or (H, W, C)
    tiles_wcs : sequence
        One WCS a tile.
    tiles_coverage : sequence of (ndarray, shape (H, W), or None), optional
    names : sequence of str, optional
        What to call the tiles in a message; "tile 0", "tile 1", … by default.

    Returns
    -------
    int
        The number of channels that all tiles have; 0 for no tiles.

    Raises
    ------
    TileError
        At the first thing that does not fit, naming the tile and both values.
    """
    if len(tiles) != len(tiles_wcs):
        raise TileError(f"{len(tiles)} tiles != {len(tiles_wcs)} WCS")
    if tiles_coverage is not None and len(tiles_coverage) != len(tiles):
        raise TileError(f"{len(tiles_coverage)} tile coverages != {len(tiles)} tiles")
    names = names or [f"tile {index}" for index in range(len(tiles))]
    channels = 0
    for index, tile in enumerate(tiles):
        shape = np.shape(tile)
        if len(shape) not in (2, 3):
            raise TileError(f"{names[index]}: shape {shape} has {len(shape)} axes, 2 or 3 are needed")
        own = shape[2] if len(shape) == 3 else 1
        if not own:
            raise TileError(f"{names[index]}: shape {shape} has no channel")
        if index and own != channels:
            raise TileError(f"{names[index]}: {own} channels != {channels} of {names[0]}")
        channels = own
        coverage = None if tiles_coverage is None else tiles_coverage[index]
        if coverage is not None and np.shape(coverage) != shape[:2]:
            raise TileError(f"{names[index]}: coverage shape {np.shape(coverage)} != tile shape {shape[:2]}")
    return channels
