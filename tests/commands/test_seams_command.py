"""The command ``seams`` on mosaics from disk."""

import json

import numpy as np
import pytest
from astropy.io import fits

from zemosaic_twopass.command import cli
from zemosaic_twopass.synthetic.sky import synthetic_tiles, tangent_wcs
from zemosaic_twopass.tiles.reading import write_master_tile
from zemosaic_twopass.tiles.records import Tile


def written(folder, step):
    """A mosaic of two tiles side by side with a step at the edge of the second, its coverage, and the tiles."""
    (sky,) = synthetic_tiles(rows=1, columns=1, shape=(220, 420), noise=0.0, seed=3)
    rng, sky = np.random.default_rng(5), np.nan_to_num(sky.pixels, nan=float(np.nanmedian(sky.pixels)))
    wcs, total, coverage, tiles = tangent_wcs((80.0, 20.0), 0.0, (220, 420)), 0 * sky, np.zeros((220, 420)), []
    for number, (first, last) in enumerate(((0, 260), (160, 420))):
        pixels = sky[:, first:last] + rng.normal(0, 4, (220, last - first, 3)).astype(np.float32)
        own = wcs.deepcopy()
        own.wcs.crpix -= first, 0
        tiles.append(folder / f"tile_{number}.fits")
        write_master_tile(tiles[-1], Tile(pixels.astype(np.float32), own, None, name=tiles[-1].name))
        total[:, first:last] += pixels
        coverage[:, first:last] += 1
    mosaic = total / coverage[..., np.newaxis]
    mosaic[:, 160:] += step
    header = wcs.to_header()
    fits.PrimaryHDU(np.moveaxis(mosaic, 2, 0).astype(np.float32), header).writeto(folder / "mosaic.fits")
    fits.PrimaryHDU(coverage.astype(np.float32), header).writeto(folder / "coverage.fits")
    return [str(path) for path in (folder / "mosaic.fits", folder / "coverage.fits", *tiles)]


@pytest.mark.parametrize("by", ["--coverage", "--tiles"])
def test_a_step_is_seen(tmp_path, capsys, by):
    mosaic, coverage, *tiles = written(tmp_path, 20.0)
    more = [coverage] if by == "--coverage" else tiles
    out = tmp_path / "out"
    code = cli.main(["seams", mosaic, by, *more, "--out", str(out), "--json", "--fail-on", "visible"])
    found = json.loads(capsys.readouterr().out)
    assert code == 1
    assert found["picture"] == "visible"
    (seams,) = found["seams"]
    right = [edge for edge in seams["edges"] if abs(edge["x"] - 159.5) < 5]
    assert right
    for edge in right:
        # The step is on the side of the second tile, whether it is known whose the edge is or not.
        size = -20.0 * edge["normal"][0]
        np.testing.assert_allclose(edge["step"], size, rtol=0.15)
        assert edge["tile"] == (1 if by == "--tiles" else None)
    assert {path.name for path in out.iterdir()} == {"twopass_seams.ecsv", "twopass_seams.png"}


def test_lines_for_people_and_bad_usage(tmp_path, capsys):
    mosaic, coverage, *_ = written(tmp_path, 0.0)
    assert cli.main(["seams", mosaic, mosaic, "--coverage", coverage]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["[TwoPassSeam]"] * 2 + ["mosaic.fits:"] * 2
    assert cli.main(["seams", mosaic]) == 2
    assert "give --coverage or --tiles" in capsys.readouterr().err
    assert cli.main(["seams", mosaic, "--coverage", mosaic]) == 2
    assert "2 axes are needed, not 3" in capsys.readouterr().err
    fits.PrimaryHDU(np.ones((10, 12))).writeto(tmp_path / "small.fits")
    assert cli.main(["seams", mosaic, "--coverage", str(tmp_path / "small.fits")]) == 2
    assert "(220, 420) != (10, 12)" in capsys.readouterr().err
    assert cli.main(["seams", str(tmp_path / "none.fits"), "--coverage", coverage]) == 2
    assert "none.fits: no such file" in capsys.readouterr().err
