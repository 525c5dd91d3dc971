"""Every noun has the same shape, and reaches its neighbours by their faces alone."""

import tomllib
from pathlib import Path

import pytest

from tests.meta.repository import ROOT, SOURCE, domains, imported, python_files, shown

KNOWN = {
    "README.md",
    "__init__.py",
    "model.py",
    "errors.py",
    "schemas.py",
    "endpoints.py",
    "service.py",
    "service",
    "store.py",
    "jobs.py",
}
HEADINGS = ("**Owns**", "**Does not own**", "**Invariants**", "**Timestamps**")
PARTS = {name.removesuffix(".py") for name in KNOWN} - {"README.md", "__init__"}


@pytest.mark.parametrize("folder", domains(), ids=shown)
def test_a_domain_has_known_files_only(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert names <= KNOWN
    assert not {"service.py", "service"} <= names, "one or the other"


@pytest.mark.parametrize("folder", domains(), ids=shown)
def test_a_domain_tells_what_it_owns(folder: Path) -> None:
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {folder.name}\n")
    places = [page.find(heading) for heading in HEADINGS]
    assert -1 not in places, f"the README needs {', '.join(HEADINGS)}"
    assert places == sorted(places)


@pytest.mark.parametrize("folder", domains(), ids=shown)
def test_a_domain_reaches_another_by_its_face_alone(folder: Path) -> None:
    for path in python_files(folder):
        for line, name in imported(path):
            parts = name.split(".")
            if parts[:2] == ["tallybook", "domains"] and len(parts) > 3 and parts[2] != folder.name:
                if path.name in ("schemas.py", "endpoints.py") and parts[3] == "schemas":
                    # Wire shapes may be made of a neighbour's. They cannot be in its face, which services
                    # read too, and services know no HTTP.
                    continue
                assert parts[3] not in PARTS, f"{shown(path)}:{line} imports {name}: use its __init__"


@pytest.mark.parametrize("folder", domains(), ids=shown)
def test_only_the_own_service_imports_a_store(folder: Path) -> None:
    own = f"tallybook.domains.{folder.name}"
    for path in python_files(SOURCE):
        if any(name.startswith(f"{own}.store") for _, name in imported(path)):
            assert path == folder / "service.py" or path.is_relative_to(folder / "service"), shown(path)


def contracts() -> dict[str, dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def test_every_domain_has_a_place_in_the_order() -> None:
    layers = contracts()["Domains import down their declared order"]["layers"]
    placed = [name.strip() for layer in layers for name in layer.split("|")]
    assert sorted(placed) == [folder.name for folder in domains()]


def test_the_layers_and_the_core_are_under_contract() -> None:
    layers = " ".join(contracts()["Layers import downwards only"]["layers"])
    parts = [path for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"]
    top = {f"tallybook.{path.stem}" for path in parts if not path.name.startswith("_")}
    assert top == set(layers.replace(":", " ").replace("|", " ").split())
    core = contracts()["The core does no I/O"]
    assert set(core["source_modules"]) == {"tallybook.values", "tallybook.metering", "tallybook.rating"}
    assert {"sqlalchemy", "os", "random", "time", "httpx"} <= set(core["forbidden_modules"])
