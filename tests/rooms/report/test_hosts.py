"""Hosts that have set matplotlib up in ways of their own: at most a picture is lost, and mostly not even that."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import matplotlib
import pytest

from helpers.passes import probe_of
from helpers.replay import Night
from helpers.reports import OFFSET, make_report, names
from zemosaic_twopass.report.artefacts import ARTEFACTS
from zemosaic_twopass.report.pictures import MAP_PICTURE, TILES_PICTURE, draw_tiles
from zemosaic_twopass.report.style import write_picture
from zemosaic_twopass.settings import LOGGER_NAME

CHILD = """
import os, sys
from helpers import reports
backend = os.environ.get("MPLBACKEND")
reports.make_report(rows=1, columns=2, findings=(reports.OFFSET,)).write(sys.argv[1])
assert os.environ.get("MPLBACKEND") == backend
import matplotlib
assert matplotlib.rcParams["text.usetex"] is ("TEX" in os.environ)
print(dict.get(matplotlib.rcParams, "backend"))
"""


def hosts(folder):
    """(environment, the backend that is chosen in the end) by what is odd about it."""
    (folder / "matplotlibrc").write_text("text.usetex: True\nfont.family: serif\nbackend: svg\nsavefig.bbox: tight\n")
    (folder / "file").write_text("")
    (folder / "config").mkdir()
    for version in range(200, 500):
        (folder / "config" / f"fontlist-v{version}.json").write_text('{"ttflist": [')
    return {
        # Things that have nothing to do with one another go together: every host is a process.
        "usetex, a backend": {"MATPLOTLIBRC": str(folder / "matplotlibrc"), "TEX": "1"},
        "no such backend, folder of settings is a file": {
            "MPLBACKEND": "qt9agg",
            "MPLCONFIGDIR": str(folder / "file" / "below"),
        },
        "backend of a module that is not there, broken font cache": {
            "MPLBACKEND": "module://nowhere.to_be_found",
            "MPLCONFIGDIR": str(folder / "config"),
        },
    }


@pytest.mark.slow
def test_the_pictures_are_right_whatever_the_environment(tmp_path):
    paths = os.pathsep.join(path for path in sys.path if path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "MATPLOTLIB"))}
    make_report(rows=1, columns=2, findings=(OFFSET,)).write(tmp_path / "plain")
    for name, environment in hosts(tmp_path).items():
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path / name)],
            env={**clean, "PYTHONPATH": paths, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (name, done.stderr)
        # A thread of matplotlib's own says so where it takes long.
        told = [line for line in done.stderr.splitlines() if "is building the font cache" not in line]
        assert not told or "TEX" in environment, (name, told)
        # One that does not exist is nobody's choice in the end.
        if environment.get("MPLBACKEND") != "qt9agg":
            assert done.stdout.strip() == environment.get("MPLBACKEND", "svg"), name
        assert names(tmp_path / name) == set(ARTEFACTS), name
        for picture in (path for path in (tmp_path / "plain").iterdir() if path.suffix == ".png"):
            assert (tmp_path / name / picture.name).read_bytes() == picture.read_bytes(), (name, picture.name)


def failing(error):
    def draw(report):
        raise error

    return draw


def drawn_by(monkeypatch, name, draw):
    has, _ = ARTEFACTS[name]
    monkeypatch.setitem(ARTEFACTS, name, (has, partial(write_picture, draw)))


ERRORS = [
    RuntimeError("Failed to process string with tex:\nlatex × not found\n" + "l" * 5000),
    ValueError("Key backend: 'qt9agg' is not a valid value"),
    OSError(28, "no space for a cache of fonts"),
    ModuleNotFoundError("No module named 'kiwisolver'", name="kiwisolver"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_picture_that_cannot_be_drawn_is_left_out_in_one_line(tmp_path, monkeypatch, caplog, error):
    (tmp_path / TILES_PICTURE).write_bytes(b"of an earlier report")
    for name in (TILES_PICTURE, MAP_PICTURE):
        drawn_by(monkeypatch, name, failing(error))
    settings = dict(matplotlib.rcParams)
    with caplog.at_level(logging.WARNING, LOGGER_NAME):
        written = make_report(rows=1, columns=2, findings=(OFFSET,)).write(tmp_path)
    assert {path.name for path in written} == names(tmp_path) == set(ARTEFACTS) - {MAP_PICTURE, TILES_PICTURE}
    (line,) = caplog.messages
    start = f"[TwoPassReport] left out: {MAP_PICTURE} {TILES_PICTURE}; cannot be drawn: {type(error).__name__}: "
    assert line.startswith(start)
    assert line.isascii()
    assert len(line) < 400
    assert "\n" not in line
    assert dict(matplotlib.rcParams) == settings


def test_a_pass_whose_pictures_fail_has_its_verdict(tmp_path, monkeypatch):
    for name in (TILES_PICTURE, MAP_PICTURE):
        drawn_by(monkeypatch, name, failing(RuntimeError("no")))
    night, logger, lines = Night.make(), logging.Logger("worker", logging.DEBUG), []
    logger.addHandler(logging.Handler())
    logger.handlers[0].emit = lambda record: lines.append((record.levelname, record.getMessage()))
    with probe_of(night.worker, delta_map=True, directory=tmp_path) as probe:
        night.call(logger)
    assert not probe.failures
    assert lines[-1][1].startswith("[TwoPassVerdict] ")
    assert [text for level, text in lines if level == "WARNING"] == [
        f"[TwoPassReport] left out: {MAP_PICTURE} {TILES_PICTURE}; cannot be drawn: RuntimeError: no"
    ]


def test_settings_made_while_we_draw_stay(tmp_path, monkeypatch):
    """Another thread of the host's changes one that we had changed."""
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 7.0)

    def draw(report):
        assert not matplotlib.rcParams["text.usetex"]
        matplotlib.rcParams["font.size"] = 21.0
        return draw_tiles(report)

    drawn_by(monkeypatch, TILES_PICTURE, draw)
    replace(make_report(rows=1, columns=2), delta=None, before=None, outlines=(), evidence=()).write(tmp_path)
    assert (tmp_path / TILES_PICTURE).exists()
    assert matplotlib.rcParams["text.usetex"]
    assert matplotlib.rcParams["font.size"] == 21.0
