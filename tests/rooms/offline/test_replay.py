"""Diagnostics from tiles on disk, without a second pass."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import map_coordinates

from helpers.bystander import failing
from helpers.scenes import Pass, coadded, named
from zemosaic_twopass import delta_map, diagnose, tile_statistics
from zemosaic_twopass.command import cli
from zemosaic_twopass.diagnosis.registration import move_wcs
from zemosaic_twopass.diagnosis.seams import seams_with_tiles
from zemosaic_twopass.offline.replay import replay
from zemosaic_twopass.report.map_picture import draw_map
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile
from zemosaic_twopass.tiles.records import SecondPass, Tile, TileList

LARGE = {"rows": 2, "columns": 2, "shape": (340, 430), "overlap": 0.7}
GAINS = [1.0, 0.95, 1.1, 0.9]


class Night:
    """Tiles and a first-pass mosaic, in memory and on disk."""

    def __init__(self, folder):
        self.tiles = synthetic_tiles(rows=2, columns=2, shape=(90, 110), overlap=0.5)
        whole = coadded(self.tiles, (190, 230))
        self.wcs, self.shape = whole.wcs, whole.pixels.shape[:2]
        self.mosaic = whole.pixels
        self.paths = [folder / tile.name for tile in self.tiles]
        for path, tile in zip(self.paths, self.tiles, strict=True):
            write_master_tile(path, tile)
        self.mosaic_path = folder / "mosaic.fits"
        image = np.moveaxis(self.mosaic, 2, 0)
        fits.PrimaryHDU(image, whole.wcs.to_header(relax=True)).writeto(self.mosaic_path)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return Night(tmp_path_factory.mktemp("night"))


def test_the_same_as_from_memory(night):
    report, left_out = replay(night.mosaic_path, night.paths, GAINS, downsample=4)
    assert not left_out
    for record, tile, gain in zip(report.tiles, night.tiles, GAINS, strict=True):
        assert (record.name, record.gain, record.post_source) == (tile.name, gain, "derived")
        good = np.where(tile.coverage[..., np.newaxis] > 0, tile.pixels, np.float32(np.nan))
        assert record.pre == tile_statistics(good)
        assert record.post == tile_statistics(good * np.float32(gain))
    covered = [np.where(t.coverage[..., None] > 0, t.pixels, np.nan) for t in night.tiles]
    wcs = [tile.wcs for tile in night.tiles]
    for found, gains in ((report.before, [1] * 4), (report.delta, GAINS)):
        layers = [tile * np.float32(gain) for tile, gain in zip(covered, gains, strict=True)]
        expected = delta_map(layers, wcs, night.mosaic, night.wcs, night.shape, downsample=4)
        np.testing.assert_array_equal(found.count, expected.count)
        np.testing.assert_allclose(found.delta, expected.delta, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found.tile_medians, expected.tile_medians, rtol=1e-4)
    assert report.settings == {"mosaic": "mosaic.fits", "shape_out": night.shape, "downsample": 4}


def test_what_is_masked_is_in_no_statistics(night, tmp_path):
    """A border of zeros under ALPHA 0: neither the least value nor a part of what is valid."""
    tile = read_master_tile(night.paths[0])
    border = np.ones(tile.shape, bool)
    border[20:-20, 20:-20] = False
    pixels = np.where(border[..., np.newaxis], np.float32(0), tile.pixels)
    paths = [tmp_path / tile.name, *night.paths[1:]]
    write_master_tile(paths[0], replace(tile, pixels=pixels, coverage=np.where(border, 0, 1).astype(np.float32)))
    report, _ = replay(night.mosaic_path, paths, GAINS)
    good = np.where(border[..., np.newaxis], np.float32(np.nan), tile.pixels)
    assert report.tiles[0].pre == tile_statistics(good)
    assert report.tiles[0].pre.valid_fraction == pytest.approx((~border).mean())
    assert min(report.tiles[0].post.minimum) > 0


def test_without_a_gain_nothing_is_printed_that_would_be_nan(night, tmp_path, capsys):
    argv = ["replay", str(night.mosaic_path), *map(str, night.paths), "--out", str(tmp_path)]
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert out.count("[TwoPassTile] pre_gain") == len(night.paths)
    assert "post_gain" not in out
    assert cli.main(["show", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "pre_median_r" in shown
    assert "nan" not in shown
    assert "post_" not in shown
    page = (tmp_path / "twopass_report.html").read_text(encoding="utf-8")
    for words in ("first pass", "first-pass", "the pass itself", "coverage renorm", "post_"):
        assert words not in page.replace("\N{ZERO WIDTH SPACE}", ""), words


def test_without_gains_nothing_is_said_of_the_tiles_after_it(night, tmp_path):
    report, _ = replay(night.mosaic_path, night.paths)
    assert all(np.isnan(record.gain) and np.isnan(record.post.valid_fraction) for record in report.tiles)
    assert np.isnan(report.delta.tile_medians).all()
    np.testing.assert_array_equal(report.delta.delta, report.before.delta)
    with_gains, _ = replay(night.mosaic_path, night.paths, GAINS)
    for found, kept, words in ((report, False, "tile as given - reference"), (with_gains, True, "tile x gain - ref")):
        assert found.to_dict()["delta"]["after_gain"] is kept
        found.write(tmp_path)
        history = fits.getheader(tmp_path / "twopass_delta_map.fits")["HISTORY"]
        assert any(words in line for line in history)
        titles = [axes.get_title(loc="left") for axes in draw_map(found).axes if hasattr(axes, "coords")]
        assert titles == ["tile as given − mosaic", "tile after its gain − mosaic"][: 1 + kept]


def test_a_gain_that_is_not_known_leaves_one_tile_out_of_the_map_after_it(night):
    report, _ = replay(night.mosaic_path, night.paths, [1.0, np.nan, 1.0, 1.0])
    assert np.isnan(report.delta.tile_medians).tolist() == [False, True, False, False]
    assert np.isfinite(report.before.tile_medians).all()


def test_what_happens_to_tiles_while_others_are_looked_at(night, tmp_path, capsys):
    """One vanishes and one is cut short when its turn is near: both are named, the others are done."""
    paths = []
    for path in night.paths:
        paths.append(tmp_path / path.name)
        paths[-1].write_bytes(path.read_bytes())

    def run(function, *columns):
        for index, arguments in enumerate(zip(*columns, strict=True)):
            yield function(*arguments)
            if index == 0:
                paths[1].unlink()
                with paths[3].open("r+b") as file:
                    file.truncate(paths[3].stat().st_size // 2)

    told = []
    report, left_out = replay(night.mosaic_path, paths, GAINS, run=run, tell=told.append)
    assert [record.name for record in report.tiles] == ["tile_00.fits", "tile_02.fits"]
    assert [record.index for record in report.tiles] == [0, 1]
    assert tuple(told) == tuple(replace(record, fit=None) for record in report.tiles)
    assert len(left_out) == 2
    assert "tile_01.fits: cannot be read: " in left_out[0]
    assert "tile_03.fits: cannot be read: " in left_out[1]
    alone, _ = replay(night.mosaic_path, paths[::2], GAINS[::2])
    np.testing.assert_array_equal(report.delta.delta, alone.delta.delta)
    argv = ["replay", str(night.mosaic_path), *map(str, [paths[0], *paths[2:]]), "--out", str(tmp_path / "out")]
    assert cli.main(argv) == 1
    assert "[TwoPassReplay] left out: " in capsys.readouterr().out


@pytest.mark.parametrize("axes", [2, 3])
def test_a_residual_is_found_and_named(tmp_path, axes, capsys):
    """The tiles' own offset, from files alone; the mosaic is from tiles without it."""
    scene = Pass.make(rows=2, columns=2, shape=(340, 430), overlap=0.7, channels=1).coadd()
    mosaic = scene.mosaic[..., 0] if axes == 2 else scene.mosaic
    write_master_tile(tmp_path / "mosaic.fits", Tile(mosaic, scene.out, None, name="mosaic.fits"))
    paths = []
    for index, (tile, wcs, coverage) in enumerate(zip(scene.tiles, scene.wcs, scene.coverage, strict=True)):
        paths.append(tmp_path / f"{index}.fits")
        write_master_tile(paths[-1], Tile(tile + np.float32(30 * (index == 2)), wcs, coverage, name=paths[-1].name))
    report, left_out = replay(tmp_path / "mosaic.fits", paths)
    assert not left_out
    assert (report.verdict, report.worst) == ("residual", 2)
    (finding,) = report.findings
    assert (finding.kind, finding.tile) == ("offset", 2)
    assert finding.value == pytest.approx(30, rel=0.02)
    read = TileList.of([read_master_tile(path) for path in paths])
    expected = diagnose(SecondPass(read, scene.out, scene.shape, mosaic=scene.mosaic, coverage=scene.weights))
    assert named(expected)[0] == ("offset", 2)
    assert expected[0].value == pytest.approx(finding.value, rel=1e-3)
    argv = ["replay", str(tmp_path / "mosaic.fits"), *map(str, paths), "--out", str(tmp_path / "out")]
    assert cli.main([*argv, "--fail-on", "residual"]) == 1
    *_, line, _, verdict = capsys.readouterr().out.splitlines()
    assert line.startswith("[TwoPassFinding] idx=2 kind=offset ")
    assert verdict.startswith("[TwoPassVerdict] residual picture=no_seam tiles=4 findings=1 worst_idx=2 ")


def test_the_seams_of_the_mosaic_are_measured_and_cost_nothing_else_where_they_fail(tmp_path, caplog):
    """A mosaic in another scale, with a step of 30 adu of the tiles along a side of tile 2."""
    tiles = synthetic_tiles(rows=2, columns=2, shape=(240, 330), overlap=0.5)
    whole = coadded(tiles, (420, 560))
    rows, columns = np.indices(whole.pixels.shape[:2])
    x, y = tiles[2].wcs.world_to_pixel_values(*whole.wcs.pixel_to_world_values(columns, rows))
    inside = map_coordinates(tiles[2].coverage.astype(float), (y, x), order=1) > 0.5
    image = (whole.pixels + 30 * (inside * (1 - y / 240))[..., np.newaxis]) / 65535
    path = tmp_path / "mosaic.fits"
    fits.PrimaryHDU(np.moveaxis(image.astype(np.float32), 2, 0), whole.wcs.to_header(relax=True)).writeto(path)
    for tile in tiles:
        write_master_tile(tmp_path / tile.name, tile)
    paths = [tmp_path / tile.name for tile in tiles]
    report, _ = replay(path, paths)
    (seams,) = report.seams
    assert (seams.mosaic, seams.picture, report.picture) == ("mosaic.fits", "visible", "visible")
    lower = [edge for edge in seams.edges if edge.tile == 2 and edge.look == "visible"]
    assert lower
    for edge in lower:
        at = round(edge.y), round(edge.x)
        assert np.allclose(edge.step, 30 * (1 - y[at] / 240), atol=3)
    with failing(seams_with_tiles, error=ValueError):
        without, _ = replay(path, paths)
    assert (without.seams, without.picture) == ((), "unknown")
    assert without.findings == report.findings
    assert [record.message for record in caplog.records] == ["[TwoPassProbe] diagnostics failed: ValueError: injected"]


def test_a_tile_with_other_channels_is_left_out(night, tmp_path):
    grey = tmp_path / "grey.fits"
    fits.PrimaryHDU(night.tiles[0].pixels[..., 0], fits.getheader(night.paths[0])).writeto(grey)
    report, (reason,) = replay(night.mosaic_path, [*night.paths[:2], grey])
    assert reason == f"{grey}: 1 channels != 3 of mosaic.fits"
    assert len(report.tiles) == 2


def test_scaled_integers_are_read_too(night, tmp_path):
    path = tmp_path / "scaled.fits"
    image = np.moveaxis(np.nan_to_num(night.tiles[0].pixels), 2, 0).astype(np.uint16)
    fits.PrimaryHDU(image, fits.getheader(night.paths[0])).writeto(path)
    assert fits.getheader(path)["BZERO"] == 32768
    report, _ = replay(night.mosaic_path, [path])
    assert report.tiles[0].pre.minimum == (0.0,) * 3


def test_command(night, tmp_path, capsys):
    tiles = [{"name": path.name, "gain": gain} for path, gain in zip(night.paths, GAINS, strict=True)]
    (tmp_path / "run.json").write_text(json.dumps({"tiles": tiles}))
    argv = ["replay", str(night.mosaic_path), *map(str, night.paths), "--downsample", "4"]
    assert cli.main([*argv, "--report", str(tmp_path / "run.json"), "--out", str(tmp_path / "a")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len([line for line in out if line.startswith("[TwoPassTile] ")]) == 8
    assert out[-1].startswith("[TwoPassVerdict] clean picture=unknown tiles=4 ")
    report = tmp_path / "a" / "twopass_report.json"
    names = [str(path) for path in reversed(night.paths)]
    again = ["replay", str(night.mosaic_path), *names, "--downsample", "4", "--out", str(tmp_path / "b")]
    assert cli.main([*again, "--report", str(report), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [tile["gain"] for tile in found["tiles"]] == GAINS[::-1]
    assert found["left_out"] == []
    one, other = (np.load(tmp_path / name / "twopass_delta_map.npy") for name in "ab")
    np.testing.assert_allclose(one, other, rtol=1e-6)
    assert cli.main([*argv, "--out", str(tmp_path / "c"), "--fail-on", "clean"]) == 1


def bad_calls(night, folder):
    """(arguments, words on standard error)."""
    start = ["replay", str(night.mosaic_path), *map(str, night.paths), "--out", str(folder / "out")]
    (folder / "list").write_text("[1]")
    (folder / "other").write_text('{"tiles": [{"name": "tile_00.fits", "gain": 1}]}')
    (folder / "gain").write_text('{"tiles": [{"name": "tile_00.fits", "gain": "much"}]}')
    (folder / "huge").write_text('{"tiles": [{"name": "tile_00.fits", "gain": 1%s}]}' % ("0" * 400))
    (folder / "deep").write_text("[" * 100_000)
    (folder / "bytes").write_bytes(b"1 \xff")
    with (folder / "large").open("wb") as file:
        file.truncate((32 << 20) + 1)
    (folder / "text.fits").write_text("no")
    yield ["replay", str(folder / "none.fits"), *start[2:]], "none.fits: no such file"
    yield [*start[:2], str(folder / "gone.fits"), *start[2:]], "gone.fits: no such file"
    yield ["replay", str(folder / "text.fits"), *start[2:]], "text.fits: cannot be read"
    yield ["replay", start[1], str(folder / "text.fits"), *start[-2:]], "text.fits: cannot be read"
    yield [*start, "--report", str(folder / "list")], "list: not the JSON report of a run: TypeError"
    for name, error in (("gain", "ValueError"), ("huge", "OverflowError"), ("deep", "RecursionError")):
        yield [*start, "--report", str(folder / name)], f"{name}: not the JSON report of a run: {error}"
    yield [*start, "--report", str(folder / "bytes")], "bytes: is not UTF-8"
    yield [*start, "--report", str(folder / "large")], "large: more than 33554432 bytes"
    yield [*start, "--report", str(folder)], f"{folder}: is not a regular file"
    yield [*start, "--report", str(folder / "other")], "other: 0 tiles are called tile_01.fits, 1 is needed"
    yield [*start, "--downsample", "500"], "downsample 500 does not fit shape_out (190, 230)"


def test_bad_calls_are_one_line(night, tmp_path, capsys):
    for argv, words in bad_calls(night, tmp_path):
        capsys.readouterr()
        assert cli.main(argv) == 2, argv
        err = capsys.readouterr().err
        assert words in err, argv
        assert err.count("\n") == 1
        assert len(err) < 1000


@pytest.mark.parametrize("extra", [["--dask-workers", "0"], ["--gains", "a"]])
def test_bad_usage(extra, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["replay", "m.fits", "t.fits", "--out", "o", *extra])
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_no_tiles_and_gains_that_are_not_one_a_tile(night):
    with pytest.raises(TileError, match="no tiles: 0"):
        replay(night.mosaic_path, [])
    with pytest.raises(TileError, match="2 gains != 4 tiles"):
        replay(night.mosaic_path, night.paths, [1.0, 2.0])


def test_a_tile_with_a_wrong_wcs_is_read_again_and_compared_in_its_place(tmp_path):
    scene = Pass.make(**LARGE).coadd()
    wrong = move_wcs(Tile(scene.tiles[2], scene.wcs[2]), scene.out, [7.0, 5.0])
    paths = []
    for index, (tile, wcs, good) in enumerate(zip(scene.tiles, scene.wcs, scene.coverage, strict=True)):
        paths.append(tmp_path / f"{index}.fits")
        own = Tile(tile, wrong if index == 2 else wcs, good, name=paths[-1].name)
        write_master_tile(paths[-1], own)
    fits.PrimaryHDU(scene.mosaic[..., 0], scene.out.to_header(relax=True)).writeto(tmp_path / "mosaic.fits")
    report, left_out = replay(tmp_path / "mosaic.fits", paths)
    assert not left_out
    # Nothing else: compared 8.6 px beside its place, its stars would leave a gradient or more.
    assert named(report.findings) == [("astrometry", 2)]
    assert report.findings[0].value == pytest.approx(np.hypot(7, 5), abs=0.1)
    assert report.verdict == "residual"
    assert report.tiles[2].fit.shift_x == pytest.approx(-7, abs=0.1)
    assert report.tiles[2].fit.overlaps == 3
