"""Reports from strangers: `show` and `compare` end well or with one line, write nothing, and print no odd character."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.passes import leave_out_pictures
from helpers.reports import NOTE, OFFSET, SEAM, make_report
from helpers.untrusted import EVIL, damaged, ran, refused
from zemosaic_twopass.report import show
from zemosaic_twopass.report.artefacts import JSON_NAME, MAP_NAME, PAGE_NAME, TABLE_NAME

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        leave_out_pictures(patch)
        made = make_report(findings=(OFFSET, SEAM, NOTE))
        made.write(folder)
    # To read the head of a table takes by far the most time: columns of each sort, and not of each name.
    thin = made.to_table()["idx", "id", "gain", "post_source", "post_median_r", "finding"]
    thin.write(folder / TABLE_NAME, format="ascii.ecsv", overwrite=True)
    return folder


def listing(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [JSON_NAME, TABLE_NAME, MAP_NAME])
def test_damaged_reports(report, tmp_path, capsys, name):
    rng = np.random.default_rng(7)
    bad = tmp_path / "bad"
    shutil.copytree(report, bad)
    content, codes = (report / name).read_bytes(), set()
    # The map is not looked at by `show`.
    shown = [] if name == MAP_NAME else [["show", bad], ["show", bad, "--json"]]
    for _ in range(60):
        (bad / name).write_bytes(damaged(content, rng))
        before = listing(tmp_path)
        for argv in (*shown, ["compare", report, bad], ["compare", bad, bad, "--json"]):
            codes.add(ran(capsys, *argv)[0])
        assert listing(tmp_path) == before
    assert codes == {0, 2}


def test_messages_in_the_page_are_escaped(tmp_path):
    text = "<script>alert(1)</script><a href='x'>"
    finding = replace(OFFSET, message=text, kind="offset", unit=text, value=1.0)
    made = replace(
        make_report(findings=(finding,), names=[text] * 4), summary=text, settings={text: text, "list": [text]}
    )
    made.write(tmp_path)
    page = (tmp_path / PAGE_NAME).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<a href" not in page
    assert page.count("&lt;script&gt;") >= 8


def edited(folder, **changes):
    path = folder / JSON_NAME
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


@pytest.fixture
def copied(report, tmp_path):
    shutil.copytree(report, tmp_path / "copy")
    return tmp_path / "copy"


FINDING = {"kind": "offset", "message": "m", "unit": "adu", "tile": 1, "value": 1.0, "sigma": 1.0}


@pytest.mark.parametrize("name", [["a"], {"a": 1}])
def test_names_of_tiles_beside_seams(copied, capsys, name):
    edges = [{"tile": 0, "neighbours": [1], "x": 5, "y": 5, "normal": [1, 0], "length": 100, "noise": [1, 1]}]
    edges[0] |= {"step": [3, 3, 3], "error": [1, 1, 1], "contrast": 3}
    tiles = [{"name": name}, {"name": "b"}]
    edited(copied, seams=[{"mosaic": "merged", "edges": edges}], tiles=tiles)
    refused(capsys, ["compare", copied, copied], JSON_NAME, "a tile whose name is no text")


@pytest.mark.parametrize("argv", [["show"], ["show", "--json"]])
def test_numbers_in_json(copied, capsys, argv):
    edited(copied, findings=[{**FINDING, "value": 10**400}])
    refused(capsys, [*argv, copied], JSON_NAME, "finding 0")
    (copied / JSON_NAME).write_text((copied / JSON_NAME).read_text().replace(str(10**400), "1e999"))
    refused(capsys, [*argv, copied], JSON_NAME, "1e999 is no finite number")


def test_nesting_in_json(copied, capsys):
    """From too shallow to matter to far too deep: read and written, or refused."""
    codes = set()
    edited(copied, deep=0)
    text = (copied / JSON_NAME).read_text(encoding="utf-8")
    for depth in (*range(800, 1000, 7), 5000, 100_000):
        (copied / JSON_NAME).write_text(text.replace('"deep": 0', '"deep": ' + "[" * depth + "]" * depth))
        codes.add(ran(capsys, "show", copied, "--json")[0])
    assert codes == {0, 2}


def ecsv(columns, rows, more=""):
    """An ECSV file of (name, datatype) columns."""
    head = "".join(f"# - {{name: {name}, datatype: {kind}}}\n" for name, kind in columns)
    return f"# %ECSV 1.0\n# ---\n# datatype:\n{head}{more}{' '.join(c for c, _ in columns)}\n" + "".join(rows)


NUMBERS = (("idx", "int64"), ("gain", "float64"))
STRANGE_TABLES = {
    "no_idx": (ecsv([("gain", "float64")], ["1\n"]), "no column idx"),
    "idx_text": (ecsv([("idx", "string")], ["a\n"]), "no column idx of whole numbers"),
    "idx_twice": (ecsv(NUMBERS, ["0 1\n"] * 2), "a tile has more rows than one"),
    "objects": (ecsv([("idx", "int64"), ("gain", "object")], ["0 {}\n"]), "not an ECSV table"),
    "lists": (ecsv([("idx", "int64"), ("gain", "string, subtype: 'float64[2]'")], ["0 [1,2]\n"]), "neither numbers"),
    "head": ("# %ECSV 1.0\n# ---\n" + "# x: [1, 2, 3]\n" * 30_000, "characters > 262144"),
    "nested": ("# %ECSV 1.0\n# ---\n# x: " + "[" * 20_000 + "\n", "not an ECSV table"),
    "cell": (
        ecsv([("idx", "int64"), ("id", "string")], ["0 " + "x" * 100_000 + "\n", *["1 x\n"] * 5000]),
        "rows of 2 cells",
    ),
    # The lines are short, but every column has one long cell in a row of its own.
    "comma": (
        ecsv([(f"c{k}", "string") for k in range(100)], [], "# delimiter: ','\n")
        .replace(" c", ",c")
        .replace("name:,", "name: ")
        + "".join(",".join("x" * (5000 if k == row else 1) for k in range(100)) + "\n" for row in range(1000)),
        "1001 rows of 100 cells of up to 5000 characters",
    ),
    "pickle": (ecsv(NUMBERS, ["0 1\n"], "# meta: !!python/object/apply:os.mkdir ['MARK']\n"), "not an ECSV table"),
    "time": (
        ecsv(
            [("idx", "int64"), ("gain", "float64")],
            ["0 1.0\n"],
            "# meta: !!omap\n# - __serialized_columns__:\n#     gain: {__class__: astropy.time.core.Time,\n"
            "#       format: unix, scale: utc, value: !astropy.table.SerializedColumn {name: gain}}\n",
        ),
        "not an ECSV table",
    ),
}


@pytest.mark.parametrize("kind", STRANGE_TABLES)
def test_tables_of_strangers(copied, tmp_path, capsys, kind):
    text, words = STRANGE_TABLES[kind]
    (copied / TABLE_NAME).write_text(text.replace("MARK", str(tmp_path / "executed")), encoding="utf-8")
    for argv in (["show", copied], ["compare", copied, copied]):
        refused(capsys, argv, copied / TABLE_NAME, words)
    assert not (tmp_path / "executed").exists()


def test_texts_are_not_compared(copied, capsys):
    (copied / TABLE_NAME).write_text(ecsv([("idx", "int64"), ("gain", "string")], ["0 a\n"]), encoding="utf-8")
    refused(capsys, ["compare", copied, copied], copied / TABLE_NAME, "column 'gain' is of <U1, not float")


def test_column_names_of_strangers(copied, capsys):
    name = f'"post_median_{EVIL}"'.encode().decode("unicode_escape").replace("\x1b", "\\e")
    (copied / TABLE_NAME).write_text(
        ecsv([("idx", "int64")], []).replace(
            "# - {name: idx", f"# - {{name: {name}, datatype: float64}}\n# - {{name: idx"
        ),
        encoding="utf-8",
    )
    ran(capsys, "compare", copied, copied)


def maps_of_strangers(folder):
    """(content, words) of files where a delta map should be."""
    path = folder / "made.npy"
    np.save(path, np.ones((3, 4), np.float32))
    good = path.read_bytes()
    yield b"", "not a delta map"
    yield good.replace(b"(3, 4)", b"(9999999999, 999999999)".ljust(6))[:128], "not a delta map"
    yield good.replace(b"'shape': (3, 4), }            ", b"'shape': (30000, 4000), }     "), "not a delta map"
    yield good.replace(b"'<f4'", b"'|O' "), "not a delta map"
    np.savez(folder / "made.npz", a=np.ones(3))
    yield (folder / "made.npz").read_bytes(), "an archive of several arrays"
    yield good.replace(b"{'descr'", b"{'descr\n"), "not a delta map"


def test_maps_of_strangers(copied, tmp_path, capsys):
    seen = 0
    for content, words in maps_of_strangers(tmp_path):
        (copied / MAP_NAME).write_bytes(content)
        refused(capsys, ["compare", copied, copied], copied / MAP_NAME, words)
        seen += 1
    (copied / MAP_NAME).unlink()
    os.mkfifo(copied / MAP_NAME)
    refused(capsys, ["compare", copied, copied], copied / MAP_NAME, "is not a regular file")
    assert seen == 6


def test_nothing_unpickles():
    """No code of ours can read a pickle or run a text."""
    sources = [path.read_text(encoding="utf-8") for path in Path(show.__file__).parents[1].rglob("*.py")]
    for line in "\n".join(sources).splitlines():
        assert "np.load(" not in line or "allow_pickle=False" in line
        assert not line.lstrip().startswith(("import pickle", "from pickle", "import shelve"))
        assert "yaml.load" not in line and "marshal.load" not in line
        assert " eval(" not in line
    assert len(sources) > 30
