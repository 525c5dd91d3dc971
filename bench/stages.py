"""Where the time of an event goes: every stage of the path on its own, in one process and thread."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import zstandard

from bench.workload import METRICS, Bodies
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.metering.cells import ActiveMetric
from tallybook.metering.event import accept_events, accept_timestamps, joined, reread_events
from tallybook.metering.fingerprints import Fingerprints
from tallybook.metering.fold import Folder
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter

T = TypeVar("T")

_GROUPS = 50
_REQUESTS_PER_GROUP = 20
_EVENTS_PER_REQUEST = 100
_ROUNDS = 5


def definitions() -> list[MetricDefinition]:
    """The metrics of the workload as metering knows them."""
    return [
        MetricDefinition(
            str(metric["name"]),
            Aggregation(str(metric["aggregation_type"])),
            metric.get("aggregation_key"),
            ValueFilter(tuple(metric["event_type_filter"]["in_values"])),
            tuple(PropertyFilter(rule["name"], exists=True) for rule in metric["property_filters"]),
            tuple(tuple(key) for key in metric["group_keys"]),
        )
        for metric in METRICS
    ]


def stages(folder: Path) -> dict[str, float]:
    """Microseconds per event of each stage, in the order of the path."""
    now = datetime.now(UTC)
    bodies = Bodies(_GROUPS * _REQUESTS_PER_GROUP, _EVENTS_PER_REQUEST, now=now)
    meter = Folder([ActiveMetric(number, item, 0) for number, item in enumerate(definitions(), start=1)])
    table = Fingerprints()
    log = SqliteLog(folder / "stages.db")
    compressor = zstandard.ZstdCompressor(level=1)
    best: dict[str, list[float]] = {}
    for round_ in range(_ROUNDS):
        for group in range(_GROUPS):
            sent = [bytes(bodies.fresh()) for _ in range(_REQUESTS_PER_GROUP)]
            row = round_ * _GROUPS + group + 1
            for name, taken in _one_group(sent, meter, table, log, compressor, now, row).items():
                best.setdefault(name, []).append(taken)
    log.close()
    events = _REQUESTS_PER_GROUP * _EVENTS_PER_REQUEST
    # The median of groups, without the first round, in which every kind of event is new.
    return {
        name: round(sorted(times[_GROUPS:])[len(times[_GROUPS:]) // 2] / events * 1e6, 2)
        for name, times in best.items()
    }


def _one_group(
    sent: list[bytes],
    meter: Folder,
    table: Fingerprints,
    log: SqliteLog,
    compressor: zstandard.ZstdCompressor,
    now: datetime,
    row: int,
) -> dict[str, float]:
    taken: dict[str, float] = {}

    def timed(name: str, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = work()
        taken[name] = time.perf_counter() - started
        return result

    batches = timed("server: check JSON, hash ids", lambda: [accept_events(body) for body in sent])
    texts = [text for batch in batches for text in batch.columns.timestamps]
    instants = timed("server: read timestamps", lambda: accept_timestamps(texts, now, now))
    prints = b"".join([batch.fingerprints for batch in batches])
    timed(
        "server, on the side: compress for the log", lambda: compressor.compress(msgspec.msgpack.encode(sent))
    )
    timed("server, on the side: compress, append, fsync", lambda: log.append(now, len(texts), prints, sent))
    columns = timed(
        "applier: read what metrics need",
        lambda: joined([reread_events(body, meter.wanted) for body in sent]),
    )
    is_new = timed("applier: look ids up", lambda: table.admit(prints, int(now.timestamp())))
    assert is_new.all()
    timed("applier: match and fold for 3 metrics", lambda: meter.fold(columns, instants, None, [(0, row)]))
    return taken
