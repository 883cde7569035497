"""The one way over tiles: in order, a result or an error each, wherever they are."""

import threading

import numpy as np
import pytest

from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.tile_set import PlacedTile, TileSet, results

RUNS = {"threads": None, "map": map}


def odd_only(key):
    if key % 2 == 0:
        raise TileError(f"tile {key}: even")
    return key


@pytest.mark.parametrize("run", RUNS)
def test_a_result_or_an_error_each_in_order(run):
    found = list(TileSet(range(5), odd_only, run=RUNS[run]).each(lambda key, more: 10 * key + more, range(5)))
    assert [str(one) if isinstance(one, TileError) else one for one in found] == [
        "tile 0: even",
        11,
        "tile 2: even",
        33,
        "tile 4: even",
    ]


def test_some_tiles_and_one_more_than_once():
    tiles = TileSet("abcd", str.upper)
    assert len(tiles) == 4
    assert list(tiles.each(lambda tile, more: tile + more, "xyz", indices=[3, 1, 3])) == ["Dx", "By", "Dz"]
    assert list(tiles.each(len, indices=[])) == []


@pytest.mark.parametrize("run", RUNS)
def test_an_error_of_ours_comes_out_and_no_thread_is_left(run):
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(TileSet([1, 0], lambda key: 1 / key, run=RUNS[run]).each(float))
    assert threading.active_count() == before


def test_results_raise_the_first_error():
    assert results(TileSet([1, 3], odd_only).each(float)) == [1.0, 3.0]
    with pytest.raises(TileError, match="tile 2: even"):
        results(TileSet([1, 2, 4], odd_only).each(float))


def test_files_that_cannot_be_read_are_errors_of_their_own(tmp_path):
    class Grid:
        shape = (8, 8)

    (found,) = TileSet.on_disk([tmp_path / "missing.fits"], Grid, map).each(np.shape)
    assert isinstance(found, TileError)
    assert "missing.fits" in str(found)


def test_tiles_of_a_pass_are_their_own_and_in_their_place():
    from helpers.scenes import Pass

    second_pass = Pass.make(rows=1, columns=2, shape=(40, 50), overlap=0.5).second_pass()
    tiles = TileSet.of_pass(second_pass)
    first, second = tiles.each(lambda placed: placed)
    assert isinstance(first, PlacedTile)
    assert first.tile.pixels is second_pass.tiles.pixels[0]
    assert first.tile.wcs is not second_pass.tiles.wcs[0]
    assert first.place.box != second.place.box
    assert first.shape == tuple(second_pass.shape)
