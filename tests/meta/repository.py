"""What the meta tests look at: the files of the repository and their syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "src" / "tallybook"
DOMAINS = SOURCE / "domains"

FOLDERS = ("src", "tests", "tools", "bench", "docs", "api", ".ci", "changelog.d")
"""What is kept here, beside the files at the top; anything else is a machine's own."""
_PASSED_OVER = {"node_modules", "__pycache__", ".hypothesis", ".pytest_cache"}
_NOT_TEXT = {".pyc", ".png", ".ico", ".woff2", ".zst"}


def domains() -> list[Path]:
    """The folders of the nouns."""
    return sorted(path for path in DOMAINS.iterdir() if path.is_dir() and (path / "__init__.py").exists())


def text_files() -> list[Path]:
    """Every text file that is ours."""
    top = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".git")]
    below = [path for folder in FOLDERS if (ROOT / folder).exists() for path in (ROOT / folder).rglob("*")]
    return sorted(
        path
        for path in top + below
        if path.is_file() and not _PASSED_OVER & set(path.parts) and path.suffix not in _NOT_TEXT
    )


def python_files(*folders: Path) -> list[Path]:
    """Our Python files, of the whole repository or below some folders."""
    return [
        path
        for path in text_files()
        if path.suffix == ".py" and (not folders or any(path.is_relative_to(folder) for folder in folders))
    ]


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports; `from a import b` counts as `a.b`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def shown(path: Path) -> str:
    """A path as seen from the top of the repository."""
    return str(path.relative_to(ROOT))
