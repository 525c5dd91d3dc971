"""Whether the archive holds every accepted event of the log once, and as it was sent."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tallybook.adapters.archive.manifest import DAY_MICROS, ArchiveFile, Manifest, day_name, read_manifest
from tallybook.adapters.archive.paths import globbed
from tallybook.adapters.log.sqlite import LogRow
from tallybook.upkeep.checks import Difference
from tallybook.upkeep.recount import LIMITS
from tallybook.values.errors import Unavailable
from tallybook.values.event import Event, canonical_text
from tallybook.values.instant import micros_of

_EVENTS_AT_ONCE = 20_000
_NULL = msgspec.Raw(b"null")
# Every field that an event has in the archive, so that none can change unseen.
_HASH = """hash(log_row, log_index, transaction_id, customer_id, event_type, timestamp, received_at,
    properties, list_sort(map_entries(texts)))"""
_EXPECTED = """CREATE TABLE expected (day BIGINT, log_row BIGINT, log_index INTEGER, print UBIGINT,
    transaction_id VARCHAR)"""
_COMPARE = """
SELECT coalesce(e.log_row, s.log_row), coalesce(e.log_index, s.log_index), e.print IS NOT NULL,
       coalesce(s.times, 0), coalesce(e.transaction_id, s.transaction_id)
FROM (SELECT * FROM expected WHERE day = $day) AS e
FULL OUTER JOIN (
    SELECT log_row, log_index, count(*) AS times, min(print) AS print, min(transaction_id) AS transaction_id
    FROM stored GROUP BY log_row, log_index) AS s
ON e.log_row = s.log_row AND e.log_index = s.log_index
WHERE e.print IS DISTINCT FROM s.print OR s.times <> 1
ORDER BY 1, 2
"""


class _Sent(msgspec.Struct, gc=False):
    """The properties of an event, as they were sent."""

    properties: msgspec.Raw = _NULL


_SENT = msgspec.json.Decoder(list[_Sent])


class ArchiveCheck:
    """Compares the archive's files, day by day, with the events of the rows that it says it holds."""

    name = "archive"

    def __init__(
        self, folder: Path, temporary: Path, micros: range | None = None, first_row: int = 1
    ) -> None:
        """Look at the archive in `folder`: at events in these microseconds, of rows from the first one."""
        import duckdb  # noqa: PLC0415  # only this command needs it

        self.compared = 0
        self.note: str | None = None
        self._folder = folder
        self._micros = micros or range(-(1 << 62), 1 << 62)
        self._first_row = first_row
        self._fault: str | None = None
        try:
            self._manifest = read_manifest(folder)
        except Unavailable as error:
            self._fault, self._manifest = error.message, Manifest()
        self._database = duckdb.connect(str(temporary / "archive.duckdb"))
        self._database.execute(LIMITS)
        self._database.execute(_EXPECTED)
        self._events: list[tuple[Any, ...]] = []

    def close(self) -> None:
        """Let go of the temporary files."""
        self._database.close()

    def see(self, row: LogRow, events: Sequence[Event]) -> None:
        """Take what the archive should hold of a row."""
        if row.row > self._manifest.position:
            return
        sent = [item.properties for body in row.bodies for item in _SENT.decode(body)]
        kept_from = self._manifest.kept_from_day
        for event in events:
            at = micros_of(event.timestamp)
            if at not in self._micros or (kept_from is not None and at // DAY_MICROS < kept_from):
                continue
            self._events.append(_columns_of(event, at, bytes(sent[event.position[1]])))
        if len(self._events) >= _EVENTS_AT_ONCE:
            self._store()

    def differences(self) -> Iterator[Difference]:
        """Compare every day's files with its events."""
        if self._fault is not None:
            yield Difference(self.name, str(self._folder), self._fault)
            return
        if self._manifest.position + 1 < self._first_row:
            yield Difference(
                self.name,
                "manifest.json",
                f"says that the archive ends at row {self._manifest.position}, but the log begins at row "
                f"{self._first_row}: the events between are gone; restore the folder archive from a backup, "
                "or go on without them after 'tallybook rebuild --from-kept-events'",
            )
        self._store()
        if self._manifest.kept_from_day is not None:
            self.note = f"events of days before {day_name(self._manifest.kept_from_day)} are no longer kept"
        by_day: dict[int, list[ArchiveFile]] = {}
        for file in self._manifest.files:
            by_day.setdefault(file.day, []).append(file)
        found = self._database.execute("SELECT day, count(*) FROM expected GROUP BY day").fetchall()
        counts = dict(found)
        self.compared = sum(counts.values())
        for day in sorted(by_day.keys() | counts.keys()):
            if (day + 1) * DAY_MICROS <= self._micros.start or day * DAY_MICROS >= self._micros.stop:
                continue
            yield from self._compare_day(day, by_day.get(day, []))

    def _compare_day(self, day: int, files: Sequence[ArchiveFile]) -> Iterator[Difference]:
        present = []
        for file in files:
            faults = list(self._faults_of(file))
            yield from faults
            if not any(fault.message.startswith("cannot be read") for fault in faults):
                present.append(file)
        self._database.execute(
            """CREATE OR REPLACE TEMP TABLE stored
            (log_row BIGINT, log_index INTEGER, print UBIGINT, transaction_id VARCHAR)"""
        )
        for file in present:
            yield from self._take(file)
        reading = self._database.execute(_COMPARE, {"day": day})
        for row, index, is_expected, times, id_ in iter(reading.fetchone, None):
            if not is_expected:
                message = "is there, but the log holds no such accepted event"
            elif not times:
                message = "is missing"
            elif times > 1:
                message = f"is there {times} times"
            else:
                message = "differs from the event as it was sent"
            place = f"day {day_name(day)}, event {index} of row {row} (transaction_id {id_!r})"
            yield Difference(self.name, place, message)

    def _take(self, file: ArchiveFile) -> Iterator[Difference]:
        """Read a file's events; those of one that breaks off are all taken for missing."""
        import duckdb  # noqa: PLC0415

        try:
            self._database.execute(
                f"""INSERT INTO stored SELECT log_row, log_index, {_HASH}, transaction_id
                FROM read_parquet($file, hive_partitioning = false)
                WHERE timestamp >= $from AND timestamp < $until AND log_row >= $first""",  # noqa: S608
                {
                    "file": globbed(str(self._folder / file.path)),
                    "from": self._micros.start,
                    "until": self._micros.stop,
                    "first": self._first_row,
                },
            )
        except duckdb.Error as error:
            yield self._unreadable(file, str(error).splitlines()[0])

    def _unreadable(self, file: ArchiveFile, reason: str) -> Difference:
        remedy = "make the archive anew from the log of events with 'tallybook rebuild'"
        return Difference(self.name, f"file {file.path}", f"cannot be read: {reason}; {remedy}")

    def _faults_of(self, file: ArchiveFile) -> Iterator[Difference]:
        """Whether a file is what the contents say: what they say decides who looks into it."""
        import duckdb  # noqa: PLC0415

        path = self._folder / file.path
        place = f"file {file.path}"
        if not path.exists():
            yield self._unreadable(file, "it is missing")
            return
        try:
            found = self._database.execute(
                """SELECT count(*), min(customer_id), max(customer_id), min(timestamp), max(timestamp)
                FROM read_parquet($path, hive_partitioning = false)""",
                {"path": globbed(str(path))},
            ).fetchone()
        except duckdb.Error as error:
            yield self._unreadable(file, str(error).splitlines()[0])
            return
        assert found is not None
        count, first, last, earliest, latest = found
        if count != file.events:
            yield Difference(self.name, place, f"holds {count} events; the contents say {file.events}")
        if count and not (file.customer_first <= first and last <= file.customer_last):
            yield Difference(self.name, place, "holds customers outside those that the contents say")
        if count and not earliest // DAY_MICROS == latest // DAY_MICROS == file.day:
            yield Difference(self.name, place, "holds events of other days")

    def _store(self) -> None:
        """Move the waiting events' prints to the temporary file."""
        if not self._events:
            return
        incoming = _table_of(self._events)
        self._events = []
        self._database.register("incoming", incoming)
        self._database.execute(
            f"""INSERT INTO expected SELECT day, log_row, log_index, {_HASH},
            transaction_id FROM incoming"""  # noqa: S608  # our names
        )
        self._database.unregister("incoming")


def _columns_of(event: Event, at: int, sent: bytes) -> tuple[Any, ...]:
    texts = [(name, canonical_text(value)) for name, value in event.properties.items()]
    return (
        at // DAY_MICROS,
        *event.position,
        event.transaction_id,
        event.customer_id,
        event.event_type,
        at,
        micros_of(event.received_at),
        None if sent == b"null" else sent.decode(),
        [(name, text) for name, text in texts if text is not None],
    )


def _table_of(events: Sequence[tuple[Any, ...]]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    kinds = {
        "day": pa.int64(),
        "log_row": pa.int64(),
        "log_index": pa.int32(),
        "transaction_id": pa.string(),
        "customer_id": pa.string(),
        "event_type": pa.string(),
        "timestamp": pa.int64(),
        "received_at": pa.int64(),
        "properties": pa.string(),
        "texts": pa.map_(pa.string(), pa.string()),
    }
    columns = zip(*events, strict=True)
    return pa.table(
        {name: pa.array(column, kind) for (name, kind), column in zip(kinds.items(), columns, strict=True)}
    )
