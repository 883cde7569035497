"""What the documents for whoever carries on the work name is there: files, functions, classes, commands, targets."""

import ast
import re
from pathlib import Path

import pytest

from zemosaic_twopass.command.cli import _COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "zemosaic_twopass"
DOCUMENTS = ["docs/design.md", "CONTRIBUTING.md"]
# From where a path may be given.
TOPS = (ROOT, PACKAGE, PACKAGE / "diagnosis")
# Names that no room has, what is typed or printed, and the mark of another package.
NO_NAMES = {"utils", "common", "core", "python3", ".fits", "missing=-", "demo --fault", "no_cover"}


def scopes():
    """Names that each module and class defines, by its name; in "" all of them, and the modules and folders."""
    found = {"": set()}
    tops = (PACKAGE, ROOT / "tests", ROOT / "benchmarks" / "accuracy")
    for path in (*ROOT.glob("*.py"), *(path for top in tops for path in top.rglob("*.py"))):
        found[""].update((path.stem, path.parent.name))
        _enter(found, path.stem, ast.parse(path.read_text(encoding="utf-8")))
    return found


def _enter(found, scope, node):
    names = set()
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            names.add(inner.name)
            if isinstance(inner, ast.ClassDef):
                _enter(found, inner.name, inner)
        elif isinstance(inner, ast.Assign | ast.AnnAssign):
            targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
            names.update(n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
    if isinstance(node, ast.ClassDef):
        stored = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
        names.update(attribute.attr for attribute in stored)
    found.setdefault(scope, set()).update(names)
    found[""].update(names)


def words_of(document):
    """(line, word, rooms of the line) of all in backticks; of blocks of code the calls of `make`."""
    code = False
    for number, line in enumerate((ROOT / document).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            code = not code
            continue
        words = re.findall(r"^make [a-z-]+", line) if code else re.findall(r"`([^`]+)`", line)
        rooms = re.findall(r"(?:room|rooms|and) `(\w+)`(?! in)", line)
        yield from ((number, word, [room for room in rooms if (PACKAGE / room).is_dir()]) for word in words)


def is_there(word, rooms, known):
    """Whether something of that name is in the code, the folders or the Makefile; a file in one of those rooms."""
    word = re.sub(r"\(.*\)$", "", word)
    if word in NO_NAMES or word in _COMMANDS:
        return True
    head, _, rest = word.partition(" ")
    if head == "make":
        return not rest or rest.split()[0] in known["targets"]
    if head == "zemosaic-twopass":
        return rest.split()[0] in _COMMANDS
    if head == "python":
        return ROOT.joinpath(*rest.removeprefix("-m ").split(".")[:-1]).is_dir()
    if "/" in word:
        return any((top / word).exists() for top in TOPS)
    if word.endswith(".py"):
        return (ROOT / word).exists() or any(any((PACKAGE / room).rglob(word)) for room in rooms or [""])
    scope, _, name = word.rpartition(".")
    return name in known.get(scope, ())


@pytest.fixture(scope="module")
def known():
    return {**scopes(), "targets": re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_named_is_there(document, known):
    words = list(words_of(document))
    assert len(words) > 50
    assert [f"{document}:{line}: {word}" for line, word, rooms in words if not is_there(word, rooms, known)] == []


@pytest.mark.parametrize(
    "word",
    ["nowhere.py", "hooks.py", "watch/nowhere.py", "tests/nowhere/", "Nobody", "Run.nothing", "nowhere.Run"]
    + ["make tea", "zemosaic-twopass brew", "python -m nowhere.NAME"],
)
def test_what_is_not_there_is_seen(word, known):
    """The file is one of another room."""
    assert not is_there(word, ["report"], known)
