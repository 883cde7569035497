"""Nights as a small colour camera takes them: tiles that are stacks of Bayer frames, with faults to order.

>>> night = night_tiles(7, faults={4: TileFault(offset=2 * NOISE)})
>>> mosaic, coverage, wcs, shape = coadd(night.tiles)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..tiles.records import Tile
from .camera import stack
from .mosaics import homography
from .night_sky import STAR_AREA, NightSky, SeenSky
from .sky import tangent_wcs

# Noise of a pixel of a stack of ten frames, in adu: 5.0 in red and blue, 4.7 in green where all frames reach.
NOISE = 5.0
SHAPE = (560, 760)

_CENTRE = (83.82, -5.39)
_OVERLAP = (0.35, 0.5)
_TURN_DEG = 4.0
_SCATTER_PX = 10.0
_SEEING_PX = (2.2, 3.4)
# How far frames look beyond the upright tile, in its longer side: turned by up to 6° with its frames.
_TURNED = 0.06
_DITHERED_PX = 16


@dataclass(frozen=True)
class TileFault:
    """What is wrong with a tile; nothing, unless said.

    Attributes
    ----------
    offset : float
        In adu.
    gain : float
        Relative; it multiplies everything, the pedestal too.
    slope : (float, float)
        In adu from the first to the last column and from the first to the last row; 0 in the middle.
    shift : (float, float)
        By how many pixels (columns, rows) the image lies beside the place that the WCS says.
    """

    offset: float = 0.0
    gain: float = 0.0
    slope: tuple[float, float] = (0.0, 0.0)
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class TileTruth:
    """How a tile was made.

    Attributes
    ----------
    fault : TileFault
    seeing : float
        Full width at half maximum in pixels.
    """

    fault: TileFault
    seeing: float


@dataclass(frozen=True, eq=False)
class Night:
    """Tiles, and the truth about each of them.

    Attributes
    ----------
    tiles : list of Tile
        RGB, NaN where no frame reaches; the coverage is the share of the frames.
    truth : list of TileTruth
    """

    tiles: list[Tile]
    truth: list[TileTruth]


def night_tiles(seed, *, grid=(3, 3), shape=SHAPE, frames=10, noise=True, faults=None, star_area=STAR_AREA):
    """Take a mosaic of rows × columns tiles.

    Neighbours share 0.35 to 0.5 of a side; tiles are turned by up to 4°, their centres scattered by up to 10 px
    each way, and each has its own seeing.

    Parameters
    ----------
    seed : int
        Seed of private generators. Neither noise nor faults change what else is drawn.
    grid : tuple of int
        Rows and columns, at least 2 each, so that every tile meets two others.
    shape : tuple of int
        (H, W) of a tile and of a frame.
    frames : int
        Number of frames of a tile.
    noise : bool
    faults : dict, optional
        From the index of a tile, row by row, to its `TileFault`.
    star_area : float
        Area of the sky, in pixels, for each star.

    Returns
    -------
    Night
    """
    layout, sky_rng, *rng = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4))
    step = np.array(shape) * (1 - layout.uniform(*_OVERLAP, 2))
    margin = 2 * (_SCATTER_PX + _DITHERED_PX + _TURNED * max(shape))
    extent = np.ceil(step * (np.array(grid) - 1) + shape + margin).astype(int)
    plane, sky = tangent_wcs(_CENTRE, 0.0, extent), NightSky(sky_rng, extent, star_area)
    tiles, truth = [], []
    for index, cell in enumerate(np.ndindex(grid)):
        fault = (faults or {}).get(index, TileFault())
        middle = step * (cell - (np.array(grid) - 1) / 2) + layout.uniform(-_SCATTER_PX, _SCATTER_PX, 2)
        y, x = (extent - 1) / 2 + middle
        angle = np.deg2rad(layout.uniform(-_TURN_DEG, _TURN_DEG))
        wcs = tangent_wcs(plane.pixel_to_world_values(x, y), angle, shape)
        # Taken with a moved WCS, so that the noise is not: what lies at x is what belongs to x − shift.
        seen = wcs.deepcopy()
        seen.wcs.crpix += fault.shift
        truth.append(TileTruth(fault, layout.uniform(*_SEEING_PX)))
        air = SeenSky(sky, truth[-1].seeing, _field(x, y, shape, fault.shift))
        data, coverage = stack(air, homography(seen, plane, shape), shape, frames, rng, noise)
        tiles.append(with_fault(Tile(data, wcs, coverage, name=f"tile_{index:02d}.fits"), fault))
    return Night(tiles, truth)


def _field(x, y, shape, shift):
    """(rows, columns) of the plane that the frames of a tile about a place may look at."""
    reach = _DITHERED_PX + _TURNED * max(shape) + max(np.abs(shift))
    halves = [n / 2 + reach for n in shape]
    return tuple(slice(max(0, int(p - h)), int(p + h) + 2) for p, h in zip((y, x), halves, strict=True))


def with_fault(tile, fault):
    """A tile with a fault in its values; a shift must be there when the tile is taken.

    Parameters
    ----------
    tile : Tile
    fault : TileFault

    Returns
    -------
    Tile
    """
    height, width = tile.pixels.shape[:2]
    ramp = fault.slope[0] * np.linspace(-0.5, 0.5, width) + fault.slope[1] * np.linspace(-0.5, 0.5, height)[:, None]
    added = (fault.offset + ramp).astype(np.float32)
    if tile.pixels.ndim == 3:
        added = added[..., np.newaxis]
    return replace(tile, pixels=tile.pixels * np.float32(1 + fault.gain) + added)


def faults_everywhere(seed, count, *, offset=2 * NOISE, gain=0.01, slope=1.5 * NOISE):
    """Faults in every tile of a night.

    Parameters
    ----------
    seed : int
    count : int
        How many tiles.
    offset, gain, slope : float
        Standard deviations: in adu, relative, and in adu from end to end in each direction.

    Returns
    -------
    dict
        From the index of a tile to its `TileFault`.
    """
    rng = np.random.default_rng(seed)
    return {
        index: TileFault(offset * rng.normal(), gain * rng.normal(), tuple(slope * rng.normal(size=2)))
        for index in range(count)
    }
