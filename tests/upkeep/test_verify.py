"""`tallybook verify`: nothing to say of healthy data; every kind of damage is found and named."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tallybook.adapters.archive.manifest import read_manifest
from tests.cli.support import run
from tests.upkeep.support import verified


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def changed(data: Path, file: str, statement: str, *values: object) -> None:
    """Change exactly one row of a database."""
    with database(data / "sandbox" / file) as connection:
        assert connection.execute(statement, values).rowcount == 1, statement


def test_healthy_data_agrees(healthy: Path) -> None:
    report = verified(healthy)
    assert report.agrees, report.shown
    assert report.events == 331
    assert report.compared["cells"] > 400
    assert report.compared["archive"] > 200
    assert report.compared["invoices"] == 1
    assert report.compared["repeats"] == report.compared["log"]
    assert report.compared["definitions"] == 5
    assert report.notes == []


def test_verify_changes_nothing(data: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {
            str(path.relative_to(data)): path.read_bytes()
            for path in data.rglob("*")
            if path.is_file() and not path.name.endswith(("-wal", "-shm")) and path.name != "lock"
        }

    before = contents()
    assert run("verify", "--data", data).status == 0
    assert contents() == before


FIRST = """UPDATE cells SET {} WHERE (metric, grouping, customer_key, hour, members) = (
    SELECT metric, grouping, customer_key, hour, members FROM cells WHERE {}
    ORDER BY hour, customer_key, metric, grouping, members LIMIT 1)"""
EXTRA = "INSERT INTO cells (metric, grouping, customer_key, hour, members, count, whole) VALUES "
LESS = """DELETE FROM distincts WHERE (hour, value) = (
    SELECT hour, value FROM distincts WHERE customer_key = 'acme-1' ORDER BY hour LIMIT 1)"""
MORE = """INSERT INTO distincts SELECT metric, grouping, customer_key, hour, members, 'foreign'
    FROM distincts LIMIT 1"""
DAMAGED_CELLS = [
    # statement, check, what is said
    (FIRST.format("count = count + 1", "1"), "cells", "its events give count"),
    (FIRST.format("whole = whole + 1", "exact IS NULL AND metric = 1"), "cells", "its events give"),
    (FIRST.format("exact = '0.25'", "exact IS NOT NULL"), "cells", "sum 0.25"),
    (FIRST.format("max = '999'", "max IS NOT NULL"), "cells", "max 999"),
    (FIRST.format("latest = '998'", "latest IS NOT NULL"), "cells", "latest 998"),
    (FIRST.format("latest_row = latest_row + 1", "latest IS NOT NULL"), "cells", "of event ("),
    ("DELETE FROM cells WHERE metric = 3", "cells", "missing; its events give"),
    (EXTRA + """(1, 0, 'stranger', 490000, '["eu"]', 3, 4)""", "cells", "count 3, sum 4, but no event"),
    (EXTRA + "(99, 0, 'acme-0', 490000, '[]', 1, 0)", "cells", "unknown metric 99"),
    (LESS, "cells", "is missing"),
    (MORE, "cells", "the distinct value 'foreign' is stored, but no event has it"),
    (
        "UPDATE state SET value = value + 1 WHERE name = 'accepted'",
        "counts",
        "the log up to the position has",
    ),
    (
        "UPDATE state SET value = value + 1 WHERE name = 'repeated'",
        "counts",
        "the log up to the position has",
    ),
    ("UPDATE state SET value = value + 5 WHERE name = 'row'", "counts", "but the log ends at row"),
    (
        "UPDATE metrics SET definition = replace(definition, 'inference', 'other') WHERE number = 1",
        "definitions",
        "otherwise than the catalogue defines it",
    ),
]


@pytest.mark.parametrize(("statement", "check", "said"), DAMAGED_CELLS)
def test_damaged_cells_are_named(data: Path, statement: str, check: str, said: str) -> None:
    with database(data / "sandbox" / "cells.db") as connection:
        assert connection.execute(statement).rowcount >= 1
    report = verified(data)
    assert check in report.differences
    assert any(said in str(found) for found in report.shown if found.check == check), report.shown


def test_a_damaged_cell_is_named_by_metric_customer_hour_and_group(data: Path) -> None:
    where = "metric = 1 AND grouping = 0 AND customer_key = 'acme-0'"
    query = f"SELECT hour, members, count FROM cells WHERE {where} LIMIT 1"
    with database(data / "sandbox" / "cells.db") as connection:
        hour, members, count = connection.execute(query).fetchone()
        metric = connection.execute("SELECT id FROM metrics WHERE number = 1").fetchone()[0]
        connection.execute(
            f"UPDATE cells SET count = 77 WHERE {where} AND hour = ? AND members = ?", (hour, members)
        )
    (found,) = verified(data).shown
    assert f"metric {metric}, customer key 'acme-0', hour 2026-0" in found.place
    assert f"group (region) {members}" in found.place
    assert "holds count 77," in found.message
    assert f"its events give count {count}," in found.message


@pytest.mark.parametrize("is_set", [True, False])
def test_a_flipped_bit_of_repeats_is_named(data: Path, is_set: bool) -> None:
    import msgspec

    with database(data / "sandbox" / "cells.db") as connection:
        last, packed = connection.execute("SELECT last_row, bitmaps FROM repeats LIMIT 1").fetchone()
        bitmaps = msgspec.msgpack.decode(packed, type=dict[int, bytes])
        row, bits = next(iter(bitmaps.items()))
        places = [
            place for place in range(len(bits) * 8) if bool(bits[place // 8] & 0x80 >> place % 8) is is_set
        ]
        flipped = bytearray(bits)
        flipped[places[0] // 8] ^= 0x80 >> places[0] % 8
        connection.execute(
            "UPDATE repeats SET bitmaps = ? WHERE last_row = ?",
            (msgspec.msgpack.encode({**bitmaps, row: bytes(flipped)}), last),
        )
    report = verified(data)
    (found,) = [found for found in report.shown if found.check == "repeats"]
    assert found.place == f"row {row}, event {places[0]}"
    assert found.message.startswith("stored as no repeat" if is_set else "stored as a repeat")


def test_a_lost_file_of_the_archive_is_named(data: Path) -> None:
    file = read_manifest(data / "sandbox" / "archive").files[0]
    (data / "sandbox" / "archive" / file.path).unlink()
    report = verified(data)
    assert str(report.shown[0]).startswith(f"archive: file {file.path}: cannot be read: it is missing;")
    assert sum("is missing" in found.message for found in report.shown[1:]) == file.events


def test_a_torn_file_of_the_archive_is_named(data: Path) -> None:
    file = read_manifest(data / "sandbox" / "archive").files[0]
    path = data / "sandbox" / "archive" / file.path
    path.write_bytes(path.read_bytes()[:-20])
    found = verified(data).shown[0]
    assert found.place == f"file {file.path}"
    assert found.message.startswith("cannot be read")


FIELDS = {
    "transaction_id": lambda _: "other",
    "customer_id": lambda value: value + "x",
    "event_type": lambda _: "other type",
    "timestamp": lambda value: value + 1,
    "received_at": lambda value: value + 1,
    "properties": lambda value: (value or "{}").replace("region", "Region"),
    "texts": lambda value: [*value[:-1], (value[-1][0], "other")] if value else [("a", "b")],
    "log_index": lambda value: value + 1_000,
}


def rewritten(path: Path, change: Callable[[dict[str, list]], None]) -> None:
    table = pq.read_table(path, partitioning=None)
    columns = table.to_pydict()
    change(columns)
    import pyarrow as pa

    pq.write_table(pa.table(columns, schema=table.schema), path)


@pytest.mark.parametrize("field", FIELDS)
def test_an_event_changed_in_the_archive_is_named(data: Path, field: str) -> None:
    folder = data / "sandbox" / "archive"
    file = max(read_manifest(folder).files, key=lambda file: file.events)
    named = []

    def change(columns: dict[str, list]) -> None:
        place = len(columns["log_row"]) // 2
        named.append(f"event {columns['log_index'][place]} of row {columns['log_row'][place]} ")
        columns[field][place] = FIELDS[field](columns[field][place])

    rewritten(folder / file.path, change)
    report = verified(data)
    assert any(named[0] in found.place for found in report.shown), report.shown
    assert set(report.differences) == {"archive"}


@pytest.mark.parametrize(("times", "said"), [(0, "is missing"), (2, "is there 2 times")])
def test_an_event_lost_or_doubled_in_the_archive_is_named(data: Path, times: int, said: str) -> None:
    folder = data / "sandbox" / "archive"
    file = max(read_manifest(folder).files, key=lambda file: file.events)

    def change(columns: dict[str, list]) -> None:
        for column in columns.values():
            column[:1] = column[:1] * times

    rewritten(folder / file.path, change)
    said_of = [found.message for found in verified(data).shown]
    assert f"holds {file.events - 1 + times} events; the contents say {file.events}" in said_of
    assert said in said_of


def test_contents_that_cannot_be_read_are_named(data: Path) -> None:
    (data / "sandbox" / "archive" / "manifest.json").write_text("{")
    assert "cannot be read" in str(verified(data).shown[0])


def changed_content(data: Path, change: Callable[[dict], None]) -> None:
    with database(data / "sandbox" / "catalogue.db") as connection:
        id_, content = connection.execute("SELECT id, content FROM invoices").fetchone()
        decoded = json.loads(content)
        change(decoded)
        connection.execute("UPDATE invoices SET content = ? WHERE id = ?", (json.dumps(decoded), id_))


def test_a_changed_total_of_an_invoice_is_named(data: Path) -> None:
    changed_content(data, lambda content: content["draft"].update(total="1"))
    with database(data / "sandbox" / "catalogue.db") as connection:
        (id_,) = connection.execute("SELECT id FROM invoices").fetchone()
    report = verified(data)
    assert {found.place for found in report.shown} == {f"invoice {id_}"}
    assert any("total is 1; rated again it is" in found.message for found in report.shown)
    assert any("its lines add up to" in found.message for found in report.shown)
    ran = run("verify", "--data", data, "--invoice", id_)
    assert ran.status == 1
    assert "rated again" in ran.err


def test_a_changed_line_or_column_of_an_invoice_is_named(data: Path) -> None:
    changed_content(data, lambda content: content["draft"]["lines"][0].update(quantity="2"))
    assert "lines[0].quantity is 2; rated again it is" in verified(data).shown[0].message
    changed(data, "catalogue.db", "UPDATE invoices SET total = '5'")
    assert any("the column total is 5" in found.message for found in verified(data).shown)


def test_an_invoice_that_cannot_be_read_is_named(data: Path) -> None:
    changed(data, "catalogue.db", "UPDATE invoices SET rated_from = x'00'")
    assert "cannot be read" in verified(data).shown[0].message


def test_a_changed_or_missing_row_of_the_log_is_named(data: Path) -> None:
    with database(data / "sandbox" / "events.db") as connection:
        connection.execute("UPDATE log SET fingerprints = zeroblob(length(fingerprints)) WHERE row = 2")
        connection.execute("UPDATE log SET events = events + 1 WHERE row = 3")
        connection.execute("DELETE FROM log WHERE row = 5")
    said = [str(found) for found in verified(data).shown if found.check == "log"]
    assert any("row 2: holds fingerprints that are not those" in text for text in said)
    assert any("row 3: says that it holds" in text for text in said)
    assert any("row 6: follows on row 4" in text for text in said)


def test_lost_cells_are_told(data: Path) -> None:
    for path in (data / "sandbox").glob("cells.db*"):
        path.unlink()
    assert "cells.db: missing" in str(verified(data).shown[0])


def test_the_command_tells_people_and_programs(data: Path) -> None:
    ran = run("verify", "--data", data)
    assert ran.status == 0, ran.err
    assert "everything agrees" in ran.out
    told = run("verify", "--data", data, "--environment", "sandbox", "--json").json
    assert told["agrees"] is True
    assert [report["environment"] for report in told["environments"]] == ["sandbox"]
    changed(data, "cells.db", "UPDATE state SET value = 0 WHERE name = 'repeated'")
    ran = run("verify", "--data", data)
    assert ran.status == 1
    assert "sandbox: counts: repeated: stored 0" in ran.err
    told = run("verify", "--data", data, "--json")
    assert (told.status, told.json["agrees"]) == (1, False)
    assert told.json["environments"][1]["differences"] == {"counts": 1}


def test_bounds_limit_what_is_compared(data: Path) -> None:
    with database(data / "sandbox" / "cells.db") as connection:
        connection.execute("UPDATE cells SET count = count + 1 WHERE hour < 491640")
    early = ("--until", "2026-02-01T00:00:00Z")
    late = ("--from", "2026-02-01T00:00:00Z")
    assert run("verify", "--data", data, *early).status == 1
    ran = run("verify", "--data", data, *late, "--json")
    assert ran.status == 0
    assert 0 < ran.json["environments"][1]["compared"]["cells"] < 400


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--environment", "test"), "--environment"),
        (("--from", "yesterday"), "--from"),
        (("--until", "2026-01-01T00:30:00Z"), "--until"),
        (("--from", "2026-02-01T00:00:00Z", "--until", "2026-02-01T00:00:00Z"), "--until"),
        (("--invoice", "no-such-id"), "--invoice"),
    ],
)
def test_wrong_use(data: Path, options: tuple[str, ...], named: str) -> None:
    ran = run("verify", "--data", data, *options)
    assert ran.status == 2
    assert named in ran.err


def test_a_folder_without_an_installation(tmp_path: Path) -> None:
    ran = run("verify", "--data", tmp_path / "none")
    assert ran.status == 2
    assert "holds no installation" in ran.err


def flipped(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("place", range(8))
def test_any_flipped_byte_of_an_archived_file_is_a_difference_of_the_archive(data: Path, place: int) -> None:
    folder = data / "sandbox" / "archive"
    file = max(read_manifest(folder).files, key=lambda file: file.events)
    flipped(folder / file.path, place / 8)
    ran = run("verify", "--data", data, "--json")
    (production, sandbox) = ran.json["environments"]
    assert production["agrees"]
    assert sandbox["compared"]["invoices"] == 1
    assert set(sandbox["differences"]) <= {"archive"}
    assert ran.status == (0 if ran.json["agrees"] else 1)
    for found in sandbox["shown"][:1]:
        assert file.path in found["place"] or "event" in found["place"]


def test_a_file_that_breaks_off_in_its_pages_is_named(data: Path) -> None:
    folder = data / "sandbox" / "archive"
    file = max(read_manifest(folder).files, key=lambda file: file.events)
    path = folder / file.path
    content = bytearray(path.read_bytes())
    content[100:-2_500] = bytes(len(content) - 2_600)
    path.write_bytes(content)
    report = verified(data)
    assert any(
        found.place == f"file {file.path}" and found.message.startswith("cannot be read")
        for found in report.shown
    ), report.shown
    assert set(report.differences) == {"archive"}


@pytest.mark.parametrize("content", [None, "{}"])
def test_rows_that_neither_the_log_nor_the_archive_holds_are_told(data: Path, content: str | None) -> None:
    manifest = data / "sandbox" / "archive" / "manifest.json"
    with database(data / "sandbox" / "events.db") as connection:
        connection.execute("DELETE FROM log WHERE row < 4")
    assert verified(data).agrees
    manifest.unlink()
    if content is not None:
        manifest.write_text(content)
    report = verified(data)
    (found,) = [found for found in report.shown if found.place == "manifest.json"]
    assert found.check == "archive"
    assert "ends at row 0, but the log begins at row 4" in found.message
    assert run("verify", "--data", data).status == 1


def test_garbage_for_cells_is_a_difference_and_rebuild_mends_it(data: Path) -> None:
    for path in (data / "sandbox").glob("cells.db-*"):
        path.unlink()
    (data / "sandbox" / "cells.db").write_bytes(b"x" * 5_000)
    ran = run("verify", "--data", data, "--json")
    assert ran.status == 1
    (found,) = ran.json["environments"][1]["shown"]
    assert (found["check"], found["place"]) == ("cells", "cells.db")
    assert "sandbox/cells.db: cannot be read (file is not a database)" in found["message"]
    assert "tallybook rebuild" in found["message"]
    assert run("rebuild", "--data", data, "--yes").status == 0
    assert verified(data).agrees


def test_a_damaged_page_of_the_cells_is_a_difference(data: Path) -> None:
    path = data / "sandbox" / "cells.db"
    with database(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'cells'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : root * size] = b"x" * size
    path.write_bytes(content)
    report = verified(data)
    assert any(found.place == "cells.db" and "tallybook rebuild" in found.message for found in report.shown)
    assert report.compared["archive"] > 200


@pytest.mark.parametrize("command", [("verify",), ("rebuild", "--yes")])
def test_garbage_for_the_log_is_told_in_one_line(data: Path, command: tuple[str, ...]) -> None:
    for path in (data / "sandbox").glob("events.db-*"):
        path.unlink()
    (data / "sandbox" / "events.db").write_bytes(b"x" * 5_000)
    ran = run(*command, "--data", data)
    assert ran.status == 2
    assert "sandbox/events.db: cannot be read (file is not a database); restore it" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
