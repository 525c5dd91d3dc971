"""SQL metrics from creation to finalized invoice, with amounts worked out by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest

from tallybook.adapters.archive.compact import Compactor, Kept
from tallybook.adapters.routing import RoutedUsage
from tallybook.domains.invoices import service, store
from tallybook.domains.invoices.jobs import CloseDue
from tallybook.ports import UsageQuestion
from tallybook.rating.account import rate
from tallybook.values.usage import UsageCell
from tests.archive.support import checkpoint
from tests.catalogue import FEBRUARY, JANUARY, Catalogue
from tests.domains.usage.books import event, ingest
from tests.support import Server, assert_refused, serving

CLOSED = FEBRUARY + timedelta(hours=24)
BY_CASE = """
    SELECT SUM(CASE WHEN properties.tier = 'gold' THEN properties.n * 2 ELSE properties.n END) AS value
    FROM events WHERE event_type = 'call'
"""
DAILY_PEAKS = """
    SELECT SUM(peak) AS value FROM (
        SELECT date_trunc('day', timestamp) AS date, MAX(properties.n) AS peak FROM events GROUP BY date
    )
"""
DISTINCT = "SELECT count(DISTINCT properties.user_id) AS value FROM events"
BY_REGION = """
    SELECT SUM(properties.n) AS value, properties.region, properties.team
    FROM events GROUP BY properties.region, properties.team
"""
LATEST = "SELECT LATEST(properties.n) AS value FROM events WHERE event_type = 'disk'"
TOTAL = "SELECT SUM(properties.n) AS value FROM events"
HOURLY: dict[str, Any] = {"sql_breakdown_granularity": "HOUR"}
ONCE: dict[str, Any] = {"sql_breakdown_granularity": "SERVICE_PERIOD"}


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, number, hour, tzinfo=UTC)


@pytest.fixture
def make(server: Server) -> Catalogue:
    return Catalogue(server.client)


@pytest.fixture
def sell(server: Server, make: Catalogue) -> Callable[..., str]:
    """A customer `acme` on a card with one product of one SQL metric, at prices from days on."""

    def sell(sql: str, prices: dict[datetime, float], **terms: Any) -> str:
        metric = server.client.v1.billable_metrics.create(name="Query", sql=sql).data.id
        product, card = make.product(metric, **terms), make.card()
        for start, price in prices.items():
            make.rate(card, product, price, start)
        customer = make.customer("Acme", "acme")
        make.contract(customer, card)
        return customer

    return sell


def lines(server: Server, customer: str) -> list[tuple[Any, ...]]:
    """January's lines: start, quantity, price, total. Draft and final ones must be the same."""
    draft = server.exact(server.get(f"/v1/customers/{customer}/invoices"))["data"][0]
    assert draft["status"] == "DRAFT"
    server.move_clock(CLOSED)
    listed = list(server.client.v1.customers.invoices.list(customer_id=customer, status="FINALIZED"))
    assert [item.start_timestamp for item in listed] == [JANUARY]
    final = server.exact(server.get(f"/v1/customers/{customer}/invoices"))["data"][0]
    assert (final["status"], final["line_items"]) == ("FINALIZED", draft["line_items"])
    assert final["total"] == sum(item["total"] for item in final["line_items"])
    return [
        (
            item["starting_at"][8:10],
            *sorted((item.get("pricing_group_values") or {}).values()),
            *sorted((item.get("presentation_group_values") or {}).values()),
            item["quantity"],
            item["unit_price"],
            item["total"],
        )
        for item in final["line_items"]
    ]


def test_a_sum_by_case(server: Server, sell: Callable[..., str]) -> None:
    """3 gold count twice, 4 once: 10 at 5 = 50; other types do not count."""
    customer = sell(BY_CASE, {JANUARY: 5})
    ingest(
        server,
        [
            event(1, "acme", day(2), n="3", tier="gold"),
            event(2, "acme", day(3), n=4, tier="silver"),
            event(3, "acme", day(3), "other", n=100, tier="gold"),
        ],
    )
    assert lines(server, customer) == [("01", 10, 5, 50)]


def test_the_sum_of_daily_peaks(server: Server, sell: Callable[..., str]) -> None:
    """Peaks 8 on the 2nd and 4 on the 3rd: 12 at 3 = 36."""
    customer = sell(DAILY_PEAKS, {JANUARY: 3})
    ingest(
        server,
        [
            event(1, "acme", day(2, 1), n="5"),
            event(2, "acme", day(2, 9), n="8"),
            event(3, "acme", day(2, 23), n="7"),
            event(4, "acme", day(3), n="4"),
        ],
    )
    assert lines(server, customer) == [("01", 12, 3, 36)]


def test_distinct_users_over_id_and_alias(server: Server, sell: Callable[..., str]) -> None:
    """Ann under the alias and the id, and Bob: 2 at 7 = 14."""
    customer = sell(DISTINCT, {JANUARY: 7})
    ingest(
        server,
        [
            event(1, "acme", day(2), user_id="ann"),
            event(2, customer, day(9), user_id="ann"),
            event(3, "acme", day(9), user_id="bob"),
            event(3, "acme", day(9), user_id="repeat"),
        ],
    )
    assert lines(server, customer) == [("01", 2, 7, 14)]


def test_output_columns_as_pricing_and_presentation_keys(server: Server, make: Catalogue) -> None:
    """eu at 2: a 1.5 = 3, b 2 = 4; us at 10: a 3 = 30; asia has no rate."""
    metric = server.client.v1.billable_metrics.create(name="Query", sql=BY_REGION).data.id
    product = make.product(metric, pricing_group_key=["region"], presentation_group_key=["team"])
    card = make.card()
    make.rate(card, product, 2, pricing_group_values={"region": "eu"})
    make.rate(card, product, 10, pricing_group_values={"region": "us"})
    customer = make.customer("Acme", "acme")
    make.contract(customer, card)
    ingest(
        server,
        [
            event(1, "acme", day(2), n="1", region="eu", team="a"),
            event(2, "acme", day(9), n="0.5", region="eu", team="a"),
            event(3, "acme", day(9), n=2, region="eu", team="b"),
            event(4, "acme", day(9), n=3, region="us", team="a"),
            event(5, "acme", day(9), n=9, region="asia", team="a"),
        ],
    )
    assert lines(server, customer) == [
        ("01", "eu", "a", Decimal("1.5"), 2, 3),
        ("01", "eu", "b", 2, 2, 4),
        ("01", "us", "a", 3, 10, 30),
    ]


def test_columns_that_are_no_key_of_the_product_are_summed_over(
    server: Server, sell: Callable[..., str]
) -> None:
    """1 + 2 + 3 = 6 at 2 = 12, shown by team."""
    customer = sell(BY_REGION, {JANUARY: 2}, presentation_group_key=["team"])
    ingest(
        server,
        [
            event(1, "acme", day(2), n=1, region="eu", team="a"),
            event(2, "acme", day(9), n=2, region="us", team="a"),
            event(3, "acme", day(9), n=3, region="us", team="b"),
        ],
    )
    assert lines(server, customer) == [("01", "a", 3, 2, 6), ("01", "b", 3, 2, 6)]


def test_a_rate_change_with_a_negative_increment(server: Server, sell: Callable[..., str]) -> None:
    """8 before the 10th at 1 = 8; down to 5 after it: -3 at 10 = -30; together -22."""
    customer = sell(LATEST, {JANUARY: 1, day(10): 10}, **HOURLY)
    ingest(server, [event(1, "acme", day(2), "disk", n="8"), event(2, "acme", day(12), "disk", n="5")])
    assert lines(server, customer) == [("01", 8, 1, 8), ("10", -3, 10, -30)]


@pytest.mark.parametrize("terms", [ONCE, {}])
def test_a_service_period_lands_at_its_end(
    server: Server, sell: Callable[..., str], terms: dict[str, Any]
) -> None:
    """5 at the end of the period, all at the final 10."""
    customer = sell(LATEST, {JANUARY: 1, day(10): 10}, **terms)
    ingest(server, [event(1, "acme", day(2), "disk", n="8"), event(2, "acme", day(12), "disk", n="5")])
    assert lines(server, customer) == [("01", 0, 1, 0), ("10", 5, 10, 50)]


def test_a_late_event_repairs_every_later_value(server: Server, sell: Callable[..., str]) -> None:
    """A peak of 9 on the 2nd takes back what the 8 on the 12th added: 9 at 1, then 0 at 10."""
    peak = "SELECT MAX(properties.n) AS value FROM events"
    customer = sell(peak, {JANUARY: 1, day(10): 10}, **HOURLY)
    ingest(server, [event(1, "acme", day(3), n="5"), event(2, "acme", day(12), n="8")])
    draft = server.exact(server.get(f"/v1/customers/{customer}/invoices"))["data"][0]
    assert [item["total"] for item in draft["line_items"]] == [5, 30]
    ingest(server, [event(3, "acme", day(2), n="9")])
    assert lines(server, customer) == [("01", 9, 1, 9), ("10", 0, 10, 0)]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (HOURLY, [("01", 5, 2, 10), ("10", 3, 2, 6)]),
        (ONCE, [("01", 0, 2, 0), ("10", 8, 2, 16)]),
    ],
)
def test_a_metric_swapped_inside_a_period(
    server: Server, make: Catalogue, sell: Callable[..., str], terms: dict[str, Any], expected: list[Any]
) -> None:
    """A: 5 until the 10th; B: 100 until it and 103 at the end: 5 + 103 - 100 = 8 at 2."""
    customer = sell("SELECT SUM(properties.a) AS value FROM events", {JANUARY: 2}, **terms)
    other = server.client.v1.billable_metrics.create(
        name="Other", sql="SELECT SUM(properties.b) AS value FROM events"
    ).data.id
    (product,) = server.client.v1.contracts.products.list()
    server.client.v1.contracts.products.update(
        product_id=product.id, starting_at=day(10), billable_metric_id=other
    )
    ingest(server, [event(1, "acme", day(2), a="5", b="100"), event(2, "acme", day(12), a="50", b="3")])
    assert lines(server, customer) == expected


def test_a_swap_from_a_streaming_to_an_sql_metric(server: Server, make: Catalogue) -> None:
    """Maximum 6 until the 10th; the sum grows by 3 after it: 9 at 2 = 18."""
    streaming = make.metric("n", aggregation_type="MAX", event_type_filter={"in_values": ["call"]})
    product, card = make.product(streaming, **HOURLY), make.card()
    make.rate(card, product, 2)
    sql = server.client.v1.billable_metrics.create(name="Query", sql=TOTAL).data.id
    server.client.v1.contracts.products.update(
        product_id=product, starting_at=day(10), billable_metric_id=sql
    )
    customer = make.customer("Acme", "acme")
    make.contract(customer, card)
    ingest(
        server,
        [event(number, "acme", at, n=n) for number, (at, n) in enumerate([(day(2), 4), (day(3), 6)])]
        + [event(9, "acme", day(12), n=3)],
    )
    assert lines(server, customer) == [("01", 6, 2, 12), ("10", 3, 2, 6)]


def test_each_month_counts_anew_and_a_final_one_is_rated_again_without_events(
    server: Server, sell: Callable[..., str]
) -> None:
    """January 12.5 at 2 = 25 and February 0.25 at 2 = 0.5, each from its own first instant."""
    customer = sell(TOTAL, {JANUARY: 2})
    ingest(server, [event(1, "acme", day(2), n="5"), event(2, "acme", day(14), n="7.5")])
    server.move_clock(FEBRUARY + timedelta(hours=1))
    ingest(server, [event(3, "acme", FEBRUARY, n="0.25")])
    server.move_clock(CLOSED)
    january, february = server.exact(server.get(f"/v1/customers/{customer}/invoices"))["data"]
    assert (january["status"], january["total"]) == ("FINALIZED", 25)
    assert (february["status"], february["total"]) == ("DRAFT", Decimal("0.5"))
    with server.tallybook.environments["sandbox"].read("test") as tx:
        kept = store.select_rated_from(tx, january["id"])
    assert kept is not None
    (again,) = rate(kept.terms, kept.usage).invoices
    assert again.total == 25


def test_two_contracts_with_months_of_their_own(server: Server, make: Catalogue) -> None:
    """1 + 3 = 4 by calendar month; 3 by months from the 10th, which count from their own start."""
    metric = server.client.v1.billable_metrics.create(name="Query", sql=TOTAL).data.id
    product, card = make.product(metric, **HOURLY), make.card()
    make.rate(card, product, 1)
    customer = make.customer("Acme", "acme")
    make.contract(customer, card)
    make.contract(
        customer,
        card,
        day(10),
        usage_statement_schedule={"frequency": "MONTHLY", "day": "CONTRACT_START"},
    )
    ingest(server, [event(1, "acme", day(2), n=1), event(2, "acme", day(12), n=3)])
    drafts = server.exact(server.get(f"/v1/customers/{customer}/invoices"))["data"]
    assert sorted((item["start_timestamp"][:10], item["total"]) for item in drafts) == [
        ("2026-01-01", 4),
        ("2026-01-10", 3),
    ]


def test_an_archived_metric_goes_on_being_billed(server: Server, sell: Callable[..., str]) -> None:
    """4 before it was archived and 5 after: 9 at 2 = 18."""
    customer = sell(TOTAL, {JANUARY: 2})
    ingest(server, [event(1, "acme", day(2), n=4)])
    (metric,) = server.client.v1.billable_metrics.list()
    server.client.v1.billable_metrics.archive(id=metric.id)
    ingest(server, [event(2, "acme", day(12), n=5)])
    assert lines(server, customer) == [("01", 9, 2, 18)]


def test_usage_that_moves_with_its_alias_moves_in_the_open_period_alone(
    server: Server, sell: Callable[..., str]
) -> None:
    """January's 4 at 2 = 8 stay billed; February's 5 at 2 = 10 go to whom the alias goes."""
    customer = sell(TOTAL, {JANUARY: 2})
    ingest(server, [event(1, "acme", day(2), n=4)])
    server.move_clock(CLOSED)
    ingest(server, [event(2, "acme", CLOSED, n=5)])

    def totals(owner: str) -> list[Decimal]:
        answer = server.exact(server.get(f"/v1/customers/{owner}/invoices"))
        return [item["total"] for item in answer["data"]]

    assert totals(customer) == [8, 10]
    other = server.client.v1.customers.create(name="Other").data.id
    (card,) = server.client.v1.contracts.rate_cards.list(body={})
    server.client.v1.contracts.create(
        customer_id=other, rate_card_id=card.id, starting_at=FEBRUARY.isoformat()
    )
    server.client.v1.customers.set_ingest_aliases(customer_id=customer, ingest_aliases=[])
    server.client.v1.customers.set_ingest_aliases(customer_id=other, ingest_aliases=["acme"])
    assert (totals(customer), totals(other)) == ([8, 0], [10])


@pytest.mark.parametrize("key", ["pricing_group_key", "presentation_group_key"])
def test_keys_of_a_product_are_output_columns(server: Server, make: Catalogue, key: str) -> None:
    metric = server.client.v1.billable_metrics.create(name="Query", sql=BY_REGION).data.id
    body = {"name": "P", "type": "USAGE", "billable_metric_id": metric}
    path = "/v1/contract-pricing/products/create"
    for wrong in (["tier"], ["value"], ["region", "n"]):
        assert_refused(server.post(path, {**body, key: wrong}), 400, key)
    make.product(metric, **{key: ["team", "region"]})
    plain = server.client.v1.billable_metrics.create(name="Plain", sql=TOTAL).data.id
    assert_refused(server.post(path, {**body, "billable_metric_id": plain, key: ["region"]}), 400, key)


def test_a_product_may_not_move_to_a_metric_without_its_columns(server: Server, make: Catalogue) -> None:
    metric = server.client.v1.billable_metrics.create(name="Query", sql=BY_REGION).data.id
    plain = server.client.v1.billable_metrics.create(name="Plain", sql=TOTAL).data.id
    product = make.product(metric, presentation_group_key=["region"])
    answer = server.post(
        "/v1/contract-pricing/products/update",
        {"product_id": product, "starting_at": "2026-01-10T00:00:00Z", "billable_metric_id": plain},
    )
    assert_refused(answer, 400, "billable_metric_id")


def test_nobody_waits_to_write_while_the_query_of_a_closing_runs(
    server: Server, sell: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 and 4 at 10 cents are 70."""
    customer = sell(TOTAL, {JANUARY: 10})
    ingest(server, [event("a", "acme", day(2), n=3), event("b", "acme", day(3), n=4)])
    environment, read, held = server.tallybook.environments["sandbox"], RoutedUsage.read, []

    def noting(self: RoutedUsage, question: UsageQuestion) -> list[UsageCell]:
        held.append(environment.writing.locked())
        return read(self, question)

    monkeypatch.setattr(RoutedUsage, "read", noting)
    server.move_clock(CLOSED)
    assert held == [False]
    final = server.exact(server.get(f"/v1/customers/{customer}/invoices"))["data"][0]
    assert (final["status"], final["total"]) == ("FINALIZED", 70)


def test_a_query_that_cannot_be_computed_keeps_no_other_contract_open(
    server: Server, sell: Callable[..., str], make: Catalogue
) -> None:
    """10^19 times 10^19 has 39 digits."""
    stuck = sell("SELECT SUM(properties.n * properties.n) AS value FROM events", {JANUARY: 10})
    ingest(server, [event("a", "acme", day(2), n=10**19)])
    card, other = make.card("Other"), make.customer("Other", "other")
    make.rate(card, make.product(make.metric()), 2)
    make.contract(other, card)
    make.use("other", 5, day(2), "b")
    server.move_clock(CLOSED)
    refused = server.get(f"/v1/customers/{stuck}/invoices")
    assert refused.status_code == 400
    assert "needs more than 38 digits" in refused.json()["message"]
    assert server.get(f"/v1/customers/{stuck}/invoices", params={"status": "FINALIZED"}).status_code == 200
    told = server.http.get(server.url + "/metrics").text
    assert 'tallybook_contracts_not_closing{environment="sandbox"} 1.0' in told
    final = server.exact(server.get(f"/v1/customers/{other}/invoices"))["data"][0]
    assert (final["status"], final["total"]) == ("FINALIZED", 10)


def test_a_contract_that_cannot_be_closed_is_tried_ever_more_rarely(
    server: Server, sell: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = sell("SELECT SUM(properties.n * properties.n) AS value FROM events", {JANUARY: 10})
    ingest(server, [event("a", "acme", day(2), n=10**19)])
    server.move_clock(CLOSED)
    environment, close, tried = server.tallybook.environments["sandbox"], service.close_contract, []

    def noting(*given: Any) -> int:
        if current_thread() is main_thread():  # the server's own worker is at it too
            tried.append(call)
        return close(*given)

    monkeypatch.setattr(service, "close_contract", noting)
    job = CloseDue()
    for call in range(20):  # noqa: B007  # noted above
        assert job(environment, is_patient=True) == 0
    assert tried == [0, 2, 5, 10, 19]
    call = 20
    assert job(environment, is_patient=False) == 0
    assert tried[-1] == call
    server.client.v1.customers.archive(id=stuck)
    job(environment, is_patient=False)
    told = server.http.get(server.url + "/metrics").text
    assert 'tallybook_contracts_not_closing{environment="sandbox"} 0.0' in told


def test_raw_events_are_kept_until_the_last_invoice_that_needs_them(tmp_path: Path) -> None:
    """A quarter of 3 + 4 at 10 cents, with raw events kept for 35 days."""
    with serving(tmp_path, raw_events_days=35) as server:
        make = Catalogue(server.client)
        metric = server.client.v1.billable_metrics.create(name="Query", sql=TOTAL).data.id
        card, customer = make.card(), make.customer("Acme", "acme")
        make.rate(card, make.product(metric), 10)
        make.contract(customer, card, usage_statement_schedule={"frequency": "QUARTERLY"})
        ingest(server, [event("a", "acme", day(2), n=3)])
        server.move_clock(datetime(2026, 3, 20, tzinfo=UTC))
        ingest(server, [event("b", "acme", datetime(2026, 3, 19, tzinfo=UTC), n=4)])

        def archive() -> None:
            checkpoint(server.tallybook.meterings["sandbox"])
            as_of = server.tallybook.archivers["sandbox"]._kept_as_of(35)
            Compactor(tmp_path / "sandbox", kept=Kept(35, as_of)).run()

        archive()
        server.move_clock(datetime(2026, 4, 2, tzinfo=UTC))
        final = server.exact(server.get(f"/v1/customers/{customer}/invoices"))["data"][0]
        assert (final["status"], final["total"]) == ("FINALIZED", 70)

        bounds = {"starting_on": "2026-01-01T00:00:00Z", "ending_before": "2026-04-01T00:00:00Z"}
        asked = {"window_size": "NONE", "customer_ids": [customer], **bounds}
        assert server.exact(server.post("/v1/usage", asked))["data"][0]["value"] == 7
        server.move_clock(datetime(2026, 6, 1, tzinfo=UTC))
        archive()
        assert server.exact(server.post("/v1/usage", asked))["data"][0]["value"] is None
        refused = server.post("/v1/usage", {**asked, "billable_metrics": [{"id": metric}]})
        assert refused.status_code == 400
        assert "before 2026-04-01 are no longer kept" in refused.json()["message"]
