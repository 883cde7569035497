"""The page says what to do next, with the commands and the names that are known."""

import shlex
from dataclasses import replace

import pytest

from helpers.reports import NOTE, OFFSET, SEAM, make_report
from zemosaic_twopass.command.options import read_options
from zemosaic_twopass.diagnosis.kinds import VERDICTS
from zemosaic_twopass.report.next_steps import next_steps
from zemosaic_twopass.report.page import write_page

WATCH = "zemosaic-twopass exec --out look -- run_zemosaic.py"
REPAIR = "zemosaic-twopass repair TILES --out repaired"
RUN = {"input": "lights", "output": "M 31"}


def report_of(findings, verdict, picture, of_pass=True, **fields):
    settings = {} if of_pass else {"mosaic": "m31.fits"}
    return replace(
        make_report(findings=findings, verdict=verdict), picture=picture, of_pass=of_pass, settings=settings, **fields
    )


def commands(report):
    return [step.command for step in next_steps(report) if step.command]


@pytest.mark.parametrize(
    ("report", "wanted"),
    [
        (report_of((OFFSET,), "residual", "visible"), [REPAIR, "zemosaic-twopass compare OUT NEW"]),
        (
            report_of((OFFSET,), "residual", "faint", run=RUN),
            [
                'zemosaic-twopass repair "M 31/zemosaic_temp_master_tiles" --out repaired',
                'zemosaic-twopass compare "M 31" NEW',
            ],
        ),
        (
            report_of((OFFSET,), "residual", "faint", of_pass=False, run={"tiles": "t"}),
            [
                "zemosaic-twopass repair t --out repaired",
                "zemosaic-twopass compare m31.fits NEW.fits --tiles t",
            ],
        ),
        (report_of((SEAM,), "residual", "visible"), ["zemosaic-twopass compare OUT NEW"]),
        (report_of((NOTE,), "clean", "visible", of_pass=False), [WATCH]),
        (report_of((), "clean", "no_seam"), []),
        (report_of((NOTE,), "undetermined", "unknown"), []),
    ],
)
def test_the_commands_that_are_next(report, wanted):
    assert commands(report) == wanted


@pytest.mark.parametrize("of_pass", [True, False])
@pytest.mark.parametrize("picture", ["no_seam", "faint", "visible", "unknown"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_one_to_three_sentences_whatever_came_out_and_commands_that_exist(verdict, picture, of_pass):
    for findings in ((), (NOTE,), (OFFSET, NOTE), (SEAM,)):
        report = report_of(findings, verdict, picture, of_pass)
        steps = next_steps(report)
        assert 1 <= len(steps) <= 3
        for command in commands(report):
            program, *argv = shlex.split(command)
            assert program == "zemosaic-twopass"
            read_options(argv)


@pytest.mark.parametrize(
    ("tiles", "names", "words"),
    [
        ((1,), "abcd", "copies of tile 1 (b);"),
        ((1,), None, "copies of tile 1;"),
        ((2, 0, 1), "abcd", "copies of tiles 0, 1 and 2;"),
        ((0, 1, 2, 3, 4), None, "copies of 5 tiles;"),
        ((1, None), None, "copies of all tiles;"),
    ],
)
def test_the_tiles_at_fault_are_named(tiles, names, words):
    report = make_report(findings=[replace(OFFSET, tile=tile) for tile in tiles], names=names and list(names))
    assert words in next_steps(report)[0].text


@pytest.mark.parametrize(
    "name", ["$(id)", "`id`", 'a"; id; "', "a\\", "m31!", "--out", "a\nb", "a\u201d; id; \u201cb", "\u202eb"]
)
def test_a_name_that_a_shell_would_run_is_in_no_command(name):
    """Reports are sent to others, and commands are copied."""
    run = report_of((OFFSET,), "residual", "visible", run={"output": name})
    assert commands(run) == [REPAIR, "zemosaic-twopass compare OUT NEW"]
    tiles = replace(report_of((OFFSET,), "residual", "visible", False, run={"tiles": name}), settings={"mosaic": name})
    assert commands(tiles) == [REPAIR, "zemosaic-twopass compare MOSAIC.fits NEW.fits --tiles TILES"]


def test_no_repair_for_a_picture_without_a_seam_unless_levels_count():
    (first, *_) = next_steps(report_of((OFFSET,), "residual", "no_seam"))
    assert first.text.startswith("For this picture nothing has to be done")


def test_the_page_says_it_above_all_else(tmp_path):
    write_page(report_of((OFFSET,), "residual", "visible"), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    head = text.split("<header")[1].split("</header>")[0]
    assert "<strong>What to do.</strong>" in head
    assert f"<code>{REPAIR}</code>" in head
