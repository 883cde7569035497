"""Nights for the benchmarks: tiles of a synthetic sky with a first pass, in memory or on disk."""

from __future__ import annotations

import logging

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from zemosaic_twopass.offline.workers import load_worker, run_second_pass
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.reading import write_master_tile
from zemosaic_twopass.tiles.records import Tile


class Night:
    """N RGB tiles on a square grid and a first-pass mosaic of them.

    Parameters
    ----------
    side : int
        Tiles each way.
    shape : tuple of int
        (H, W) of a tile.
    """

    def __init__(self, side, shape=(400, 600)):
        self.tiles = synthetic_tiles(rows=side, columns=side, shape=shape)
        self.worker = load_worker()
        columns = ([getattr(tile, field) for tile in self.tiles] for field in ("pixels", "wcs", "coverage"))
        np.random.seed(0)
        self.first = self.worker.assemble_first_pass(*columns)

    def second_pass(self, worker, level=logging.DEBUG):
        """A seeded second pass of a worker; its lines go nowhere."""
        logger = logging.Logger("benchmark", level)
        logger.addHandler(logging.NullHandler())
        np.random.seed(1)
        return run_second_pass(worker, self.first, self.tiles, sigma=50, clip=(0.85, 1.18), logger=logger)


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
