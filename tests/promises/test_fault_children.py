"""Faults that spoil a whole process, each in a child: streams, file sizes, forks, the interpreter's end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]


def run_child(mode, folder, closed=False):
    """What a child of `fault_child.py` says; fails loudly where it hangs or does not end well."""
    command = [sys.executable, str(TESTS / "helpers" / "fault_child.py"), mode]
    if closed:
        command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", ""), ended.stderr
    found = json.loads((folder / "result.json").read_text())
    assert found["bare"] == found["again"], "two bare runs differ: the comparison would prove nothing"
    assert found["watched"] == found["bare"]
    assert found["tiles"] == ["observed", "observed"]
    assert found["verdict"] == "pipeline_bug"
    return found


def test_first_call_of_a_process(tmp_path):
    """Whatever is imported late is imported in it; it leaves no trace but the fonts that stay open."""
    found = run_child("first call", tmp_path)
    assert found["warnings"] == []
    assert found["files"] == 8
    assert set(found["changed"]) <= {"random", "descriptors"}


@pytest.mark.skipif(os.name == "nt", reason="file descriptors are POSIX")
@pytest.mark.parametrize("closed", [False, True], ids=["later", "from the start"])
def test_streams_closed(closed, tmp_path):
    found = run_child("streams closed", tmp_path, closed)
    # Without a stderr the logging has nowhere to complain, and does not.
    assert len(found["warnings"]) == (0 if closed else 2), "one of opening the probe, one of the call"
    assert found["files"] == 5


def test_file_size_limit(tmp_path):
    """A real limit, as a full disk would be: a file is whole or is not there, whatever wrote it."""
    pytest.importorskip("resource")
    found = run_child("small files", tmp_path)
    (warning,) = found["warnings"]
    assert "files not written: " in warning
    assert "File too large" in warning
    assert found["files"] == 0
    assert len(found["limits"]) >= 2 * 4
    for limit, sizes in found["limits"].items():
        assert sizes == {name: size for name, size in found["whole"].items() if size <= int(limit)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("mode", ["fork under lock", "fork inside a pass"])
def test_fork(mode, tmp_path):
    found = run_child(mode, tmp_path)
    assert found["fork"] == 0, "a child that was forked then does not get through a pass"
    assert found["warnings"] == []


@pytest.mark.parametrize("mode", ["atexit", "atexit last", "daemon"])
def test_interpreter_shutdown(mode, tmp_path):
    found = run_child(mode, tmp_path)
    assert found["warnings"] == []
    assert found["files"] == 5
