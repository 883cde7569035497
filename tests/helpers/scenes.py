"""Second passes made to order for the tests of the numerics: tiles, gains, coadd, faults at any point."""

from dataclasses import dataclass

import numpy as np
from reproject import reproject_interp
from reproject.mosaicking import find_optimal_celestial_wcs, reproject_and_coadd

from zemosaic_twopass.diagnosis import diagnose
from zemosaic_twopass.measure.coarse import project_blocks
from zemosaic_twopass.phase5.coadd import SharedReprojection
from zemosaic_twopass.synthetic.sky import synthetic_tiles, tangent_wcs
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.records import SecondPass, Tile, TileList

NOISE = 8.0


@dataclass
class Pass:
    """What goes into `diagnose`; lists may be changed before `coadd` is called."""

    tiles: list
    wcs: list
    coverage: list
    out: object
    shape: tuple
    gains: list
    mosaic: np.ndarray | None = None
    weights: np.ndarray | None = None

    @classmethod
    def make(cls, rows=2, columns=3, shape=(150, 190), channels=1, seed=3, overlap=0.55, gains=None):
        masters = synthetic_tiles(rows=rows, columns=columns, shape=shape, overlap=overlap, seed=seed, noise=NOISE)
        tiles = [m.pixels if channels == 3 else m.pixels[..., 0].copy() for m in masters]
        wcs = [m.wcs for m in masters]
        out, size = find_optimal_celestial_wcs([(shape, w) for w in wcs])
        if gains is None:
            gains = np.random.default_rng(seed).uniform(0.9, 1.1, len(tiles))
        return cls(tiles, wcs, [m.coverage for m in masters], out, size, [float(g) for g in gains])

    def planes(self):
        """Tiles as they should go into the coadd."""
        return [tile * np.float32(gain) for tile, gain in zip(self.tiles, self.gains, strict=True)]

    def coadd(self, planes=None, wcs=None, coverage=None, match=True):
        """Make mosaic and weights of this pass."""
        planes, wcs, coverage = planes or self.planes(), wcs or self.wcs, coverage or self.coverage
        np.random.seed(2)
        layers = []
        # To the bit what `reproject_interp` makes of it, in a third of the time.
        with SharedReprojection(planes, weights=coverage) as shared:
            for channel in range(shared.channels):
                mosaic, weights = reproject_and_coadd(
                    list(zip(shared.planes(channel), wcs, strict=True)),
                    self.out,
                    shape_out=self.shape,
                    input_weights=shared.weights,
                    reproject_function=shared.reproject,
                    combine_function="mean",
                    match_background=match,
                )
                layers.append(np.where(weights > 0, mosaic, np.nan))
        self.mosaic, self.weights = np.stack(layers, axis=-1).astype(np.float32), weights.astype(np.float32)
        return self

    def diagnose(self, **kwargs):
        """Findings of this pass."""
        known = {"gains": self.gains, "gain_clip": (0.5, 2.0), "combine": "mean"}
        return diagnose(self.second_pass(**{**known, **kwargs}))

    def second_pass(self, **known):
        """The record of this pass, with what is known of it; seen are the planes that `corrected` has."""
        planes = {
            (index, channel): np.atleast_3d(array)[..., channel]
            for index, array in enumerate(known.pop("corrected", ()))
            for channel in range(np.atleast_3d(array).shape[2])
        }
        tiles = TileList(self.tiles, self.wcs, known.pop("coverage", self.coverage), known.pop("weights", None))
        # The first pass lies where the second does.
        known = {"mosaic": self.mosaic, "coverage": self.weights, "first_pass": self.mosaic, "planes": planes, **known}
        return SecondPass(tiles, self.out, self.shape, **known)


def blocks_without_stars(scene):
    """Blocks of noise where the tiles of a scene are: what tells who meets whom, where only places of stars matter."""
    # A block of one value would be no sky.
    shape = scene.tiles[0].shape[:2]
    tiles = (Tile(np.random.default_rng(1).normal(9, 1, shape), wcs) for wcs in scene.wcs)
    return [project_blocks(tile, Place.of(shape, tile.wcs, scene.shape, scene.out)) for tile in tiles]


def coadded(tiles, shape):
    """Mean of some tiles on a grid of that shape about the middle of the synthetic sky; a `Tile`, NaN where none is."""
    wcs = tangent_wcs((83.82, -5.39), 0.0, shape)
    # All channels at once: to find their places takes the most time.
    planes = [np.moveaxis(tile.pixels, 2, 0) for tile in tiles]
    layers = [
        reproject_interp((own, tile.wcs), wcs, (len(own), *shape), return_footprint=False)
        for own, tile in zip(planes, tiles, strict=True)
    ]
    counts = np.isfinite(layers).sum(axis=0)
    mean = np.where(counts > 0, np.nansum(layers, axis=0) / np.maximum(counts, 1), np.nan)
    return Tile(np.moveaxis(mean, 0, 2).astype(np.float32), wcs, None, name="mosaic.fits")


def named(findings):
    """(kind, tile) of every finding."""
    return [(finding.kind, finding.tile) for finding in findings]
