"""The same on a Dask cluster: two real worker processes on this machine, one of them killed."""

import json
import os
import pickle
import signal
import socket
import sys
from functools import partial
from types import SimpleNamespace

import dask
import numpy as np
import pytest
from distributed import LocalCluster

from helpers.scenes import coadded
from zemosaic_twopass.command import cli
from zemosaic_twopass.offline import cluster
from zemosaic_twopass.offline.corrections import TABLE_NAME
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.offline.replay import Target, replay
from zemosaic_twopass.synthetic.faults import Fault
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.images import TileError, open_image
from zemosaic_twopass.tiles.reading import write_master_tile

pytestmark = pytest.mark.slow

GAINS = [1.0, 0.95, 1.1, 0.9, 1.05, 0.97]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Paths of a mosaic and of tiles."""
    folder = tmp_path_factory.mktemp("cluster")
    tiles = synthetic_tiles(rows=2, columns=3, shape=(90, 110), overlap=0.5)
    write_master_tile(folder / "mosaic.fits", coadded(tiles, (220, 240)))
    for tile in tiles:
        write_master_tile(folder / tile.name, tile)
    return folder / "mosaic.fits", [folder / tile.name for tile in tiles]


@pytest.fixture(scope="module")
def two_workers():
    # By default three: each is a process of its own until the tile is given up.
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), cluster.cluster_map(processes=2) as run:
        yield run


def killed_once(function, marker, path, gain):
    """The work on a tile, in a process that dies over the third one the first time."""
    if path.endswith("tile_02.fits"):
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid(), function(path, gain)


def always_killed(function, path, gain):
    if path.endswith("tile_02.fits"):
        os.kill(os.getpid(), signal.SIGKILL)
    return function(path, gain)


def assert_same(report, other):
    first, second = ({**r.to_dict(), "created": None} for r in (report, other))
    assert json.dumps(first) == json.dumps(second)
    for name in ("delta", "signed", "count"):
        for which in ("delta", "before"):
            np.testing.assert_array_equal(getattr(getattr(report, which), name), getattr(getattr(other, which), name))


def test_a_killed_worker_changes_nothing(night, two_workers, tmp_path):
    mosaic, paths = night
    seen = set()

    def run(function, *columns):
        for process, look in two_workers(partial(killed_once, function, str(tmp_path / "killed")), *columns):
            seen.add(process)
            yield look

    report, left_out = replay(mosaic, paths, GAINS, downsample=4, run=run)
    assert (tmp_path / "killed").exists()
    assert os.getpid() not in seen
    assert not left_out
    assert_same(report, replay(mosaic, paths, GAINS, downsample=4)[0])


def test_a_tile_that_kills_every_worker_is_left_out(night, two_workers):
    mosaic, paths = night

    def run(function, *columns):
        return two_workers(partial(always_killed, function), *columns)

    report, (reason,) = replay(mosaic, paths, GAINS, downsample=4, run=run)
    assert reason == f"{paths[2]}: every worker that took it was lost"
    others = [index for index in range(6) if index != 2]
    expected, _ = replay(mosaic, [paths[i] for i in others], [GAINS[i] for i in others], downsample=4)
    assert_same(report, expected)


def test_a_tile_that_vanished_is_left_out(night, two_workers):
    mosaic, paths = night
    missing = paths[0].with_name("vanished.fits")
    report, (reason,) = replay(mosaic, [paths[0], missing, paths[1]], run=two_workers)
    assert reason.startswith(f"{missing}: cannot be read: ")
    assert len(report.tiles) == 2


def broken(path, gain):
    raise ModuleNotFoundError("No module named 'zemosaic_twopass'")


def test_workers_that_cannot_do_it_are_one_line(night, two_workers):
    with pytest.raises(TileError, match=r"tile_00\.fits: the Dask cluster failed: ModuleNotFoundError: No module"):
        list(two_workers(broken, night[1], GAINS))


def test_paths_are_sent_and_no_pixels(night):
    mosaic, _ = night
    with open_image(mosaic) as (data, header, _):
        target = Target(str(mosaic), header, data.shape[:2], 8)
        sent = pickle.dumps(target)
        assert len(sent) < data.nbytes / 50
    grid, there = target.grid(), pickle.loads(sent).grid()
    for part in ("crpix", "crval", "cdelt"):
        assert getattr(grid.wcs.wcs, part).tobytes() == getattr(there.wcs.wcs, part).tobytes()
    assert grid.wcs.wcs.get_pc().tobytes() == there.wcs.wcs.get_pc().tobytes()
    assert grid.shape == there.shape


def test_repaired_copies_are_the_same_to_the_byte(two_workers, tmp_path):
    faults = [Fault("offset", 1, 30.0), Fault("gradient", 3, 60.0), Fault("astrometry", 4, 2.0)]
    paths = []
    for tile in synthetic_tiles(rows=2, columns=3, shape=(160, 200), overlap=0.6, faults=faults):
        paths.append(tmp_path / tile.name)
        write_master_tile(paths[-1], tile)
    seen = set()

    def run(function, *columns):
        for process, result in two_workers(partial(with_process, function), *columns):
            seen.add(process)
            yield result

    here, there = repair(paths, tmp_path / "here"), repair(paths, tmp_path / "there", run=run)
    assert seen
    assert os.getpid() not in seen
    assert sum(not own.empty for own in here.corrections) == 3
    assert (here.steps, here.noise) == (there.steps, there.noise)
    for name in [path.name for path in paths] + [TABLE_NAME]:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def with_process(function, *arguments):
    return os.getpid(), function(*arguments)


def test_command_with_a_worker_of_its_own(night, tmp_path, capsys):
    mosaic, paths = night
    argv = ["replay", str(mosaic), *map(str, paths), "--downsample", "4", "--json", "--out"]
    reports = []
    for extra in ([], ["--dask-workers", "1"]):
        assert cli.main([*argv, str(tmp_path / str(len(extra))), *extra]) == 0
        reports.append({**json.loads(capsys.readouterr().out), "created": None, "files": None})
    assert reports[0] == reports[1]


def test_a_scheduler_that_is_not_there(night, tmp_path, capsys):
    mosaic, paths = night
    argv = ["replay", str(mosaic), str(paths[0]), "--out", str(tmp_path / "out"), "--scheduler"]
    for address in ("tcp://127.0.0.1:1", "nonsense"):
        assert cli.main([*argv, address]) == 2
        assert f"error: {address}: no Dask cluster with a worker within" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_scheduler_that_listens_and_says_nothing(monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TileError, match=r"within 0\.2 s"), cluster.cluster_map(address):
            pass


def test_a_scheduler_without_workers(monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE_S", 1)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(TileError, match="Only 0/1 workers"),
        cluster.cluster_map(empty.scheduler_address),
    ):
        pass


def test_without_dask_the_command_says_how_to_get_it(night, tmp_path, capsys, monkeypatch):
    mosaic, paths = night
    monkeypatch.setitem(sys.modules, "zemosaic_twopass.offline.cluster", None)
    argv = ["replay", str(mosaic), str(paths[0]), "--out", str(tmp_path), "--dask-workers", "2"]
    assert cli.main(argv) == 2
    assert "install the extra dask of zemosaic-instrument (see its README)" in capsys.readouterr().err


def test_a_cluster_without_workers_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(cluster, "_LONELY_S", 0)
    monkeypatch.setattr(cluster, "_PATIENCE_S", 0.05)
    future = SimpleNamespace(status="pending", exception=lambda timeout: None)
    client = SimpleNamespace(scheduler_info=lambda: {"workers": {}})
    client.submit = lambda *args, **more: future
    with pytest.raises(TileError, match=r"/tile\.fits: the Dask cluster has had no worker for 0 s$"):
        list(cluster._results(client, str, ["/tile.fits"]))
