"""Sends the month as it happens: a day's events, then the clock moves to the next day."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from tallybook.cli.demo.api import CONNECTIONS, Api
from tallybook.cli.demo.month import Delivery, Event
from tallybook.values.instant import DAY

EVENTS_PER_REQUEST = 100


@dataclass(slots=True)
class Sent:
    """What was sent."""

    events: int = 0
    duplicates: int = 0
    late: int = 0


def replay(api: Api, days: Iterable[Delivery], moved: Callable[[datetime, int], None]) -> Sent:
    """Send every delivery; `moved` is told the day and how many events of it were just sent."""
    sent = Sent()
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="send") as pool:
        for delivery in days:
            # An event may be at most 24 hours ahead of the clock, and no more than 34 days behind it.
            api.move_clock(delivery.day)
            for count in pool.map(lambda part: _send(api, part), _parts(delivery.events)):
                sent.events += count
                moved(delivery.day, count)
            sent.duplicates += delivery.duplicates
            sent.late += delivery.late
    return sent


def close_month(api: Api, month_end: datetime) -> None:
    """Move past the grace period, a day after the month, in which late events still count."""
    api.move_clock(month_end + DAY)


def _parts(events: list[Event]) -> list[list[Event]]:
    return [events[start : start + EVENTS_PER_REQUEST] for start in range(0, len(events), EVENTS_PER_REQUEST)]


def _send(api: Api, events: list[Event]) -> int:
    api.post("/v1/ingest", events)
    return len(events)
