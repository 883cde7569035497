"""Light of second order on one tile goes out of its copy, where three sides hold it; all others stay byte for byte."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from zemosaic_twopass.offline.corrections import TABLE_NAME, repair_lines
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile

SKY = {"rows": 3, "columns": 3, "shape": (170, 210), "overlap": 0.5, "seed": 4}
ODD = 4


@pytest.fixture(scope="module")
def moonlit(tmp_path_factory):
    """(tiles as given, those without the light, what came of them)."""
    folder, clean = tmp_path_factory.mktemp("moonlit"), synthetic_tiles(**SKY)
    tiles = list(clean)
    rows, columns = (np.linspace(0, 1, n, dtype=np.float32) for n in tiles[ODD].shape)
    light = 20 + 50 * (rows[:, np.newaxis] ** 2 + columns**2)
    tiles[ODD] = replace(tiles[ODD], pixels=tiles[ODD].pixels + light[..., np.newaxis])
    for tile in tiles:
        write_master_tile(folder / tile.name, tile)
    paths = [folder / tile.name for tile in tiles]
    return paths, clean, repair(paths, folder / "out")


def test_the_light_is_gone_from_the_copy_and_the_others_stay(moonlit):
    paths, clean, done = moonlit
    same = [one.read_bytes() == other.read_bytes() for one, other in zip(paths, done.files, strict=True)]
    assert same == [index != ODD for index in range(9)]
    left = read_master_tile(done.files[ODD]).pixels - clean[ODD].pixels
    assert np.nanmedian(np.abs(left)) < 1.0
    assert np.nanmax(np.abs(left)) < 8.0
    assert done.after.verdict == "clean"
    assert done.refused == {}


def test_what_is_taken_out_is_on_record(moonlit):
    done = moonlit[2]
    row = Table.read(done.files[0].parent / TABLE_NAME, format="ascii.ecsv")[ODD]
    for axes, height in (("xx", 50.0), ("xy", 0.0), ("yy", 50.0)):
        assert row[f"bend_{axes}_g"] == pytest.approx(height, abs=max(5 * row[f"bend_{axes}_error_g"], 4.0))
    assert any("tile_04" in line and "bend_xx=[+" in line for line in repair_lines(done))
    with fits.open(done.files[ODD]) as copy:
        assert any("u^2" in card for card in copy[0].header["HISTORY"])
