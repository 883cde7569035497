"""A few bad files of many: each command says which they are, all of them, in one line."""

import shutil

import numpy as np
import pytest
from astropy.io import fits

from helpers.untrusted import ran, refused
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    for tile in synthetic_tiles(rows=1, columns=2, shape=(130, 160), overlap=0.6):
        write_master_tile(folder / tile.name, tile)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def bad(tiles, tmp_path_factory):
    """Files by name, and what is to be said of each."""
    folder = tmp_path_factory.mktemp("bad")
    good = tiles[1].read_bytes()
    start = good.index(b"CRVAL1  =")
    (folder / "nan.fits").write_bytes(good[:start] + b"CRVAL1  =                  NaN".ljust(80) + good[start + 80 :])
    (folder / "text.fits").write_text("no")
    header = fits.getheader(tiles[0])
    fits.PrimaryHDU(np.ones((130, 160), "f4"), header).writeto(folder / "grey.fits")
    fits.PrimaryHDU(np.ones((4, 130, 160), "f4"), header).writeto(folder / "rgba.fits")
    shutil.copy(folder / "rgba.fits", folder / "rgba_2.fits")
    return {
        folder / "nan.fits": "nan.fits: CRVAL1 is no number: 'NaN'",
        folder / "text.fits": "text.fits: cannot be read",
        folder / "grey.fits": "grey.fits: 1 channels != 3 of",
        folder / "rgba.fits": "rgba.fits, ",
        folder / "rgba_2.fits": "rgba_2.fits: 4 planes, 1 or 3 are read",
    }


@pytest.mark.parametrize("command", ["run", "verify", "repair"])
@pytest.mark.parametrize("first", [True, False])
def test_all_are_named_and_nothing_is_done(tiles, bad, tmp_path, capsys, monkeypatch, command, first):
    # So that the names of all fit into a line of the test's.
    monkeypatch.chdir(tmp_path)
    for path in (*tiles, *bad):
        shutil.copy(path, path.name)
    given = [*(path.name for path in bad), *(path.name for path in tiles)]
    argv = [command, *(given if first else given[::-1]), *(["--out", "out"] if command != "verify" else [])]
    err = refused(capsys, argv, *([] if not first else bad.values()), "4 planes", "CRVAL1 is no number")
    assert all(err.count(path.name) == 1 for path in bad)
    assert not (tmp_path / "out").exists()


def test_replay_leaves_them_out(tiles, bad, tmp_path, capsys):
    ran(capsys, "run", *tiles, "--out", tmp_path / "run", codes=(0,))
    argv = ["replay", tmp_path / "run" / "mosaic.fits", *tiles, *bad, "--out", tmp_path / "replay"]
    _, out, _ = ran(capsys, *argv, codes=(1,))
    lines = [line for line in out.splitlines() if line.startswith("[TwoPassReplay] left out: ")]
    assert len(lines) == len(bad)
    for path, line in zip(bad, lines, strict=True):
        assert f"{path}: " in line
    assert "[TwoPassVerdict]" in out
    assert " tiles=2 " in out


@pytest.mark.parametrize("command", ["repair", "replay"])
def test_all_that_are_not_there_are_named(tiles, tmp_path, capsys, command):
    gone = [tmp_path / "gone_1.fits", tmp_path / "gone_2.fits"]
    mosaic = [tiles[0]] if command == "replay" else []
    refused(capsys, [command, *mosaic, gone[0], *tiles, gone[1], "--out", tmp_path / "out"], *gone, "no such file")


@pytest.mark.parametrize("command", ["run", "verify", "repair", "replay"])
def test_two_matrices_are_one_warning(tiles, tmp_path, capsys, command):
    given = []
    for path in tiles:
        tile = read_master_tile(path)
        with fits.open(path) as hdus:
            hdus[0].header.update({f"CD{i}_{j}": 1.0 for i in (1, 2) for j in (1, 2)})
            hdus.writeto(tmp_path / path.name)
        given.append(tmp_path / path.name)
        # The tiles have PC, which stays.
        np.testing.assert_array_equal(read_master_tile(given[-1]).wcs.wcs.pc, tile.wcs.wcs.pc)
    mosaic = []
    if command == "replay":
        ran(capsys, "run", *tiles, "--out", tmp_path / "run", codes=(0,))
        mosaic = [tmp_path / "run" / "mosaic.fits"]
    out = [] if command == "verify" else ["--out", tmp_path / "out"]
    _, text, _ = ran(capsys, command, *mosaic, *given, *out, codes=(0,))
    (line,) = [line for line in text.splitlines() if line.startswith("[TwoPassInput]")]
    assert "PC1_1 and CD1_1 are both there" in line
    assert all(str(path) in line for path in given)
