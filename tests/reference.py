"""What tests share that compare the product with the slow reference in `tallybook.metering.aggregate`."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any

from tallybook.metering.aggregate import aggregate, value_of
from tallybook.values.event import Event
from tallybook.values.instant import parse_instant
from tallybook.values.metric import MetricDefinition
from tallybook.values.quantity import parse_number
from tallybook.values.usage import Tally, UsageCell

Group = tuple[str | None, ...]


def plain_json(value: object) -> str:
    """JSON in which decimals are numbers."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{plain_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(plain_json, value)) + "]"
    return json.dumps(value)


def read_json(text: str) -> Any:
    """JSON as events are read: exact numbers, and the text of those that are out of bounds."""

    def whole(digits: str) -> int | str:
        return digits if parse_number(digits) is None else int(digits)

    def number(digits: str) -> Decimal | str:
        parsed = parse_number(digits)
        return digits if parsed is None else parsed

    return json.loads(text, parse_int=whole, parse_float=number)


def logged(wire: dict[str, Any], position: tuple[int, int], received_at: datetime) -> Event:
    """An event as the reference takes it, of one as it was sent."""
    return Event(
        transaction_id=wire["transaction_id"],
        customer_id=wire["customer_id"],
        event_type=wire["event_type"],
        timestamp=parse_instant(wire["timestamp"]),
        properties=wire.get("properties") or {},
        received_at=received_at,
        position=position,
    )


def assert_cells_agree(
    cells: Sequence[UsageCell],
    metric: MetricDefinition,
    kept: Iterable[Event],
    window: tuple[datetime, datetime],
    grouping: tuple[str, ...],
) -> None:
    """The cells of a window, merged, are what the reference makes of the events that count."""
    expected = aggregate(metric, kept, *window, grouping)
    assert {cell.group for cell in cells} == set(expected)
    for group, tally in expected.items():
        merged = reduce(Tally.merge, (cell.tally for cell in cells if cell.group == group))
        assert value_of(metric.aggregation, merged) == value_of(metric.aggregation, tally)
        assert merged.count == tally.count
