"""In a fresh interpreter, the collector off: nothing of a call outlives it, and no font is searched for in the log."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("way", ["decorator", "import hook"])
def test_nothing_outlives_the_first_calls(way, tmp_path):
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, str(TESTS / "helpers" / "outlive_child.py"), way],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["failures"] == []
    assert found["pictures"] >= 2 * 3, "without pictures nothing is proved"
    assert (found["alive"], found["holders"]) == ([0, 0, 0], [])
    assert found["fonts"] == []
