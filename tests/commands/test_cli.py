"""The command, as a user calls it."""

import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.data import get_pkg_data_filename
from astropy.wcs import WCS

from helpers import mini
from zemosaic_twopass.command import cli
from zemosaic_twopass.diagnosis.kinds import VERDICTS
from zemosaic_twopass.report.artefacts import ARTEFACTS
from zemosaic_twopass.tiles.reading import write_master_tile
from zemosaic_twopass.tiles.records import Tile

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def small_demo(monkeypatch):
    """The demo on small tiles; what it does stays the same."""
    real = cli.synthetic_tiles
    small = {"rows": 2, "columns": 2, "shape": (90, 100)}
    monkeypatch.setattr(cli, "synthetic_tiles", lambda **kwargs: real(**small, **kwargs))


@pytest.fixture(scope="module")
def real_sky(tmp_path_factory):
    """FITS tiles cut out of a survey image of M 13, which astropy keeps for its own tests."""
    folder = tmp_path_factory.mktemp("sky")
    path = get_pkg_data_filename("hdu/compressed/tests/data/m13.fits", package="astropy.io.fits")
    with fits.open(path) as hdus, warnings.catch_warnings(record=True):
        image, wcs = hdus[0].data.astype(np.float32), WCS(hdus[0].header)
    paths = []
    for index, (top, left) in enumerate([(0, 0), (0, 110), (110, 0), (110, 110)]):
        part = slice(top, top + 190), slice(left, left + 190)
        tile = Tile(image[part].copy(), wcs[part], None, name=f"m13_{index}.fits")
        write_master_tile(folder / tile.name, tile)
        paths.append(str(folder / tile.name))
    return paths, image


def test_demo(tmp_path, capsys):
    assert cli.main(["demo", "--fault", "input_mutated:2", "--out", str(tmp_path), "--write-tiles"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert not err, "no progress bar where there is no terminal"
    assert len([line for line in lines if line.startswith("[TwoPassTile] ")]) == 8
    assert "id=tile_02.fits" in out
    (written,) = [line for line in lines if line.startswith("[TwoPassDelta] wrote delta map: ")]
    assert str(tmp_path / "twopass_delta_map.npy") in written
    assert "reference=first_pass" in written
    assert lines[-1].startswith("[TwoPassVerdict] pipeline_bug picture=unknown tiles=4 ")
    assert "worst_idx=2 " in lines[-1]
    assert any(line.startswith("[TwoPassFinding] idx=2 kind=input_mutated ") for line in lines[-9:-1])
    assert out.count("[TwoPassVerdict]") == 1
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"coverage.fits", "mosaic.fits", "tiles", *ARTEFACTS}
    assert f"page={tmp_path / 'twopass_report.html'} " in next(line for line in lines if "[TwoPassReport]" in line)
    assert len(list((tmp_path / "tiles").iterdir())) == 4


@pytest.mark.usefixtures("no_pictures")
def test_demo_goes_to_the_runtime_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(tmp_path / "here"))
    assert cli.main(["demo", "--downsample", "4"]) == 0
    assert np.load(tmp_path / "here" / "twopass_delta_map.npy").size > 1000


def test_run_on_real_sky(real_sky, tmp_path, capsys):
    paths, image = real_sky
    assert cli.main(["run", *paths, "--out", str(tmp_path), "--sigma", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("[TwoPassTile] ")]) == 8
    mosaic, coverage = fits.getdata(tmp_path / "mosaic.fits"), fits.getdata(tmp_path / "coverage.fits")
    assert mosaic.shape == coverage.shape == pytest.approx(image.shape, abs=3)
    assert set(np.unique(coverage)) >= {1, 2, 4}
    # The sky comes back: star for star, but for the small steps that the gains make.
    height, width = min(mosaic.shape[0], 300), min(mosaic.shape[1], 300)
    both = np.isfinite(mosaic[:height, :width])
    assert np.corrcoef(mosaic[:height, :width][both], image[:height, :width][both])[0, 1] > 0.97
    header = fits.getheader(tmp_path / "mosaic.fits")
    assert header["BUNIT"] == "adu"
    assert WCS(header).has_celestial
    assert np.load(tmp_path / "twopass_delta_map.npy").shape == (mosaic.shape[0] // 8, mosaic.shape[1] // 8)


@pytest.mark.usefixtures("no_pictures")
def test_run_json(real_sky, tmp_path, capsys):
    assert cli.main(["run", *real_sky[0], "--out", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [tile["name"] for tile in found["tiles"]] == [f"m13_{k}.fits" for k in range(4)]
    assert found["tiles"][0]["post_source"] == "observed"
    assert [Path(path).name for path in found["files"]] == ["mosaic.fits", "coverage.fits"]
    assert not err


@pytest.mark.usefixtures("no_pictures")
def test_fail_on(tmp_path, capsys):
    common = ["demo", "--out", str(tmp_path)]
    verdict = json.loads(_out(capsys, [*common, "--json"]))["verdict"]
    assert cli.main([*common, "--fail-on", verdict]) == 1
    other = next(name for name in VERDICTS if name != verdict)
    assert cli.main([*common, "--fail-on", other]) == 0


def _out(capsys, argv, code=0):
    capsys.readouterr()
    assert cli.main(argv) == code
    return capsys.readouterr().out


def bad_calls(folder, sky):
    """(arguments, words on standard error) of every call that cannot be carried out."""
    (folder / "text.fits").write_text("no")
    (folder / "empty.py").write_text("x = 1\n")
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "taken").write_text("a file")
    out = ["--out", str(folder / "out")]
    rgb = folder / "rgb.fits"
    fits.PrimaryHDU(np.ones((3, 40, 50), "f4"), fits.getheader(sky[0])).writeto(rgb)
    yield ["run", str(folder / "none.fits"), *out], "none.fits"
    yield ["run", sky[0], str(folder / "text.fits"), *out], "text.fits: cannot be read"
    yield ["run", sky[0], str(rgb), *out], "rgb.fits: 3 channels != 1 of"
    yield ["run", *sky, "--out", str(folder / "taken")], "taken"
    yield ["demo", *out, "--worker", str(folder / "gone.py")], "gone.py: cannot be imported"
    yield ["demo", *out, "--worker", str(folder / "empty.py")], "empty.py: has no run_second_pass_coverage_renorm"
    yield ["verify", "--worker", str(folder / "broken.py")], "broken.py: cannot be imported as a worker: ZeroDivision"
    yield ["demo", *out, "--fault", "offset:9"], "tile 9 is not one of 0 to 3"
    yield ["demo", *out, "--downsample", "0"], "downsample 0 < 1"


def test_bad_calls_are_one_line(real_sky, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for argv, words in bad_calls(tmp_path, real_sky[0]):
        capsys.readouterr()
        assert cli.main(argv) == 2, argv
        err = capsys.readouterr().err
        assert words in err, argv
        assert err.count("\n") == 1
        assert err.startswith("zemosaic-twopass: error: ")


@pytest.mark.parametrize("argv", [[], ["fly"], ["run"], ["demo", "--fault", "blur"], ["demo", "--fail-on", "x"]])
def test_bad_usage(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err


@pytest.fixture
def old_worker(tmp_path, monkeypatch):
    """A miniature worker of another version on disk, with its utilities beside it."""
    source = "import numpy as np\n" + mini.WORKER.replace("def _apply_two_pass", "def _other")
    utilities = mini.UTILITIES.replace(
        "    return sum(float(d.sum()) for d in data_list), len(wcs_list)",
        "    import numpy as np\n    return np.full(shape_out, data_list[0].shape[0], float), np.ones(shape_out)",
    )
    source = source.replace("result.append(", "result.append(*[").replace(
        "shape_out=shape_out))", "shape_out=shape_out)])"
    )
    source = source.replace("np.array(result), None", "np.stack([m for m, _ in result], -1), result[0][1]")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "zemosaic_worker.py").write_text(source)
    (tmp_path / "old" / "zemosaic_utils.py").write_text(utilities)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("zemosaic_worker", "zemosaic_utils"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    return tmp_path / "old" / "zemosaic_worker.py"


@pytest.mark.usefixtures("no_pictures")
def test_another_workers_second_pass(old_worker, real_sky, tmp_path, capsys):
    argv = ["run", *real_sky[0], "--out", str(tmp_path / "out"), "--worker", str(old_worker), "--json"]
    found = json.loads(_out(capsys, argv))
    assert [tile["gain"] for tile in found["tiles"]] == [1.0, 1.125, 1.25, 1.375]
    assert found["delta"]["reference"] == "tiles"
    mosaic = fits.getdata(tmp_path / "out" / "mosaic.fits")
    assert (mosaic == 190).any()


@pytest.mark.usefixtures("no_pictures")
def test_another_workers_short_gain_list_is_bad_input(old_worker, real_sky, tmp_path, capsys):
    text = old_worker.read_text().replace("for index in range(len(tiles))]", "for index in range(len(tiles) - 1)]")
    old_worker.write_text(text)
    argv = ["run", *real_sky[0], "--out", str(tmp_path / "out"), "--worker", str(old_worker), "--json"]
    assert cli.main(argv) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "zemosaic_worker.py: TileError: gain list: 3 values != 4 tiles" in last


def test_a_worker_in_the_current_folder_is_not_taken(tmp_path):
    (tmp_path / "zemosaic_worker.py").write_text("raise SystemExit('the wrong worker')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ZEMOSAIC_TWO_PASS_DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "zemosaic_twopass", "demo", "--fault", "undetermined", "--out", "out", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["tiles"]) == 1


@pytest.mark.usefixtures("no_pictures")
def test_progress_bar_on_a_terminal(tmp_path, capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert cli.main(["demo", "--out", str(tmp_path), "--json"]) == 0
    assert "coadd: 100%" in sys.stderr.getvalue() or "7/7" in sys.stderr.getvalue() or "%|" in sys.stderr.getvalue()


@pytest.mark.usefixtures("no_pictures")
def test_logger_is_left_as_it_was(tmp_path, capsys):
    import logging

    logger = logging.getLogger("ZeMosaicWorker")
    before = logger.level, logger.propagate, list(logger.handlers)
    cli.main(["demo", "--out", str(tmp_path)])
    assert (logger.level, logger.propagate, logger.handlers) == before
