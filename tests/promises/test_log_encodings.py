"""Log files in the encodings of this world: no line is lost to one that lacks a character."""

import io
import logging
import os
import sys

import pytest

from helpers.passes import probe_of
from helpers.replay import Night
from helpers.reports import NOTE, OFFSET, make_report
from zemosaic_twopass.command import cli
from zemosaic_twopass.console import complain, printable
from zemosaic_twopass.guard import log_failure
from zemosaic_twopass.report.lines import finding_lines
from zemosaic_twopass.settings import in_ascii, worker_count

ENCODINGS = ["cp1251", "cp1252", "ascii", "cp932", "utf-8"]
NAMES = ["плитка-1.fits", "Ünï ×→ 望遠鏡.fits", "bad \udcff.fits"]


@pytest.fixture
def log_files(tmp_path):
    """A logger at DEBUG with a file of each encoding, which takes nothing that it cannot hold; and their lines."""
    logger, failed = logging.Logger("ZeMosaicWorker", logging.DEBUG), []
    for encoding in ENCODINGS:
        handler = logging.FileHandler(tmp_path / encoding, encoding=encoding)
        handler.handleError = failed.append
        logger.addHandler(handler)

    def lines():
        texts = [(tmp_path / encoding).read_text(encoding=encoding) for encoding in ENCODINGS]
        assert len(set(texts)) == 1
        assert texts[0].isascii()
        return texts[0].splitlines()

    yield logger, lines
    for handler in logger.handlers:
        handler.close()
    assert not failed


@pytest.mark.usefixtures("no_pictures")
def test_a_pass_says_all_its_lines(log_files, tmp_path):
    logger, lines = log_files
    night = Night.make(fault="offset")
    folder = tmp_path / "Ausgabe → Ördner"
    with probe_of(night.worker, delta_map=True, logger=logger, names=NAMES, directory=folder) as probe:
        night.call(logger)
    (report,) = probe.reports
    assert [tile.name for tile in report.tiles] == NAMES
    found = lines()
    for start, count in (
        ("attached to", 2),
        ("pre_gain", 3),
        ("Delta] wrote", 1),
        ("Report] dir=", 1),
        ("Verdict]", 1),
    ):
        assert sum(start in line for line in found) == count, start
    (first, *_) = (line for line in found if "pre_gain" in line)
    assert f"id={NAMES[0].encode('ascii', 'backslashreplace').decode()} " in first
    assert r"Ausgabe \u2192 \xd6rdner" in next(line for line in found if "[TwoPassReport]" in line)
    # Our own words need no escape.
    for line in found:
        assert "[TwoPassVerdict]" not in line or "\\" not in line
        assert "[TwoPassFinding]" not in line or "\\" not in line


@pytest.mark.parametrize("fault", [None, "mask", "offset"])
def test_our_own_words_are_ascii(fault):
    night = Night.make(fault=fault)
    with probe_of(night.worker, delta_map=True) as probe:
        night.call()
    (report,) = probe.reports
    lines = [*finding_lines(report.findings), report.verdict_line()]
    assert len(lines) > 1 or fault is None
    for line in lines:
        assert line.isascii(), line


def test_what_fails_is_said(log_files):
    logger, lines = log_files
    try:
        raise OSError(2, "нет такого файла", "/tmp/望/\udcff.npy")
    except OSError as error:
        log_failure(logger, error)
    found = lines()
    assert found[0].startswith("[TwoPassProbe] diagnostics failed: FileNotFoundError: [Errno 2] ")
    assert any("Traceback" in line for line in found)


def test_a_setting_that_cannot_be_read_is_said(log_files, monkeypatch):
    logger, lines = log_files
    monkeypatch.setattr(logging, "getLogger", lambda name=None: logger)
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_WORKERS", f"четыре{os.urandom(4).hex()}")
    assert worker_count() >= 1
    (line,) = lines()
    assert r"DEBUG_WORKERS=\u0447\u0435\u0442" in line


def test_nothing_is_lost_in_an_escape():
    assert in_ascii("a b\tc\n~") == "a b\tc\n~"
    assert in_ascii("é×→\udcff") == r"\xe9\xd7\u2192\udcff"


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp1251"])
def test_a_terminal_of_any_encoding(encoding, tmp_path, monkeypatch):
    """Commands on a report on disk, with streams that take nothing that they cannot hold."""
    folder = str(tmp_path / "Ördner 望")
    make_report(findings=(OFFSET, NOTE), names=["é", "望 ×", "я", "d"]).write(folder)
    outputs = []
    for arguments in (["show", folder], ["show", folder, "--json"], ["compare", folder, folder], ["show", "нет"]):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        assert cli.main(arguments) == (2 if arguments[-1] == "нет" else 0)
        stream.flush()
        outputs.append(stream.buffer.getvalue().decode(encoding))
    assert outputs[0].startswith("Residual. ")
    assert printable("望 ×", stream) in outputs[0]
    assert len(outputs[3].splitlines()) == 1


def test_an_error_in_any_encoding(monkeypatch, tmp_path):
    with (tmp_path / "err").open("w", encoding="cp1252", errors="strict") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        complain(OSError("望 \udcff → é"))
    assert (tmp_path / "err").read_text(encoding="cp1252").rstrip().endswith("\\u2192 é")
