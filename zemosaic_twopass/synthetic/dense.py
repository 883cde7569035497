"""Layouts of heavy overlap: many small tiles about one place, each over twenty others and turned as it likes.

>>> scene = DenseScene.make(3, count=60)
>>> tiles = scene.tiles_with_noise(np.random.default_rng(0))
>>> mosaic, coverage, wcs, shape = coadd(tiles, scene.grid)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..tiles.records import Tile
from .mosaics import Grid
from .sky import SyntheticSky, tangent_wcs

NOISE = 8.0

_OTHERS = 20
# In units of the tile's shorter side: where centres lie, and how near they are where two tiles meet however turned.
_SPREAD = 1.8
_NEAR = 0.9
_STARS_PER_PIXEL = 1 / 1500


@dataclass(frozen=True, eq=False)
class DenseScene:
    """Tiles without noise, and where they go.

    Attributes
    ----------
    tiles : list of Tile
        One channel, shape (H, W), or RGB; covered everywhere.
    grid : Grid
        For any tiles of this layout.
    """

    tiles: list[Tile]
    grid: Grid

    @classmethod
    def make(cls, seed, *, count=60, shape=(256, 320), rgb=False):
        """A layout and its sky.

        Parameters
        ----------
        seed : int
        count : int
            Tiles; more than 20 by a good margin, so that each can meet 20 others.
        shape : tuple of int
            (H, W) of a tile.
        rgb : bool
            Three channels; else the first of them alone.

        Returns
        -------
        DenseScene
        """
        rng = np.random.default_rng(seed)
        extent = 0.5 * _SPREAD * min(shape) + 0.5 * np.hypot(*shape)
        sky = SyntheticSky(rng, extent, int((2 * extent) ** 2 * _STARS_PER_PIXEL))
        tiles = []
        for index, (x, y) in enumerate(_centres(rng, count) * min(shape)):
            wcs = tangent_wcs(sky.plane.pixel_to_world_values(x, y), rng.uniform(0, 2 * np.pi), shape)
            image = sky.image(wcs, shape).astype(np.float32)
            coverage = np.ones(shape, dtype=np.float32)
            tiles.append(Tile(image if rgb else image[..., 0].copy(), wcs, coverage, name=f"tile_{index:02d}.fits"))
        return cls(tiles, Grid.of(tiles))

    def tiles_with_noise(self, rng, noise=NOISE):
        """The tiles with white noise of a standard deviation in adu, drawn from a `numpy.random.Generator`."""
        return [
            replace(
                tile, pixels=tile.pixels + np.float32(noise) * rng.standard_normal(tile.pixels.shape, dtype=np.float32)
            )
            for tile in self.tiles
        ]


def _centres(rng, count):
    """Centres (x, y) in shorter sides, shape (count, 2); those that meet too few others are drawn again."""
    centres = rng.uniform(-_SPREAD / 2, _SPREAD / 2, (count, 2))
    while True:
        apart = np.hypot(*np.moveaxis(centres[:, np.newaxis] - centres, 2, 0))
        lonely = np.count_nonzero(apart < _NEAR, axis=1) - 1 < _OTHERS
        if not lonely.any():
            return centres
        centres[lonely] = rng.uniform(-_SPREAD / 2, _SPREAD / 2, (np.count_nonzero(lonely), 2))
