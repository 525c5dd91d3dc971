"""Rates: bad input of every field is refused by name, and nothing is stored."""

from typing import Any

import pytest

from tests.domains.rate_cards.bodies import (
    CARD,
    EUR,
    FIXED,
    GOOD_RATE,
    GROUPED,
    HOUR,
    PATH,
    THEIR_PRODUCT,
    refused,
)
from tests.support import UNKNOWN, Server, fill

TIER = {"price": 1}

BAD_RATES: list[tuple[dict[str, Any], int, str]] = [
    ({"product_id": None}, 400, "product_id"),
    ({"product_id": 5}, 400, "product_id"),
    ({"product_id": "x"}, 400, "product_id"),
    ({"product_id": UNKNOWN}, 404, "product_id"),
    ({"product_id": THEIR_PRODUCT}, 404, "product_id"),
    ({"product_id": FIXED}, 400, "product_id"),
    ({"starting_at": None}, 400, "starting_at"),
    ({"starting_at": "2026-01-01"}, 400, "starting_at"),
    ({"starting_at": "2026-01-01T00:00:00"}, 400, "starting_at"),
    ({"starting_at": "2026-01-01T00:30:00Z"}, 400, "starting_at"),
    ({"starting_at": "2026-01-01T00:00:00.001Z"}, 400, "starting_at"),
    ({"starting_at": "2026-01-01T00:00:00+05:30"}, 400, "starting_at"),
    ({"ending_before": "later"}, 400, "ending_before"),
    ({"ending_before": "2026-03-01T00:00:01Z"}, 400, "ending_before"),
    ({"ending_before": HOUR}, 400, "ending_before"),
    ({"ending_before": "2026-01-31T23:00:00Z"}, 400, "ending_before"),
    ({"entitled": None}, 400, "entitled"),
    ({"entitled": "yes"}, 400, "entitled"),
    ({"rate_type": None}, 400, "rate_type"),
    ({"rate_type": "VOLUME"}, 400, "rate_type"),
    ({"rate_type": "fLaT"}, 400, "rate_type"),
    ({"price": None}, 400, "price"),
    ({"price": "cheap"}, 400, "price"),
    ({"price": True}, 400, "price"),
    ({"price": -0.01}, 400, "price"),
    ({"price": 10**101}, 400, "price"),
    ({"pricing_group_values": []}, 400, "pricing_group_values"),
    ({"pricing_group_values": {"model": 5}}, 400, "pricing_group_values[...]"),
    ({"pricing_group_values": {"model": None}}, 400, "pricing_group_values[...]"),
    ({"pricing_group_values": {"model": "s"}}, 400, "pricing_group_values.model"),
    ({"product_id": GROUPED}, 400, "pricing_group_values.model"),
    ({"product_id": GROUPED, "pricing_group_values": {"Model": "s"}}, 400, "pricing_group_values.model"),
    (
        {"product_id": GROUPED, "pricing_group_values": {"model": "s", "region": "eu"}},
        400,
        "pricing_group_values.region",
    ),
    ({"credit_type_id": 5}, 400, "credit_type_id"),
    ({"credit_type_id": "USD"}, 400, "credit_type_id"),
    ({"credit_type_id": UNKNOWN}, 404, "credit_type_id"),
    ({"credit_type_id": EUR}, 400, "credit_type_id"),
    ({"billing_frequency": "yearly"}, 400, "billing_frequency"),
    ({"billing_frequency": "monthly"}, 501, "billing_frequency"),
    ({"billing_frequency": "ANNUAL"}, 501, "billing_frequency"),
    ({"quantity": "one"}, 400, "quantity"),
    ({"quantity": 1}, 400, "quantity"),
    ({"is_prorated": "yes"}, 400, "is_prorated"),
    ({"is_prorated": False}, 400, "is_prorated"),
    ({"use_list_prices": "yes"}, 400, "use_list_prices"),
    ({"use_list_prices": True}, 400, "use_list_prices"),
    ({"tiers": {}}, 400, "tiers"),
    ({"tiers": [TIER]}, 400, "tiers"),
    ({"tiers": [{"size": 1}]}, 400, "tiers[0].price"),
    ({"minimum_config": {}}, 400, "minimum_config.minimum"),
    ({"minimum_config": {"minimum": "x"}}, 400, "minimum_config.minimum"),
    ({"minimum_config": {"minimum": 5}}, 400, "minimum_config"),
    ({"custom_rate": []}, 400, "custom_rate"),
    ({"custom_rate": {"a": 1}}, 400, "custom_rate"),
    ({"colour": "red"}, 400, "colour"),
    ({"rate_type": "SUBSCRIPTION"}, 400, "quantity"),
    ({"rate_type": "SUBSCRIPTION", "price": -1, "quantity": 1, "is_prorated": True}, 400, "price"),
    ({"rate_type": "SUBSCRIPTION", "quantity": -1, "is_prorated": True}, 400, "quantity"),
    ({"rate_type": "SUBSCRIPTION", "quantity": 1}, 400, "is_prorated"),
    ({"rate_type": "SUBSCRIPTION", "quantity": 1, "is_prorated": False}, 400, "is_prorated"),
    ({"rate_type": "SUBSCRIPTION", "quantity": 1, "is_prorated": True}, 501, "rate_type"),
    ({"rate_type": "subscription", "quantity": 1, "is_prorated": True}, 501, "rate_type"),
    ({"rate_type": "PERCENTAGE", "price": None}, 400, "price"),
    ({"rate_type": "PERCENTAGE", "price": -0.1}, 400, "price"),
    ({"rate_type": "PERCENTAGE", "price": 0.1, "minimum_config": {"minimum": 5}}, 501, "rate_type"),
    ({"rate_type": "percentage", "price": 1.5, "use_list_prices": True}, 501, "rate_type"),
    ({"rate_type": "TIERED"}, 400, "tiers"),
    ({"rate_type": "TIERED", "tiers": []}, 400, "tiers"),
    ({"rate_type": "TIERED", "tiers": [{"price": -1}]}, 400, "tiers[0].price"),
    ({"rate_type": "TIERED", "tiers": [{"price": 1, "size": 0}, TIER]}, 400, "tiers[0].size"),
    ({"rate_type": "TIERED", "tiers": [TIER, TIER]}, 400, "tiers[0].size"),
    ({"rate_type": "TIERED", "tiers": [{"price": 1, "size": 5}, TIER]}, 501, "rate_type"),
    ({"rate_type": "TIERED_PERCENTAGE"}, 400, "tiers"),
    ({"rate_type": "TIERED_PERCENTAGE", "tiers": [TIER]}, 501, "rate_type"),
    ({"rate_type": "CUSTOM", "price": None}, 400, "custom_rate"),
    ({"rate_type": "CUSTOM", "custom_rate": {"a": [1, None]}}, 501, "rate_type"),
    ({"commit_rate": {}}, 400, "commit_rate.rate_type"),
    ({"commit_rate": {"rate_type": "x"}}, 400, "commit_rate.rate_type"),
    ({"commit_rate": {"rate_type": "FLAT"}}, 400, "commit_rate.price"),
    ({"commit_rate": {"rate_type": "FLAT", "price": -1}}, 400, "commit_rate.price"),
    ({"commit_rate": {"rate_type": "TIERED"}}, 400, "commit_rate.tiers"),
    ({"commit_rate": {"rate_type": "TIERED", "tiers": [{}]}}, 400, "commit_rate.tiers[0].price"),
    (
        {"commit_rate": {"rate_type": "FLAT", "price": 1, "minimum_config": {"minimum": 1}}},
        400,
        "commit_rate.minimum_config",
    ),
    ({"commit_rate": {"rate_type": "FLAT", "price": 1, "quantity": 1}}, 400, "commit_rate.quantity"),
    ({"commit_rate": {"rate_type": "flat", "price": 1}}, 501, "commit_rate"),
    ({"commit_rate": {"rate_type": "TIERED", "tiers": [TIER]}}, 501, "commit_rate"),
]


@pytest.mark.parametrize(("given", "status", "named"), BAD_RATES)
def test_bad_rate(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    refused(shared_server, ids, "addRate", {"rate_card_id": CARD, **GOOD_RATE, **given}, status, named)
    body = {"rate_card_id": CARD, "rates": [GOOD_RATE, {**GOOD_RATE, **given}]}
    refused(shared_server, ids, "addRates", body, status, f"rates[1].{named}")


@pytest.mark.parametrize("missing", ["product_id", "starting_at", "entitled", "rate_type", "price"])
def test_rate_without_a_required_field(shared_server: Server, ids: dict[str, str], missing: str) -> None:
    body = {name: value for name, value in GOOD_RATE.items() if name != missing}
    refused(shared_server, ids, "addRate", {"rate_card_id": CARD, **body}, 400, missing)
    many = {"rate_card_id": CARD, "rates": [body]}
    refused(shared_server, ids, "addRates", many, 400, f"rates[0].{missing}")


BAD_SELECTORS: list[tuple[dict[str, Any], int, str]] = [
    ({"product_id": 5}, 400, "product_id"),
    ({"product_id": "x"}, 400, "product_id"),
    ({"product_id": UNKNOWN}, 404, "product_id"),
    ({"product_id": THEIR_PRODUCT}, 404, "product_id"),
    ({"pricing_group_values": []}, 400, "pricing_group_values"),
    ({"pricing_group_values": {"model": 5}}, 400, "pricing_group_values[...]"),
    ({"partial_pricing_group_values": "model"}, 400, "partial_pricing_group_values"),
    ({"partial_pricing_group_values": {"model": None}}, 400, "partial_pricing_group_values[...]"),
    ({"billing_frequency": "yearly"}, 400, "billing_frequency"),
    ({"billing_frequency": 5}, 400, "billing_frequency"),
    ({"colour": "red"}, 400, "colour"),
]


@pytest.mark.parametrize(("given", "status", "named"), BAD_SELECTORS)
def test_bad_selector(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    for operation, when in (("getRates", "at"), ("getRateSchedule", "starting_at")):
        body = {"rate_card_id": CARD, when: HOUR, "selectors": [{}, given]}
        refused(shared_server, ids, operation, body, status, f"selectors[1].{named}")


@pytest.mark.parametrize("tags", ["a", [5], {}])
def test_bad_tags(shared_server: Server, ids: dict[str, str], tags: Any) -> None:
    body = {"rate_card_id": CARD, "at": HOUR, "selectors": [{"product_tags": tags}]}
    answer = shared_server.post(f"{PATH}/getRates", fill(body, ids))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("selectors[0].product_tags")
