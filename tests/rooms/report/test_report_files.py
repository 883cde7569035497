"""All files of a report: written whole, read back, and lost one by one at most."""

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from helpers.reports import NOTE, OFFSET, SEAM, WITHOUT_MAP, make_report, names, single_pixel_report
from zemosaic_instrument import TwoPassReport
from zemosaic_twopass.report.artefacts import ARTEFACTS, JSON_NAME, MAP_NAME, PAGE_NAME, TABLE_NAME, ArtefactError

PICTURES = {"twopass_delta_map.png", "twopass_tiles.png", "twopass_evidence.png", "twopass_seams.png"}


def test_all_files_are_written_in_order(tmp_path):
    directory = tmp_path / "Neuer Ördner 望遠鏡" / "with spaces"
    paths = make_report(findings=(OFFSET,)).write(directory)
    assert [path.name for path in paths] == list(ARTEFACTS)
    assert all(path.parent == directory for path in paths)
    assert names(directory) == set(ARTEFACTS), "no temporary file is left"


def test_array_reads_back(tmp_path):
    report = make_report()
    report.write(tmp_path)
    found = np.load(tmp_path / MAP_NAME, allow_pickle=False)
    np.testing.assert_array_equal(found, report.delta.delta)
    assert found.dtype == np.float32


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_table_reads_back(tmp_path, channels):
    hard = ["a b.fits", "Ünï 望.fits", "q\"u'o,t;e \\ #.fits", "two\nlines.fits"]
    report = make_report(channels=channels, names=hard, findings=(OFFSET, SEAM, NOTE, replace(SEAM, tile=1)))
    report.write(tmp_path)
    found, made = Table.read(tmp_path / TABLE_NAME, format="ascii.ecsv", encoding="utf-8"), report.to_table()
    assert found.colnames == made.colnames
    assert found.meta["verdict"] == "residual"
    for name in made.colnames:
        assert found[name].ndim == 1
        np.testing.assert_array_equal(found[name], made[name])
        assert found[name].unit == made[name].unit
        assert found[name].description == made[name].description
        assert found[name].description
    assert list(found["id"]) == hard
    assert list(found["finding"]) == ["gain_seam", "offset gain_seam", "-", "-"]
    suffix = {1: "l", 3: "b", 4: "3"}[channels]
    assert found[f"post_median_{suffix}"][2] == report.tiles[2].post.median[-1]
    assert found[f"post_median_{suffix}"].unit == "adu"
    assert found["gain"].unit is None
    np.testing.assert_array_equal(found["delta_post"], report.delta.tile_medians)
    np.testing.assert_array_equal(found["delta_pre"], report.before.tile_medians)


def test_json_reads_back_without_nan(tmp_path):
    report = make_report(findings=(OFFSET, NOTE), names=["é", "b", "c", "d"])
    gainless = replace(report.tiles[0], gain=float("nan"))
    report = replace(report, tiles=(gainless, *report.tiles[1:]), settings={"gain_clip": (np.float32(0.5), np.inf)})
    report.write(tmp_path)

    def no_constant(token):
        raise AssertionError(token)

    found = json.loads((tmp_path / JSON_NAME).read_text(encoding="utf-8"), parse_constant=no_constant)
    assert found == report.to_dict()
    assert (found["schema"], found["schema_version"]) == ("zemosaic-twopass-report", 2)
    assert found["tiles"][0]["gain"] is None
    assert found["tiles"][0]["name"] == "é"
    assert found["tiles"][1]["pre"]["median"] == list(report.tiles[1].pre.median)
    assert found["findings"][0]["message"] == OFFSET.message
    assert found["findings"][1]["sigma"] is None
    assert found["settings"] == {"gain_clip": [0.5, None]}
    assert found["versions"]["numpy"] == np.__version__
    np.testing.assert_allclose(found["corners"][2], report.outlines[2][::8], atol=1e-7)


def test_name_that_is_not_utf8(tmp_path):
    report = make_report(names=["bad \udcff.fits", "b", "c", "d"])
    assert len(report.write(tmp_path)) == len(ARTEFACTS)
    found = json.loads((tmp_path / JSON_NAME).read_text(encoding="utf-8"))
    assert found["tiles"][0]["name"] == "bad \udcff.fits"
    assert r"bad \udcff.fits" in (tmp_path / TABLE_NAME).read_text(encoding="utf-8")


def test_without_a_delta_map(tmp_path):
    report = replace(make_report(findings=(OFFSET,)), delta=None, before=None, outlines=())
    report.write(tmp_path)
    assert names(tmp_path) == WITHOUT_MAP
    assert "delta_pre" not in Table.read(tmp_path / TABLE_NAME, format="ascii.ecsv").colnames


def test_without_tile_records(tmp_path):
    replace(make_report(findings=(OFFSET,)), tiles=()).write(tmp_path)
    assert names(tmp_path) == set(ARTEFACTS) - {"twopass_tiles.png"}
    found = Table.read(tmp_path / TABLE_NAME, format="ascii.ecsv")
    assert found.colnames[:4] == ["idx", "delta_pre", "delta_post", "finding"]
    assert not any(name.startswith(("pre_", "post_")) for name in found.colnames)
    assert len(found) == 4


def test_nothing_known_nothing_written(tmp_path):
    assert TwoPassReport().write(tmp_path / "nothing") == ()
    assert not (tmp_path / "nothing").exists()
    TwoPassReport(findings=(NOTE,)).write(tmp_path)
    assert names(tmp_path) == {JSON_NAME, PAGE_NAME}


def test_one_pixel_and_two_hundred_tiles(tmp_path):
    single_pixel_report().write(tmp_path / "one")
    assert fits.getdata(tmp_path / "one" / "twopass_delta_map.fits").shape == (1, 1)
    many = make_report(rows=10, columns=20, channels=1, findings=tuple(replace(OFFSET, tile=n) for n in range(200)))
    many.write(tmp_path / "many")
    assert len(Table.read(tmp_path / "many" / TABLE_NAME, format="ascii.ecsv")) == 200
    assert (tmp_path / "many" / PAGE_NAME).stat().st_size < 2e6


def test_what_lies_there_belongs_together(tmp_path):
    make_report().write(tmp_path)
    (tmp_path / "mine.txt").write_text("stays")
    replace(make_report(), delta=None, before=None, outlines=()).write(tmp_path)
    assert names(tmp_path) == WITHOUT_MAP | {"mine.txt"}


def test_directory_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ArtefactError, match="taken: is a file, a directory is needed"):
        make_report().write(tmp_path / "taken")
    with pytest.raises(ArtefactError, match=r"taken/below: .*NotADirectoryError"):
        make_report().write(tmp_path / "taken" / "below")
    assert (tmp_path / "taken").read_text() == "x"


@pytest.fixture
def unprivileged():
    """Root may write anywhere, so somebody else has to try."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_read_only_directory(tmp_path, unprivileged):
    place = tmp_path / "locked"
    euid = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    # Made with all rights: reproject needs a temporary folder.
    report = make_report()
    place.mkdir()
    for directory in (place, *tmp_path.parents):
        if directory.name.startswith(("pytest", "test", "popen")):
            directory.chmod(0o755)
    tmp_path.chmod(0o755)
    place.chmod(0o555)
    os.seteuid(euid)
    with pytest.raises(ArtefactError, match="Permission denied") as caught:
        report.write(place)
    assert caught.value.written == ()
    assert all(name in str(caught.value) for name in ARTEFACTS)
    assert str(place) in str(caught.value)
    assert names(place) == set()


def test_full_disk(tmp_path):
    """A limit on the size of a file stands in: small files get through, large ones end half-way."""
    make_report().write(tmp_path)
    sizes = {name: (tmp_path / name).stat().st_size for name in ARTEFACTS}
    limit = sizes[TABLE_NAME] + 1
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(ArtefactError, match="File too large") as caught:
            make_report().write(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    small = {name for name, size in sizes.items() if size <= limit}
    assert {MAP_NAME, TABLE_NAME} <= small
    # The page shrinks when it finds no pictures to take in.
    assert small <= names(tmp_path) <= small | {PAGE_NAME}
    assert {path.name for path in caught.value.written} == names(tmp_path)
    assert "twopass_delta_map.png" in str(caught.value)
    np.load(tmp_path / MAP_NAME)
    Table.read(tmp_path / TABLE_NAME, format="ascii.ecsv")


@pytest.mark.parametrize("lost", list(ARTEFACTS))
def test_one_that_fails_does_not_lose_the_others(tmp_path, monkeypatch, lost):
    def good(report, path):
        path.write_bytes(b"new")

    def bad(report, path):
        path.write_bytes(b"half")
        raise ZeroDivisionError("on purpose")

    for name, (has, _) in ARTEFACTS.items():
        monkeypatch.setitem(ARTEFACTS, name, (has, bad if name == lost else good))
        (tmp_path / name).write_bytes(b"old")
    with pytest.raises(ArtefactError, match=f"not written: {lost}: ZeroDivisionError: on purpose$") as caught:
        make_report().write(tmp_path)
    assert names(tmp_path) == set(ARTEFACTS) - {lost}
    assert {path.name for path in caught.value.written} == set(ARTEFACTS) - {lost}
    assert all(path.read_bytes() == b"new" for path in tmp_path.iterdir())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_interrupted_half_way(tmp_path, monkeypatch):
    """Whoever looks meanwhile, or after a kill, sees the old file or the new one, never half of one."""

    def interrupted(report, path):
        path.write_bytes(b"half")
        assert (tmp_path / PAGE_NAME).read_bytes() == b"old"
        raise KeyboardInterrupt

    (tmp_path / PAGE_NAME).write_bytes(b"old")
    monkeypatch.setitem(ARTEFACTS, PAGE_NAME, (ARTEFACTS[PAGE_NAME][0], interrupted))
    with pytest.raises(KeyboardInterrupt):
        TwoPassReport(findings=(NOTE,)).write(tmp_path)
    assert names(tmp_path) == {JSON_NAME, PAGE_NAME}
    assert (tmp_path / PAGE_NAME).read_bytes() == b"old"


@pytest.mark.parametrize(
    ("blocked", "lost", "extra"),
    [
        (("matplotlib",), PICTURES, "plot"),
        (("jinja2",), {PAGE_NAME}, "report"),
        (("matplotlib", "jinja2"), {*PICTURES, PAGE_NAME}, "plot,report"),
    ],
)
def test_without_an_extra(tmp_path, blocked, lost, extra):
    code = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Hidden(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, *args):\n"
        f"        return None if name in {blocked!r} else super().find_spec(name, *args)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Hidden\n"
        "from helpers import reports\n"
        "reports.make_report().write(sys.argv[1])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")], env=environment, capture_output=True, text=True, check=True
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("[TwoPassReport] left out: ")
    assert all(name in line for name in lost)
    assert line.endswith(f"install the extra {extra} of zemosaic-instrument (see its README)")
    assert names(tmp_path / "out") == set(ARTEFACTS) - lost
