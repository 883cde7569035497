"""Large synthetic scenes whose second pass can be made over and over: geometry once, noise and fault each time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from reproject import reproject_interp
from reproject.mosaicking import find_optimal_celestial_wcs, reproject_and_coadd
from scipy.ndimage import map_coordinates

from zemosaic_twopass.phase5.renorm import find_tile_gain, scale_coverage
from zemosaic_twopass.synthetic.faults import Fault, faulty_plane
from zemosaic_twopass.synthetic.mosaics import Place, coadd_planes
from zemosaic_twopass.synthetic.sky import synthetic_tiles

NOISE = 8.0
SHAPE = (700, 1000)
CLIP = (0.85, 1.18)


@dataclass
class Run:
    """One second pass: what went in, what was seen of it, what came out."""

    tiles: list
    gains: list
    corrected: list
    mosaic: np.ndarray
    coverage: np.ndarray


@dataclass
class Injection:
    """A fault, and when it is put in: into the tile, before the probe looks, or after."""

    fault: Fault
    when: str


@dataclass
class Scene:
    """Tiles without noise, and where each of their pixels goes."""

    tiles: list
    wcs: list
    coverage: list
    out: object
    shape: tuple
    gains: list
    places: list = field(default_factory=list)

    @classmethod
    def make(cls, rows, columns, seed):
        """A scene of rows × columns tiles of 700 × 1000 pixels, one channel."""
        masters = synthetic_tiles(rows=rows, columns=columns, shape=SHAPE, noise=0.0, seed=seed)
        wcs, coverage = [m.wcs for m in masters], [m.coverage for m in masters]
        out, shape = find_optimal_celestial_wcs([(SHAPE, w) for w in wcs])
        scene = cls([m.pixels[..., 0].copy() for m in masters], wcs, coverage, out, shape, [])
        scene.places = [scene._place(index, w) for index, w in enumerate(wcs)]
        total = np.zeros(shape)
        for place in scene.places:
            total[place.box] += place.weight
        scale_map = scale_coverage(total, 50.0)
        scene.gains = [find_tile_gain(SHAPE, m, w, out, scale_map, CLIP) for m, w in zip(coverage, wcs, strict=True)]
        return scene

    def _place(self, index, wcs):
        return Place.of(self.coverage[index], wcs, self.out, self.shape)

    def run(self, rng, injection=None, exact=False):
        """A second pass with noise of its own and, perhaps, a fault."""
        tiles = [(tile + rng.normal(0, NOISE, SHAPE)).astype(np.float32) for tile in self.tiles]
        gains, wcs = list(self.gains), list(self.wcs)
        fault = injection.fault if injection else Fault("none", 0, 0.0)
        if injection and injection.when == "tile":
            tiles[fault.tile] = self._faulty_tile(tiles[fault.tile], fault, rng)
        if fault.kind in ("gain_invalid", "clip_saturated", "gain_guard"):
            gains[fault.tile] = {"gain_invalid": 0.0, "clip_saturated": CLIP[1], "gain_guard": 1.0}[fault.kind]
        planes = [tile * np.float32(gain) for tile, gain in zip(tiles, gains, strict=True)]
        seen = list(planes)
        if injection and injection.when != "tile":
            self._put_into_pass(planes, wcs, gains, fault, rng)
            if injection.when == "before":
                seen = list(planes)
        matched = fault.kind != "gain_seam"
        mosaic, coverage = self._reproject(planes, wcs, matched) if exact else self._coadd(planes, wcs, matched)
        return Run(tiles, gains, seen, mosaic, coverage)

    def _faulty_tile(self, tile, fault, rng):
        if fault.kind == "astrometry":
            # Read the noiseless sky beside the place, so that the noise stays white.
            rows, columns = np.indices(SHAPE, dtype=float)
            clean = np.nan_to_num(self.tiles[fault.tile], nan=float(np.nanmedian(tile)))
            x, y = _any_direction(fault.size, rng)
            moved = map_coordinates(clean, (rows - y, columns - x), order=3, mode="nearest")
            moved[~(self.coverage[fault.tile] > 0)] = np.nan
            return (moved + rng.normal(0, NOISE, SHAPE)).astype(np.float32)
        ramp = np.linspace(-0.5, 0.5, SHAPE[1])
        change = {"offset": fault.size, "gain_residual": fault.size * tile, "gradient": fault.size * ramp}
        return (tile + change[fault.kind]).astype(np.float32)

    def _put_into_pass(self, planes, wcs, gains, fault, rng):
        index = fault.tile
        if fault.kind == "misregistration":
            wcs[index] = wcs[index].deepcopy()
            wcs[index].wcs.crpix += _any_direction(fault.size, rng)
        elif fault.kind == "gain_swapped":
            other = int(fault.size)
            for here, there in ((index, other), (other, index)):
                planes[here] = (planes[here] / np.float32(gains[here])) * np.float32(gains[there])
        else:
            planes[index] = faulty_plane(planes[index], fault, gains[index])

    def _coadd(self, planes, wcs, matched):
        """What `reproject_and_coadd` makes of them, with the positions that are known already."""
        places = [
            self.places[index] if own is self.wcs[index] else self._place(index, own) for index, own in enumerate(wcs)
        ]
        return coadd_planes(planes, places, self.shape, matched)

    def _reproject(self, planes, wcs, matched):
        mosaic, coverage = reproject_and_coadd(
            list(zip(planes, wcs, strict=True)),
            self.out,
            shape_out=self.shape,
            input_weights=self.coverage,
            reproject_function=reproject_interp,
            combine_function="mean",
            match_background=matched,
        )
        mosaic, coverage = mosaic.astype(np.float32), coverage.astype(np.float32)
        mosaic[~(coverage > 0)] = np.nan
        return mosaic, coverage


def _any_direction(size, rng):
    angle = rng.uniform(0, 2 * np.pi)
    return size * np.cos(angle), size * np.sin(angle)
