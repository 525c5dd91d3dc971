"""A plain-Python account of events: which were accepted, whose they are, which metrics count them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.support import Server

WINDOW = timedelta(days=34)
Event = dict[str, Any]


@dataclass
class Book:
    """Events in the order in which they were sent, with when they came; metrics by id; owners of keys."""

    sent: list[tuple[Event, datetime]] = field(default_factory=list)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def send(self, server: Server, events: list[Event], now: datetime) -> None:
        answer = server.post("/v1/ingest", events)
        assert answer.status_code == 200, answer.text
        self.sent += [(event, now) for event in events]

    def told(self) -> Iterator[tuple[Event, bool]]:
        """Every event, and whether it is a repeat."""
        accepted: dict[str, datetime] = {}
        for event, received_at in self.sent:
            before = accepted.get(event["transaction_id"])
            is_repeat = before is not None and received_at - before < WINDOW
            if not is_repeat:
                accepted[event["transaction_id"]] = received_at
            yield event, is_repeat

    def accepted(self) -> list[Event]:
        """What counts, newest first; of one instant, what came last."""
        kept = [event for event, is_repeat in self.told() if not is_repeat]
        ordered = sorted(enumerate(kept), key=lambda item: (item[1]["timestamp"], item[0]), reverse=True)
        return [event for _, event in ordered]

    def keys_of(self, key: str | None) -> set[str] | None:
        """The keys that a customer's id or a single key stands for."""
        if key is None:
            return None
        return {name for name, owner in self.owners.items() if owner == key} | {key}

    def explored(
        self, key: str | None, kind: str | None, text: str | None, start: datetime, end: datetime
    ) -> list[Event]:
        """The accepted events that a question is about."""
        keys = self.keys_of(key)
        return [
            event
            for event in self.accepted()
            if (keys is None or event["customer_id"] in keys)
            and (kind is None or event["event_type"] == kind)
            and start.isoformat() <= event["timestamp"] < end.isoformat()
            and (text is None or text.lower() in (event["transaction_id"] + "\0" + _json_of(event)).lower())
        ]

    def matched(self, event: Event) -> list[str]:
        """The metrics that count an event."""
        return [name for name, metric in self.metrics.items() if _passes(metric, event)]

    def unreadable(self, event: Event) -> list[str]:
        """The metrics that count an event and find a property there that is no number."""
        return [name for name in self.matched(event) if _is_unreadable(self.metrics[name], event)]


def _json_of(event: Event) -> str:
    return "" if event.get("properties") is None else json.dumps(event["properties"])


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _passes(metric: dict[str, Any], event: Event) -> bool:
    types = metric.get("event_type_filter", {})
    if "in_values" in types and event["event_type"] not in types["in_values"]:
        return False
    if event["event_type"] in types.get("not_in_values", []):
        return False
    for rule in metric.get("property_filters", []):
        text = _text((event.get("properties") or {}).get(rule["name"]))
        if rule.get("exists") is not None and rule["exists"] != (text is not None):
            return False
        if "in_values" in rule and text not in rule["in_values"]:
            return False
        if text is not None and text in rule.get("not_in_values", []):
            return False
    return True


def _is_unreadable(metric: dict[str, Any], event: Event) -> bool:
    if metric["aggregation_type"] not in ("SUM", "MAX", "LATEST"):
        return False
    value = (event.get("properties") or {}).get(metric["aggregation_key"])
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return False
    if not isinstance(value, str):
        return True
    try:
        return not Decimal(value).is_finite()
    except InvalidOperation:
        return True
