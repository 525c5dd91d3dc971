"""A file of the archive that is gone or broken: questions are refused naming it, ingest goes on."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tallybook.adapters.archive.compact import Compactor
from tests.cli.support import run
from tests.domains.usage.books import event, ingest
from tests.support import NOW, Server, assert_refused, serving


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    """The contents at the end stay whole: only reading the events shows it."""
    content = bytearray(path.read_bytes())
    content[100:-2_500] = bytes(len(content) - 2_600)
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def archived(data: Path) -> tuple[str, Path]:
    """A folder with an SQL metric and one archived file; the metric's id and the file."""
    with serving(data) as server:
        server.client.v1.customers.create(name="Acme", ingest_aliases=["a"])
        metric = server.client.v1.billable_metrics.create(
            name="Query", sql="SELECT SUM(properties.n) AS value FROM events"
        ).data.id
        for first in range(0, 300, 100):
            ingest(server, [event(n, "a", NOW, n=str(n), s="s" * n) for n in range(first, first + 100)])
    Compactor(data / "sandbox").run()
    (file,) = (data / "sandbox" / "archive").glob("*-*-*/*")
    return metric, file


def ask(server: Server, metric: str) -> list:
    hours = {"starting_on": "2026-01-15T00:00:00Z", "ending_before": "2026-01-16T00:00:00Z"}
    usage = {**hours, "window_size": "NONE", "billable_metrics": [{"id": metric}]}
    return [
        server.post("/v1/usage", usage),
        server.get("/tallybook/v1/events"),
        server.get("/tallybook/v1/usage/unmatched", params=hours),
    ]


@pytest.mark.parametrize("damage", [gone, cut, overwritten, empty])
def test_questions_are_refused_naming_the_file_until_it_is_rebuilt(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    metric, file = archived(tmp_path / "data")
    damage(file)
    with serving(tmp_path / "data") as server:
        for answer in ask(server, metric):
            assert_refused(answer, 503, f"sandbox/archive/{file.parent.name}/{file.name}")
            assert str(tmp_path) not in answer.text
            assert "tallybook verify" in answer.text
            assert "tallybook rebuild" in answer.text
        ingest(server, [event(1_000, "a", NOW + timedelta(minutes=1), n="1")])
    assert run("rebuild", "--data", tmp_path / "data", "--yes").status == 0
    with serving(tmp_path / "data") as server:
        assert [answer.status_code for answer in ask(server, metric)] == [200, 200, 200]


def test_a_manifest_that_cannot_be_read_is_named_without_its_place(tmp_path: Path) -> None:
    metric, file = archived(tmp_path / "data")
    (file.parent.parent / "manifest.json").write_text("{")
    with serving(tmp_path / "data") as server:
        for answer in ask(server, metric):
            assert_refused(answer, 503, "sandbox/archive/manifest.json")
            assert str(tmp_path) not in answer.text
            assert "tallybook rebuild" in answer.text
