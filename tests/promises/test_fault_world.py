"""Disks, folders and loggers that fail under the diagnostics, and the pipeline does not notice."""

import builtins
import errno
import io
import logging
import os
import shutil
import types
from pathlib import Path

import pytest

from helpers.bystander import failing
from helpers.logs import ListHandler
from helpers.watching import FAILED, watching
from zemosaic_twopass.files import reason_of
from zemosaic_twopass.report import artefacts
from zemosaic_twopass.report.artefacts import ARTEFACTS
from zemosaic_twopass.watch import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("world") / "found"


@pytest.fixture(scope="module")
def watch(folder):
    with watching(folder) as watch:
        yield watch


@pytest.fixture(autouse=True)
def afresh(watch, folder, monkeypatch):
    """Every test has an empty folder, and leaves a probe that sees the next call in full and writes it down."""
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(folder))
    watch.probe.delta_map = True
    watch.probe.reports.clear()
    yield
    monkeypatch.undo()
    if folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(folder))
        watch.observe()
    assert len(files_in(folder)) == 6
    shutil.rmtree(folder)


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def warned_once(watch, words, **kwargs):
    (warning,) = watch.call(**kwargs)
    assert warning.startswith(FAILED)
    assert words in warning
    assert len(watch.probe.reports) == 1, "the report is there all the same"
    assert watch.probe.failures[-1] in warning


def test_disk_full_when_a_file_takes_its_place(watch, folder, monkeypatch):
    monkeypatch.setattr(os, "replace", no_space)
    warned_once(watch, "No space left on device")
    assert files_in(folder) == []


def test_disk_full_when_a_file_is_opened(watch, folder, monkeypatch):
    real = io.open

    def opened(file, mode="r", *args, **kwargs):
        return no_space() if set(mode) & set("wxa+") else real(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(io, "open", opened)
    # Python 3.10 keeps the one that it found when it was imported.
    monkeypatch.setattr(Path, "open", opened)
    warned_once(watch, "OSError: No space left on device")
    assert files_in(folder) == []


# The small night of these tests has no edge of a tile that is long enough for a seam.
WRITTEN = [name for name in ARTEFACTS if not name.endswith(".png") and name != "twopass_seams.ecsv"]


@pytest.mark.parametrize("name", WRITTEN)
def test_disk_full_in_the_middle_of_a_file(name, watch, folder, monkeypatch):
    """The other files come out whole; of this one nothing is left."""
    has, write = ARTEFACTS[name]

    def half(report, path):
        write(report, path)
        os.truncate(path, path.stat().st_size // 2)
        no_space()

    monkeypatch.setitem(ARTEFACTS, name, (has, half))
    warned_once(watch, f"files not written: {name}: OSError: No space left on device")
    left = {path.name for path in files_in(folder)}
    assert left == set(WRITTEN) - {name}


def test_folder_gone_between_two_calls(watch, folder):
    assert watch.call() == []
    shutil.rmtree(folder)
    assert watch.call() == []
    assert len(files_in(folder)) == 6


def test_folder_gone_while_files_are_written(watch, folder, monkeypatch):
    real = os.replace

    def replaced(source, target):
        shutil.rmtree(folder)
        real(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    warned_once(watch, "FileNotFoundError")
    assert files_in(folder) == []


def test_file_in_place_of_the_folder(watch, folder):
    folder.write_text("in the way")
    warned_once(watch, "NotADirectoryError")
    assert folder.read_text() == "in the way"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_folder_that_cannot_be_made(number, watch, folder, monkeypatch):
    def refused(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refused)
    warned_once(watch, os.strerror(number))
    assert not folder.exists()


def test_working_directory_gone(watch, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", "relative")
    warned_once(watch, "relative")


class Raising(logging.Handler):
    """A handler that cannot take a line of ours."""

    def emit(self, record):
        raise BlockingIOError("the queue of the window is full")


@pytest.mark.parametrize("name", ["ZeMosaicWorker", None], ids=["worker", "root"])
@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_handler_that_raises(name, level, watch, folder):
    """It costs the lines, not the report and its files."""
    logger, handler = logging.getLogger(name), Raising(level)
    logger.addHandler(handler)
    try:
        warned = watch.call()
        # The verdict of a fault of the pipeline is a warning.
        assert [text.startswith(FAILED + "BlockingIOError") for text in warned] == [True]
        assert len(watch.probe.reports[0].tiles) == 3
        assert len(files_in(folder)) == 6
    finally:
        logger.removeHandler(handler)


def test_handler_that_raises_before_all_others(watch):
    handler = Raising()
    watch.logger.handlers.insert(0, handler)
    try:
        assert watch.call() == []
        assert watch.probe.failures[-1] == "BlockingIOError: the queue of the window is full"
    finally:
        watch.logger.removeHandler(handler)


def test_own_logger_of_the_probe_that_raises(watch):
    """Not the call's: the body could still log to that."""
    watch.probe.logger = logging.Logger("raising", logging.DEBUG)
    watch.probe.logger.addHandler(Raising())
    try:
        watch.call()
    finally:
        watch.probe.logger = None
    assert watch.probe.failures[-1].startswith("BlockingIOError")


@pytest.mark.parametrize("own", [True, False], ids=["own", "worker"])
def test_logger_at_every_level(own, watch, monkeypatch):
    logger = logging.Logger("of the call") if own else watch.logger
    for level in (logging.NOTSET, 1, logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL, 60):
        monkeypatch.setattr(logger, "level", level)
        watch.logger.manager._clear_cache()
        assert watch.call(logger=logger) == []
        assert len(watch.probe.reports[-1].tiles) == 3, "with the map on, whatever the level"
        logger._cache.clear()
    monkeypatch.undo()
    watch.logger.manager._clear_cache()


@pytest.mark.parametrize("logger", [None, logging.LoggerAdapter(logging.Logger("adapted", logging.DEBUG), {})])
def test_other_loggers(logger, watch):
    assert watch.call(logger=logger) == []
    assert len(watch.probe.reports[0].tiles) == 3


def test_disabled_loggers(watch, monkeypatch):
    monkeypatch.setattr(watch.logger, "disabled", True)
    assert watch.call() == []
    monkeypatch.undo()
    logging.disable(logging.CRITICAL)
    try:
        assert watch.call() == []
    finally:
        logging.disable(logging.NOTSET)
    assert [len(report.tiles) for report in watch.probe.reports] == [3, 3]


def test_thing_that_is_no_logger(watch):
    """It can say something, but not at which level it listens."""
    handler = ListHandler()
    thing = types.SimpleNamespace(warning=lambda text, *args: handler.messages.append(text % args))
    assert watch.call(logger=thing) == []
    assert [text.startswith(FAILED + "AttributeError") for text in handler.messages] == [True]


@pytest.mark.parametrize(
    "function",
    [run.log_failure, reason_of, artefacts._remove, artefacts.ArtefactError.__init__],
    ids=lambda function: function.__qualname__,
)
def test_failing_while_failing(function, watch, monkeypatch):
    """A full disk, and then the words for it fail too."""
    monkeypatch.setattr(os, "replace", no_space)
    with failing(function, error=MemoryError) as count:
        warned = watch.call()
        assert count() > 0
    assert len(warned) == (function is not run.log_failure)
    assert len(watch.probe.failures) > 0
