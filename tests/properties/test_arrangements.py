"""In whatever order, split and process the same events arrive, with repeats, restarts and tidying between:
answers about usage and draft invoices are the same."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import generated as g
from tests.properties.budget import examples
from tests.properties.deals import Offer, drafts, make_metrics, offers, sign, used
from tests.properties.hosts import Apart, Host
from tests.properties.play import Play, midnight, pages, production, sandbox_as_it_stands

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Arrangement:
    """How a number of events arrive. What is made comes before the request of its number."""

    order: tuple[int, ...]
    sizes: tuple[int, ...]
    again: tuple[int, ...]
    """Events that are sent once more, one with each request."""
    customer: int
    metrics: int
    contract: int
    archives: frozenset[int]
    restarts: tuple[tuple[int, bool], ...] = ()


def arrangements(events: int, restarts_max: int) -> st.SearchStrategy[Arrangement]:
    """Ways for so many events to arrive."""
    place = st.integers(0, 6)
    return st.builds(
        Arrangement,
        order=st.permutations(range(events)).map(tuple),
        sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple),
        again=st.lists(st.integers(0, max(0, events - 1)), max_size=8).map(tuple) if events else st.just(()),
        customer=place,
        metrics=place,
        contract=place,
        archives=st.frozensets(place, max_size=2),
        restarts=st.lists(st.tuples(place, st.booleans()), min_size=restarts_max, max_size=restarts_max).map(
            tuple
        ),
    )


def requests_of(bodies: list[str], how: Arrangement) -> list[list[str]]:
    """The events of each request; at least as many requests as there are places."""
    rest, requests = list(how.order), []
    while rest:
        size = how.sizes[len(requests) % len(how.sizes)]
        part, rest = rest[:size], rest[size:]
        if len(requests) < len(how.again):
            part.append(how.again[len(requests)])
        requests.append([bodies[number] for number in part])
    return requests + [[]] * (8 - len(requests))


def arrive(
    play: Play, offered: list[Offer], events: list[g.Sent], start: datetime, how: Arrangement
) -> list[Any]:
    """Let everything happen, and tell every answer."""
    bodies = [play.wire(event, start) for event in events]
    for number, request in enumerate(requests_of(bodies, how)):
        if number == how.customer:
            play.make_customer(g.MakeCustomer(frozenset((0,))))
        if number == how.metrics:
            make_metrics(play, offered)
        if number == max(how.customer, how.metrics, how.contract):
            sign(play, offered, start)
        if number in how.archives:
            play.host.tidy(play.environment, "archive")
        for place, kills in how.restarts:
            if number == place:
                play.host.restart(kills=kills)
        if request:
            play.ingest("[" + ",".join(request) + "]")
    return [*usage(play, start), drafts(play)]


def usage(play: Play, start: datetime) -> list[Any]:
    """Rows of every metric by hour, by day and in all, without ids."""
    days = midnight(start) - DAY, midnight(start) + 12 * DAY
    rows: list[Any] = []
    for metric in play.books.metrics:
        fine = "HOUR" if metric.sql is None else "NONE"  # a query is run once for each window
        for size, key in (("NONE", ()), ("DAY", metric.group_keys), (fine, metric.group_keys)):
            asked = {"group_key": list(key[0])} if key else {}
            found = pages(
                play.host.client(play.environment).v1.usage.with_raw_response.list_with_groups,
                customer_id=play.books.customers[0],
                billable_metric_id=metric.id,
                window_size=size,
                starting_on=days[0],
                ending_before=days[1],
                **asked,
            )
            rows.append([row for row in found if key or row["value"]])
    return rows


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server whose sandbox stands where production is."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    host = Apart(tmp_path_factory.mktemp("together") / "data", now)
    yield host, midnight(now) - 10 * DAY + timedelta(hours=7)
    host.close()


def compare(
    together: tuple[Host, datetime], offered: list[Offer], events: list[g.Sent], hows: list[Arrangement]
) -> None:
    host, start = together
    plays = [sandbox_as_it_stands(host), production(host), production(host)]
    answers = [arrive(play, offered, events, start, how) for play, how in zip(plays, hows, strict=False)]
    assert answers[0] == answers[1]
    assert answers[0] == answers[-1]


a_few = st.lists(offers, min_size=1, max_size=3)


@examples(8)
@given(offered=a_few, events=used, data=st.data())
def test_arrival_changes_nothing(
    together: tuple[Host, datetime], offered: list[Offer], events: list[g.Sent], data: st.DataObject
) -> None:
    hows = [data.draw(arrangements(len(events), 0)) for _ in range(3)]
    compare(together, offered, events, hows)


@examples(2)
@given(offered=a_few, events=used, data=st.data())
def test_starting_again_in_between_changes_nothing(
    together: tuple[Host, datetime], offered: list[Offer], events: list[g.Sent], data: st.DataObject
) -> None:
    hows = [data.draw(arrangements(len(events), restarts)) for restarts in (0, 1)]
    compare(together, offered, events, hows)
