"""What `make demo` installs: everything that running needs, out of the one lock file."""

import importlib.metadata
import re

from packaging.requirements import Requirement

from tools.runtime_lock import INSTALLERS, ROOT, runtime_part


def _needed(name: str, found: set[str]) -> set[str]:
    """A package and all it needs on this machine, by what is installed here."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    if plain in found:
        return found
    found.add(plain)
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _needed(requirement.name, found)
    return found


def test_it_is_all_that_running_needs_and_little_else() -> None:
    needed = _needed("tallybook", set())
    for name in INSTALLERS:
        _needed(name, needed)
    needed.discard("tallybook")
    lock = (ROOT / "requirements.lock").read_text()
    part = runtime_part(
        lock, [line for line in importlib.metadata.requires("tallybook") or () if ";" not in line]
    )
    blocks = re.findall(r"^([a-z0-9.-]+)==", part, re.MULTILINE)
    assert needed <= set(blocks)
    assert not {"pytest", "mypy", "ruff", "metronome-sdk", "schemathesis"} & set(blocks)
    # Every version of a package is there, with all its hashes, as in the whole file.
    for name in needed:
        assert blocks.count(name) == len(re.findall(rf"^{re.escape(name)}==", lock, re.MULTILINE))
    assert all(line in lock for line in part.splitlines())
