"""Rates of a card and the order of its products, through the official client and plain HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest
from metronome import Metronome

from tallybook.domains import rate_cards
from tallybook.values.money import FIAT_TYPES, USD_CENTS_ID
from tests.support import Server

PATH = "/v1/contract-pricing/rate-cards"
EUR = next(fiat.id for fiat in FIAT_TYPES.values() if fiat.name == "EUR")
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def text(month: int, day: int = 1, hour: int = 0) -> str:
    return f"2026-{month:02}-{day:02}T{hour:02}:00:00Z"


class Card:
    """A card of a server, and the shortest way to give it rates and to read them."""

    def __init__(self, server: Server, **given: Any) -> None:
        self.server = server
        self.id = server.client.v1.contracts.rate_cards.create(name="Card", **given).data.id

    def product(self, *pricing: str, name: str = "Tokens", tags: tuple[str, ...] = ()) -> str:
        client = self.server.client
        shape: dict[str, Any] = {"name": "m", "aggregation_type": "COUNT"}
        if pricing:
            shape["group_keys"] = [list(pricing)]
            shape["property_filters"] = [{"name": key, "exists": True} for key in pricing]
        metric = client.v1.billable_metrics.create(**shape).data.id
        return client.v1.contracts.products.create(
            name=name,
            type="USAGE",
            billable_metric_id=metric,
            pricing_group_key=list(pricing),
            tags=list(tags),
        ).data.id

    def add(self, product: str, price: Any, starting_at: str = text(1), **given: Any) -> dict[str, Any]:
        answer = self.post("addRate", rate(product, price, starting_at, **given))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def post(self, operation: str, body: dict[str, Any]) -> Any:
        return self.server.post(f"{PATH}/{operation}", {"rate_card_id": self.id, **body})

    def rates(self, at: str = text(1), *selectors: dict[str, Any]) -> list[dict[str, Any]]:
        return self.pages("getRates", {"at": at, "selectors": list(selectors)})

    def schedule(self, starting_at: str = text(1), **given: Any) -> list[dict[str, Any]]:
        return self.pages("getRateSchedule", {"starting_at": starting_at, **given})

    def pages(self, operation: str, body: dict[str, Any], limit: int = 100) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = self.post(f"{operation}?limit={limit}{cursor}", body)
            assert answer.status_code == 200, answer.text
            rows += answer.json()["data"]
            if answer.json()["next_page"] is None:
                return rows
            cursor = f"&next_page={answer.json()['next_page']}"


def rate(product: str, price: Any, starting_at: str = text(1), **given: Any) -> dict[str, Any]:
    fixed = {"entitled": True, "rate_type": "FLAT", "price": price, "starting_at": starting_at}
    return {"product_id": product, **fixed, **given}


def prices(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["rate"]["price"] for row in rows]


def spans(rows: list[dict[str, Any]]) -> list[tuple[Any, str, str | None]]:
    return [(row["rate"]["price"], row["starting_at"], row.get("ending_before")) for row in rows]


@pytest.fixture
def card(server: Server) -> Card:
    return Card(server)


def test_a_rate_comes_back_whole_through_the_client(client: Metronome, card: Card) -> None:
    client.v1.custom_fields.add_key(entity="contract_product", key="sku", enforce_uniqueness=False)
    product = card.product("model", "region", name="Tokens", tags=("llm", "new"))
    client.v1.custom_fields.set_values(
        entity="contract_product", entity_id=product, custom_fields={"sku": "T-1"}
    )
    rates = client.v1.contracts.rate_cards.rates
    added = rates.add(
        rate_card_id=card.id,
        product_id=product,
        starting_at=JANUARY,
        ending_before=datetime(2026, 3, 1, tzinfo=UTC),
        entitled=True,
        rate_type="flat",
        price=0.25,
        credit_type_id=USD_CENTS_ID,
        pricing_group_values={"region": "eu", "model": "small"},
    ).data
    assert (added.rate_type, added.price) == ("FLAT", 0.25)
    assert added.pricing_group_values == {"model": "small", "region": "eu"}
    assert added.credit_type is not None
    assert (added.credit_type.id, added.credit_type.name) == (USD_CENTS_ID, "USD (cents)")
    (row,) = rates.list(rate_card_id=card.id, at=JANUARY)
    assert (row.product_id, row.product_name, row.product_tags) == (product, "Tokens", ["llm", "new"])
    assert row.product_custom_fields == {"sku": "T-1"}
    assert row.pricing_group_values == {"model": "small", "region": "eu"}
    assert (row.starting_at, row.ending_before) == (JANUARY, datetime(2026, 3, 1, tzinfo=UTC))
    assert row.entitled
    assert (row.commit_rate, row.billing_frequency) == (None, None)
    assert row.rate.to_dict() == added.to_dict()
    schedule = client.v1.contracts.rate_cards.retrieve_rate_schedule(
        rate_card_id=card.id, starting_at=JANUARY
    )
    assert [item.to_dict() for item in schedule.data] == [row.to_dict()]
    many = rates.add_many(
        rate_card_id=card.id,
        rates=[
            {
                "product_id": product,
                "starting_at": JANUARY,
                "entitled": False,
                "rate_type": "FLAT",
                "price": 1,
                "pricing_group_values": {"region": "us", "model": "small"},
            }
        ],
    )
    assert many.data.id == card.id
    assert [item.entitled for item in rates.list(rate_card_id=card.id, at=JANUARY)] == [True, False]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("0", "0"),
        ("-0.0", "0"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("0.00000000000000000000000000001", "0.00000000000000000000000000001"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
    ],
)
def test_prices_keep_every_digit(card: Card, sent: str, shown: str) -> None:
    product = card.product()
    body = (
        f'{{"rate_card_id":"{card.id}","product_id":"{product}","starting_at":"{text(1)}",'
        f'"entitled":true,"rate_type":"FLAT","price":{sent}}}'
    )
    headers = {"content-type": "application/json"}
    answer = card.server.request("POST", f"{PATH}/addRate", content=body, headers=headers)
    assert f'"price":{shown},' in answer.text
    assert f'"price":{shown},' in card.post("getRates", {"at": text(1)}).text


def test_empty_and_null_of_what_is_not_built_is_taken(card: Card) -> None:
    product = card.product()
    nothing = {"tiers": [], "custom_rate": {}, "use_list_prices": False, "pricing_group_values": {}}
    names = ("billing_frequency", "quantity", "is_prorated", "minimum_config", "commit_rate", "ending_before")
    shown = card.add(product, 5, **nothing, **dict.fromkeys(names), credit_type_id=None)
    assert shown == {
        "rate_type": "FLAT",
        "price": 5,
        "credit_type": {"id": USD_CENTS_ID, "name": "USD (cents)"},
    }
    (row,) = card.rates()
    assert row == {
        "product_id": product,
        "product_name": "Tokens",
        "product_tags": [],
        "product_custom_fields": {},
        "starting_at": text(1),
        "entitled": True,
        "rate": shown,
    }


def test_rates_are_in_the_currency_of_the_card(server: Server) -> None:
    card = Card(server, fiat_credit_type_id=EUR)
    product = card.product()
    for given in ({}, {"credit_type_id": USD_CENTS_ID}):
        answer = card.post("addRate", rate(product, 1, **given))
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("credit_type_id: ")
        assert EUR in answer.json()["message"]
    assert card.add(product, 1, credit_type_id=EUR)["credit_type"] == {"id": EUR, "name": "EUR"}


def test_a_price_change_is_another_entry_and_history_stays(card: Card) -> None:
    product = card.product()
    card.add(product, 10)
    card.add(product, 20, text(3))
    card.add(product, 15, text(2), ending_before=text(2, 10))
    assert [prices(card.rates(at)) for at in (text(1), text(2), text(2, 10), text(3), text(12))] == [
        [10],
        [15],
        [10],
        [20],
        [20],
    ]
    assert card.rates("2025-12-31T23:59:59Z") == []
    assert spans(card.schedule()) == [
        (10, text(1), text(2)),
        (15, text(2), text(2, 10)),
        (10, text(2, 10), text(3)),
        (20, text(3), None),
    ]


def test_of_one_start_the_last_added_rules(card: Card) -> None:
    product = card.product()
    card.add(product, 10)
    card.add(product, 11)
    answer = card.post("addRates", {"rates": [rate(product, 12), rate(product, 13)]})
    assert answer.json() == {"data": {"id": card.id}}
    assert spans(card.schedule()) == [(13, text(1), None)]


def test_the_schedule_shows_whole_segments_that_meet_the_stretch(card: Card) -> None:
    product = card.product()
    for number in (1, 2, 3, 4):
        card.add(product, number, text(number))
    assert prices(card.schedule(text(2))) == [2, 3, 4]
    assert spans(card.schedule("2026-02-14T10:20:30Z", ending_before=text(3))) == [(2, text(2), text(3))]
    assert prices(card.schedule(text(2), ending_before="2026-03-01T00:00:00.000001Z")) == [2, 3]
    assert card.schedule("2025-01-01T00:00:00Z", ending_before=text(1)) == []


def test_a_rate_that_does_not_entitle_is_shown_and_rules(card: Card) -> None:
    product = card.product()
    card.add(product, 10)
    card.add(product, 10, text(2), entitled=False)
    assert [row["entitled"] for row in card.schedule()] == [True, False]
    (row,) = card.rates(text(2))
    assert row["entitled"] is False


def test_selectors_are_joined_by_or_their_criteria_by_and(card: Card) -> None:
    plain = card.product(name="Plain", tags=("cheap",))
    tokens = card.product("model", "region", name="Tokens", tags=("llm", "new"))
    card.add(plain, 1)
    for price, model, region in [(2, "small", "eu"), (3, "small", "us"), (4, "large", "eu")]:
        card.add(tokens, price, pricing_group_values={"model": model, "region": region})

    def shown(*selectors: dict[str, Any]) -> list[Any]:
        return prices(card.rates(text(1), *selectors))

    small_eu = {"model": "small", "region": "eu"}
    assert shown() == shown({}) == [1, 2, 3, 4]
    assert shown({"product_id": plain}) == [1]
    assert shown({"product_id": tokens}) == [2, 3, 4]
    assert shown({"product_tags": ["new", "unheard"]}) == [2, 3, 4]
    assert shown({"product_tags": ["new", "cheap"]}) == [1, 2, 3, 4]
    assert shown({"product_tags": []}) == []
    assert shown({"pricing_group_values": small_eu}) == [2]
    assert shown({"pricing_group_values": {"model": "small"}}) == []
    assert shown({"pricing_group_values": {"model": "Small", "region": "eu"}}) == []
    assert shown({"pricing_group_values": {}}) == [1]
    assert shown({"partial_pricing_group_values": {"model": "small"}}) == [2, 3]
    assert shown({"partial_pricing_group_values": {"region": "eu"}}) == [2, 4]
    assert shown({"partial_pricing_group_values": small_eu}) == [2]
    assert shown({"partial_pricing_group_values": {}}) == [1, 2, 3, 4]
    assert shown({"partial_pricing_group_values": {"colour": "red"}}) == []
    assert shown({"product_id": plain, "partial_pricing_group_values": {"region": "eu"}}) == []
    assert shown({"product_id": plain}, {"pricing_group_values": small_eu}) == [1, 2]
    assert shown({"product_id": tokens, "product_tags": ["llm"], "pricing_group_values": small_eu}) == [2]
    assert shown({"billing_frequency": "monthly"}) == []
    assert shown({"billing_frequency": "Annual"}, {"product_id": plain}) == [1]
    selectors = [{"partial_pricing_group_values": {"model": "large"}}, {"product_id": plain}]
    assert prices(card.schedule(selectors=selectors)) == [1, 4]


def test_rows_show_the_product_as_it_is_now(card: Card) -> None:
    product = card.product(name="Old", tags=("old",))
    card.add(product, 1)
    products = card.server.client.v1.contracts.products
    products.update(product_id=product, starting_at=JANUARY, name="New", tags=["new"])
    products.update(product_id=product, starting_at=datetime(2026, 6, 1, tzinfo=UTC), name="Later")
    (row,) = card.rates(text(7))
    assert (row["product_name"], row["product_tags"]) == ("New", ["new"])
    assert card.rates(text(1), {"product_tags": ["old"]}) == []
    assert prices(card.rates(text(1), {"product_tags": ["new"]})) == [1]


def test_group_values_follow_the_key_the_product_has_at_the_start(card: Card) -> None:
    product = card.product("model", "region")
    starting_at = datetime(2026, 2, 1, tzinfo=UTC)
    update = card.server.client.v1.contracts.products.update
    update(product_id=product, starting_at=starting_at, pricing_group_key=["model"])
    both = {"model": "s", "region": "eu"}
    card.add(product, 1, text(1), pricing_group_values=both)
    card.add(product, 2, text(2), pricing_group_values={"model": "s"})
    answer = card.post("addRate", rate(product, 3, text(2), pricing_group_values=both))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("pricing_group_values.region: ")
    answer = card.post("addRate", rate(product, 3, text(1), pricing_group_values={"model": "s"}))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("pricing_group_values.region: missing")
    assert prices(card.schedule()) == [1, 2]


def test_archived_products_keep_their_rates_and_take_no_more(card: Card) -> None:
    product = card.product()
    card.add(product, 1)
    card.server.client.v1.contracts.products.archive(product_id=product)
    answer = card.post("addRate", rate(product, 2))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("product_id: ")
    assert prices(card.rates()) == [1]


def test_archived_cards_keep_their_rates_and_take_no_more(card: Card) -> None:
    product = card.product()
    card.add(product, 1)
    card.server.client.v1.contracts.rate_cards.archive(id=card.id)
    answer = card.post("addRate", rate(product, 2))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("rate_card_id: ")
    assert prices(card.rates()) == prices(card.schedule()) == [1]


def test_one_bad_rate_refuses_all(card: Card) -> None:
    product = card.product()
    answer = card.post("addRates", {"rates": [rate(product, 1), rate(product, -1), rate(product, 2)]})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("rates[1].price: ")
    assert card.schedule() == []
    assert card.post("addRates", {"rates": []}).json() == {"data": {"id": card.id}}


def test_pages_are_complete_and_stable_while_rates_are_added(card: Card) -> None:
    product = card.product("model")
    models = [f"m{number}" for number in range(7)]
    for model in models:
        card.add(product, 1, pricing_group_values={"model": model})
        card.add(product, 2, text(2), pricing_group_values={"model": model})
    at = {"at": text(1)}
    first = card.post("getRates?limit=3", at).json()
    card.add(product, 5, text(1), pricing_group_values={"model": "m0"})
    card.add(product, 5, text(1), pricing_group_values={"model": "m8"})
    rest = card.post(f"getRates?limit=100&next_page={first['next_page']}", at).json()
    shown = [row["pricing_group_values"]["model"] for row in first["data"] + rest["data"]]
    assert shown == [*models, "m8"]

    since = {"starting_at": text(1)}
    first = card.post("getRateSchedule?limit=3", since).json()
    card.add(product, 7, "2025-12-01T00:00:00Z", pricing_group_values={"model": "m0"})
    card.add(product, 7, text(3), pricing_group_values={"model": "m1"})
    rest = card.post(f"getRateSchedule?limit=100&next_page={first['next_page']}", since).json()
    starts = [
        (row["pricing_group_values"]["model"], row["starting_at"]) for row in first["data"] + rest["data"]
    ]
    expected = [(model, text(number)) for model in models for number in (1, 2)]
    assert starts == [*expected[:4], ("m1", text(3)), *expected[4:], ("m8", text(1))]
    assert card.pages("getRateSchedule", since, limit=1) == card.pages("getRateSchedule", since)


def test_five_thousand_rates_page_whole_and_are_asked_for_by_product(card: Card) -> None:
    product, other = card.product("model"), card.product(name="Other")
    values = [{"model": f"m{number}"} for number in range(5_000)]
    card.add(other, 1)
    answer = card.post(
        "addRates", {"rates": [rate(product, 1, pricing_group_values=item) for item in values]}
    )
    assert answer.status_code == 200, answer.text
    shown = [row.get("pricing_group_values") for row in card.rates()]
    assert shown == [None, *values]
    last = {"product_id": product, "pricing_group_values": values[-1]}
    assert [row["pricing_group_values"] for row in card.rates(text(1), last)] == [values[-1]]
    environment = card.server.tallybook.environments["sandbox"]
    with environment.read("test") as tx:
        assert [entry.product_id for entry in rate_cards.rate_entries(tx, card.id, [other])] == [other]
        everything = rate_cards.rate_entries(tx, card.id)
        assert [entry.added for entry in everything] == list(range(1, 5_002))
        assert rate_cards.rate_entries(tx, card.id, [product, other]) == everything
        assert rate_cards.rate_entries(tx, card.id, []) == []


def test_rates_at_an_instant_can_leave_out_what_does_not_entitle(card: Card) -> None:
    product = card.product("model")
    for number, entitled in enumerate([True, False, True]):
        card.add(product, number, pricing_group_values={"model": f"m{number}"}, entitled=entitled)
    with card.server.tallybook.environments["sandbox"].read("test") as tx:
        rows = rate_cards.rates_at(tx, card.id, JANUARY, count=2, only_entitled=True)
        assert [row.segment.entry.price.price for row in rows] == [0, 2]
        more = rate_cards.rates_at(tx, card.id, JANUARY, after=rows[0].key, count=2)
        assert [row.segment.entry.price.price for row in more] == [1, 2]


def order_of(card: Card) -> list[str]:
    with card.server.tallybook.environments["sandbox"].read("test") as tx:
        return rate_cards.product_order(tx, card.id)


def test_set_order_takes_part_of_the_products_and_replaces_the_order(client: Metronome, card: Card) -> None:
    first, second, third = (card.product(name=name) for name in "abc")
    assert order_of(card) == []
    orders = client.v1.contracts.rate_cards.product_orders
    assert orders.set(rate_card_id=card.id, product_order=[third, first]).data.id == card.id
    assert order_of(card) == [third, first]
    orders.set(rate_card_id=card.id, product_order=[second])
    assert order_of(card) == [second]
    orders.set(rate_card_id=card.id, product_order=[])
    assert order_of(card) == []


def test_moves_place_products_in_the_whole_order(client: Metronome, card: Card) -> None:
    one, two, three, four = (card.product(name=name) for name in "abcd")
    for product in (one, two, three, four):
        card.add(product, 1)
    orders = client.v1.contracts.rate_cards.product_orders

    def move(*moves: tuple[str, float]) -> list[str]:
        answer = orders.update(
            rate_card_id=card.id,
            product_moves=[{"product_id": product, "position": position} for product, position in moves],
        )
        assert answer.data.id == card.id
        return order_of(card)

    assert move((four, 0)) == [four, one, two, three]
    assert move((one, 3)) == [four, two, three, one]
    assert move((one, 3.0)) == [four, two, three, one]
    assert move((three, 1), (one, 0)) == [one, three, four, two]
    assert move((one, 1), (three, 0)) == [three, one, four, two]
    orders.set(rate_card_id=card.id, product_order=[two])
    assert move((four, 1)) == [two, four, one, three]
    assert move() == [two, four, one, three]
