"""The explorer: accepted events by customer, type, time and text, newest first."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tallybook.adapters.archive import queries
from tests.domains.usage.books import event, ingest, wire
from tests.support import NOW, PRODUCTION_TOKEN, Server, assert_refused

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def explore(server: Server, **asked: Any) -> dict[str, Any]:
    answer = server.get("/tallybook/v1/events", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(server: Server, **asked: Any) -> list[str]:
    page = explore(server, **asked)
    assert page["next_page"] is None
    return [item["transaction_id"] for item in page["data"]]


def pages(server: Server, **asked: Any) -> Iterator[list[str]]:
    cursor: dict[str, str] = {}
    while True:
        page = explore(server, **asked, **cursor)
        yield [item["transaction_id"] for item in page["data"]]
        if page["next_page"] is None:
            return
        cursor = {"next_page": page["next_page"]}


def test_an_event_is_told_with_its_customer(server: Server) -> None:
    customer = server.client.v1.customers.create(name="Acme", ingest_aliases=["a"]).data.id
    ingest(server, [event(1, "a", NOW - HOUR, n="1.10"), event(1, "a", NOW), event(2, "b", NOW)])
    page = explore(server)
    (found,) = server.post("/v1/events/search", {"transactionIds": ["t2"]}).json()
    assert page == {
        "data": [
            {
                "id": found["id"],
                "transaction_id": "t2",
                "customer_id": "b",
                "event_type": "call",
                "timestamp": wire(NOW),
                "processed_at": wire(NOW),
                "properties": {},
            },
            {
                "id": page["data"][1]["id"],
                "transaction_id": "t1",
                "customer_id": "a",
                "event_type": "call",
                "timestamp": wire(NOW - HOUR),
                "processed_at": wire(NOW),
                "properties": {"n": "1.10"},
                "matched_customer": {"id": customer, "name": "Acme"},
            },
        ],
        "next_page": None,
    }


def test_a_customer_stands_for_all_its_keys(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="A", ingest_aliases=["a", "b"]).data.id
    ingest(server, [event(number, key, NOW) for number, key in enumerate(["a", "b", "c", customer])])
    assert ids(server, customer_id=customer) == ["t3", "t1", "t0"]
    assert ids(server, customer_id="b") == ["t1"]
    assert ids(server, customer_id="c") == ["t2"]
    assert ids(server, customer_id="unknown") == []
    client.v1.customers.set_ingest_aliases(customer_id=customer, ingest_aliases=["c"])
    assert ids(server, customer_id=customer) == ["t3", "t2"]


def test_types_are_exact_and_texts_are_parts_in_any_case(server: Server) -> None:
    ingest(
        server,
        [
            event("A-1", "x", NOW, "call", Region="EU-West", note="50%_off"),
            event("b-2", "x", NOW, "Call", region="us"),
            {**event("c-3", "eu", NOW, "eu"), "properties": None},
        ],
    )
    assert ids(server, event_type="call") == ["tA-1"]
    assert ids(server, text="eu-w") == ["tA-1"]
    assert ids(server, text="REGION") == ["tb-2", "tA-1"]
    assert ids(server, text="TC-3") == ["tc-3"]
    assert ids(server, text="%_O") == ["tA-1"]
    assert ids(server, text="a%1") == []
    assert ids(server, text="eu", event_type="Call") == []


def test_the_range_is_half_open_and_reaches_back_34_days_by_default(server: Server) -> None:
    times = [NOW - 34 * DAY, NOW - 33 * DAY, NOW - HOUR, NOW, NOW + DAY]
    ingest(server, [event(number, "a", when) for number, when in enumerate(times)])
    assert ids(server) == ["t4", "t3", "t2", "t1", "t0"]
    bounds = {"starting_on": wire(NOW - 33 * DAY), "ending_before": wire(NOW)}
    assert ids(server, **bounds) == ["t2", "t1"]
    assert ids(server, ending_before=wire(NOW - HOUR)) == ["t1", "t0"]
    assert ids(server, starting_on=wire(NOW + HOUR)) == ["t4"]
    assert ids(server, starting_on=wire(NOW + 5 * DAY)) == []
    server.move_clock(NOW + 10 * DAY)
    assert ids(server) == ["t4", "t3", "t2"]
    assert ids(server, ending_before=wire(NOW)) == ["t2", "t1", "t0"]
    assert ids(server, starting_on="2020-01-01T00:00:00+05:00") == ["t4", "t3", "t2", "t1", "t0"]


def test_what_comes_in_between_pages_neither_repeats_nor_hides_anything(server: Server) -> None:
    ingest(server, [event(number, "a", NOW - number // 3 * HOUR) for number in range(10)])
    walk = pages(server, limit=3)
    seen = next(walk)
    assert seen == ["t2", "t1", "t0"]
    ingest(server, [event("new", "a", NOW), event("old", "a", NOW - HOUR), event("last", "a", NOW - DAY)])
    for page in walk:
        seen += page
    assert seen == ["t2", "t1", "t0", "told", "t5", "t4", "t3", "t8", "t7", "t6", "t9", "tlast"]


def test_work_per_page_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends after so many events were looked at, and the next goes on there."""
    events = [
        event(number, "a", NOW - number * HOUR, "rare" if number % 50 == 0 else "call")
        for number in range(400)
    ]
    ingest(server, events)
    monkeypatch.setattr(queries, "ROWS_PER_PAGE", 60)
    monkeypatch.setattr(queries, "ROWS_AT_ONCE", 30)
    found = list(pages(server, event_type="rare", limit=5))
    assert [name for page in found for name in page] == [f"t{number}" for number in range(0, 400, 50)]
    assert len(found) > 4
    monkeypatch.setattr(queries, "STRETCHES_PER_PAGE", 1)
    found = list(pages(server, text="t399", limit=5))
    assert [name for page in found for name in page] == ["t399"]
    assert len(found) > 10


def test_long_times_without_events_take_few_pages(server: Server) -> None:
    ingest(server, [event(1, "a", NOW)])
    found = list(pages(server, starting_on="1970-01-01T00:00:00Z", limit=5))
    assert found[0] == ["t1"]
    assert not any(found[1:])
    assert len(found) <= 5


def test_nothing_of_another_environment_is_told(server: Server) -> None:
    foreign = server.client_of(PRODUCTION_TOKEN).v1.customers.create(name="F", ingest_aliases=["f"]).data.id
    ingest(server, [event(1, "f", NOW)])
    assert explore(server)["data"][0].get("matched_customer") is None
    assert ids(server, customer_id=foreign) == []
    answer = server.get("/tallybook/v1/events", token=PRODUCTION_TOKEN)
    assert answer.json() == {"data": [], "next_page": None}


BAD = [
    ({"limit": "0"}, "limit"),
    ({"limit": "101"}, "limit"),
    ({"limit": "many"}, "limit"),
    ({"customer_id": ""}, "customer_id"),
    ({"customer_id": "a\x00"}, "customer_id"),
    ({"event_type": ""}, "event_type"),
    ({"event_type": ["a", "b"]}, "event_type"),
    ({"text": ""}, "text"),
    ({"text": "\x00"}, "text"),
    ({"starting_on": "yesterday"}, "starting_on"),
    ({"starting_on": "2026-01-01T00:00:00"}, "starting_on"),
    ({"ending_before": "2026-01-01"}, "ending_before"),
    ({"ending_before": "-1"}, "ending_before"),
    ({"starting_on": "1767225600"}, "starting_on"),
    ({"starting_on": "2026-01-02T00:00:00Z", "ending_before": "2026-01-02T00:00:00Z"}, "ending_before"),
    ({"starting_on": "2026-01-03T00:00:00Z", "ending_before": "2026-01-02T00:00:00Z"}, "ending_before"),
    ({"next_page": "nonsense"}, "next_page"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("asked", "named"), BAD)
def test_a_bad_question_is_refused_naming_the_field(
    shared_server: Server, asked: dict[str, str], named: str
) -> None:
    assert_refused(shared_server.get("/tallybook/v1/events", params=asked), 400, named)


def test_a_cursor_fits_its_own_question_only(server: Server) -> None:
    ingest(server, [event(number, "a", NOW) for number in range(3)])
    cursor = explore(server, limit=1)["next_page"]
    assert [item["transaction_id"] for item in explore(server, limit=5, next_page=cursor)["data"]] == [
        "t1",
        "t0",
    ]
    for other in ({"event_type": "call"}, {"customer_id": "a"}, {"text": "t"}):
        asked = {**other, "next_page": cursor}
        assert_refused(server.get("/tallybook/v1/events", params=asked), 400, "next_page")
