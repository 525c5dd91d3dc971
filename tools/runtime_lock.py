"""The part of requirements.lock that running needs: what the package depends on, and what installs it.

`make demo` and `make serve` install only this; tests and checks install the whole file on top of it.
Printed on the standard output, with the pins and hashes of the one lock file.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALLERS = frozenset({"hatchling", "editables"})
"""The build backend, and what it makes an editable install with."""

_BLOCK = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VIA = re.compile(r"^ +#(?: via|  ) +([A-Za-z0-9._-]+)", re.MULTILINE)


def runtime_part(lock: str, dependencies: list[str]) -> str:
    r"""The blocks of `lock` that `dependencies` and the installers lead to.

    >>> runtime_part("a==1\n    # via b\nb==1\n    # via tallybook (pyproject.toml)\nc==1\n", ["b>=1"])
    'a==1\n    # via b\nb==1\n    # via tallybook (pyproject.toml)\n'
    """
    # A package may have several blocks: one version for each range of Pythons.
    blocks = [(_name(block), block) for block in _BLOCK.split(lock) if _NAME.match(block)]
    users = [(name, {_plain(user) for user in _VIA.findall(block)}) for name, block in blocks]
    needed = {_name(line) for line in dependencies} | INSTALLERS
    while more := {name for name, by in users if name not in needed and by & needed}:
        needed |= more
    return "".join(block for name, block in blocks if name in needed)


def _name(line: str) -> str:
    match = _NAME.match(line)
    return _plain(match[0]) if match else ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sys.stdout.write(runtime_part((ROOT / "requirements.lock").read_text(), project["dependencies"]))
