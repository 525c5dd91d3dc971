"""Seeded usage of a language-model API: prepared request bodies whose ids are made fresh in place."""

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

CUSTOMERS = 10_000
ZIPF = 1.1
EVENT_TYPES = ("completion", "embedding", "rerank")
MODELS = ("atlas-large", "atlas-medium", "atlas-small", "nimbus-2", "nimbus-2-mini", "ember-v1")
REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "ap-south-1")
_MARK = "00000000"
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)

METRICS: tuple[dict[str, Any], ...] = (
    {
        "name": "Input tokens",
        "aggregation_type": "SUM",
        "aggregation_key": "input_tokens",
        "event_type_filter": {"in_values": ["completion", "embedding"]},
        "property_filters": [
            {"name": "input_tokens", "exists": True},
            {"name": "model", "exists": True},
            {"name": "region", "exists": True},
        ],
        "group_keys": [["model", "region"]],
    },
    {
        "name": "Output tokens",
        "aggregation_type": "SUM",
        "aggregation_key": "output_tokens",
        "event_type_filter": {"in_values": ["completion", "embedding", "rerank"]},
        "property_filters": [
            {"name": "output_tokens", "exists": True},
            {"name": "model", "exists": True},
        ],
        "group_keys": [["model"]],
    },
    {
        "name": "Requests",
        "aggregation_type": "COUNT",
        "event_type_filter": {"in_values": list(EVENT_TYPES)},
        "property_filters": [{"name": "region", "exists": True}],
        "group_keys": [["region"]],
    },
)
"""Three metrics: completion and embedding events match all of them, rerank events two."""


def bystanders(count: int) -> list[dict[str, Any]]:
    """Metrics that look at event types nobody sends."""
    return [
        {
            **METRICS[number % 3],
            "name": f"Bystander {number}",
            "event_type_filter": {"in_values": [f"other_{number}"]},
        }
        for number in range(count)
    ]


def lookers(count: int) -> list[dict[str, Any]]:
    """Metrics that look at every event, no two with the same filters, and count about a sixth of them."""
    return [
        {
            "name": f"Looker {number}",
            "aggregation_type": "SUM",
            "aggregation_key": ("input_tokens", "output_tokens", "latency_ms")[number % 3],
            "property_filters": [
                {"name": ("input_tokens", "output_tokens", "latency_ms")[number % 3], "exists": True},
                {"name": "model", "in_values": [MODELS[number % len(MODELS)], f"other_{number}"]},
                {"name": "region", "exists": True},
            ],
            "group_keys": [["model", "region"]],
        }
        for number in range(count)
    ]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How prepared events are spread, and how many of them are sent again."""

    customers: Sequence[str] = ()
    """Whose events; none given: 10,000 customers by a Zipf distribution."""
    hours: float = 2
    """Timestamps lie in so many hours before now."""
    repeats: float = 0
    """This share of every body keeps its ids, so that all but its first sending repeats them."""


class Bodies:
    """Request bodies that are sent again and again with fresh transaction ids.

    Each id is a UUID whose first eight digits are replaced before every sending.
    """

    def __init__(
        self, requests: int, events: int, *, now: datetime, seed: int = 1, shape: Shape | None = None
    ) -> None:
        """Prepare `requests` bodies of `events` events each."""
        source = random.Random(seed)
        shape = shape or Shape()
        self.events = events
        self._bodies = [bytearray(body) for body in _bodies(source, requests, events, now, shape)]
        kept = round(events * shape.repeats)
        self._places = [_places(body, events)[kept:] for body in self._bodies]
        self._number = seed << 20
        self._next = 0

    def fresh(self) -> bytearray:
        """The next body with ids never sent before; valid until it comes round again."""
        index = self._next
        self._next = (index + 1) % len(self._bodies)
        if index == 0:
            self._number += 1
        body = self._bodies[index]
        if len(self._places[index]):
            np.frombuffer(body, dtype=np.uint8)[self._places[index]] = _digits(self._number)
        return body

    def __len__(self) -> int:
        return len(self._bodies)


def _bodies(
    source: random.Random, requests: int, events: int, now: datetime, shape: Shape
) -> Iterator[bytes]:
    customers: Sequence[str] = shape.customers or [
        str(uuid.UUID(int=source.getrandbits(128), version=4)) if number % 2 else f"org-{number:06d}"
        for number in range(CUSTOMERS)
    ]
    weights = None if shape.customers else [1 / (rank + 1) ** ZIPF for rank in range(CUSTOMERS)]
    for _ in range(requests):
        chosen = source.choices(customers, weights, k=events)
        yield json.dumps([_event(source, customer, now, shape.hours) for customer in chosen]).encode()


def _event(source: random.Random, customer: str, now: datetime, hours: float) -> dict[str, object]:
    at = now - timedelta(milliseconds=source.randrange(round(hours * 3_600_000)))
    identity = str(uuid.UUID(int=source.getrandbits(128), version=4))
    return {
        "transaction_id": _MARK + identity[8:],
        "customer_id": customer,
        "event_type": source.choices(EVENT_TYPES, (8, 3, 1))[0],
        "timestamp": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "properties": {
            "model": source.choice(MODELS),
            "region": source.choice(REGIONS),
            "input_tokens": source.randrange(1, 12_000),
            "output_tokens": source.randrange(1, 3_000),
            "latency_ms": source.randrange(40, 9_000),
            "status": "ok",
            "cached": source.random() < 0.2,
        },
    }


def _places(body: bytearray, events: int) -> NDArray[np.intp]:
    starts = []
    at = 0
    for _ in range(events):
        at = body.index(b'"transaction_id": "' + _MARK.encode(), at) + len('"transaction_id": "')
        starts.append(at)
    return np.asarray(starts, dtype=np.intp)[:, None] + np.arange(len(_MARK))


def _digits(number: int) -> NDArray[np.uint8]:
    shifts = np.arange(4 * (len(_MARK) - 1), -1, -4)
    return _HEX[(number >> shifts) & 15]
