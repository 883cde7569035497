"""Files, patterns and folders on the command line, for shells that expand nothing."""

import json

import pytest

from zemosaic_twopass.command import cli
from zemosaic_twopass.command.tile_paths import find_tile_paths
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import write_master_tile

TILES = ["a.FITS", "b.fit", "b.fits.gz", "c.fits.fz", "d.fts", "e.fit.bz2", "f.fits.xz", "g.fits"]
OTHERS = ["notes.txt", "picture.png", "._a.fits", ".g.1-2.fits", "list.gz", "fits"]


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "tiles"
    (inside / "deeper.fits").mkdir(parents=True)
    for name in (*TILES, *OTHERS, "deeper.fits/h.fits"):
        (inside / name).write_bytes(b"")
    return inside


def names(paths):
    return [path.name for path in paths]


def test_a_folder_is_its_fits_files(folder):
    assert names(find_tile_paths([folder])) == TILES


def test_a_pattern_is_what_a_shell_makes_of_it(folder):
    assert names(find_tile_paths([folder / "*.fits"])) == ["h.fits", "g.fits"]
    assert names(find_tile_paths([folder / "[bd].f*"])) == ["b.fit", "b.fits.gz", "d.fts"]
    assert names(find_tile_paths([folder.parent / "t?les"])) == TILES
    assert names(find_tile_paths([folder / "g.fits", folder / "b*", folder / "gone.fits"])) == [
        "g.fits",
        "b.fit",
        "b.fits.gz",
        "gone.fits",
    ]


def test_a_pattern_in_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert [str(path) for path in find_tile_paths(["?.f[it]*[ts]"])] == ["b.fit", "d.fts", "g.fits"]
    assert names(find_tile_paths(["."])) == TILES


def test_a_file_that_is_called_like_a_pattern_is_a_file(folder):
    (folder / "[ab].fits").write_bytes(b"")
    assert names(find_tile_paths([folder / "[ab].fits"])) == ["[ab].fits"]


def test_what_we_wrote_is_left_out_unless_it_is_named(folder):
    for name in ("mosaic.fits", "coverage.fits", "twopass_delta_map.fits"):
        (folder / name).write_bytes(b"")
    # Somebody else's mosaic is a file like any other.
    assert names(find_tile_paths([folder])) == [*TILES[:4], "coverage.fits", *TILES[4:], "mosaic.fits"]
    (folder / "twopass_report.json").write_bytes(b"")
    assert names(find_tile_paths([folder])) == TILES
    assert "mosaic.fits" not in names(find_tile_paths([folder / "*.fits"]))
    assert names(find_tile_paths([folder / "mosaic.fits"])) == ["mosaic.fits"]


def test_the_mosaic_is_no_tile_of_its_own_folder(folder, monkeypatch):
    (folder / "m31.fits").write_bytes(b"")
    monkeypatch.chdir(folder)
    assert names(find_tile_paths([folder], "m31.fits")) == TILES
    assert names(find_tile_paths(["m*.fits", "g.fits"], folder / "x.fits")) == ["m31.fits", "g.fits"]


def test_what_stands_for_nothing_is_named(folder):
    (folder / "empty").mkdir()
    with pytest.raises(TileError) as caught:
        find_tile_paths([folder / "x*.fits", folder / "g.fits", folder / "empty", folder / "y?.fits"])
    text = str(caught.value)
    assert f"{folder / 'x*.fits'}, {folder / 'y?.fits'}: no such file" in text
    assert f"{folder / 'empty'}: holds no .fits, .fit or .fts file" in text
    assert "g.fits" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_every_command_takes_them(tmp_path, capsys):
    tiles, out = tmp_path / "tiles", tmp_path / "out"
    tiles.mkdir()
    for tile in synthetic_tiles(rows=1, columns=2, shape=(130, 160), overlap=0.6):
        write_master_tile(tiles / tile.name, tile)
    # Where the files of the run lie beside the tiles, the next command still finds the tiles.
    calls = (
        ["run", str(tiles / "t*.fits"), "--out", str(tiles)],
        ["run", str(tiles), "--out", str(out)],
        ["replay", str(tiles / "mosaic.fits"), str(tiles), "--out", str(out)],
        ["verify", str(tiles)],
        ["repair", str(tiles), "--out", str(out)],
    )
    for argv in calls:
        assert cli.main([*argv, "--json"]) == 0, argv
        found = json.loads(capsys.readouterr().out)
        count = found["tiles"] if argv[0] == "verify" else len(found.get("tiles") or found["corrections"])
        assert count == 2, argv
    assert cli.main(["run", str(tiles / "x*.fits"), "--out", str(out)]) == 2
    assert "x*.fits: no such file\n" in capsys.readouterr().err
