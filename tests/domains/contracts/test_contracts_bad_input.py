"""Every field of every operation on contracts, sent wrong: refused naming it, and nothing stored."""

from dataclasses import dataclass

import pytest

from tests.support import PRODUCTION_TOKEN, UNKNOWN, Server, assert_refused

CREATE = "/v1/contracts/create"
SHOWN_ONCE = ("/v1/contracts/get", "/v2/contracts/get", "/v1/contracts/getContractRateSchedule")
LISTS = ("/v1/contracts/list", "/v2/contracts/list")


@dataclass
class World:
    """A customer with a contract, another customer with one, and things of the other environment."""

    server: Server
    customer: str
    contract: str
    other_contract: str
    card: str
    archived_card: str
    archived_customer: str
    foreign: dict[str, str]
    others_billing: str
    others_revenue: str

    def contracts(self) -> list:
        body = {"customer_id": self.customer, "include_archived": True}
        return self.server.post("/v2/contracts/list", body).json()["data"]


def configurations(server: Server, customer: str, kind: str) -> list[str]:
    answer = server.post(f"/v1/getCustomer{kind}Configurations", {"customer_id": customer})
    return [item["id"] for item in answer.json()["data"]]


@pytest.fixture(scope="module")
def world(shared_server: Server) -> World:
    client, production = shared_server.client, shared_server.client_of(PRODUCTION_TOKEN)
    start = "2026-01-01T00:00:00Z"
    stripe = {
        "billing_provider": "stripe",
        "delivery_method": "direct_to_billing_provider",
        "configuration": {"stripe_customer_id": "cus_1"},
    }
    netsuite = {
        "provider": "netsuite",
        "delivery_method": "direct_to_billing_provider",
        "configuration": {"netsuite_customer_id": "7"},
    }
    customer = client.v1.customers.create(name="Acme").data.id
    other = client.v1.customers.create(
        name="Other",
        customer_billing_provider_configurations=[stripe],
        customer_revenue_system_configurations=[netsuite],
    ).data.id
    archived_customer = client.v1.customers.create(name="Gone").data.id
    client.v1.customers.archive(id=archived_customer)
    archived_card = client.v1.contracts.rate_cards.create(name="Old", aliases=[{"name": "old"}]).data.id
    client.v1.contracts.rate_cards.archive(id=archived_card)
    foreign_customer = production.v1.customers.create(name="Real").data.id
    foreign = {
        "customer": foreign_customer,
        "contract": production.v1.contracts.create(customer_id=foreign_customer, starting_at=start).data.id,
        "card": production.v1.contracts.rate_cards.create(name="Real", aliases=[{"name": "real"}]).data.id,
    }
    return World(
        server=shared_server,
        customer=customer,
        contract=client.v1.contracts.create(
            customer_id=customer, starting_at=start, uniqueness_key="taken"
        ).data.id,
        other_contract=client.v1.contracts.create(customer_id=other, starting_at=start).data.id,
        card=client.v1.contracts.rate_cards.create(name="Card", aliases=[{"name": "list"}]).data.id,
        archived_card=archived_card,
        archived_customer=archived_customer,
        foreign=foreign,
        others_billing=configurations(shared_server, other, "BillingProvider")[0],
        others_revenue=configurations(shared_server, other, "RevenueSystem")[0],
    )


def refused(world: World, path: str, body: object, status: int, named: str) -> None:
    before = world.contracts()
    answer = world.server.post(path, body)
    assert_refused(answer, status, named)
    assert world.contracts() == before


def schedule(**given: object) -> dict:
    return {"usage_statement_schedule": {"frequency": "MONTHLY", **given}}


def billing(**given: object) -> dict:
    return {"billing_provider_configuration": given}


def revenue(**given: object) -> dict:
    return {"revenue_system_configuration": given}


DIRECT = "direct_to_billing_provider"
SCHEDULE = "usage_statement_schedule"
BAD_FIELDS = [
    ({"customer_id": None}, "customer_id"),
    ({"customer_id": 5}, "customer_id"),
    ({"customer_id": "acme"}, "customer_id"),
    ({"customer_id": UNKNOWN.upper().replace("0", "A")}, "customer_id"),
    ({"starting_at": None}, "starting_at"),
    ({"starting_at": 1_767_225_600}, "starting_at"),
    ({"starting_at": "2026-01-01"}, "starting_at"),
    ({"starting_at": "2026-01-01T00:00:00"}, "starting_at"),
    ({"starting_at": "2026-01-01T00:30:00Z"}, "starting_at"),
    ({"starting_at": "2026-01-01T05:30:00+05:15"}, "starting_at"),
    ({"starting_at": "1969-12-31T23:00:00Z"}, "starting_at"),
    ({"starting_at": "0001-01-01T00:00:00+10:00"}, "starting_at"),
    ({"ending_before": 5}, "ending_before"),
    ({"ending_before": "2026-02-01T00:00:01Z"}, "ending_before"),
    ({"ending_before": "2026-01-01T00:00:00Z"}, "ending_before"),
    ({"ending_before": "2025-12-01T00:00:00Z"}, "ending_before"),
    ({"name": 5}, "name"),
    ({"name": "a\u0000b"}, "name"),
    ({"uniqueness_key": ""}, "uniqueness_key"),
    ({"uniqueness_key": "k" * 129}, "uniqueness_key"),
    ({"uniqueness_key": 5}, "uniqueness_key"),
    ({"rate_card_id": "card"}, "rate_card_id"),
    ({"rate_card_id": 5}, "rate_card_id"),
    ({"rate_card_alias": ""}, "rate_card_alias"),
    ({"rate_card_alias": 5}, "rate_card_alias"),
    ({"net_payment_terms_days": "soon"}, "net_payment_terms_days"),
    ({"net_payment_terms_days": True}, "net_payment_terms_days"),
    ({"net_payment_terms_days": -1}, "net_payment_terms_days"),
    ({"net_payment_terms_days": 1.5}, "net_payment_terms_days"),
    ({"net_payment_terms_days": 10**9}, "net_payment_terms_days"),
    ({"total_contract_value": "much"}, "total_contract_value"),
    ({"total_contract_value": [1]}, "total_contract_value"),
    ({"total_contract_value": 10**101}, "total_contract_value"),
    ({"multiplier_override_prioritization": "HIGHEST"}, "multiplier_override_prioritization"),
    ({"scheduled_charges_on_usage_invoices": "NONE"}, "scheduled_charges_on_usage_invoices"),
    ({"netsuite_sales_order_id": 5}, "netsuite_sales_order_id"),
    ({"salesforce_opportunity_id": 5}, "salesforce_opportunity_id"),
    ({SCHEDULE: "MONTHLY"}, SCHEDULE),
    ({SCHEDULE: {}}, f"{SCHEDULE}.frequency"),
    (schedule(frequency="DAILY"), f"{SCHEDULE}.frequency"),
    (schedule(frequency=None), f"{SCHEDULE}.frequency"),
    (schedule(frequency="mOnThLy"), f"{SCHEDULE}.frequency"),
    (schedule(day="LAST_OF_MONTH"), f"{SCHEDULE}.day"),
    (schedule(day=1), f"{SCHEDULE}.day"),
    (schedule(day="CUSTOM_DATE"), f"{SCHEDULE}.billing_anchor_date"),
    (schedule(billing_anchor_date="2026-01-05T00:00:00Z"), f"{SCHEDULE}.billing_anchor_date"),
    (
        schedule(day="CONTRACT_START", billing_anchor_date="2026-01-05T00:00:00Z"),
        f"{SCHEDULE}.billing_anchor_date",
    ),
    (
        schedule(day="CUSTOM_DATE", billing_anchor_date="2026-01-05T00:00:10Z"),
        f"{SCHEDULE}.billing_anchor_date",
    ),
    (schedule(day="CUSTOM_DATE", billing_anchor_date="5th"), f"{SCHEDULE}.billing_anchor_date"),
    (
        schedule(invoice_generation_starting_at="2026-01-05T00:00:10Z"),
        f"{SCHEDULE}.invoice_generation_starting_at",
    ),
    (schedule(invoice_generation_starting_at=5), f"{SCHEDULE}.invoice_generation_starting_at"),
    (schedule(colour="red"), f"{SCHEDULE}.colour"),
    (billing(), "billing_provider_configuration.billing_provider"),
    (billing(billing_provider="stripe"), "billing_provider_configuration.delivery_method"),
    (billing(delivery_method=DIRECT), "billing_provider_configuration.billing_provider"),
    (billing(billing_provider="abacus", delivery_method=DIRECT), "billing_provider"),
    (billing(billing_provider="workday", delivery_method=DIRECT), "billing_provider"),
    (billing(billing_provider="stripe", delivery_method="pigeon"), "delivery_method"),
    (billing(billing_provider="stripe", delivery_method=DIRECT), "billing_provider_configuration"),
    (billing(billing_provider_configuration_id="x"), "billing_provider_configuration_id"),
    (
        billing(billing_provider_configuration_id=UNKNOWN, billing_provider="stripe"),
        "billing_provider_configuration.billing_provider",
    ),
    (
        billing(billing_provider_configuration_id=UNKNOWN, delivery_method=DIRECT),
        "billing_provider_configuration.delivery_method",
    ),
    (billing(colour="red"), "billing_provider_configuration.colour"),
    (revenue(), "revenue_system_configuration.provider"),
    (revenue(provider="netsuite"), "revenue_system_configuration.delivery_method"),
    (revenue(provider="stripe", delivery_method=DIRECT), "revenue_system_configuration.provider"),
    (revenue(provider="netsuite", delivery_method="aws_sqs"), "delivery_method"),
    (revenue(provider="netsuite", delivery_method=DIRECT), "revenue_system_configuration"),
    (revenue(revenue_system_configuration_id=7), "revenue_system_configuration_id"),
    (
        revenue(revenue_system_configuration_id=UNKNOWN, provider="netsuite"),
        "revenue_system_configuration.provider",
    ),
    (revenue(colour="red"), "revenue_system_configuration.colour"),
    ({"custom_fields": {"undeclared": "x"}}, "custom_fields.undeclared"),
    ({"custom_fields": {"k": 1}}, "custom_fields"),
    ({"custom_fields": []}, "custom_fields"),
    ({"commits": {}}, "commits"),
    ({"credits": "none"}, "credits"),
    ({"overrides": [1]}, "overrides"),
    ({"transition": []}, "transition"),
    ({"package_id": "x"}, "package_id"),
    ({"colour": "red"}, "colour"),
    ({"threshold_billing_configuration": {}}, "threshold_billing_configuration"),
]


@pytest.mark.parametrize(("change", "named"), BAD_FIELDS)
def test_bad_field_of_create_is_refused(world: World, change: dict, named: str) -> None:
    body = {"customer_id": world.customer, "starting_at": "2026-01-01T00:00:00Z"}
    refused(world, CREATE, body | change, 400, named)


@pytest.mark.parametrize("missing", ["customer_id", "starting_at"])
def test_required_fields_of_create(world: World, missing: str) -> None:
    body = {"customer_id": world.customer, "starting_at": "2026-01-01T00:00:00Z"}
    del body[missing]
    refused(world, CREATE, body, 400, missing)


NOT_BUILT = {
    "package_id": UNKNOWN,
    "package_alias": "starter",
    "commits": [{"type": "PREPAID", "product_id": UNKNOWN}],
    "credits": [{"product_id": UNKNOWN}],
    "recurring_commits": [{}],
    "recurring_credits": [{}],
    "overrides": [{"starting_at": "2026-01-01T00:00:00Z", "multiplier": 0.5}],
    "scheduled_charges": [{"product_id": UNKNOWN}],
    "subscriptions": [{}],
    "discounts": [{}],
    "professional_services": [{}],
    "reseller_royalties": [{}],
    "transition": {"type": "RENEWAL", "from_contract_id": UNKNOWN},
    "usage_filter": {"group_key": "region", "group_values": ["eu"]},
    "spend_threshold_configuration": {"is_enabled": False, "threshold_amount": 1},
    "prepaid_balance_threshold_configuration": {"is_enabled": True},
    "spend_trackers": [{"alias": "a"}],
    "hierarchy_configuration": {"parent": {"contract_id": UNKNOWN, "customer_id": UNKNOWN}},
}


@pytest.mark.parametrize("name", NOT_BUILT)
def test_terms_not_offered_yet_are_refused_by_name(world: World, name: str) -> None:
    body = {"customer_id": world.customer, "starting_at": "2026-01-01T00:00:00Z", name: NOT_BUILT[name]}
    refused(world, CREATE, body, 501, name)


def test_references_of_create_must_exist_here_and_be_in_use(world: World) -> None:
    by_id, by_revenue_id = "billing_provider_configuration_id", "revenue_system_configuration_id"
    cases = [
        ({"customer_id": UNKNOWN}, 404, "customer_id"),
        ({"customer_id": world.foreign["customer"]}, 404, "customer_id"),
        ({"customer_id": world.archived_customer}, 400, "customer_id"),
        ({"rate_card_id": UNKNOWN}, 404, "rate_card_id"),
        ({"rate_card_id": world.foreign["card"]}, 404, "rate_card_id"),
        ({"rate_card_id": world.archived_card}, 400, "rate_card_id"),
        ({"rate_card_alias": "nobody"}, 404, "rate_card_alias"),
        ({"rate_card_alias": "real"}, 404, "rate_card_alias"),
        ({"rate_card_alias": "old"}, 400, "rate_card_alias"),
        ({"rate_card_alias": "list", "rate_card_id": world.card}, 400, "rate_card_alias"),
        (billing(**{by_id: UNKNOWN}), 404, by_id),
        (billing(**{by_id: world.others_billing}), 404, by_id),
        (billing(**{by_id: world.others_revenue}), 404, by_id),
        (revenue(**{by_revenue_id: UNKNOWN}), 404, by_revenue_id),
        (revenue(**{by_revenue_id: world.others_revenue}), 404, by_revenue_id),
        ({"uniqueness_key": "taken"}, 409, "uniqueness_key"),
    ]
    body = {"customer_id": world.customer, "starting_at": "2026-01-01T00:00:00Z"}
    for change, status, named in cases:
        refused(world, CREATE, body | change, status, named)


@pytest.mark.parametrize("path", SHOWN_ONCE)
def test_ids_of_reads_are_checked(world: World, path: str) -> None:
    good = {"customer_id": world.customer, "contract_id": world.contract}
    assert world.server.post(path, good).status_code == 200
    cases = [
        ({"customer_id": None}, 400, "customer_id"),
        ({"customer_id": "x"}, 400, "customer_id"),
        ({"contract_id": None}, 400, "contract_id"),
        ({"contract_id": 7}, 400, "contract_id"),
        ({"customer_id": UNKNOWN}, 404, "customer_id"),
        ({"contract_id": UNKNOWN}, 404, "contract_id"),
        ({"contract_id": world.other_contract}, 404, "contract_id"),
        ({"customer_id": world.foreign["customer"]}, 404, "customer_id"),
        ({"contract_id": world.foreign["contract"]}, 404, "contract_id"),
        ({"colour": "red"}, 400, "colour"),
    ]
    for change, status, named in cases:
        refused(world, path, good | change, status, named)
    for missing in good:
        refused(world, path, {name: good[name] for name in good if name != missing}, 400, missing)


@pytest.mark.parametrize("path", SHOWN_ONCE[:2])
@pytest.mark.parametrize("flag", ["include_balance", "include_ledgers"])
def test_flags_of_get_are_booleans(world: World, path: str, flag: str) -> None:
    names = {"customer_id": world.customer, "contract_id": world.contract}
    refused(world, path, names | {flag: "yes"}, 400, flag)


def test_date_of_get_is_checked(world: World) -> None:
    names = {"customer_id": world.customer, "contract_id": world.contract}
    refused(world, "/v1/contracts/get", names | {"as_of_date": "2026-01-01T00:00:00Z"}, 400, "as_of_date")
    refused(world, "/v2/contracts/get", names | {"as_of_date": "yesterday"}, 400, "as_of_date")
    refused(
        world, "/v2/contracts/get", names | {"webhook_notification_id": 1}, 400, "webhook_notification_id"
    )
    both = {"as_of_date": "2026-01-01T00:00:00Z", "include_ledgers": True}
    refused(world, "/v2/contracts/get", names | both, 400, "as_of_date")


@pytest.mark.parametrize("path", LISTS)
def test_filters_of_list_are_checked(world: World, path: str) -> None:
    good = {"customer_id": world.customer}
    date = "2026-01-01T00:00:00Z"
    cases = [
        ({"customer_id": None}, 400, "customer_id"),
        ({"customer_id": UNKNOWN}, 404, "customer_id"),
        ({"customer_id": world.foreign["customer"]}, 404, "customer_id"),
        ({"covering_date": 5}, 400, "covering_date"),
        ({"starting_at": "x"}, 400, "starting_at"),
        ({"covering_date": date, "starting_at": date}, 400, "covering_date"),
        ({"include_archived": 1}, 400, "include_archived"),
        ({"include_balance": "no"}, 400, "include_balance"),
        ({"include_ledgers": "no"}, 400, "include_ledgers"),
        ({"limit": 5}, 400, "limit"),
    ]
    for change, status, named in cases:
        refused(world, path, good | change, status, named)
    refused(world, path, {}, 400, "customer_id")


def test_rate_schedule_is_checked(world: World) -> None:
    path = "/v1/contracts/getContractRateSchedule"
    names = {"customer_id": world.customer, "contract_id": world.contract}
    cases = [
        ({"at": "now"}, "at"),
        ({"selectors": {}}, "selectors"),
        ({"selectors": [{"product_id": "x"}]}, "selectors[0].product_id"),
        ({"selectors": [{"product_tags": "llm"}]}, "selectors[0].product_tags"),
        ({"selectors": [{"pricing_group_values": {"a": 1}}]}, "selectors[0].pricing_group_values"),
        ({"selectors": [{"partial_pricing_group_values": []}]}, "selectors[0].partial_pricing_group_values"),
        ({"selectors": [{"billing_frequency": "DAILY"}]}, "selectors[0].billing_frequency"),
        ({"selectors": [{"colour": "red"}]}, "selectors[0].colour"),
    ]
    for change, named in cases:
        refused(world, path, names | change, 400, named)
    for query, named in (
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("next_page=abc", "next_page"),
        ("colour=red", "colour"),
    ):
        refused(world, f"{path}?{query}", names, 400, named)


@pytest.mark.parametrize("path", [CREATE, *SHOWN_ONCE, *LISTS])
def test_other_methods_and_bodies_are_refused(world: World, path: str) -> None:
    assert world.server.get(path).status_code == 405
    assert world.server.request("DELETE", path).status_code == 405
    for content, status in ((b"{", 400), (b"[]", 400), (b"", 400), (b"null", 400)):
        answer = world.server.request(
            "POST", path, content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code == status, answer.text
    answer = world.server.request("POST", path, content=b"a=b", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
