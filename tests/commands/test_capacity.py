"""A run that cannot end is refused before it begins, with what it needs and what there is."""

import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from zemosaic_twopass.command import capacity, cli, passes
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.reading import write_master_tile


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    for tile in synthetic_tiles(rows=1, columns=2, shape=(60, 80)):
        write_master_tile(folder / tile.name, tile)
    return [str(path) for path in sorted(folder.iterdir())]


def need(count, scale=1.0, channels=3):
    tiles = synthetic_tiles(rows=1, columns=2, shape=(60, 80))
    shapes = [tuple(round(scale * n) for n in tile.shape) for tile in tiles]
    for tile in tiles:
        tile.wcs.wcs.cd = tile.wcs.wcs.cd / scale
        tile.wcs.wcs.crpix = (tile.wcs.wcs.crpix - 0.5) * scale + 0.5
    return capacity.estimate_need(shapes * count, [tile.wcs for tile in tiles] * count, channels)


def test_need_grows_with_tiles_and_pixels():
    one = need(1)
    fixed = capacity._PROGRAM
    assert fixed < one.memory < 1.01 * fixed
    # Four times the pixels in every term.
    assert (need(1, 2.0).memory - fixed) / (one.memory - fixed) == pytest.approx(4, rel=0.1)
    # More tiles on the same sky: of the mosaic no more. Tile, coverage, tile × gain; planes and weights in their boxes.
    assert need(3).memory - need(2).memory == need(2).memory - one.memory == 2 * 60 * 80 * 4 * (3 + 1 + 3)
    assert need(2).disk == 2 * one.disk
    assert 2 * 60 * 80 * 8 * 4 < one.disk < 2 * 2 * 60 * 80 * 8 * 4
    assert need(1, channels=1).memory < one.memory
    # In the file each plane takes eight bytes a pixel and one for where it is good, the weights eight.
    assert need(1, channels=1).disk * (3 * 9 + 8) == one.disk * (9 + 8)


def test_where_many_tiles_meet_their_comparison_takes_the_most():
    more = need(51).memory - need(50).memory
    assert more == 2 * 60 * 80 * 4 * (3 + 1 + 3) + capacity._BYTES_A_BLOCK * 2 * 60 * 80 // 64


def test_large_sets_leave_the_corrected_tiles_to_the_file(monkeypatch):
    small = need(1)
    monkeypatch.setattr(capacity, "MAPPED_BEYOND", 0)
    corrected = 2 * 60 * 80 * 4 * 3
    assert need(1) == capacity.Need(small.memory - corrected, small.disk + corrected)


@pytest.mark.parametrize("command", [["run"], ["verify"]])
@pytest.mark.parametrize("scarce", ["memory", "disk"])
def test_refusal(paths, tmp_path, capsys, monkeypatch, scarce, command):
    def loaded(*args):
        raise AssertionError("it has begun")

    monkeypatch.setattr(passes, "load_master_tiles", loaded)
    out = ["--out", str(tmp_path / "out")] if command == ["run"] else []
    if scarce == "memory":
        monkeypatch.setattr(capacity, "find_memory_available", lambda: 1000)
    else:
        monkeypatch.setattr(capacity.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    assert cli.main([*command, *paths, *out]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"2 tiles need {getattr(need(1), scarce)} bytes of {scarce}" in line
    assert "1000 are available" in line
    assert (tempfile.gettempdir() in line) == (scarce == "disk")
    assert not (tmp_path / "out").exists()


def test_enough_or_unknown_is_no_refusal(paths, monkeypatch):
    for available in (need(1).memory, None):
        monkeypatch.setattr(capacity, "find_memory_available", lambda available=available: available)
        capacity.check_capacity(paths)


def test_memory_available(tmp_path, monkeypatch):
    meminfo, limit = tmp_path / "meminfo", tmp_path / "limit"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable:  2000 kB\nHugetlb: 0 kB\n")
    monkeypatch.setattr(capacity, "_MEMINFO", str(meminfo))
    monkeypatch.setattr(capacity, "_CGROUP_LIMITS", (str(limit),))
    assert capacity.find_memory_available() == 2000 << 10
    limit.write_text("max\n")
    assert capacity.find_memory_available() == 2000 << 10
    limit.write_text("4096\n")
    assert capacity.find_memory_available() == 4096
    limit.unlink()
    meminfo.unlink()
    monkeypatch.setattr(capacity.os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False)
    assert capacity.find_memory_available() == 40960
    monkeypatch.delattr(capacity.os, "sysconf")
    assert capacity.find_memory_available() is None


def test_a_tile_that_cannot_be_used_is_named(paths, tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(np.zeros(10).tobytes())
    with pytest.raises(ValueError, match=r"bad\.fits"):
        capacity.check_capacity([*paths, bad])
