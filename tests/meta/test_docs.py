"""What the documents say is so: links lead somewhere, examples run, nothing that matters is left out."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from tallybook.cli import app
from tests.meta.repository import ROOT, SOURCE, shown, text_files
from tests.support import NOW, SANDBOX_TOKEN, serving

PAGES = [path for path in text_files() if path.suffix == ".md"]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The names of a page's headings as links spell them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(aim), f"{target}: no such heading"


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in LINK.findall(index)}
    pages = {path for path in PAGES if path.is_relative_to(ROOT / "docs")} - {ROOT / "docs" / "README.md"}
    assert {shown(page) for page in pages - linked} == set()


EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)
SHOWN = re.compile(r"```\n\n((?:    .+\n)+)")


# The README's example is about today, the others about the month their sandbox stands in.
EXAMPLES = {
    "README.md": datetime.now(UTC),
    "docs/how-to/first-invoice.md": NOW,
    "docs/how-to/find-out-why-an-event-is-not-billed.md": NOW,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run_as_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    code = "\n".join(EXAMPLE.findall(text))
    assert code
    with serving(tmp_path / "data", now=EXAMPLES[name]) as server:
        code = code.replace("http://127.0.0.1:8080", server.url).replace("sandbox-token", SANDBOX_TOKEN)
        names: dict[str, Any] = {}
        exec(compile(code, name, "exec"), names)
        names["client"].close()
    printed = capsys.readouterr().out
    told = "".join(re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in SHOWN.findall(text))
    assert told
    assert [line for line in told.splitlines() if line not in printed.splitlines()] == []


def commands() -> set[str]:
    """`serve`, `token create` and so on."""
    group = typer.main.get_command(app)
    found = set()
    for name, command in getattr(group, "commands", {}).items():
        found |= {f"{name} {inner}" for inner in getattr(command, "commands", {})} or {name}
    return found


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    first = {command.split()[0] for command in commands()}
    for name in re.findall(r"(?:^|[`/ ])tallybook ([a-z]+)(?=[ `\n])", "\n".join(code_of(text))):
        assert name in first, f"there is no `tallybook {name}`"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for names in re.findall(r"(?:^|`)make ([a-z][a-z ]*)(?=`|$| *#)", "\n".join(code_of(text)), re.MULTILINE):
        assert set(names.split()) <= targets, f"there is no `make {names}`"


def code_of(text: str) -> list[str]:
    """What a page shows as code: blocks, and single words or lines between backquotes."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [*blocks, *(f"`{span}`" for span in re.findall(r"`([^`]+)`", rest))]


def test_every_command_has_its_part_of_the_reference() -> None:
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert {name for name in commands() if f"\n## tallybook {name}\n" not in reference} == set()


VARIABLE = re.compile(r"TALLYBOOK_[A-Z_]+[A-Z]")


def test_every_environment_variable_is_documented_and_real() -> None:
    used = {
        name for path in SOURCE.rglob("*.py") for name in VARIABLE.findall(path.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs" / "operations" / "configuration.md").read_text(encoding="utf-8")
    assert set(VARIABLE.findall(page)) == used


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=\[]", text)[0] for text in wanted}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == names
