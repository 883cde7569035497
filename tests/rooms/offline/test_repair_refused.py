"""What would harm a tile is not done to it: it stays byte for byte and is named, and the others are right."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from scipy.ndimage import median_filter

from zemosaic_twopass.diagnosis.acceptance import accept
from zemosaic_twopass.diagnosis.comparison import compare
from zemosaic_twopass.diagnosis.photometry import StarScales
from zemosaic_twopass.measure.measurement import measure_tile
from zemosaic_twopass.measure.stars import Stars
from zemosaic_twopass.offline.corrections import TABLE_NAME, repair_lines, to_dict
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.synthetic.faults import Fault
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.mosaic import MosaicGrid
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile
from zemosaic_twopass.tiles.tile_set import PlacedTile, TileSet

SKY = {"rows": 3, "columns": 3, "shape": (170, 210), "overlap": 0.5, "seed": 4}
OFFSET, GAIN = 0, 1


def surveyed(tiles):
    """(what the tiles are against one another, shape of the mosaic)."""
    grid = MosaicGrid.make([tile.shape for tile in tiles], [tile.wcs for tile in tiles])
    placed = [PlacedTile.of(tile, grid.wcs(), grid.shape) for tile in tiles]
    measured = [measure_tile(tile) for tile in placed]
    return compare(measured, TileSet(placed, lambda tile: tile, grid.shape)), grid.shape


@pytest.fixture(scope="module")
def sound():
    return surveyed(synthetic_tiles(**SKY, faults=[Fault("offset", 0, 30.0)]))


def claimed(found, tile, kind, size):
    """The same as if the fit had found something in a tile, in every channel."""
    solution = found.solution
    inside, terms, covariance = solution.active.copy(), solution.terms.copy(), solution.covariance.copy()
    inside[tile, kind], terms[:, tile, kind], covariance[:, tile, kind, kind] = True, size, 1e-6
    return replace(found, solution=replace(solution, active=inside, terms=terms, covariance=covariance))


def test_an_ordinary_offset_is_accepted(sound):
    found = accept(*sound)
    assert found.refused == {}
    assert [own.empty for own in found.corrections] == [False, *[True] * 8]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (-1.0, ", 0, is no scale"),
        (-1.3, ", -0.3, is no scale"),
        (0.3, "1.3, is contradicted by"),
        (-0.2, "contradicted"),
    ],
)
def test_a_factor_that_is_none_or_that_stars_contradict_is_refused(sound, size, words):
    found = accept(claimed(sound[0], 4, GAIN, size), sound[1])
    assert list(found.refused) == [4]
    assert words in found.refused[4]
    assert found.corrections[4].empty
    # The neighbour is found anew, without the one that is refused.
    assert found.corrections[0].offset == pytest.approx(30, abs=0.6)
    assert all(found.corrections[index].empty for index in (1, 2, 3, 5, 6, 7, 8))


def test_without_stars_they_say_nothing(sound):
    found, shape = claimed(sound[0], 4, GAIN, 0.3), sound[1]
    blind = tuple(replace(look, stars=Stars.none(), fluxes=()) for look in found.looks)
    stars = StarScales.none(*found.solution.noise.shape)
    accepted = accept(replace(found, looks=blind, solution=replace(found.solution, stars=stars)), shape)
    assert not accepted.stars.counts.any()
    assert not any("stars" in reason for reason in accepted.refused.values())


def test_what_does_not_help_where_it_was_not_fitted_is_refused(sound):
    """As if the half of tile 4 that a level was not fitted on had steps that grow by it."""
    found, shape = sound
    claim = claimed(found, 4, OFFSET, 5.0)
    fall, error = claim.solution.helps.fall.copy(), claim.solution.helps.error.copy()
    fall[4], error[4] = -20.0, 5.0
    helps = replace(claim.solution.helps, fall=fall, error=error)
    accepted = accept(replace(claim, solution=replace(claim.solution, helps=helps)), shape)
    assert list(accepted.refused) == [4]
    assert "fall by -20 +/- 5 times their variance" in accepted.refused[4]
    # The same where no block tells.
    assert "cannot be judged" in accept(claim, shape).refused[4]


@pytest.fixture(scope="module")
def glowing(tmp_path_factory):
    """(tiles, what came of them): a sky × 1.3 in the middle but not its stars, an offset in a corner."""
    folder = tmp_path_factory.mktemp("glowing")
    tiles = synthetic_tiles(**SKY, faults=[Fault("offset", 0, 30.0)])
    known = np.where(np.isfinite(tiles[4].pixels), tiles[4].pixels, np.nanmedian(tiles[4].pixels, axis=(0, 1)))
    smooth = median_filter(known, size=(21, 21, 1))
    tiles[4] = replace(tiles[4], pixels=(tiles[4].pixels + 0.3 * smooth).astype(np.float32))
    for tile in tiles:
        write_master_tile(folder / tile.name, tile)
    paths = [folder / tile.name for tile in tiles]
    return paths, repair(paths, folder / "out")


def test_a_refused_tile_stays_and_is_named_and_the_others_are_right(glowing):
    paths, done = glowing
    same = [one.read_bytes() == other.read_bytes() for one, other in zip(paths, done.files, strict=True)]
    assert same == [False, *[True] * 8]
    clean = synthetic_tiles(**SKY)[0].pixels
    assert np.nanmedian(read_master_tile(done.files[0]).pixels - clean) == pytest.approx(0, abs=0.6)
    assert list(done.refused) == [4]
    (line,) = (line for line in repair_lines(done) if "tile_04" in line and "left as it is" in line)
    assert done.refused[4] in line
    assert "light lies on it" in line
    table = Table.read(done.files[0].parent / TABLE_NAME, format="ascii.ecsv")
    assert [reason != "-" for reason in table["refused"]] == [index == 4 for index in range(9)]
    assert not table["corrected"][4]
    assert (table["gain_g"][4], table["offset_g"][4]) == (1, 0)
    assert table["star_scale_g"][4] == pytest.approx(1, abs=5 * table["star_scale_error_g"][4])
    assert to_dict(done)["refused"] == {"tile_04.fits": done.refused[4]}
