"""Draft invoices are what the events cost, one window and one group after the other."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from tallybook.values.instant import add_months
from tests.properties import generated as g
from tests.properties.budget import examples
from tests.properties.deals import (
    Offer,
    Rate,
    drafts,
    event_of,
    expected_lines,
    make_metrics,
    offers,
    sign,
    used,
)
from tests.properties.hosts import Host
from tests.properties.play import midnight, sandbox


def _falling(kind: str, granularity: str) -> dict[str, object]:
    """A reading that falls after the price has risen."""
    rates = {None: (Rate(0, Decimal(1)), Rate(100, Decimal(3)))}
    readings = ((1, "10"), (110, "4"))
    return {
        "offered": [Offer(kind, False, rates, None, None, granularity)],
        "events": [event_of(number, hour * g.HOUR, *given) for number, (hour, *given) in enumerate(readings)],
        "first": 1,
    }


@example(**_falling("LATEST", "HOUR"))
@example(**_falling("SQL LATEST", "HOUR"))
@example(**_falling("SQL LATEST", "SERVICE_PERIOD"))
@examples(25)
@given(offered=st.lists(offers, min_size=1, max_size=3), events=used, first=st.integers(0, 40))
def test_draft_invoices_are_what_the_events_cost(
    here: Host, offered: list[Offer], events: list[g.Sent], first: int
) -> None:
    play = sandbox(here)
    start = midnight(play.now()) - timedelta(days=10, hours=-7)
    bodies = [play.wire(event, start) for event in events]
    play.make_customer(g.MakeCustomer(frozenset((0,))))
    for part in (bodies[:first], bodies[first:]):
        if part:
            play.ingest("[" + ",".join(part) + "]")
        if not play.books.metrics:
            make_metrics(play, offered)
            sign(play, offered, start)
    end = add_months(start, 1)
    (draft,) = drafts(play)
    assert draft["status"] == "DRAFT"
    expected = expected_lines(play, offered, start, end)
    assert draft["lines"] == expected
    assert draft["total"] == sum(line[-1] for line in expected)
