"""The rooms of the package: arrows between them run one way, and functions of the numerics stay small at the door."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "zemosaic_twopass"
# Lowest first, after what everybody stands on.
ROOMS = ["", "tiles", "phase5", "measure", "diagnosis", "report", "watch", "offline", "synthetic", "command"]
NUMERIC = ("tiles", "phase5", "measure", "diagnosis")
HOOK = PACKAGE / "command" / "hook" / "sitecustomize.py"
FOUNDATIONS = {"settings", "guard", "files", "parallel", "versions", "console", "__init__"}
# Inside `diagnosis`: what everybody there stands on, then each room or file and which others it may know.
INNER_FOUNDATIONS = ("kinds", "terms", "finding", "gains")
TESTS = ("contract", "registration", "photometry", "closure")
ARROWS = {
    **dict.fromkeys((*INNER_FOUNDATIONS, *TESTS), ()),
    "seams": (),
    "pixels": (),
    "comparison": ("registration", "photometry", "pixels"),
    "acceptance": ("registration", "photometry", "comparison"),
    "evidence": (*TESTS, "comparison"),
    "examination": (*TESTS, "comparison", "evidence"),
    "examine": (*TESTS, "comparison", "evidence", "examination"),
    "causes": ("seams", "comparison"),
    "seen": (),
    "shares": ("seams",),
    "explained": ("seams", "shares", "seen"),
    "foreseen": ("seams", "causes"),
    "__init__": ("examine",),
}


def imports_of(source, room, name):
    """(line, absolute name) of every module that a file imports, wherever in it; a room in a room as ``a.b``."""
    here = ["zemosaic_twopass", *filter(None, room.split("."))]
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import name` may name a module.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
            yield node.lineno, module


def package_of(path):
    return ".".join(path.relative_to(PACKAGE).parts[:-1])


def room_of(path):
    return package_of(path).split(".")[0]


def inner_of(path):
    """Room or file of `diagnosis` that a file is, or is in."""
    return path.relative_to(PACKAGE / "diagnosis").with_suffix("").parts[0]


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def inner_offences(source, package, inner, name):
    """What a file imports from `diagnosis` that it must not; `inner` is where in there it stands, None for outside."""
    found = []
    for line, module in imports_of(source, package, name):
        parts = module.split(".")
        if parts[:2] != ["zemosaic_twopass", "diagnosis"] or len(parts) < 3 or not is_module(".".join(parts[:3])):
            continue
        if parts[2] != inner and len(parts) > 3 and is_module(module):
            found.append(f"{name}:{line}: imports {module} and not from the door of {parts[2]}")
        known = {inner, *INNER_FOUNDATIONS, *ARROWS[inner]} if inner else set(ARROWS)
        if parts[2] not in known or (inner in INNER_FOUNDATIONS and parts[2] not in _up_to(inner)):
            found.append(f"{name}:{line}: {inner} imports {parts[2]} of diagnosis, which it must not know")
    return found


def _up_to(inner):
    """The foundations of `diagnosis` as far as one of them, lowest first."""
    return INNER_FOUNDATIONS[: INNER_FOUNDATIONS.index(inner) + 1]


def offences(source, package, name):
    """What a file of a room imports that it must not."""
    found, room = [], package.split(".")[0]
    for line, module in imports_of(source, package, name):
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
    for room in (*ROOMS[1:], *(f"diagnosis/{inner}" for inner in ARROWS if (PACKAGE / "diagnosis" / inner).is_dir())):
        text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
        assert "In: " in text
        assert "Out: " in text
        assert "Door" in text


def test_arrows_run_one_way():
    found = []
    for path in FILES:
        if path == PACKAGE / "__init__.py":
            continue
        found += offences(path.read_text(), package_of(path), str(path.relative_to(ROOT)))
    assert found == []


def test_arrows_inside_diagnosis_are_those_of_the_map_and_go_through_doors():
    found, seen = [], set()
    for path in FILES:
        inner = inner_of(path) if room_of(path) == "diagnosis" else None
        seen.add(inner)
        found += inner_offences(path.read_text(), package_of(path), inner, str(path.relative_to(ROOT)))
    assert found == []
    assert seen - {None} == set(ARROWS)


@pytest.mark.parametrize(
    ("source", "package", "inner"),
    [
        ("from ..closure import close", "diagnosis.contract", "contract"),
        ("from ..comparison import Survey", "diagnosis.photometry", "photometry"),
        ("from ..registration.shifts import moved", "diagnosis.evidence", "evidence"),
        ("from ..registration import shifts", "diagnosis.evidence", "evidence"),
        ("from .evidence import gather", "diagnosis", "comparison"),
        ("from .gains import Gains", "diagnosis", "finding"),
        ("def f():\n    from ..diagnosis.closure.steps import median_steps", "offline", None),
    ],
)
def test_an_arrow_inside_diagnosis_that_is_not_on_the_map_is_seen(source, package, inner):
    assert len(inner_offences(source, package, inner, "x.py")) >= 1


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("from ..report.report import TwoPassReport", "diagnosis"),
        ("from ..watch import hooks", "measure"),
        ("import zemosaic_twopass.command.cli", "tiles"),
        ("def f():\n    from ..report import lines", "phase5"),
        ("import wrapt", "watch"),
        ("from zemosaic_instrument import attach", "watch"),
        ("import zemosaic_worker", "diagnosis"),
        ("from .tiles.grid import copied", ""),
        ("from ...watch.run import Run", "diagnosis.contract"),
    ],
)
def test_an_arrow_the_other_way_is_seen(source, package):
    assert len(offences(source, package, "x.py")) >= 1


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
