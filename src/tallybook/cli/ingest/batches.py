"""Groups the input into requests of up to 100 events, always at the same places."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tallybook.cli.ingest.identity import Identity
from tallybook.cli.ingest.mapping import Event, Unusable
from tallybook.cli.ingest.sources import Record, Source

EVENTS_PER_REQUEST = 100
_REJECTS_PER_BATCH = 1_000
# Ids are looked up in blocks, which is far faster than event by event.
_BATCHES_NAMED_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was left out, and why."""

    file: str
    line: int
    reason: str
    content: Any


@dataclass(slots=True)
class Item:
    """An event and the record it comes from."""

    event: Event
    record: Record

    def rejected(self, reason: str) -> Reject:
        """The record left out because the server refused its event."""
        return Reject(self.record.file, self.record.line, reason, self.record.values)


@dataclass(slots=True)
class Batch:
    """One request's worth of consecutive records; `records_end` counts all records up to its end."""

    items: list[Item] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    records_end: int = 0
    bytes_end: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it takes no more."""
        return len(self.items) >= EVENTS_PER_REQUEST or len(self.rejects) >= _REJECTS_PER_BATCH


Maker = Callable[[dict[str, Any]], Event]


def batches_of(inputs: Sequence[tuple[Source, Maker]]) -> Iterator[Batch]:
    """The whole input in batches. The same input gives the same batches and ids, however often."""
    identity = Identity()
    batches = _grouped(inputs)
    while block := list(islice(batches, _BATCHES_NAMED_TOGETHER)):
        identity.name([item.event for batch in block for item in batch.items])
        yield from block


def _grouped(inputs: Sequence[tuple[Source, Maker]]) -> Iterator[Batch]:
    batch = Batch()
    bytes_before = 0
    for source, make in inputs:
        for record in source.records():
            _take(batch, record, make)
            batch.bytes_end = bytes_before + source.bytes_read
            if batch.is_full:
                yield batch
                batch = Batch(records_end=batch.records_end)
        bytes_before += source.bytes_read
    if batch.items or batch.rejects:
        yield batch


def _take(batch: Batch, record: Record, make: Maker) -> None:
    batch.records_end += 1
    if record.problem is not None:
        batch.rejects.append(Reject(record.file, record.line, record.problem, record.text))
        return
    try:
        batch.items.append(Item(make(record.values), record))
    except Unusable as error:
        batch.rejects.append(Reject(record.file, record.line, str(error), record.values))
