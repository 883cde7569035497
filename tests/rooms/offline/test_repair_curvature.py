"""A bow that all tiles have in common is taken out of copies on disk."""

from dataclasses import replace

import numpy as np
from astropy.io import fits
from astropy.table import Table

from zemosaic_twopass.diagnosis.examination import verdict_of
from zemosaic_twopass.offline.corrections import TABLE_NAME, repair_lines
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile


def test_what_all_have_in_common_is_taken_out_of_each(tmp_path):
    """A bow that is the same in every tile, and an offset in one: copies are the tiles of before."""
    clean, tiles = synthetic_tiles(rows=3, columns=3, shape=(260, 330), overlap=0.55), []
    for index, tile in enumerate(clean):
        rows, columns = np.indices(tile.shape)
        away = (rows - (tile.shape[0] - 1) / 2) ** 2 + (columns - (tile.shape[1] - 1) / 2) ** 2
        bow = (40 * away / away.max() + (25 if index == 4 else 0))[..., np.newaxis]
        tiles.append(replace(tile, pixels=(tile.pixels + bow).astype(np.float32)))
    for tile in tiles:
        write_master_tile(tmp_path / tile.name, tile)
    done = repair([tmp_path / tile.name for tile in tiles], tmp_path / "out")
    assert verdict_of(done.before.findings) == "residual" and verdict_of(done.after.findings) == "clean"
    assert done.steps[1] < 0.02 * done.steps[0]
    assert all("curvature=[" in line for line in repair_lines(done) if "tile=" in line)
    assert "bow of" in str(fits.getheader(done.files[0])["HISTORY"])
    table = Table.read(tmp_path / "out" / TABLE_NAME, format="ascii.ecsv")
    assert len(set(table["curvature_g"])) == 1 and 25 < table["curvature_g"][0] < 45
    for tile, file in zip(clean, done.files, strict=True):
        left = read_master_tile(file).pixels - tile.pixels
        # All may be off by what the mosaic as a whole may be.
        assert np.nanstd(left) < 0.5 < 0.1 * np.nanstd(bow)
