"""Nights for the benchmarks: tiles of a synthetic sky with a first pass, in memory or on disk."""

from __future__ import annotations

import logging

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from zemosaic_twopass.offline.workers import load_worker, run_second_pass
from zemosaic_twopass.synthetic.sky import SyntheticSky, synthetic_tiles, tangent_wcs
from zemosaic_twopass.tiles.reading import write_master_tile
from zemosaic_twopass.tiles.records import Tile

# What a camera that does not follow the turning sky leaves of a night: (H, W) of a tile and of the field of their
# centres, by the number of tiles.
TURNED = {
    30: ((1546, 664), (3686, 4411)),
    100: ((773, 332), (1843, 2205)),
    197: ((618, 265), (1474, 1764)),
}


class Night:
    """N RGB tiles and a first-pass mosaic of them.

    Parameters
    ----------
    tiles : list of Tile
    """

    def __init__(self, tiles):
        self.tiles = tiles
        self.worker = load_worker()
        columns = ([getattr(tile, field) for tile in self.tiles] for field in ("pixels", "wcs", "coverage"))
        np.random.seed(0)
        self.first = self.worker.assemble_first_pass(*columns)

    @classmethod
    def grid(cls, side, shape=(400, 600)):
        """`side` × `side` tiles of shape (H, W)."""
        return cls(synthetic_tiles(rows=side, columns=side, shape=shape))

    @classmethod
    def turned(cls, count):
        """As many tiles as `TURNED` has, anywhere in the field and turned as they like."""
        return cls(turned_tiles(count, *TURNED[count]))

    def second_pass(self, worker, level=logging.DEBUG):
        """A seeded second pass of a worker; its lines go nowhere."""
        logger = logging.Logger("benchmark", level)
        logger.addHandler(logging.NullHandler())
        np.random.seed(1)
        return run_second_pass(worker, self.first, self.tiles, sigma=50, clip=(0.85, 1.18), logger=logger)


def turned_tiles(count, shape, field, seed=1):
    """Tiles of shape (H, W), turned by any angle, whose centres lie anywhere in a field of (H, W) pixels.

    Returns
    -------
    list of Tile
        RGB, noise 8 adu, NaN in the outermost three pixels.
    """
    rng = np.random.default_rng(seed)
    extent = 0.5 * max(field) + 0.5 * np.hypot(*shape)
    sky = SyntheticSky(rng, extent, int((2 * extent) ** 2 / 2500))
    good = np.zeros(shape, dtype=bool)
    good[3:-3, 3:-3] = True
    tiles = []
    for index in range(count):
        y, x = rng.uniform(-0.5, 0.5, 2) * field
        wcs = tangent_wcs(sky.plane.pixel_to_world_values(x, y), rng.uniform(0, 2 * np.pi), shape)
        image = sky.image(wcs, shape) + rng.normal(0.0, 8.0, (*shape, 3))
        image[~good] = np.nan
        tiles.append(Tile(image.astype(np.float32), wcs, good.astype(np.float32), name=f"tile_{index:03d}.fits"))
    return tiles


def written(folder, count, shape=(1550, 670), overlap=0.3):
    """A mosaic of one sky repeated, and `count` noisy cuts of it on a grid, as FITS files.

    Returns
    -------
    (pathlib.Path, list of pathlib.Path)
        Mosaic and tiles.
    """
    across = int(np.ceil(np.sqrt(count)))
    step = [int(n * (1 - overlap)) for n in shape]
    size = [s * (across - 1) + n for s, n in zip(step, shape, strict=True)]
    (tile,) = synthetic_tiles(rows=1, columns=1, shape=(700, 700))
    sky = np.nan_to_num(tile.pixels[100:600, 100:600], nan=1000.0)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (-6e-4, 6e-4), (80.0, 20.0)
    wcs.wcs.crpix = [n / 2 for n in size[::-1]]
    mosaic, paths, rng = folder / "mosaic.fits", [], np.random.default_rng(1)
    cards = {"SIMPLE": True, "BITPIX": -32, "NAXIS": 3, "NAXIS1": size[1], "NAXIS2": size[0], "NAXIS3": 3}
    header = fits.Header(cards)
    header.update(wcs.to_header())
    with fits.StreamingHDU(mosaic, header) as stream:
        columns = np.arange(size[1]) % len(sky)
        for channel in range(3):
            for row in range(size[0]):
                stream.write(sky[row % len(sky), columns, channel].astype(">f4"))
    for number in range(count):
        top, left = (part * s for part, s in zip(divmod(number, across), step, strict=True))
        rows, columns = ((start + np.arange(n)) % len(sky) for start, n in zip((top, left), shape, strict=True))
        data = sky[np.ix_(rows, columns)] + rng.normal(0, 8, (*shape, 3)).astype("f4")
        own = wcs.deepcopy()
        own.wcs.crpix -= left, top
        paths.append(folder / f"tile_{number:03d}.fits")
        write_master_tile(paths[-1], Tile(data.astype("f4"), own, None, name=paths[-1].name))
    return mosaic, paths
