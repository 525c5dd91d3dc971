"""Sizes, purity of the core, and what no committed file may hold."""

import ast
import re
from pathlib import Path

import pytest

from tests.meta.repository import ROOT, SOURCE, python_files, shown, text_files, tree_of

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
# A ratchet: what is over a limit is listed here with its length and may only shrink. Nothing is.
LONG_FUNCTIONS: dict[str, int] = {}
LONG_FILES: dict[str, int] = {}

PURE = [SOURCE / name for name in ("values", "metering", "rating", "domains")]


# Revisions are drafted by a tool from the tables and never edited, so they are as long as they are.
WRITTEN = [path for path in python_files() if "migrations" not in path.parts]


@pytest.mark.parametrize("path", WRITTEN, ids=shown)
def test_functions_and_files_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONG_FILES.get(shown(path), FILE_LINES_MAX), "split the file by use case"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            allowed = LONG_FUNCTIONS.get(f"{shown(path)}:{node.name}", FUNCTION_LINES_MAX)
            assert length <= allowed, f"{node.name} has {length} lines: give its steps names of their own"


IMPURE_MODULES = {"os", "random", "secrets", "time", "socket", "threading"}
IMPURE_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "datetime.datetime.now",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid1",
    "uuid4",
    "float",
    "open",
    "input",
    "print",
}


def impurities(tree: ast.Module) -> list[str]:
    """Every float, clock, environment read and source of randomness in a syntax tree."""
    found = []
    # To ask whether something is a float is how one is refused.
    asking = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "isinstance"]
    refusing = {id(part) for node in asking for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"line {node.lineno}: the float {node.value}")
        elif isinstance(node, ast.Name) and node.id == "float" and id(node) not in refusing:
            found.append(f"line {node.lineno}: float")
        elif isinstance(node, ast.Call) and called(node) in IMPURE_CALLS:
            found.append(f"line {node.lineno}: {called(node)}()")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            found += [f"line {node.lineno}: import {name}" for name in names if root(name) in IMPURE_MODULES]
    return found


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def root(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", python_files(*PURE), ids=shown)
def test_core_and_domains_read_no_clock_float_environment_or_chance(path: Path) -> None:
    assert impurities(tree_of(path)) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 1.5",
        "x = float('1')",
        "x: float = y",
        "datetime.now(UTC)",
        "date.today()",
        "import time",
        "from time import monotonic",
        "import os.path",
        "from os import environ",
        "import random",
        "uuid4()",
        "uuid.uuid4()",
        "open('x')",
    ],
)
def test_the_purity_check_sees(line: str) -> None:
    assert impurities(ast.parse(line))


# Spelled in pieces so that this file passes its own check.
MACHINE_PATHS = (
    "/work" + "/main",
    "/work" + "/shared",
    "/root" + "/",
    "/home" + r"/\w",
    "/opt" + "/(wheels|pypi)",
)
REGISTRIES = ("pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.(org|com)", "registry" + r"\.yarnpkg")
LEFT_OVERS = (r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b")
BANNED = {
    "a path of someone's machine": re.compile("|".join(MACHINE_PATHS)),
    "the address of a package registry": re.compile("|".join(REGISTRIES)),
    "work left for later": re.compile("|".join(LEFT_OVERS)),
}


@pytest.mark.parametrize("path", text_files(), ids=shown)
def test_no_committed_file_holds(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for what, pattern in BANNED.items():
        found = pattern.search(text)
        assert found is None, f"{what}: {found and found[0]!r}"


def test_lock_files_name_no_address() -> None:
    locks = [path for path in text_files() if path.name in ("requirements.lock", "package-lock.json")]
    assert len(locks) >= 2
    assert [shown(path) for path in locks if "://" in path.read_text(encoding="utf-8")] == []


SILENCED = re.compile(
    r"pytest\.(skip|xfail|importorskip)|mark\.(skip|skipif|xfail)|unittest\.mock|import mock"
)


@pytest.mark.parametrize("path", python_files(ROOT / "tests"), ids=shown)
def test_tests_skip_and_mock_nothing(path: Path) -> None:
    if path == Path(__file__).resolve():
        return
    found = SILENCED.search(path.read_text(encoding="utf-8"))
    assert found is None, f"{found and found[0]}: test the real thing"
