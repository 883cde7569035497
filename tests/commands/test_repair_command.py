"""The command `repair`, as a user calls it."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from helpers.untrusted import damaged, ran
from zemosaic_twopass.command import cli
from zemosaic_twopass.offline import repair as offline_repair
from zemosaic_twopass.offline.corrections import TABLE_NAME
from zemosaic_twopass.synthetic.faults import Fault
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles import mosaic
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import write_master_tile


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Six small tiles, an offset and a gain in two of them."""
    folder = tmp_path_factory.mktemp("tiles")
    faults = [Fault("offset", 1, 30.0), Fault("gain_residual", 4, 0.08)]
    for tile in synthetic_tiles(rows=2, columns=3, shape=(160, 200), overlap=0.6, faults=faults):
        write_master_tile(folder / tile.name, tile)
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_the_second_pass_of_the_copies_is_clean(tiles, tmp_path, capsys):
    assert cli.main(["run", *tiles, "--out", str(tmp_path / "before"), "--fail-on", "residual"]) == 1
    assert cli.main(["repair", *tiles, "--out", str(tmp_path / "copies")]) == 0
    capsys.readouterr()
    copies = [str(path) for path in sorted((tmp_path / "copies").glob("*.fits"))]
    assert cli.main(["run", *copies, "--out", str(tmp_path / "after"), "--fail-on", "clean"]) == 1
    assert "[TwoPassVerdict] clean picture=no_seam tiles=6 " in capsys.readouterr().out


def test_lines(tiles, tmp_path, capsys):
    assert cli.main(["repair", *tiles, "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert not err
    beforehand, *lines = out.splitlines()
    assert beforehand.startswith("[TwoPassRepair] picture=no_seam repaired=no_seam ")
    assert [line.split()[1] for line in lines] == ["before", "after", "tile=tile_01.fits", "tile=tile_04.fits", "steps"]
    assert "offset=[+3" in lines[2]
    assert "factor=[1.08" in lines[3]
    assert " -> " in lines[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(f"tile_0{k}.fits" for k in range(6)), TABLE_NAME]


def test_json(tiles, tmp_path, capsys):
    assert cli.main(["repair", *tiles, "--out", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert not err
    found = json.loads(out, parse_constant=pytest.fail)
    assert (found["before"]["verdict"], found["after"]["verdict"]) == ("residual", "clean")
    assert [finding["tile"] for finding in found["before"]["findings"]] == [4, 1]
    assert [row["corrected"] for row in found["corrections"]] == [False, True, False, False, True, False]
    assert found["corrections"][1]["offset_r"] == pytest.approx(-30, abs=0.5)
    assert found["corrections"][0]["gain_error_r"] is None
    assert found["steps_rms"]["after"] < 0.3 < found["steps_rms"]["before"]
    assert found["files"] == [str(tmp_path / f"tile_0{k}.fits") for k in range(6)]
    assert found["failed"] == {}


def test_a_terminal_that_knows_nothing_but_ascii(tiles, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert cli.main(["repair", *tiles, "--out", str(tmp_path)]) == 0
    sys.stdout.flush()
    text = sys.stdout.buffer.getvalue().decode("ascii")
    assert " -> " in text
    assert "+/-" in text
    assert "\\" not in text


def test_what_is_not_written_is_one_line(tiles, tmp_path, capsys, monkeypatch):
    def full(path, copy, correction, grid):
        if copy.name not in lost:
            return written(path, copy, correction, grid)
        return TileError("OSError: No space left on device"), 0.0

    written, lost = offline_repair.try_repaired, {"tile_02.fits", "tile_03.fits"}
    monkeypatch.setattr(offline_repair, "try_repaired", full)
    text = "not written: tile_02.fits, tile_03.fits: OSError: No space left on device"
    assert cli.main(["repair", *tiles, "--out", str(tmp_path / "a")]) == 1
    out, err = capsys.readouterr()
    assert f"[TwoPassRepair] {text}" in out.splitlines()
    assert not err
    assert "after verdict=clean tiles=4 findings=0" in out
    assert cli.main(["repair", *tiles, "--out", str(tmp_path / "a"), "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(json.loads(out)["files"]) == 4
    assert err.splitlines() == [f"[TwoPassRepair] {text}"]
    lost |= {os.path.basename(path) for path in tiles}
    assert cli.main(["repair", *tiles, "--out", str(tmp_path / "b")]) == 2
    out, err = capsys.readouterr()
    # What it is for is said before anything is written.
    assert not out or out.startswith("[TwoPassRepair] picture=") and out.count("\n") == 1
    (line,) = err.splitlines()
    assert line.endswith("b: no copy could be written: OSError: No space left on device")


def test_a_table_that_cannot_be_written(tiles, tmp_path, capsys):
    (tmp_path / TABLE_NAME).mkdir()
    assert cli.main(["repair", *tiles, "--out", str(tmp_path)]) == 1
    assert f"not written: {TABLE_NAME}: IsADirectoryError" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.fits"))) == 6


def bad_calls(tiles, folder):
    (folder / "taken").write_text("a file")
    (folder / "text.fits").write_text("no")
    grey = folder / "grey.fits"
    fits.PrimaryHDU(np.ones((160, 200), "f4"), fits.getheader(tiles[0])).writeto(grey)
    out = ["--out", str(folder / "out")]
    yield [*tiles, str(folder / "gone.fits"), *out], "gone.fits: no such file"
    yield [*tiles, str(folder / "text.fits"), *out], "text.fits: cannot be read"
    yield [*tiles, str(grey), *out], f"grey.fits: 1 channels != 3 of {tiles[0]}"
    yield [tiles[0], *out], "tile_00.fits: 1 given, at least 2 are needed"
    yield [*tiles, "--out", os.path.dirname(tiles[0])], f"holds {tiles[0]}: another folder is needed"
    yield [*tiles, "--out", str(folder / "taken")], "taken: no copy could be written: FileExistsError"
    yield [*tiles, *out, "--scheduler", "nonsense"], "nonsense: no Dask cluster with a worker within"


def test_bad_calls_are_one_line(tiles, tmp_path, capsys):
    for argv, words in bad_calls(tiles, tmp_path):
        capsys.readouterr()
        assert cli.main(["repair", *argv]) == 2, argv
        out, err = capsys.readouterr()
        assert words in err, argv
        assert err.count("\n") == 1
        assert not out or "taken" in words and out.startswith("[TwoPassRepair] picture=") and out.count("\n") == 1
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("argv", [[], ["t.fits"], ["t.fits", "--out", "o", "--dask-workers", "0"]])
def test_bad_usage(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["repair", *argv])
    assert caught.value.code == 2


@pytest.mark.slow
def test_a_disk_that_is_full(tiles, tmp_path):
    """As a process of its own, whose files cannot grow: nothing is left of what was begun."""
    code = (
        "import resource, signal, sys\n"
        "from zemosaic_twopass.command.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sys.exit(main(['repair', *sys.argv[1:]]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *tiles, "--out", str(tmp_path / "out")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("out: no copy could be written: OSError: File too large")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
@pytest.mark.no_cover
def test_damaged_tiles(tmp_path, capsys, monkeypatch):
    """Whatever is wrong with a file, the command ends well or with one line, and leaves nothing by halves."""
    monkeypatch.setattr(mosaic, "_LARGE_MOSAIC", 1 << 16)
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    for tile in synthetic_tiles(rows=2, columns=2, shape=(64, 80), overlap=0.6, faults=[Fault("offset", 1, 90.0)]):
        header = tile.wcs.to_header(relax=True)
        image = fits.PrimaryHDU(tile.pixels[..., 0], header)
        fits.HDUList([image, fits.ImageHDU(tile.coverage, name="ALPHA")]).writeto(given / tile.name, checksum=True)
    paths = sorted(given.iterdir())
    good, rng, codes = paths[1].read_bytes(), np.random.default_rng(20261125), []
    for number in range(24):
        # In the header now and then: there most of it does harm.
        content = damaged(good[:2880], rng) + good[2880:] if number % 2 else damaged(good, rng)
        paths[1].write_bytes(content)
        code, *_ = ran(capsys, "repair", *paths, "--out", out, codes=(0, 1, 2))
        codes.append(code)
        assert paths[1].read_bytes() == content
        assert not [path.name for path in out.iterdir() if path.name.startswith(".")] if out.exists() else True
    assert {0, 2} <= set(codes)
    assert {path.name for path in tmp_path.iterdir()} == {"given", "out"}
