"""Search, explorer and reasons against a plain account, over random events, restarts and compactions."""

import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.adapters.archive.compact import Compactor
from tests.domains.events.books import Book, Event
from tests.support import NOW, Server, serving

KEYS = ["one", "two", "free", "é'", "stray"]
KINDS = ["call", "Call", "other"]
NUMBERS = [1, "2.5", "x", "", True, None, [1], "1e3", "-7"]
TEXTS = [None, "eu", "EU", "t1", "N", "é", "_", "%"]
NAMES = ["one", "two"]
METRICS: list[dict[str, Any]] = [
    {"name": "calls", "aggregation_type": "COUNT", "event_type_filter": {"in_values": ["call"]}},
    {
        "name": "sum",
        "aggregation_type": "SUM",
        "aggregation_key": "n",
        "property_filters": [{"name": "n", "exists": True}, {"name": "region", "in_values": ["eu", ""]}],
    },
    {
        "name": "latest",
        "aggregation_type": "LATEST",
        "aggregation_key": "n",
        "event_type_filter": {"not_in_values": ["call"]},
        "property_filters": [{"name": "n"}, {"name": "region", "exists": False}],
    },
    {
        "name": "distinct",
        "aggregation_type": "UNIQUE",
        "aggregation_key": "n",
        "property_filters": [{"name": "n", "in_values": ["1", "true", "[1]"]}],
    },
]

events = st.builds(
    lambda number, key, kind, minutes, properties: {
        "transaction_id": f"t{number}",
        "customer_id": key,
        "event_type": kind,
        "timestamp": (NOW - timedelta(minutes=minutes)).isoformat(),
        "properties": properties,
    },
    st.integers(0, 30),
    st.sampled_from([*KEYS, *NAMES]),
    st.sampled_from(KINDS),
    # Many of one instant, many of one day, some of a month ago, some ahead.
    st.sampled_from([0, 0, 1, 30, 600, 1_500, 3_000, 40_000, -60, -1_440]),
    st.none()
    | st.fixed_dictionaries(
        {}, optional={"n": st.sampled_from(NUMBERS), "region": st.sampled_from(["eu", "US", "", 7])}
    ),
)
moves = st.lists(
    st.tuples(st.just("send"), st.lists(events, min_size=1, max_size=12))
    | st.tuples(
        st.just("aliases"), st.tuples(st.sampled_from(NAMES), st.sets(st.sampled_from(KEYS), max_size=3))
    )
    | st.tuples(st.just("metric"), st.sampled_from(METRICS))
    | st.tuples(st.sampled_from(["restart", "compact", "ask"]), st.none()),
    min_size=4,
    max_size=12,
)
questions = st.tuples(
    st.none() | st.sampled_from([*KEYS, *NAMES, "unknown"]),
    st.none() | st.sampled_from(KINDS),
    st.sampled_from(TEXTS),
    st.integers(1, 7),
)


class Play:
    """A server, its book, and the ids of its customers by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = Book()
        self.ids: dict[str, str] = {}
        self.stack = ExitStack()
        self.server = self.stack.enter_context(serving(folder))
        for name in NAMES:
            self.ids[name] = self.server.client.v1.customers.create(name=name).data.id
            self.book.owners[self.ids[name]] = self.ids[name]

    def key(self, key: str) -> str:
        return self.ids.get(key, key)

    def move(self, name: str, what: Any) -> None:
        if name == "send":
            filled = [{**event, "customer_id": self.key(event["customer_id"])} for event in what]
            self.book.send(self.server, filled, NOW)
        elif name == "aliases":
            owner, aliases = self.ids[what[0]], what[1]
            kept = {key: held for key, held in self.book.owners.items() if held != owner or key == owner}
            free = sorted(aliases - kept.keys())
            self.server.client.v1.customers.set_ingest_aliases(customer_id=owner, ingest_aliases=free)
            self.book.owners = kept | dict.fromkeys(free, owner)
        elif name == "metric":
            made = self.server.client.v1.billable_metrics.create(**what).data.id
            self.book.metrics[made] = what
        elif name == "restart":
            self.stack.close()
            self.server = self.stack.enter_context(serving(self.folder))
        elif name == "compact":
            self.server.tallybook.meterings["sandbox"]._state.checkpoint()
            Compactor(self.folder / "sandbox").run()

    def said(self, event: dict[str, Any]) -> Event:
        """An event of an answer as it was sent; its customer is right."""
        owner = self.book.owners.get(event["customer_id"])
        assert event.get("matched_customer", {}).get("id") == owner
        assert datetime.fromisoformat(event["processed_at"]) == NOW
        return {
            **{name: event[name] for name in ("transaction_id", "customer_id", "event_type")},
            "timestamp": datetime.fromisoformat(event["timestamp"]).isoformat(),
            "properties": event.get("properties"),
        }


def check_search(play: Play) -> None:
    ids = [f"t{number}" for number in range(31)]
    found = play.server.post("/v1/events/search", {"transactionIds": ids}).json()
    told = sorted(play.book.told(), key=lambda item: ids.index(item[0]["transaction_id"]))
    assert [(play.said(item), item["is_duplicate"]) for item in found] == told
    for item, (event, _) in zip(found, told, strict=True):
        matched = {metric["id"] for metric in item["matched_billable_metrics"]}
        assert matched == set(play.book.matched(event))


def pages(server: Server, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {**asked, **({} if cursor is None else {"next_page": cursor})}
        answer = server.get("/tallybook/v1/events", params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        assert len(answer.json()["data"]) <= asked["limit"]
        cursor = answer.json()["next_page"]
        if cursor is None:
            return found


def check_explorer(play: Play, question: Any) -> None:
    key, kind, text, limit = question
    given = {"customer_id": None if key is None else play.key(key), "event_type": kind, "text": text}
    asked = {name: value for name, value in given.items() if value is not None}
    start, end = NOW - timedelta(days=34), NOW + timedelta(days=2)
    expected = play.book.explored(*given.values(), start, end)
    assert [play.said(item) for item in pages(play.server, limit=limit, **asked)] == expected
    start, end = NOW - timedelta(minutes=600), NOW
    bounds = {"starting_on": start.isoformat(), "ending_before": end.isoformat()}
    expected = play.book.explored(*given.values(), start, end)
    assert [play.said(item) for item in pages(play.server, limit=limit, **asked, **bounds)] == expected


def check_reasons(play: Play, key: str | None) -> None:
    start, end = NOW - timedelta(days=2), NOW + timedelta(days=2)
    wanted = None if key is None else play.key(key)
    asked = {"starting_on": start.isoformat(), "samples": "2"} | (
        {} if wanted is None else {"customer_id": wanted}
    )
    answer = play.server.get("/tallybook/v1/usage/unmatched", params=asked)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    seen = play.book.explored(wanted, None, None, start, end)
    assert data["event_count"] == len(seen)

    def groups(of: Any) -> dict[str, list[Event]]:
        made: dict[str, list[Event]] = {}
        for event in seen:
            for name in of(event):
                made.setdefault(name, []).append(event)
        return made

    def check(reason: dict[str, Any], expected: dict[str, list[Event]], name_of: Any) -> None:
        counts = {name_of(group): group["event_count"] for group in reason["groups"]}
        assert counts == {name: len(members) for name, members in expected.items()}
        assert list(counts.values()) == sorted(counts.values(), reverse=True)
        assert reason["group_count"] == len(expected)
        distinct = {id(event) for members in expected.values() for event in members}
        assert reason["event_count"] == len(distinct)
        for group in reason["groups"]:
            assert [play.said(item) for item in group["samples"]] == expected[name_of(group)][:2]

    owners = play.book.owners
    unowned = groups(lambda event: [] if event["customer_id"] in owners else [event["customer_id"]])
    check(data["no_customer"], unowned, lambda group: group["customer_id"])
    uncounted = groups(lambda event: [] if play.book.matched(event) else [event["event_type"]])
    check(data["no_metric"], uncounted, lambda group: group["event_type"])
    unreadable = groups(play.book.unreadable)
    check(data["unparsable_number"], unreadable, lambda group: group["billable_metric"]["id"])


@settings(deadline=None, max_examples=15)
@given(moves=moves, data=st.data())
def test_everything_told_of_events_agrees_with_a_plain_account(moves: list, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder) / "data")
        with play.stack:
            for name, what in [*moves, ("ask", None)]:
                play.move(name, what)
                if name == "ask":
                    check_search(play)
                    question = data.draw(questions)
                    check_explorer(play, question)
                    check_reasons(play, question[0])
