"""Windows and macOS by simulation: what they refuse or lack, where ours rests on it (docs/promises.md)."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest

from helpers.logs import messages
from helpers.replay import Night
from helpers.reports import make_report
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.command import capacity, execute
from zemosaic_twopass.files import whole_file
from zemosaic_twopass.guard import ForkSafeLock
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.phase5.scratch import Scratch
from zemosaic_twopass.report.lines import log_lines
from zemosaic_twopass.tiles.images import TileError

pytestmark = pytest.mark.usefixtures("no_pictures")


def refusing(monkeypatch, refuses):
    """`os.replace` as Windows has it for what a program has open: refused where `refuses` says so of the target."""
    real = os.replace

    def replaced(source, target):
        if refuses(Path(target)):
            raise PermissionError(13, "The process cannot access the file because it is being used", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", replaced)


def pass_in(folder, monkeypatch, debug_log):
    """A watched pass that makes its own folder; its warnings, and whether the verdict is out."""
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(folder))
    night = Night.make(fault="offset")
    with TwoPassProbe(night.worker, delta_map=True, logger=debug_log) as probe:
        night.call(debug_log)
    said = messages(debug_log)
    assert len(probe.reports) == 1
    assert sum(text.startswith("[TwoPassVerdict]") for text in said) == 1
    (report_line,) = (text for text in said if text.startswith("[TwoPassReport]"))
    return [text for text in said if "diagnostics failed" in text], report_line


def test_a_file_that_is_open_elsewhere_costs_that_file_only(tmp_path, monkeypatch, debug_log):
    refusing(monkeypatch, lambda target: target.name == "twopass_report.html")
    (warning,), line = pass_in(tmp_path, monkeypatch, debug_log)
    assert "files not written: twopass_report.html: PermissionError" in warning
    assert "page=- " in line
    (folder,) = (tmp_path / "runs").iterdir()
    assert not folder.name.startswith(".")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_renamed_costs_no_verdict(tmp_path, monkeypatch, debug_log):
    refusing(monkeypatch, lambda target: target.parent.name == "runs")
    (warning,), line = pass_in(tmp_path, monkeypatch, debug_log)
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"the folder is called {folder.name}" in warning
    assert f"dir={folder.as_posix()} " in line
    assert (folder / "twopass_report.json").is_file()


def test_the_fixed_copy_that_a_script_has_open_costs_no_verdict(tmp_path, monkeypatch, debug_log):
    refusing(monkeypatch, lambda target: target == tmp_path / "twopass_delta_map.npy")
    (warning,), line = pass_in(tmp_path, monkeypatch, debug_log)
    assert "twopass_delta_map.npy: not written: PermissionError" in warning
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"dir={folder.as_posix()} " in line


def test_what_was_there_stays_where_it_cannot_be_replaced(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")
    refusing(monkeypatch, lambda target: True)
    with pytest.raises(PermissionError), whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_path_of_windows_can_be_copied_from_the_log():
    folder = PureWindowsPath(r"C:\Users\Ann\diagnostics")
    paths = [folder / "twopass_report.json", folder / "twopass_report.html"]
    (line,) = (text for _, text in log_lines(make_report(), paths) if text.startswith("[TwoPassReport]"))
    assert line == (
        "[TwoPassReport] dir=C:/Users/Ann/diagnostics page=C:/Users/Ann/diagnostics/twopass_report.html files=2"
    )


def test_copies_that_only_capitals_tell_apart_are_refused(tmp_path):
    paths = [tmp_path / "a" / "Tile.fits", tmp_path / "b" / "tile.fits"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"")
    with pytest.raises(TileError, match=r"the copies of both would be called tile\.fits"):
        repair(paths, tmp_path / "out")


def test_an_embedded_python_is_refused(tmp_path, monkeypatch):
    """It ignores PYTHONPATH, so that nothing would be watched and nothing said."""
    (tmp_path / "python311._pth").write_text("python311.zip\n.\n")
    (tmp_path / "program.py").write_text("print('ran')\n")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python.exe"))
    with pytest.raises(TileError, match=r"python311\._pth: closes this Python to the environment"):
        execute.execute([str(tmp_path / "program.py")], {})


def test_without_fork_locks_are_locks(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork")
    with ForkSafeLock().lock:
        pass


def test_without_proc_and_sysconf_memory_is_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr(capacity, "_MEMINFO", str(tmp_path / "none"))
    monkeypatch.setattr(capacity, "_CGROUP_LIMITS", ())
    monkeypatch.delattr(os, "sysconf")
    assert capacity.find_memory_available() is None


def test_a_temporary_file_with_a_name_and_a_wrapper(monkeypatch):
    """As `tempfile.TemporaryFile` is on Windows; arrays in it outlive it."""
    monkeypatch.setattr(tempfile, "TemporaryFile", tempfile.NamedTemporaryFile)
    with Scratch() as scratch:
        slot = scratch.put(np.arange(200, dtype=np.uint8))
        looked, moved = scratch.view(slot), scratch.move(scratch.read(slot))
    assert looked.tolist() == moved.tolist() == list(range(200))


def test_a_program_without_a_console_is_watched(tmp_path):
    """With pythonw.exe standard output and standard error are None."""
    (tmp_path / "zemosaic_worker.py").write_text(
        "def run_second_pass_coverage_renorm(tiles, tiles_wcs, final_wcs_p1, coverage_p1, shape_out, **kwargs):\n"
        "    return None, None\n"
        "if __name__ == '__main__':\n"
        "    import sys\n"
        "    run_second_pass_coverage_renorm([], [], None, None, (1, 1))\n"
        "    open('done', 'w').close()\n"
    )
    started = (
        "import os, sys; from zemosaic_twopass.command.execute import make_environment, execute; "
        "sys.stdout = sys.stderr = None; "
        "sys.exit(execute(['zemosaic_worker.py'], make_environment(delta_map=False)))"
    )
    done = subprocess.run([sys.executable, "-c", started], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").exists()
