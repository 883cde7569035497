"""What one reading of a tile gives: what it is compared with others by, and what a report shows of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from ..tiles.grid import pixels_between, tile_outline
from ..tiles.planes import channels_last
from .bits import is_product
from .coarse import CoarseTile, flat_planes, pixel_noise, project_blocks
from .delta import project_layers
from .fluxes import Fluxes, measure_fluxes
from .not_sky import Border, Cut, Silent, not_sky
from .stars import Stars, find_stars
from .stats import TileStats, scan_as_given, statistics_after_gain

_THIN = 7
_RESOLUTION = 64 * np.finfo(np.float32).eps


@dataclass(frozen=True, eq=False)
class TileMeasurement:
    """What is kept of one tile: blocks and stars, never its pixels.

    Attributes
    ----------
    blocks : CoarseTile or None
    noise : ndarray, shape (C,)
        Noise of one pixel in adu, at least what float32 resolves.
    stars : Stars
    fluxes : tuple of Fluxes
        Fluxes of these stars, as `measure_fluxes` gives them.
    middle : ndarray, shape (2,)
        Middle of the image, (x, y) in pixels of the mosaic; NaN for one that misses it.
    reach : float
        From there to a corner of the image, in the same pixels.
    axes : ndarray, shape (2, 2)
        What a pixel to the right (first column) and one up (second) is there, in the same pixels.
    name : str or None
        File name without its folder, where that is known.
    remarks : tuple of str
        As `headers.wcs_remarks` gives them.
    gain : float
        NaN where none is known.
    pre, post : TileStats or None
        Statistics of the tile as given and after its gain, the latter NaN throughout where no gain is known; None where
        they were not asked for.
    source : {"observed", "derived"}
        Whether what is after the gain is what went into the coadd, or gain × tile.
    layers : tuple of ((tuple of slice, ndarray) or None)
        Both on a coarse grid, as `delta.project_layers` gives them; only the first where no gain is known, none where
        they were not asked for.
    outline : ndarray, shape (32, 2), or None
        As `grid.tile_outline` gives it; None where it was not asked for.
    fingerprint : int or None
        Fingerprint of the tile as given, from `bits.fingerprint`; None where it was not asked for.
    exact : bool
        Whether the tile after its gain is float32(tile) × gain in every bit; of a pass, whether that was seen to go
        into the coadd.
    border : Border or None
        What at its edge is no sky, and left out of all that is compared.
    silent : tuple of Silent
        Channels that hold one value, or nothing, where the tile is good.
    cut : tuple of Cut
        Channels whose sky ends at a least value.
    digest : bytes
        The same for tiles that have the same pixels; empty where that was not asked.
    """

    blocks: CoarseTile | None
    noise: np.ndarray
    stars: Stars
    fluxes: tuple[Fluxes, ...]
    middle: np.ndarray
    reach: float
    axes: np.ndarray
    name: str | None = None
    remarks: tuple[str, ...] = ()
    gain: float = np.nan
    pre: TileStats | None = None
    post: TileStats | None = None
    source: str = "derived"
    layers: tuple = ()
    outline: np.ndarray | None = None
    fingerprint: int | None = None
    exact: bool = False
    border: Border | None = None
    silent: tuple[Silent, ...] = ()
    cut: tuple[Cut, ...] = ()
    digest: bytes = b""

    @property
    def footprint(self):
        """As `CoarseTile.footprint`; None for a tile that misses the mosaic."""
        return self.blocks and self.blocks.footprint

    def without_pixels(self):
        """The measurement of a tile of which nothing is known."""
        return replace(self, blocks=None, stars=Stars.none(), fluxes=())


def measure_tile(placed):
    """Measure what a tile is compared with others by.

    Parameters
    ----------
    placed : PlacedTile

    Returns
    -------
    TileMeasurement
        Without statistics, layers and outline.
    """
    tile, wcs, place = placed.tile, placed.wcs, placed.place
    middle, corner, *axes = np.full((4, 2), np.nan)
    if place is not None:
        ends = np.array(tile.shape[::-1]) - 1
        asked = np.array([ends / 2, ends, *(ends / 2 + np.eye(2))])
        middle, corner, *axes = np.transpose(pixels_between(tile.wcs, wcs, *asked.T))
    with np.errstate(all="ignore"):
        noise = _noise(tile)
        found = not_sky(tile, noise)
        tile = found.take_out(tile)
        if found.mask is not None:
            noise = _noise(tile)
        flat, stars = flat_planes(tile), find_stars(found.heard(tile), wcs)
        blocks, fluxes = project_blocks(tile, place, flat), measure_fluxes(tile, stars, flat)
    reach = float(np.hypot(*(corner - middle)))
    own = {"border": found.border, "silent": found.silent, "cut": found.cut, "digest": _digest(placed.tile.pixels)}
    axes = np.transpose(axes - middle)
    return TileMeasurement(blocks, noise, stars, fluxes, middle, reach, axes, tile.name, placed.remarks, **own)


def measure_all(placed, gain, corrected, grid, given=None):
    """Measure what a tile is compared with others by, and what a report shows of it.

    Parameters
    ----------
    placed : PlacedTile
    gain : float
        NaN where none is known.
    corrected : ndarray, shape as the tile's, or None
        The tile after its gain; None where that is not known.
    grid : CoarseGrid or None
        Grid of the layers; None for none, and no outline.
    given : TileScan, optional
        Scan of the tile as given, where that was taken before.

    Returns
    -------
    TileMeasurement
    """
    tile = placed.tile
    given = scan_as_given(tile.pixels) if given is None else given
    exact = corrected is not None and is_product(corrected, tile.pixels, gain)
    shown = [tile.pixels] if corrected is None or exact else [tile.pixels, corrected]
    layers = () if grid is None else tuple(project_layers(shown, tile, placed.place, grid))
    if exact and layers:
        # Means of products are products of means, but for rounding.
        layers *= 2
        if layers[0] is not None:
            layers = layers[0], (layers[0][0], layers[0][1] * np.float32(gain))
    return replace(
        measure_tile(placed),
        gain=gain,
        pre=given.stats,
        post=after_gain(corrected, given, gain),
        layers=layers,
        outline=None if grid is None else tile_outline(tile.shape, tile.wcs),
        exact=exact,
    )


def after_gain(corrected, given, gain):
    """Statistics of a tile after its gain, NaN throughout where that is not known; as `statistics_after_gain`."""
    if corrected is None:
        return TileStats.unknown(len(given.middles))
    return statistics_after_gain(corrected, given, gain)


def _digest(pixels):
    some = np.ascontiguousarray(channels_last(pixels)[::_THIN, ::_THIN], dtype=np.float32)
    return blake2b(some.tobytes() + str(np.shape(pixels)).encode(), digest_size=16).digest()


def _noise(tile):
    planes = channels_last(tile.pixels)[::_THIN, ::_THIN]
    level = np.max(np.abs(planes), initial=0.0, where=np.isfinite(planes))
    # Never 0, not even for a tile of zeros: effects are measured in units of it.
    return np.fmax(pixel_noise(tile.pixels, tile.coverage), max(_RESOLUTION * level, np.finfo(np.float32).tiny))
