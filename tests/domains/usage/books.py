"""A plain-Python account of usage, independent of everything in the package, and a small world."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from metronome import Metronome

from tests.support import Server

FIRST_DAY = datetime(2026, 1, 12, tzinfo=UTC)
LAST_DAY = datetime(2026, 1, 16, tzinfo=UTC)
STEPS = {"HOUR": timedelta(hours=1), "DAY": timedelta(days=1)}
Event = dict[str, Any]
Cut = tuple[datetime, datetime]


def wire(instant: datetime) -> str:
    """An instant as answers write it."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def event(number: int | str, customer: str, when: datetime, kind: str = "call", **properties: Any) -> Event:
    return {
        "transaction_id": f"t{number}",
        "customer_id": customer,
        "event_type": kind,
        "timestamp": when.isoformat(),
        "properties": properties,
    }


def ingest(server: Server, events: list[Event]) -> None:
    for start in range(0, len(events), 100):
        answer = server.post("/v1/ingest", events[start : start + 100])
        assert answer.status_code == 200, answer.text


def cuts(size: str, start: datetime, end: datetime) -> Iterator[Cut]:
    """The windows of a range."""
    step = STEPS.get(size, end - start)
    while start < end:
        yield start, start + step
        start += step


def value(kind: str, key: str | None, events: list[Event]) -> Decimal | int | None:
    """What a metric makes of matching events, in the order in which they were sent."""
    if kind == "COUNT":
        return len(events)
    if kind == "UNIQUE":
        return len({item["properties"][key] for item in events if key in item["properties"]})
    numbers = [
        (item["timestamp"], place, Decimal(str(item["properties"][key])))
        for place, item in enumerate(events)
        if key in item["properties"]
    ]
    if kind == "SUM":
        return sum((number for _, _, number in numbers), Decimal(0))
    if kind == "MAX":
        return max((number for _, _, number in numbers), default=None)
    return max(numbers)[2] if numbers else None


@dataclass(frozen=True)
class World:
    """Customers by name with the keys of their events, metrics by kind, and all events sent."""

    customers: dict[str, str]
    keys: dict[str, set[str]]
    metrics: dict[str, str]
    events: list[Event]

    def of(self, customer: str, cut: Cut, keep: Callable[[dict], bool] = lambda _: True) -> list[Event]:
        """The customer's matching events inside a window."""
        start, end = (bound.isoformat() for bound in cut)
        return [
            item
            for item in self.events
            if item["customer_id"] in self.keys[customer]
            and item["event_type"] == "call"
            and start <= item["timestamp"] < end
            and keep(item["properties"])
        ]


KEYS = {"COUNT": None, "SUM": "n", "MAX": "n", "LATEST": "n", "UNIQUE": "user"}


def create_metric(client: Metronome, kind: str = "SUM", **other: Any) -> str:
    """A metric on `call` events that sums n, or looks at user; by region, or region and team."""
    given = {
        "name": f"{kind} of calls",
        "aggregation_type": kind,
        "event_type_filter": {"in_values": ["call"]},
        "property_filters": [{"name": name} for name in ("n", "user", "region", "team")],
        "group_keys": [["region"], ["team", "region"]],
    }
    if KEYS[kind] is not None:
        given["aggregation_key"] = KEYS[kind]
    return client.v1.billable_metrics.create(**{**given, **other}).data.id


def make_world(server: Server, seed: int = 7, count: int = 600) -> World:
    """Two customers, one with two aliases, five metrics and seeded events over four days."""
    client = server.client
    one = client.v1.customers.create(name="One", ingest_aliases=["one-a", "one-b"]).data.id
    two = client.v1.customers.create(name="Two").data.id
    keys = {"one": {one, "one-a", "one-b"}, "two": {two}}
    metrics = {kind: create_metric(client, kind) for kind in ("COUNT", "SUM", "MAX")}
    random = Random(seed)
    senders = [*sorted(keys["one"]), two, "nobody"]
    events = []
    for number in range(count):
        properties: dict[str, Any] = {"n": f"{random.randint(-300, 900)}.{random.randint(0, 9)}"}
        for name, texts in (("region", ["eu", "us", ""]), ("team", ["x", "y"]), ("user", list("abcdef"))):
            if random.random() < 0.8:
                properties[name] = random.choice(texts)
        # Whole quarter hours, so that many readings share an instant and only the order decides.
        when = FIRST_DAY + timedelta(minutes=15 * random.randrange(4 * 24 * 3 + 40))
        kind = random.choice(["call", "call", "call", "other"])
        events.append(event(number, random.choice(senders), when, kind, **properties))
    ingest(server, events)
    metrics |= {kind: create_metric(client, kind) for kind in ("LATEST", "UNIQUE")}
    return World({"one": one, "two": two}, keys, metrics, events)
