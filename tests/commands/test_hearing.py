"""What ``exec`` hears of a program and its children, and what it says at the end."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import mini, old_workers
from helpers.bystander import failing
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.command import cli
from zemosaic_twopass.command.hearing import make_lines, read_entries
from zemosaic_twopass.watch import publish
from zemosaic_twopass.watch.journal import JOURNAL, tell

ROOT = Path(__file__).resolve().parents[2]
NO_PASS = (
    "but no second pass ran: it is switched off, the run ended before it, or this is grid mode or incremental assembly "
    "with feather parity"
)

NIGHT = """
def night():
    import numpy as np
    from zemosaic_twopass.synthetic.sky import synthetic_tiles
    masters = synthetic_tiles(rows=1, columns=2, shape=(40, 50))
    return run_second_pass_coverage_renorm(
        [m.pixels for m in masters], [m.wcs for m in masters], masters[0].wcs, np.ones((40, 50), "f4"), (40, 50),
        sigma_px=5, gain_clip=(0.5, 2.0), logger=logger)
"""

TERMINATED = """
import multiprocessing, threading

def child(queue):
    import zemosaic_worker
    zemosaic_worker.night()
    queue.put("done")
    threading.Event().wait()

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,), daemon=True)
    process.start()
    assert queue.get() == "done"
    process.kill()
    process.join()
"""

# Everything about the program that could be another when it is not run from its script.
MAIN = """
def square(x):
    if x < 0:
        raise ValueError(x)
    return x * x, square

if __name__ == "__main__":
    import hashlib, inspect, multiprocessing, pickle, sys
    print(sorted(globals()), __file__, __spec__, __doc__, __package__, type(__loader__).__name__)
    print(sys.argv, sys.orig_argv[1:], sys.path[0])
    for method in ("spawn", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.map(square, range(3))
            print(found[2][0], found[2][1] is square, pool.map(night_digest, [1]))
            try:
                pool.map(square, [-1])
            except ValueError as error:
                print(error.__cause__)
    function = run_second_pass_coverage_renorm
    print(pickle.dumps((square, function)), pickle.loads(pickle.dumps(function)) is function)
    print(inspect.getsource(square), night_digest())
    square(-5)
"""
DIGEST = """
def night_digest(*ignored):
    import hashlib
    return hashlib.sha256(night()[0].tobytes()).hexdigest()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Holds an unmodified miniature ZeMosaic; it is the working directory."""
    (tmp_path / "zemosaic_utils.py").write_text(old_workers.UTILITIES)
    source = '"""A worker."""\nfrom __future__ import annotations\n' + old_workers.source("2025-12-23", threaded=True)
    (tmp_path / "zemosaic_worker.py").write_text(source + NIGHT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def executed(capfd, *arguments):
    """Exit code, and what the program and ``exec`` say on standard error, line by line."""
    capfd.readouterr()
    code = cli.main(["exec", *arguments])
    return code, capfd.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("raise SystemExit(4)", "no worker was imported, nothing was watched"),
        ("import zemosaic_worker\nraise SystemExit(4)", f"zemosaic_worker was imported, {NO_PASS}"),
    ],
)
def test_no_second_pass(folder, capfd, program, line):
    (folder / "program.py").write_text(program)
    assert executed(capfd, "program.py") == (4, [f"zemosaic-twopass: {line}"])


def test_run_that_ended_before_its_second_pass(folder, capfd):
    worker = folder / "zemosaic_worker.py"
    worker.write_text(worker.read_text() + "\ndef run_hierarchical_mosaic(fail):\n    night()\n    fail()\n")
    (folder / "program.py").write_text(
        "import zemosaic_worker as worker\nfrom contextlib import suppress\n"
        "def fail():\n    raise NameError('no\\nname')\n"
        "with suppress(NameError):\n    worker.run_hierarchical_mosaic(fail)\n"
    )
    # A second pass that ran is told of, whatever came after it.
    code, (line,) = executed(capfd, "--no-delta-map", "program.py")
    assert line.startswith("zemosaic-twopass: second pass 1: undetermined ")
    worker.write_text(worker.read_text().replace("    night()\n    fail()", "    fail()"))
    code, lines = executed(capfd, "--no-delta-map", "program.py")
    assert (code, lines) == (0, ["zemosaic-twopass: no second pass ran: the run ended with NameError: no name"])


def test_child_that_is_killed_has_been_heard(folder, capfd):
    (folder / "program.py").write_text(TERMINATED)
    code, lines = executed(capfd, "--out", "found", "--", "program.py")
    assert code == 0
    (run,) = (folder / "found" / "runs").iterdir()
    (line,) = lines
    assert re.fullmatch(rf"zemosaic-twopass: second pass 1: [a-z]+ .*tiles=2 .* dir={re.escape(str(run))}", line)


def test_without_delta_map(folder, capfd):
    (folder / "program.py").write_text("import zemosaic_worker\nfor _ in range(2):\n    zemosaic_worker.night()")
    code, lines = executed(capfd, "--no-delta-map", "--out", "found", "program.py")
    assert code == 0
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        assert line.startswith(f"zemosaic-twopass: second pass {number}: undetermined ")
        assert line.endswith(" dir=-")
    assert not list(folder.glob("found/**/*.npy"))


@pytest.mark.skipif(os.name == "nt", reason="fork is POSIX")
@pytest.mark.slow
def test_worker_that_is_the_program(folder, capfd):
    """It is watched, and nothing about it is another: names, paths, pools, pickles, pixels, traceback and lines."""
    worker = folder / "zemosaic_worker.py"
    worker.write_text(worker.read_text() + DIGEST + MAIN)
    arguments = [f"../{folder.name}/./zemosaic_worker.py", "--out", "theirs", "a b"]
    bare = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert "ValueError: -5" in bare.stderr
    assert f'File "{folder}' in bare.stderr
    capfd.readouterr()
    code = cli.main(["exec", "--no-delta-map", *arguments])
    out, err = capfd.readouterr()
    assert (code, out) == (bare.returncode, bare.stdout)
    lines, ours = err.splitlines(), bare.stderr.count("\n")
    assert lines[:ours] == bare.stderr.splitlines()
    # That of the program, and that of the process that it has forked, in which it was attached to.
    said = [re.match(r"zemosaic-twopass: second pass (\d): undetermined ", line) for line in lines[ours:]]
    assert [match and match[1] for match in said] == ["1", "2"]


@pytest.mark.parametrize("trouble", ["def broken(:", "\0", "raise KeyError('theirs')"])
def test_worker_that_is_the_program_and_cannot_be_run(folder, capfd, trouble):
    """As Python itself has it."""
    worker = folder / "zemosaic_worker.py"
    worker.write_text(worker.read_text() + "\nif '__main__' == __name__:\n    night()\n" + trouble + "\n")
    bare = subprocess.run([sys.executable, worker.name], capture_output=True, text=True, check=False)
    code, lines = executed(capfd, "--no-delta-map", worker.name)
    assert code == bare.returncode == 1
    assert lines[:-1] == bare.stderr.splitlines()


def test_worker_without_a_main_block(folder, capfd):
    code, lines = executed(capfd, "zemosaic_worker.py")
    assert (code, lines) == (0, ["zemosaic-twopass: no worker was imported, nothing was watched"])


def test_worker_as_a_module_is_not_watched_and_said_so(folder, capfd):
    code, lines = executed(capfd, "-m", "zemosaic_worker")
    assert code == 0
    assert lines == [
        "zemosaic-twopass: a worker that -m runs is not watched: give its path, zemosaic_worker.py",
        "zemosaic-twopass: no worker was imported, nothing was watched",
    ]


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("ZeMosaic.exe", b"", "frozen"),
        ("ZeMosaic", b"\x7fELF\x02\x01", "frozen"),
        ("renamed.py", b"MZ\x90\x00", "frozen"),
        ("ZeMosaic_mac", b"\xcf\xfa\xed\xfe\x07", "frozen"),
        ("run_zemosaic.bat", b"@echo off\r\npython run_zemosaic.py\r\n", "script of the shell"),
        ("RUN.CMD", b"", "script of the shell"),
        ("run.sh", b"python run_zemosaic.py\n", "script of the shell"),
        ("run", b"#!/bin/bash\npython run_zemosaic.py\n", "script of the shell"),
    ],
)
def test_no_program_for_python(folder, capfd, name, head, words):
    (folder / name).write_bytes(head)
    code, (line,) = executed(capfd, name, "--x")
    assert code == 2
    assert line.startswith(f"zemosaic-twopass: error: {name}: a ")
    assert words in line
    assert "start the .py of the source tree with exec" in line
    assert ("replay MOSAIC.fits TILE.fits" in line) == (words == "frozen")


def test_bundle_of_macos_is_frozen(folder, capfd):
    (folder / "ZeMosaic.app").mkdir()
    code, (line,) = executed(capfd, "ZeMosaic.app")
    assert code == 2
    assert "frozen" in line


def test_program_without_suffix(folder, capfd):
    (folder / "run_zemosaic").write_text("#!/usr/bin/env python3\nraise SystemExit(6)\n")
    assert executed(capfd, "run_zemosaic")[0] == 6


def test_file_of_the_journal_is_private_and_goes(folder, capfd):
    (folder / "program.py").write_text(
        f"import os\npath = os.environ[{JOURNAL!r}]\nprint(path, oct(os.stat(path).st_mode)[-3:])\nos.unlink(path)\n"
        "import zemosaic_worker\nzemosaic_worker.night()\nassert not os.path.exists(path)\n"
    )
    code = cli.main(["exec", "--no-delta-map", "program.py"])
    out, err = capfd.readouterr()
    assert code == 0, err
    assert out.endswith(" 600\n") or os.name == "nt"
    assert err.startswith("zemosaic-twopass: what the program did was not heard: ")
    (folder / "program.py").write_text(f"import os\nprint(os.environ[{JOURNAL!r}])\n")
    cli.main(["exec", "program.py"])
    assert not os.path.exists(capfd.readouterr().out.strip())
    assert JOURNAL not in os.environ


def test_no_place_for_the_journal(folder, capfd, monkeypatch):
    def fail(**kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", fail)
    (folder / "program.py").write_text(f"import os\nassert {JOURNAL!r} not in os.environ\nraise SystemExit(3)\n")
    code, (line,) = executed(capfd, "program.py")
    assert code == 3
    assert line == "zemosaic-twopass: what the program does will not be heard: [Errno 28] No space left on device"


def heard(tiny, tiles, monkeypatch, path, *spoilt, **kwargs):
    """What a pass tells in which functions of ours fail."""
    monkeypatch.setenv(JOURNAL, str(path))
    with TwoPassProbe(tiny, delta_map=False, **kwargs) as probe, failing(*spoilt, error=ValueError):
        mini.call(tiny, tiles)
    return probe, read_entries(path.read_text()) if path.is_file() else None


def test_what_a_pass_tells(tiny, tiles, monkeypatch, tmp_path):
    path = tmp_path / "journal"
    path.write_text("")
    _, (began, report) = heard(tiny, tiles, monkeypatch, path, strict=True)
    assert (began["event"], report["event"]) == ("began", "report")
    assert began["number"] == report["number"]
    assert began["process"] == os.getpid()
    assert report["text"].startswith("undetermined ")
    assert report["folder"] is None
    path.write_text("")
    _, entries = heard(tiny, tiles, monkeypatch, path, publish.draft_of)
    assert [entry["event"] for entry in entries] == ["began", "failed"]
    assert make_lines(entries) == ["second pass 1: no report: ValueError: injected"]
    path.write_text("")
    _, entries = heard(tiny, tiles, monkeypatch, path, publish._write)
    assert [entry["event"] for entry in entries] == ["began", "failed"]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "a folder"])
def test_journal_that_cannot_be_written(tiny, tiles, monkeypatch, tmp_path, make):
    """Changes nothing, and is not made anew by a child that outlives the program."""
    path = tmp_path / "journal"
    make(path)
    there = path.exists()
    probe, entries = heard(tiny, tiles, monkeypatch, path, strict=True)
    assert entries is None
    assert path.exists() == there
    assert len(probe.reports) == 1
    assert not probe.failures


def test_failing_journal_is_one_warning(tiny, tiles, monkeypatch, tmp_path, caplog):
    path = tmp_path / "journal"
    path.write_text("")
    probe, entries = heard(tiny, tiles, monkeypatch, path, tell)
    assert entries == []
    assert len(probe.reports) == 1
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


def test_lines_of_several_processes():
    entries = [
        {"event": "imported", "process": 1, "worker": "zemosaic_worker", "second_pass": True},
        {"event": "began", "process": 1, "number": 1},
        {"event": "began", "process": 2, "number": 1},
        {"event": "failed", "process": 2, "number": 1, "text": "ValueError: a part"},
        {"event": "report", "process": 2, "number": 1, "text": "clean tiles=9", "folder": "/a b"},
        {"event": "began", "process": 1, "number": 2},
        {"event": "failed", "process": 1, "number": 2, "text": "OSError: all"},
    ]
    assert make_lines(entries) == [
        "second pass 1: began and did not end",
        "second pass 2: clean tiles=9 dir=/a b",
        "second pass 3: no report: OSError: all",
    ]
    assert make_lines([{"event": "imported", "worker": "w", "second_pass": False}]) == [
        "w was imported, but has no run_second_pass_coverage_renorm: nothing was watched"
    ]


def test_what_is_no_entry_is_passed_over():
    text = "\n".join(
        ["{", "5", '{"event": 5}', '{"event": ["began"]}', "[" * 100000, json.dumps({"event": "report"}), ""]
    )
    assert read_entries(text) == [{"event": "report"}]
    assert make_lines(read_entries(text)) == ["second pass 1: None dir=-"]
