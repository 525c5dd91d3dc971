"""Every call that an official client can make stands in the coverage table."""

import re
from collections.abc import Iterable
from pathlib import Path

import metronome

from tools import coverage

NODE = Path(__file__).parent / "node" / "node_modules" / "@metronome" / "sdk" / "resources"
PYTHON = Path(metronome.__file__).parent / "resources"
PYTHON_CALL = re.compile(
    r"self\._(get|post|put|patch|delete|get_api_list)\(\s*(?:path_template\()?"
    r'\s*f?"(/v[12][^"]*)"(.*?)\n {8}\)',
    re.DOTALL,
)
NODE_CALL = re.compile(
    r"_client\.(get|post|put|patch|delete|getAPIList)\((?:path)?\s*[`'](/v[12][^`']*)[`'](.*?)\);", re.DOTALL
)
METHOD = re.compile(r"method[=:] ?['\"](\w+)['\"]")


def plain(call: str) -> str:
    """A call without the names of its path parameters, which clients spell as they like."""
    return re.sub(r"\$?\{[^}]*\}", "{}", call)


def calls_in(files: Iterable[Path], pattern: "re.Pattern[str]") -> set[str]:
    """Every call in the sources of a client."""
    found = set()
    for path in files:
        for verb, address, rest in pattern.findall(path.read_text(encoding="utf-8")):
            named = METHOD.search(rest) if "list" in verb.lower() else None
            method = (named[1] if named else "get") if "list" in verb.lower() else verb
            found.add(plain(f"{method.upper()} {address}"))
    return found


def test_every_call_of_the_clients_is_in_the_table() -> None:
    entries = coverage.read_table(coverage.TABLE.read_text(encoding="utf-8"))
    listed = {plain(entry.call) for entry in entries}
    python = calls_in(PYTHON.rglob("*.py"), PYTHON_CALL)
    node = calls_in(NODE.rglob("*.mjs"), NODE_CALL)
    assert len(python) > 100
    assert len(node) > 100
    assert (python | node) - listed == set()
