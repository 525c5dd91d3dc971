"""Ingest aliases: edges, moves, and whose usage is whose in open and in final periods (metering.md 1.4)."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tallybook.domains.customers.model import ALIASES_MAX
from tests.catalogue import FEBRUARY, JANUARY, Catalogue
from tests.support import NOW, PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused

HOUR = timedelta(hours=1)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def create(server: Server, name: str, *aliases: str, **given: Any) -> str:
    answer = server.post("/v1/customers", {"name": name, "ingest_aliases": list(aliases), **given})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["id"]


def set_aliases(server: Server, customer: str, *aliases: str) -> httpx.Response:
    return server.post(f"/v1/customers/{customer}/setIngestAliases", {"ingest_aliases": list(aliases)})


def move(server: Server, alias: str, source: str, target: str) -> None:
    """Take the alias, the only one there is, from one customer and give it to another."""
    assert set_aliases(server, source).status_code == 200
    assert set_aliases(server, target, alias).status_code == 200


def owners(server: Server, alias: str, **filters: Any) -> list[str]:
    answer = server.get("/v1/customers", params={"ingest_alias": alias, **filters})
    assert answer.status_code == 200, answer.text
    return [customer["id"] for customer in answer.json()["data"]]


def invoices(server: Server, customer: str) -> list[tuple[str, Decimal]]:
    """Status and total of every invoice, in order of their periods."""
    answer = server.get(f"/v1/customers/{customer}/invoices")
    assert answer.status_code == 200, answer.text
    found = sorted(server.exact(answer)["data"], key=lambda item: item["start_timestamp"])
    return [(item["status"], item["total"]) for item in found]


def used(server: Server, customer: str, metric: str, since: datetime = JANUARY) -> Decimal:
    """The usage of one month."""
    until = FEBRUARY if since == JANUARY else MARCH
    question = {
        "window_size": "NONE",
        "customer_ids": [customer],
        "billable_metrics": [{"id": metric}],
        "starting_on": since.isoformat(),
        "ending_before": until.isoformat(),
    }
    answer = server.post("/v1/usage", question)
    assert answer.status_code == 200, answer.text
    return server.exact(answer)["data"][0]["value"]


@pytest.fixture
def make(server: Server) -> Catalogue:
    return Catalogue(server.client)


@pytest.fixture
def priced(make: Catalogue) -> tuple[str, str]:
    """A summing metric, and a card on which each token costs 2 cents from January on."""
    metric = make.metric()
    card = make.card()
    make.rate(card, make.product(metric), 2)
    return metric, card


# Edges


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600", "\u0301", " ", ","])
def test_an_alias_has_1_to_128_characters(server: Server, letter: str) -> None:
    customer = create(server, "A", letter, letter * 128)
    assert owners(server, letter * 128) == [customer]
    for bad in ("", letter * 129):
        body = {"name": "B", "ingest_aliases": ["fine", bad]}
        assert_refused(server.post("/v1/customers", body), 400, "ingest_aliases[1]")
        assert_refused(server.post("/v1/customers", {"name": "B", "external_id": bad}), 400, "external_id")
        assert_refused(set_aliases(server, customer, bad), 400, "ingest_aliases[0]")
    assert owners(server, "fine") == []
    assert owners(server, letter) == [customer]


def test_a_customer_has_at_most_2000_aliases(server: Server) -> None:
    full = [f"alias-{number}" for number in range(ALIASES_MAX)]
    customer = create(server, "Full", *full)
    assert set_aliases(server, customer, *full).json() == {}
    assert_refused(set_aliases(server, customer, *full, "more"), 400, "ingest_aliases")
    assert_refused(
        server.post("/v1/customers", {"name": "B", "ingest_aliases": [*full, "x"]}), 400, "ingest_aliases"
    )
    detail = server.get(f"/v1/customers/{customer}").json()["data"]
    assert detail["ingest_aliases"] == full
    assert set_aliases(server, customer, *full[:-1], "another").status_code == 200
    assert owners(server, full[-1]) == []
    assert owners(server, "another") == [customer]


def test_the_deprecated_alias_counts_among_the_2000(server: Server) -> None:
    full = [f"alias-{number}" for number in range(ALIASES_MAX)]
    body = {"name": "Old", "ingest_aliases": full, "external_id": "one-more"}
    assert_refused(server.post("/v1/customers", body), 400, "external_id")
    assert owners(server, "alias-0") == []
    assert server.post("/v1/customers", {**body, "external_id": "alias-7"}).status_code == 200


@pytest.mark.parametrize("given", [None, "a", 7, {}, [None], [7], [["a"]]])
def test_aliases_are_a_list_of_texts(shared_server: Server, given: Any) -> None:
    customer = create(shared_server, "A")
    path = f"/v1/customers/{customer}/setIngestAliases"
    assert_refused(shared_server.post(path, {"ingest_aliases": given}), 400, "ingest_aliases")
    assert_refused(shared_server.post(path, {}), 400, "ingest_aliases")


def test_aliases_of_unknown_customers_cannot_be_set(shared_server: Server) -> None:
    assert_refused(set_aliases(shared_server, UNKNOWN, "a"), 404, "customer_id")
    answer = shared_server.post("/v1/customers", {"name": "Live"}, token=PRODUCTION_TOKEN)
    assert_refused(set_aliases(shared_server, answer.json()["data"]["id"], "a"), 404, "customer_id")


# Who owns what


def test_aliases_are_compared_exactly(server: Server) -> None:
    """No folding of case, no normal form, no trimming: each is another alias, with usage of its own."""
    names = ["team", "Team", "TEAM", "team ", "t\u00e9am", "te\u0301am"]
    customers = {name: create(server, name, name) for name in names}
    make = Catalogue(server.client)
    metric = make.metric()
    for amount, name in enumerate(names, start=1):
        make.use(name, amount, NOW, f"t{amount}")
    for amount, name in enumerate(names, start=1):
        assert owners(server, name) == [customers[name]]
        assert used(server, customers[name], metric) == amount


def test_a_list_by_alias_finds_owners_only(server: Server) -> None:
    active, archived = create(server, "A", "a,b", "c"), create(server, "Z", "z")
    assert owners(server, "a,b") == [active]
    assert owners(server, "a") == owners(server, "") == owners(server, active) == []
    server.client.v1.customers.archive(id=archived)
    assert owners(server, "z") == []
    assert owners(server, "z", only_archived="true") == [archived]
    found = server.client.v1.customers.list(ingest_alias="c")
    assert [customer.id for customer in found] == [active]
    assert owners(server, "c", customer_ids=archived) == []


def test_another_customers_id_is_no_alias_and_the_own_one_counts_once(
    server: Server, make: Catalogue
) -> None:
    metric = make.metric()
    first = create(server, "First")
    second = create(server, "Second")
    assert_refused(set_aliases(server, second, first), 409, "ingest_aliases")
    assert_refused(
        server.post("/v1/customers", {"name": "C", "ingest_aliases": [first]}), 409, "ingest_aliases"
    )
    assert set_aliases(server, first, first, "a").status_code == 200
    make.use(first, 3, NOW, "t1")
    make.use("a", 4, NOW, "t2")
    assert (used(server, first, metric), used(server, second, metric)) == (7, 0)
    # An id that nobody has yet is a text like any other.
    assert set_aliases(server, second, UNKNOWN).status_code == 200
    make.use(UNKNOWN, 5, NOW, "t3")
    assert used(server, second, metric) == 5


def test_taken_aliases_stay_with_their_owner_also_when_that_is_archived(server: Server) -> None:
    owner, other = create(server, "Owner", "a", "b"), create(server, "Other", "c")
    for is_archived in (False, True):
        if is_archived:
            server.client.v1.customers.archive(id=owner)
        refused = set_aliases(server, other, "c", "d", "b")
        assert_refused(refused, 409, "ingest_aliases")
        assert refused.headers["x-should-retry"] == "false"
        assert_refused(
            server.post("/v1/customers", {"name": "New", "ingest_aliases": ["a"]}), 409, "ingest_aliases"
        )
        assert_refused(
            server.post("/v1/customers", {"name": "New", "external_id": "a"}), 409, "ingest_aliases"
        )
        assert server.get(f"/v1/customers/{other}").json()["data"]["ingest_aliases"] == ["c"]
        assert owners(server, "d") == []
    # What was let go before the archiving is free.
    second = create(server, "Second", "e")
    assert set_aliases(server, second).status_code == 200
    server.client.v1.customers.archive(id=second)
    assert set_aliases(server, other, "c", "e").status_code == 200


# Whose usage is whose


def test_usage_before_its_customer_is_billed_once_there_is_one(
    server: Server, make: Catalogue, priced: tuple[str, str]
) -> None:
    metric, card = priced
    make.use("late", 10, NOW - timedelta(days=10), "t1")
    make.use("later", 5, NOW, "t2")
    customer = create(server, "Late", "late")
    make.contract(customer, card)
    assert invoices(server, customer) == [("DRAFT", 20)]
    assert used(server, customer, metric) == 10
    assert set_aliases(server, customer, "late", "later").status_code == 200
    assert invoices(server, customer) == [("DRAFT", 30)]
    assert used(server, customer, metric) == 15


def test_an_alias_takes_its_usage_along_in_open_periods_and_in_no_final_one(
    server: Server, make: Catalogue, priced: tuple[str, str]
) -> None:
    """2 cents a token. January: team 10, First 1, Second 3. February: team 5, then 7 more."""
    metric, card = priced
    first, second = create(server, "First", "team"), create(server, "Second")
    for customer in (first, second):
        make.contract(customer, card)
    make.use("team", 10, NOW, "t1")
    make.use(first, 1, NOW, "t2")
    make.use(second, 3, NOW, "t3")
    assert (invoices(server, first), invoices(server, second)) == ([("DRAFT", 22)], [("DRAFT", 6)])

    # January has ended, and is open until its grace period has: both drafts follow at once.
    server.move_clock(FEBRUARY + 23 * HOUR)
    make.use("team", 5, FEBRUARY, "t4")
    move(server, "team", first, second)
    assert invoices(server, first) == [("DRAFT", 2), ("DRAFT", 0)]
    assert invoices(server, second) == [("DRAFT", 26), ("DRAFT", 10)]
    move(server, "team", second, first)
    assert invoices(server, first) == [("DRAFT", 22), ("DRAFT", 10)]
    assert invoices(server, second) == [("DRAFT", 6), ("DRAFT", 0)]

    # January is final with the alias at First: nothing moves there any more.
    server.move_clock(FEBRUARY + 24 * HOUR)
    move(server, "team", first, second)
    assert invoices(server, first) == [("FINALIZED", 22), ("DRAFT", 0)]
    assert invoices(server, second) == [("FINALIZED", 6), ("DRAFT", 10)]
    # Usage itself does not know of invoices and follows the alias (metering.md 1.8).
    assert (used(server, first, metric), used(server, second, metric)) == (1, 13)
    assert (used(server, first, metric, FEBRUARY), used(server, second, metric, FEBRUARY)) == (0, 5)

    # Late usage of January changes neither final invoice.
    make.use("team", 100, FEBRUARY - HOUR, "t5")
    make.use("team", 7, FEBRUARY + HOUR, "t6")
    assert invoices(server, first) == [("FINALIZED", 22), ("DRAFT", 0)]
    assert invoices(server, second) == [("FINALIZED", 6), ("DRAFT", 24)]

    # Let go, it is nobody's; both months are final then.
    assert set_aliases(server, second).status_code == 200
    assert invoices(server, second) == [("FINALIZED", 6), ("DRAFT", 0)]
    assert set_aliases(server, second, "team").status_code == 200
    server.move_clock(MARCH + 24 * HOUR)
    move(server, "team", second, first)
    assert invoices(server, first) == [("FINALIZED", 22), ("FINALIZED", 0), ("DRAFT", 0)]
    assert invoices(server, second) == [("FINALIZED", 6), ("FINALIZED", 24), ("DRAFT", 0)]


def test_an_archived_customer_keeps_its_usage_and_its_final_invoices(
    server: Server, make: Catalogue, priced: tuple[str, str]
) -> None:
    metric, card = priced
    customer = create(server, "Gone", "gone")
    make.contract(customer, card)
    make.use("gone", 10, NOW, "t1")
    server.move_clock(FEBRUARY + 24 * HOUR)
    server.client.v1.customers.archive(id=customer)
    make.use("gone", 4, FEBRUARY + HOUR, "t2")
    assert used(server, customer, metric) == 10
    assert used(server, customer, metric, FEBRUARY) == 4
    listed = server.post(
        "/v1/usage",
        {"window_size": "NONE", "starting_on": JANUARY.isoformat(), "ending_before": FEBRUARY.isoformat()},
    )
    assert listed.json()["data"] == []


def test_2000_aliases_with_usage_on_each_are_one_customer(
    server: Server, make: Catalogue, priced: tuple[str, str]
) -> None:
    """1 + 2 + ... + 2000 = 2,001,000 tokens at 2 cents; a maximum and distinct users over all of them."""
    metric, card = priced
    highest = make.metric("tokens", aggregation_type="MAX")
    users = make.metric("user", aggregation_type="UNIQUE")
    names = [f"alias-{number}" for number in range(ALIASES_MAX)]
    customer = create(server, "Many", *names)
    make.contract(customer, card)
    for start in range(0, ALIASES_MAX, 100):
        events = [
            {
                "transaction_id": f"t{number}",
                "customer_id": names[number],
                "event_type": "inference",
                "timestamp": (NOW - number % 300 * HOUR).isoformat(),
                "properties": {"tokens": number + 1, "user": f"u{number % 50}"},
            }
            for number in range(start, start + 100)
        ]
        assert server.post("/v1/ingest", events).status_code == 200
    assert used(server, customer, metric) == 2_001_000
    assert used(server, customer, highest) == 2_000
    assert used(server, customer, users) == 50
    assert invoices(server, customer) == [("DRAFT", 4_002_000)]
    started = time.perf_counter()
    for _ in range(5):
        assert used(server, customer, metric) == 2_001_000
        assert invoices(server, customer) == [("DRAFT", 4_002_000)]
    # A guard against a query for each alias, not a measurement: each pair takes some tens of milliseconds.
    assert time.perf_counter() - started < 5
    half = names[:1_000]
    assert set_aliases(server, customer, *half).status_code == 200
    assert used(server, customer, metric) == 500_500
    assert invoices(server, customer) == [("DRAFT", 1_001_000)]
