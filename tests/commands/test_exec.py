"""``exec``: an unmodified program and the workers that it spawns."""

import configparser
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import zemosaic_instrument
from helpers import old_workers
from zemosaic_twopass.command import cli
from zemosaic_twopass.command.execute import make_environment, split_command

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import multiprocessing, sys
import numpy as np
from zemosaic_twopass.synthetic.sky import synthetic_tiles

def night():
    import zemosaic_worker
    masters = synthetic_tiles(rows=1, columns=2, shape=(40, 50))
    zemosaic_worker.run_second_pass_coverage_renorm(
        [m.pixels for m in masters], [m.wcs for m in masters], masters[0].wcs, np.ones((40, 50), "f4"), (40, 50),
        sigma_px=5, gain_clip=(0.5, 2.0), logger=zemosaic_worker.logger)

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=night, daemon=True)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""

NOTHING = "zemosaic-twopass: no worker was imported, nothing was watched\n"

LOG = """
logger.addHandler(logging.FileHandler("worker.log"))
logger.setLevel(logging.DEBUG)
logger.propagate = False
"""


@pytest.fixture
def zemosaic(tmp_path):
    """A folder with an unmodified miniature ZeMosaic whose worker runs in a spawned, daemonic child."""
    folder = tmp_path / "zemosaic"
    folder.mkdir()
    (folder / "zemosaic_utils.py").write_text(old_workers.UTILITIES)
    (folder / "zemosaic_worker.py").write_text(old_workers.source("2025-12-23", threaded=True) + LOG)
    (folder / "run_zemosaic.py").write_text(PROGRAM)
    return folder


def command(folder, *arguments, environment=(), **kwargs):
    """Run this checkout's command in a folder, as a user would."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **dict(environment)},
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


def twopass(folder, *arguments, **kwargs):
    return command(folder, "-m", "zemosaic_twopass", *arguments, **kwargs)


def test_spawned_worker_is_watched(zemosaic):
    done = twopass(zemosaic, "exec", "--downsample", "4", "--out", "found", "--", "run_zemosaic.py")
    assert done.returncode == 0, done.stderr
    lines = (zemosaic / "worker.log").read_text().splitlines()
    assert lines[0].startswith("[TwoPassProbe] attached to zemosaic_worker since=2025-12-23 sees=gains,corrected_tiles")
    assert lines[0].endswith(f"file={zemosaic / 'zemosaic_worker.py'}")
    assert len([line for line in lines if line.startswith("[TwoPassTile]")]) == 4
    assert all("source=observed" in line for line in lines if "post_gain" in line)
    (run,) = (zemosaic / "found" / "runs").iterdir()
    newest = np.load(zemosaic / "found" / "twopass_delta_map.npy")
    assert newest.shape == (10, 12)
    np.testing.assert_array_equal(np.load(run / "twopass_delta_map.npy"), newest)
    assert str(run) in next(line for line in lines if line.startswith("[TwoPassDelta]"))
    # The child has told its parent, and the parent's parent.
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(rf"zemosaic-twopass: second pass 1: [a-z_]+ .*tiles=2 .* dir={re.escape(str(run))}", line)


def test_without_exec_nothing_is_there(zemosaic):
    done = command(zemosaic, "run_zemosaic.py")
    assert done.returncode == 0, done.stderr
    assert (zemosaic / "worker.log").read_text() == ""
    assert sorted(path.name for path in zemosaic.iterdir() if path.name != "__pycache__") == [
        "run_zemosaic.py",
        "worker.log",
        "zemosaic_utils.py",
        "zemosaic_worker.py",
    ]


def test_everything_passes_through(tmp_path):
    (tmp_path / "program.py").write_text(
        "import json, sys\nprint(json.dumps(sys.argv[1:]))\nprint(input(), file=sys.stderr)\nsys.exit(7)\n"
    )
    arguments = ["--out", "theirs", "-m", "--", "a b", "é"]
    done = twopass(tmp_path, "exec", "program.py", *arguments, input="a line\n")
    assert done.returncode == 7
    assert json.loads(done.stdout) == arguments
    assert done.stderr == "a line\n" + NOTHING
    assert not (tmp_path / "theirs").exists()


def test_module(tmp_path):
    (tmp_path / "program.py").write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    assert twopass(tmp_path, "exec", "-m", "program", "x").stdout == "__main__ ['x']\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.py"], "gone.py: no such script"),
        (["python3.12", "run.py"], "exec starts Python itself"),
        ([], "no program"),
        (["-m"], "no program"),
    ],
)
def test_nothing_to_run(arguments, words, capsys):
    assert cli.main(["exec", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_sitecustomize_that_was_there_still_runs(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import sys\nsys.marked = __file__\n")
    (tmp_path / "program.py").write_text(
        "import sys, sitecustomize\nassert 'numpy' not in sys.modules\nprint(sys.marked, sitecustomize.__file__)\n"
    )
    path = os.pathsep.join([str(other), str(ROOT)])
    done = twopass(tmp_path, "exec", "program.py", environment={"PYTHONPATH": path})
    assert done.stdout.split() == [str(other / "sitecustomize.py")] * 2, done.stderr


@pytest.mark.parametrize("trouble", ["1 / 0", "raise SystemExit(3)"])
def test_worker_that_fails_to_import(zemosaic, trouble):
    worker = zemosaic / "zemosaic_worker.py"
    worker.write_text(worker.read_text() + "\n" + trouble)
    (zemosaic / "run_zemosaic.py").write_text("import zemosaic_worker\n")
    bare, watched = command(zemosaic, "run_zemosaic.py"), twopass(zemosaic, "exec", "run_zemosaic.py")
    assert watched.returncode == bare.returncode != 0
    assert watched.stderr.endswith(NOTHING)
    assert watched.stderr.removesuffix(NOTHING).splitlines()[-1:] == bare.stderr.splitlines()[-1:]


def test_worker_without_a_second_pass(zemosaic):
    (zemosaic / "zemosaic_worker.py").write_text("import logging\nlogging.basicConfig(format='%(message)s')\nx = 1\n")
    (zemosaic / "run_zemosaic.py").write_text("import zemosaic_worker\nprint(zemosaic_worker.x)\n")
    done = twopass(zemosaic, "exec", "run_zemosaic.py")
    assert (done.returncode, done.stdout) == (0, "1\n")
    warned = [line for line in done.stderr.splitlines() if line.startswith("[TwoPassProbe]")]
    assert len(warned) == 1
    assert "zemosaic_worker has no run_second_pass_coverage_renorm" in warned[0]


def test_two_names_in_one_process(zemosaic):
    package = zemosaic / "zemosaic"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "zemosaic_worker.py").write_text((zemosaic / "zemosaic_worker.py").read_text())
    (zemosaic / "run_zemosaic.py").write_text("import zemosaic_worker\nimport zemosaic.zemosaic_worker\n")
    assert twopass(zemosaic, "exec", "run_zemosaic.py").returncode == 0
    text = (zemosaic / "worker.log").read_text()
    assert "attached to zemosaic_worker " in text
    assert "attached to zemosaic.zemosaic_worker " in text


def test_interpreter_without_wrapt(tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "wrapt.py").write_text("raise ImportError('no wrapt here')\n")
    (tmp_path / "program.py").write_text("print('ran')\n")
    environment = make_environment()
    environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(hidden)])
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "ran\n"
    assert done.stderr == "zemosaic-twopass: no worker is watched: no wrapt here\n"


@pytest.mark.skipif(os.name == "nt", reason="signals to a process group are POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 5), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_signals(tmp_path, number, code):
    """Ctrl-C goes to the whole group, as from a terminal; a request to end goes to the command alone."""
    (tmp_path / "program.py").write_text(
        textwrap.dedent("""
        import sys, time
        try:
            print("ready", flush=True)
            while True:
                time.sleep(0.05)
        except KeyboardInterrupt:
            sys.exit(5)
        """)
    )
    # A test run that was started in the background has Ctrl-C ignored, and its children inherit that.
    command_line = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from zemosaic_twopass.command.cli import main; sys.exit(main(['exec', 'program.py']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", command_line],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(timeout=60) == code
    finally:
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_autowrapt_entry_points():
    declared = configparser.ConfigParser()
    declared.read(ROOT / "setup.cfg")
    hooks = dict(
        line.split(" = ") for line in declared["options.entry_points"]["zemosaic_twopass"].strip().splitlines()
    )
    assert set(hooks) == set(zemosaic_instrument.WORKERS)
    for target in hooks.values():
        module, name = target.split(":")
        assert getattr(importlib.import_module(module), name) is zemosaic_instrument.attach_on_import


def test_split_command():
    valued = ("--out", "--downsample")
    assert split_command(["--no-delta-map", "--out", "d", "a.py", "--out", "x"], valued) == (
        ["--no-delta-map", "--out", "d"],
        ["a.py", "--out", "x"],
    )
    assert split_command(["--out=d", "--", "--odd.py"], valued) == (["--out=d"], ["--odd.py"])
    assert split_command(["-m", "a"], valued) == ([], ["-m", "a"])
    assert split_command([], valued) == ([], [])
    assert split_command(["-h"], valued) == (["-h"], [])
    assert split_command(["--out", "d", "a.py", "-h"], valued) == (["--out", "d"], ["a.py", "-h"])


def test_usage_and_bad_reduction(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["exec", "-h"])
    assert caught.value.code == 0
    assert "SCRIPT.py|-m MODULE" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        cli.main(["exec", "--downsample", "0", "a.py"])
    assert caught.value.code == 2
    assert "an integer of at least 1 is needed" in capsys.readouterr().err


def test_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "theirs")
    monkeypatch.chdir(tmp_path)
    found = make_environment(directory="out", downsample=4)
    assert found["ZEMOSAIC_TWO_PASS_DEBUG_DIR"] == str(tmp_path / "out")
    assert (found["ZEMOSAIC_TWO_PASS_DEBUG"], found["ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP"]) == ("1", "1")
    assert found["ZEMOSAIC_TWO_PASS_DEBUG_DOWNSAMPLE"] == "4"
    assert found["PYTHONPATH"].split(os.pathsep)[1:] == ["theirs"]
    assert "ZEMOSAIC_TWO_PASS_DEBUG" not in os.environ
    monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP", "1")
    assert make_environment(delta_map=False)["ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP"] == "0"


def test_decorated_worker_in_a_fresh_interpreter(tmp_path):
    """With the switch on, ours decorates itself and is not attached to a second time."""
    program = "import zemosaic_worker as w; print(type(w.run_second_pass_coverage_renorm).__name__)"
    on = {"ZEMOSAIC_TWO_PASS_DEBUG": "1"}
    for environment, kind in [({}, "function"), (on, "_Watched")]:
        done = command(tmp_path, "-c", program, environment=environment)
        assert (done.stdout.strip(), done.stderr) == (kind, "")


@pytest.mark.parametrize("order", ["zemosaic_instrument, zemosaic_worker", "zemosaic_worker, zemosaic_instrument"])
def test_old_worker_and_the_instrument_in_any_order(zemosaic, order):
    program = f"import {order}; print(type(zemosaic_worker.run_second_pass_coverage_renorm).__name__)"
    done = command(zemosaic, "-c", program, environment={"ZEMOSAIC_TWO_PASS_DEBUG": "on"})
    assert (done.stdout, done.stderr) == ("_Watched\n", "")
