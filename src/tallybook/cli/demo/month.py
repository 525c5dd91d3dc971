"""A made-up month of requests: the same seed gives the same events, to the last token.

Few customers use most, days are busier than nights and weekdays than weekends. Some events are sent
twice, some come days late, and within a day they come in no particular order.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from tallybook.cli.demo.catalogue import MODELS, Buyer
from tallybook.values.instant import DAY, add_months

WORKLOADS = ("chat", "batch")
_DUPLICATES_PER_MILLE = 15
_LATE_PER_MILLE = 25
_LATE_DAYS_MAX = 5
# Relative load of the 24 hours (UTC) and of the days of the week from Monday.
_HOURS = (2, 2, 1, 1, 1, 2, 3, 5, 8, 10, 11, 11, 10, 11, 12, 12, 11, 9, 7, 6, 5, 4, 3, 3)
_WEEKDAYS = (10, 11, 11, 11, 10, 5, 4)
_MICROS_PER_HOUR = 3_600_000_000

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What arrives in one day: `late` of the events are from an earlier day, `duplicates` come again."""

    day: datetime
    events: list[Event]
    late: int
    duplicates: int


def deliveries(month: datetime, buyers: tuple[Buyer, ...], count: int, seed: int) -> Iterator[Delivery]:
    """`count` events day by day, repeats included; the last delivery comes on the day after the month."""
    chance = random.Random(seed)  # noqa: S311  # made-up usage, no secret
    days = [month + DAY * index for index in range((add_months(month, 1) - month) // DAY)]
    duplicates_total = count * _DUPLICATES_PER_MILLE // 1_000
    shares = _split(count - duplicates_total, [_WEEKDAYS[day.weekday()] for day in days])
    repeats = _split(duplicates_total, shares)
    late: dict[datetime, list[Event]] = {}
    number = 0
    for day, share, repeated in zip(days, shares, repeats, strict=True):
        events = []
        for event in _events(chance, day, buyers, number, share):
            if chance.randrange(1_000) < _LATE_PER_MILLE:
                arrives = min(day + DAY * chance.randint(1, _LATE_DAYS_MAX), days[-1] + DAY)
                late.setdefault(arrives, []).append(event)
            else:
                events.append(event)
        number += share
        come_late = late.pop(day, [])
        events += come_late
        again = chance.choices(events, k=repeated) if events else []
        events += again
        chance.shuffle(events)
        yield Delivery(day, events, len(come_late), len(again))
    last = late.pop(days[-1] + DAY, [])
    yield Delivery(days[-1] + DAY, last, len(last), 0)


def _split(count: int, weights: list[int]) -> list[int]:
    """`count` in whole parts by weight; the parts add up."""
    total = sum(weights) or 1
    ends = [count * reached // total for reached in accumulate(weights)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _events(
    chance: random.Random, day: datetime, buyers: tuple[Buyer, ...], first: int, count: int
) -> Iterator[Event]:
    # Weights fall as 1, 1/2, 1/3, ... so that the first of fifty has a quarter of all usage.
    who = chance.choices(buyers, [1_000_000 // (rank + 1) for rank in range(len(buyers))], k=count)
    hours = chance.choices(range(24), _HOURS, k=count)
    models = chance.choices(MODELS, [model.share for model in MODELS], k=count)
    for index, (buyer, hour, model) in enumerate(zip(who, hours, models, strict=True)):
        at = day + timedelta(hours=hour, microseconds=chance.randrange(_MICROS_PER_HOUR))
        properties = {
            "model": model.name,
            "workload": WORKLOADS[chance.random() < 1 / 5],
            "input_tokens": str(1 + round(chance.lognormvariate(7.6, 1.1))),
        }
        if model.output_price is not None:
            properties["output_tokens"] = str(1 + round(chance.lognormvariate(5.6, 0.9)))
        yield {
            "transaction_id": f"request-{first + index:07d}",
            "customer_id": buyer.aliases[chance.random() < 1 / 10],
            "event_type": "inference",
            "timestamp": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
            "properties": properties,
        }
