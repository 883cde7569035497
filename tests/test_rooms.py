"""The rooms of the package: arrows between them run one way, and functions of the numerics stay small at the door."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "zemosaic_twopass"
# Lowest first, after what everybody stands on.
ROOMS = ["", "tiles", "phase5", "measure", "diagnosis", "report", "watch", "offline", "synthetic", "command"]
NUMERIC = ("tiles", "phase5", "measure", "diagnosis")
HOOK = PACKAGE / "command" / "hook" / "sitecustomize.py"
FOUNDATIONS = {"settings", "guard", "files", "parallel", "versions", "console", "__init__"}


def imports_of(source, room, name):
    """(line, absolute name) of every module that a file imports, wherever in it."""
    here = ["zemosaic_twopass", room] if room else ["zemosaic_twopass"]
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import name` may name a module.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
            yield node.lineno, module


def room_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def offences(source, room, name):
    """What a file of a room imports that it must not."""
    found = []
    for line, module in imports_of(source, room, name):
        head, _, rest = module.partition(".")
        if head == "zemosaic_twopass":
            aim = rest.split(".")[0] if rest.split(".")[0] in ROOMS else ""
            if ROOMS.index(aim) > ROOMS.index(room):
                found.append(f"{name}:{line}: {room or 'the foundation'} imports {module} of {aim}, which is above it")
        elif head == "wrapt":
            found.append(f"{name}:{line}: imports wrapt")
        elif head == "zemosaic_instrument" and room != "command":
            found.append(f"{name}:{line}: {room} imports {module}")
        elif head == "zemosaic_worker" and room in ("", *NUMERIC):
            found.append(f"{name}:{line}: {room} imports a worker")
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path not in (HOOK, PACKAGE / "__main__.py"))


def test_every_room_is_known_and_says_what_it_is_for():
    assert {room_of(path) for path in FILES} == set(ROOMS)
    assert {path.stem for path in FILES if not room_of(path)} == FOUNDATIONS
    for room in ROOMS[1:]:
        text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
        assert "In: " in text
        assert "Out: " in text
        assert "Door" in text


def test_arrows_run_one_way():
    found = []
    for path in FILES:
        if path == PACKAGE / "__init__.py":
            continue
        found += offences(path.read_text(), room_of(path), str(path.relative_to(ROOT)))
    assert found == []


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("from ..report.report import TwoPassReport", "diagnosis"),
        ("from ..watch import hooks", "measure"),
        ("import zemosaic_twopass.command.cli", "tiles"),
        ("def f():\n    from ..report import lines", "phase5"),
        ("import wrapt", "watch"),
        ("from zemosaic_instrument import attach", "watch"),
        ("import zemosaic_worker", "diagnosis"),
        ("from .tiles.grid import copied", ""),
    ],
)
def test_an_arrow_the_other_way_is_seen(source, room):
    assert len(offences(source, room, "x.py")) >= 1


def test_only_one_module_knows_wrapt_and_the_worker_knows_no_report():
    for name in ("zemosaic_worker.py", "zemosaic_instrument.py"):
        seen = {module for _, module in imports_of((ROOT / name).read_text(), "", name)}
        assert any(module.startswith("wrapt") for module in seen) == (name == "zemosaic_instrument.py")
        assert not any(module.startswith("zemosaic_twopass.command") for module in seen)
    worker = imports_of((ROOT / "zemosaic_worker.py").read_text(), "", "zemosaic_worker.py")
    rooms = {module.split(".")[1] for _, module in worker if module.startswith("zemosaic_twopass.")}
    assert rooms <= {"tiles", "phase5"}


def test_no_function_of_the_numerics_takes_more_than_six():
    found = []
    for path in FILES:
        if room_of(path) not in NUMERIC:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                own = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                count = sum(argument.arg not in ("self", "cls") for argument in own)
                if count > 6:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {count}")
    assert found == []
