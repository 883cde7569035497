"""A long run shows where it is: a bar a stage on a terminal, nothing in a pipe."""

import io
import sys

import pytest
from test_seams_command import written

from zemosaic_twopass.command import cli

pytestmark = pytest.mark.usefixtures("no_pictures")
AGAINST = "tiles against one another"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    mosaic, coverage, *tiles = written(tmp_path_factory.mktemp("scene"), 0.0)
    return {"MOSAIC": [mosaic], "COVERAGE": [coverage], "TILES": tiles}


@pytest.mark.parametrize(
    ("argv", "stages"),
    [
        (["replay", "MOSAIC", "TILES", "--out", "OUT"], ["mosaic", "tiles", AGAINST, "evidence", "seams", "files"]),
        (["repair", "TILES", "--out", "OUT"], ["tiles", AGAINST, "what is to be taken out", "copies"]),
        (["seams", "MOSAIC", "--tiles", "TILES"], ["tiles", AGAINST, "seams"]),
        (["seams", "MOSAIC", "--coverage", "COVERAGE"], ["seams of mosaic.fits"]),
        (["compare", "MOSAIC", "MOSAIC", "--tiles", "TILES"], ["tiles", AGAINST, "seams"] * 2),
        (["run", "TILES", "--out", "OUT"], ["loaded", "first pass", "second pass, diagnostics"]),
    ],
)
def test_a_bar_a_stage_on_a_terminal(files, argv, stages, tmp_path, monkeypatch):
    places = files | {"OUT": [str(tmp_path / "out")]}
    argv = [text for word in argv for text in places.get(word, [word])]
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert cli.main([*argv, "--json"]) == 0
    shown, place = sys.stderr.getvalue(), 0
    for stage in stages:
        place = shown.index(f"\r{stage}:", place) + 1
        assert "%|" in shown[place:].split("\r")[0]


def test_none_in_a_pipe(files, capsys):
    assert cli.main(["seams", *files["MOSAIC"], "--tiles", *files["TILES"], "--json"]) == 0
    assert not [line for line in capsys.readouterr().err.splitlines() if "%|" in line]
