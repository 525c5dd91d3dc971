"""Invoices through the official client: drafts, grace, finalization, and what never changes again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tallybook.domains.invoices import store
from tallybook.rating.account import rate
from tests.catalogue import FEBRUARY, JANUARY, Catalogue
from tests.support import NOW, PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused, serving

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
MILLION = {"conversion_factor": 1_000_000, "operation": "divide"}


@pytest.fixture
def make(server: Server) -> Catalogue:
    return Catalogue(server.client)


def invoices(server: Server, customer: str, **query: Any) -> list[dict[str, Any]]:
    """Invoices with every number as an exact decimal."""
    answer = server.get(f"/v1/customers/{customer}/invoices", params=query)
    assert answer.status_code == 200, answer.text
    return server.exact(answer)["data"]


def test_first_invoice_from_draft_to_final(server: Server, make: Catalogue) -> None:
    """1,234,567 tokens at 250 cents a million = 308.64175 cents; 33 more in February at 0.00825."""
    metric = make.metric()
    product = make.product(metric, quantity_conversion=MILLION)
    card = make.card()
    make.rate(card, product, 250)
    customer = make.customer("Acme", "acme")
    contract = make.contract(customer, card, net_payment_terms_days=30)
    make.use("acme", 1_234_000, NOW, "t1")
    make.use(customer, 567, NOW - timedelta(days=10), "t2")
    listed = list(server.client.v1.customers.invoices.list(customer_id=customer))
    assert [(item.status, item.type, item.contract_id) for item in listed] == [("DRAFT", "USAGE", contract)]
    draft = listed[0]
    assert (draft.start_timestamp, draft.end_timestamp) == (JANUARY, FEBRUARY)
    assert draft.issued_at == FEBRUARY + timedelta(hours=24)
    assert draft.net_payment_terms_days == 30
    (line,) = draft.line_items
    assert (line.type, line.name, line.product_id) == ("usage", "Tokens", product)
    assert line.product_type == "UsageProductListItem"
    assert (line.starting_at, line.ending_before) == (JANUARY, FEBRUARY)
    assert draft.credit_type.name == "USD (cents)"

    server.move_clock(FEBRUARY + timedelta(hours=23))
    assert [item["status"] for item in invoices(server, customer)] == ["DRAFT", "DRAFT"]
    make.use(customer, 33, FEBRUARY, "t3")
    server.move_clock(FEBRUARY + timedelta(hours=24))
    january, february = invoices(server, customer)
    assert (january["id"], january["status"]) == (draft.id, "FINALIZED")
    assert january["total"] == Decimal("308.64175")
    assert january["line_items"][0]["quantity"] == Decimal("1.234567")
    assert january["line_items"][0]["unit_price"] == 250
    assert january["external_invoice"] is None
    assert (february["status"], february["total"]) == ("DRAFT", Decimal("0.00825"))
    got = server.client.v1.customers.invoices.retrieve(customer_id=customer, invoice_id=draft.id).data
    assert (got.status, got.id) == ("FINALIZED", draft.id)


def test_late_usage_counts_in_the_grace_period_and_never_after(server: Server, make: Catalogue) -> None:
    metric = make.metric()
    card = make.card()
    make.rate(card, make.product(metric), 2)
    customer = make.customer()
    make.contract(customer, card)
    make.use(customer, 10, NOW, "t1")
    server.move_clock(FEBRUARY + timedelta(hours=23))
    make.use(customer, 5, FEBRUARY - timedelta(seconds=1), "t2")
    assert invoices(server, customer)[0]["total"] == 30
    server.move_clock(FEBRUARY + timedelta(hours=24))
    make.use(customer, 100, FEBRUARY - timedelta(seconds=1), "t3")
    assert invoices(server, customer)[0]["total"] == 30


def test_later_edits_change_drafts_and_leave_final_invoices_alone(server: Server, make: Catalogue) -> None:
    metric = make.metric()
    product = make.product(metric)
    card = make.card()
    make.rate(card, product, 2)
    customer = make.customer()
    make.contract(customer, card)
    make.use(customer, 10, NOW, "t1")
    make.rate(card, product, 3)
    assert invoices(server, customer)[0]["total"] == 30
    server.move_clock(FEBRUARY + timedelta(hours=24))
    make.rate(card, product, 9)
    server.client.v1.contracts.products.update(
        product_id=product, starting_at=JANUARY, name="Renamed", tags=["new"]
    )
    (january, _) = invoices(server, customer)
    assert january["total"] == 30
    (line,) = january["line_items"]
    assert (line["name"], line["product_tags"]) == ("Tokens", ["new"])


def test_what_is_kept_with_final_invoices_rates_to_the_same_again(server: Server, make: Catalogue) -> None:
    """Three periods closed at once: January is 4 x 2 + (6 + 3) x 5 = 53, February twice 7 x 5 = 35."""
    card = make.card()
    product = make.product(make.metric("tokens", "model"), presentation_group_key=["model"])
    make.rate(card, product, 2)
    make.rate(card, product, 5, JANUARY + timedelta(days=9))
    customer = make.customer()
    make.contract(customer, card)
    make.use(customer, 4, JANUARY + timedelta(days=9, seconds=-1), "t1", model="small")
    make.use(customer, 6, JANUARY + timedelta(days=9), "t2", model="large")
    make.use(customer, 3, NOW + timedelta(hours=12), "t3", model="small")
    make.contract(customer, card, FEBRUARY, ending_before=MARCH)
    server.move_clock(FEBRUARY + timedelta(hours=12))
    make.use(customer, 7, FEBRUARY, "t4", model="small")
    server.move_clock(MARCH + timedelta(hours=24))
    totals = []
    with server.tallybook.environments["sandbox"].read("test") as tx:
        for shown in invoices(server, customer, status="FINALIZED"):
            kept = store.select_rated_from(tx, shown["id"])
            stored = store.select_invoice(tx, customer, shown["id"])
            assert kept is not None
            assert stored is not None
            assert rate(kept.terms, kept.usage).invoices == (stored.content.draft,)
            totals.append(shown["total"])
    assert totals == [53, 35, 35]


def test_rate_change_inside_the_month_makes_two_lines(server: Server, make: Catalogue) -> None:
    """4 x 2 = 8 until the 10th, 6 x 5 = 30 after it."""
    metric = make.metric()
    product = make.product(metric)
    card = make.card()
    make.rate(card, product, 2)
    make.rate(card, product, 5, JANUARY + timedelta(days=9))
    customer = make.customer()
    make.contract(customer, card)
    make.use(customer, 4, JANUARY + timedelta(days=9, seconds=-1), "t1")
    make.use(customer, 6, JANUARY + timedelta(days=9), "t2")
    (draft,) = invoices(server, customer)
    assert [(line["quantity"], line["unit_price"], line["total"]) for line in draft["line_items"]] == [
        (4, 2, 8),
        (6, 5, 30),
    ]
    assert draft["total"] == 38


def test_pricing_and_presentation_groups(server: Server, make: Catalogue) -> None:
    """small: 10 at 1 for team a, 5 at 1 without team; large: 2 at 7 for team a; 10 + 5 + 14 = 29."""
    metric = make.metric("tokens", "model", "team")
    product = make.product(metric, pricing_group_key=["model"], presentation_group_key=["team"])
    card = make.card()
    make.rate(card, product, 1, pricing_group_values={"model": "small"})
    make.rate(card, product, 7, pricing_group_values={"model": "large"})
    customer = make.customer()
    make.contract(customer, card)
    assert invoices(server, customer)[0]["line_items"] == []
    make.use(customer, 10, NOW, "t1", model="small", team="a")
    make.use(customer, 2, NOW, "t2", model="large", team="a")
    make.use(customer, 5, NOW, "t3", model="small", team="")
    make.use(customer, 99, NOW, "t4", model="unpriced", team="a")
    (draft,) = invoices(server, customer)
    assert [
        (line["pricing_group_values"]["model"], line["presentation_group_values"]["team"], line["total"])
        for line in draft["line_items"]
    ] == [("large", "a", 14), ("small", "", 5), ("small", "a", 10)]
    assert draft["total"] == 29


def test_products_stand_in_the_order_of_the_card(server: Server, make: Catalogue) -> None:
    metric = make.metric()
    card = make.card()
    products = [make.product(metric, f"Product {number}") for number in range(3)]
    for product in products:
        make.rate(card, product, 1)
    customer = make.customer()
    make.contract(customer, card)
    names = [line["name"] for line in invoices(server, customer)[0]["line_items"]]
    assert names == ["Product 0", "Product 1", "Product 2"]
    server.client.v1.contracts.rate_cards.product_orders.set(rate_card_id=card, product_order=[products[2]])
    names = [line["name"] for line in invoices(server, customer)[0]["line_items"]]
    assert names == ["Product 2", "Product 0", "Product 1"]


def test_zero_lines_can_be_left_out(server: Server, make: Catalogue) -> None:
    card = make.card()
    make.rate(card, make.product(make.metric()), 1)
    customer = make.customer()
    make.contract(customer, card)
    (shown,) = invoices(server, customer)
    assert [line["quantity"] for line in shown["line_items"]] == [0]
    (cut,) = invoices(server, customer, skip_zero_qty_line_items="true")
    assert cut["line_items"] == []
    got = server.client.v1.customers.invoices.retrieve(
        customer_id=customer, invoice_id=shown["id"], skip_zero_qty_line_items=True
    ).data
    assert got.line_items == []


def test_past_periods_are_finalized_as_soon_as_they_are_known(server: Server, make: Catalogue) -> None:
    """A contract that began in October has three final invoices and the open one of January."""
    customer = make.customer()
    make.contract(customer, starting_at=datetime(2025, 10, 15, tzinfo=UTC))
    server.move_clock(NOW)
    found = invoices(server, customer)
    assert [(item["start_timestamp"][:10], item["status"]) for item in found] == [
        ("2025-10-15", "FINALIZED"),
        ("2025-11-01", "FINALIZED"),
        ("2025-12-01", "FINALIZED"),
        ("2026-01-01", "DRAFT"),
    ]


def test_weekly_statements_on_an_anchor_until_the_contract_ends(server: Server, make: Catalogue) -> None:
    customer = make.customer()
    make.contract(
        customer,
        starting_at=datetime(2026, 1, 14, tzinfo=UTC),
        ending_before=datetime(2026, 1, 30, tzinfo=UTC),
        usage_statement_schedule={
            "frequency": "WEEKLY",
            "day": "CUSTOM_DATE",
            "billing_anchor_date": datetime(2026, 1, 6, tzinfo=UTC),
        },
    )
    server.move_clock(MARCH)
    periods = [
        (item["start_timestamp"][5:10], item["end_timestamp"][5:10]) for item in invoices(server, customer)
    ]
    assert periods == [("01-14", "01-20"), ("01-20", "01-27"), ("01-27", "01-30")]


def test_filters_order_and_paging(server: Server, make: Catalogue) -> None:
    customer = make.customer()
    first = make.contract(customer, starting_at=datetime(2025, 11, 1, tzinfo=UTC))
    second = make.contract(customer, starting_at=datetime(2025, 12, 1, tzinfo=UTC))
    server.move_clock(NOW)
    everything = invoices(server, customer)
    assert len(everything) == 5
    assert [item["issued_at"] for item in everything] == sorted(item["issued_at"] for item in everything)
    paged = list(server.client.v1.customers.invoices.list(customer_id=customer, limit=1))
    assert [item.id for item in paged] == [item["id"] for item in everything]
    backwards = list(
        server.client.v1.customers.invoices.list(customer_id=customer, limit=2, sort="date_desc")
    )
    assert [item.id for item in backwards] == [item["id"] for item in reversed(everything)]
    assert len(invoices(server, customer, contract_id=first)) == 3
    assert len(invoices(server, customer, contract_id=second, status="DRAFT")) == 1
    assert len(invoices(server, customer, status="FINALIZED")) == 3
    assert invoices(server, customer, status="VOID") == []
    assert invoices(server, customer, type="SCHEDULED") == []
    assert len(invoices(server, customer, type="USAGE")) == 5
    assert len(invoices(server, customer, starting_on="2025-12-01T00:00:00Z")) == 4
    assert len(invoices(server, customer, ending_before="2026-01-01T00:00:00Z")) == 1
    assert invoices(server, customer, credit_type_id=UNKNOWN) == []
    usd = everything[0]["credit_type"]["id"]
    assert len(invoices(server, customer, credit_type_id=usd)) == 5


def test_alias_moves_usage_between_drafts_and_not_between_final_invoices(
    server: Server, make: Catalogue
) -> None:
    card = make.card()
    make.rate(card, make.product(make.metric()), 1)
    first, second = make.customer("First", "key"), make.customer("Second")
    make.contract(first, card)
    make.contract(second, card)
    make.use("key", 10, NOW, "t1")
    server.move_clock(FEBRUARY + timedelta(hours=24))
    make.use("key", 7, FEBRUARY, "t2")
    server.client.v1.customers.set_ingest_aliases(customer_id=first, ingest_aliases=[])
    server.client.v1.customers.set_ingest_aliases(customer_id=second, ingest_aliases=["key"])
    assert [item["total"] for item in invoices(server, first)] == [10, 0]
    assert [item["total"] for item in invoices(server, second)] == [0, 7]


def test_custom_fields_flow_to_invoices_and_stay_as_they_were_when_final(
    server: Server, make: Catalogue
) -> None:
    client = server.client
    for entity in ("customer", "contract", "contract_product", "invoice"):
        client.v1.custom_fields.add_key(entity=entity, key="k", enforce_uniqueness=False)
    product = make.product(make.metric(), custom_fields={"k": "product"})
    card = make.card()
    make.rate(card, product, 1)
    customer = client.v1.customers.create(name="Acme", custom_fields={"k": "customer"}).data.id
    make.contract(customer, card, custom_fields={"k": "contract"})
    server.move_clock(FEBRUARY + timedelta(hours=24))
    client.v1.custom_fields.set_values(entity="customer", entity_id=customer, custom_fields={"k": "new"})
    january, february = client.v1.customers.invoices.list(customer_id=customer).data
    client.v1.custom_fields.set_values(entity="invoice", entity_id=january.id, custom_fields={"k": "paid"})
    client.v1.custom_fields.set_values(entity="invoice", entity_id=february.id, custom_fields={"k": "open"})
    january, february = client.v1.customers.invoices.list(customer_id=customer).data
    assert (january.customer_custom_fields, february.customer_custom_fields) == (
        {"k": "customer"},
        {"k": "new"},
    )
    assert january.contract_custom_fields == {"k": "contract"}
    assert january.line_items[0].product_custom_fields == {"k": "product"}
    assert (january.custom_fields, february.custom_fields) == ({"k": "paid"}, {"k": "open"})


def test_references_to_other_systems_come_from_the_contract(server: Server, make: Catalogue) -> None:
    customer = make.customer()
    make.contract(customer, netsuite_sales_order_id="SO-1", salesforce_opportunity_id="006")
    (draft,) = server.client.v1.customers.invoices.list(customer_id=customer).data
    assert (draft.netsuite_sales_order_id, draft.salesforce_opportunity_id) == ("SO-1", "006")


def test_billable_status_follows_the_start_of_the_period(server: Server, make: Catalogue) -> None:
    customer = make.customer()
    make.contract(customer)
    server.post(
        "/v1/customers/setBillableStatus",
        {"customer_id": customer, "billable_status": "unbillable", "effective_at": "2026-02-01T00:00:00Z"},
    )
    server.move_clock(FEBRUARY + timedelta(hours=24))
    assert [item["billable_status"] for item in invoices(server, customer)] == ["billable", "unbillable"]


def test_archiving_a_customer_voids_final_invoices_and_drops_drafts(server: Server, make: Catalogue) -> None:
    customer = make.customer()
    make.contract(customer)
    server.move_clock(FEBRUARY + timedelta(hours=24))
    final = invoices(server, customer)[0]
    assert server.client.v1.customers.archive(id=customer).data.id == customer
    (left,) = invoices(server, customer)
    assert (left["id"], left["status"]) == (final["id"], "VOID")
    assert [item["id"] for item in invoices(server, customer, status="void")] == [final["id"]]
    assert server.client.v1.customers.archive(id=customer).data.id == customer
    server.move_clock(MARCH + timedelta(days=40))
    assert len(invoices(server, customer)) == 1
    refused = server.post(
        "/v1/contracts/create", {"customer_id": customer, "starting_at": "2026-01-01T00:00:00Z"}
    )
    assert refused.status_code == 400


def test_closing_survives_a_restart_and_happens_once(tmp_path: Any) -> None:
    with serving(tmp_path / "data") as server:
        make = Catalogue(server.client)
        card = make.card()
        make.rate(card, make.product(make.metric()), 3)
        customer = make.customer()
        make.contract(customer, card)
        make.use(customer, 4, NOW, "t1")
        draft = invoices(server, customer)[0]
    with serving(tmp_path / "data", now=FEBRUARY + timedelta(hours=24)) as server:
        server.move_clock(FEBRUARY + timedelta(hours=24))
        first = invoices(server, customer)
        assert [(item["id"], item["total"]) for item in first][:1] == [(draft["id"], 12)]
    with serving(tmp_path / "data", now=FEBRUARY + timedelta(hours=25)) as server:
        server.move_clock(FEBRUARY + timedelta(hours=25))
        assert invoices(server, customer) == first


def test_unknown_ids_and_bad_queries_are_refused_by_name(server: Server, make: Catalogue) -> None:
    customer, other = make.customer("A"), make.customer("B")
    make.contract(customer)
    invoice = invoices(server, customer)[0]["id"]
    path = f"/v1/customers/{customer}/invoices"
    for bad in (
        f"/v1/customers/{UNKNOWN}/invoices",
        f"{path}/{UNKNOWN}",
        f"/v1/customers/{other}/invoices/{invoice}",
        f"/v1/customers/{UNKNOWN}/invoices/{invoice}",
    ):
        answer = server.get(bad)
        assert answer.status_code == 404, bad
        assert "customer" in answer.json()["message"]
    foreign = server.get(path, token=PRODUCTION_TOKEN)
    assert foreign.status_code == 404
    for name, value in {
        "limit": "0",
        "status": "open",
        "type": "CREDIT",
        "sort": "newest",
        "credit_type_id": "usd",
        "contract_id": "1",
        "starting_on": "yesterday",
        "ending_before": "2026-01-01",
        "skip_zero_qty_line_items": "maybe",
        "next_page": "abc",
        "colour": "red",
    }.items():
        answer = server.get(path, params={name: value})
        assert answer.status_code == 400, name
        assert name in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 400, "id"),
        ({"id": 7}, 400, "id"),
        ({"id": "x"}, 400, "id"),
        ({"id": UNKNOWN}, 404, "id"),
        ({"id": UNKNOWN, "name": "x"}, 400, "name"),
    ],
)
def test_archive_refuses_bad_input(shared_server: Server, body: dict, status: int, named: str) -> None:
    answer = shared_server.post("/v1/customers/archive", body)
    assert_refused(answer, status, named)
