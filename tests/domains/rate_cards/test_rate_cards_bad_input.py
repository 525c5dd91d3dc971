"""Rate cards: bad input of every field of every operation is refused by name, and nothing is stored."""

from typing import Any

import pytest

from tests.domains.rate_cards.bodies import (
    CARD,
    EUR,
    GOOD_RATE,
    HOUR,
    PATH,
    PRODUCT,
    THEIR_CARD,
    THEIR_PRODUCT,
    UNRATED,
    refused,
)
from tests.support import UNKNOWN, Server

CONVERSION = {"custom_credit_type_id": UNKNOWN, "fiat_per_custom_credit": 2}

BAD_CARDS: list[tuple[dict[str, Any], int, str]] = [
    ({"name": None}, 400, "name"),
    ({"name": 5}, 400, "name"),
    ({"name": ""}, 400, "name"),
    ({"name": "a\u0000b"}, 400, "name"),
    ({"description": 5}, 400, "description"),
    ({"fiat_credit_type_id": 5}, 400, "fiat_credit_type_id"),
    ({"fiat_credit_type_id": "USD"}, 400, "fiat_credit_type_id"),
    ({"fiat_credit_type_id": UNKNOWN}, 404, "fiat_credit_type_id"),
    ({"credit_type_conversions": {}}, 400, "credit_type_conversions"),
    ({"credit_type_conversions": [CONVERSION]}, 501, "credit_type_conversions"),
    (
        {"credit_type_conversions": [{"fiat_per_custom_credit": 2}]},
        400,
        "credit_type_conversions[0].custom_credit_type_id",
    ),
    (
        {"credit_type_conversions": [{"custom_credit_type_id": UNKNOWN}]},
        400,
        "credit_type_conversions[0].fiat_per_custom_credit",
    ),
    (
        {"credit_type_conversions": [{**CONVERSION, "custom_credit_type_id": "x"}]},
        400,
        "credit_type_conversions[0].custom_credit_type_id",
    ),
    (
        {"credit_type_conversions": [{**CONVERSION, "fiat_per_custom_credit": True}]},
        400,
        "credit_type_conversions[0].fiat_per_custom_credit",
    ),
    ({"aliases": {}}, 400, "aliases"),
    ({"aliases": ["a"]}, 400, "aliases[0]"),
    ({"aliases": [{}]}, 400, "aliases[0].name"),
    ({"aliases": [{"name": ""}]}, 400, "aliases[0].name"),
    ({"aliases": [{"name": 5}]}, 400, "aliases[0].name"),
    ({"aliases": [{"name": "a", "starting_at": "soon"}]}, 400, "aliases[0].starting_at"),
    ({"aliases": [{"name": "a", "starting_at": "2026-01-01"}]}, 400, "aliases[0].starting_at"),
    ({"aliases": [{"name": "a", "ending_before": 5}]}, 400, "aliases[0].ending_before"),
    ({"aliases": [{"name": "a", "until": HOUR}]}, 400, "aliases[0].until"),
    (
        {"aliases": [{"name": "held"}, {"name": "a", "starting_at": HOUR, "ending_before": HOUR}]},
        400,
        "aliases[1].ending_before",
    ),
    ({"custom_fields": {"undeclared": "x"}, "aliases": [{"name": "held"}]}, 400, "custom_fields.undeclared"),
    ({"custom_fields": {"a": 5}}, 400, "custom_fields[...]"),
    ({"custom_fields": []}, 400, "custom_fields"),
    ({"colour": "red"}, 400, "colour"),
]


@pytest.mark.parametrize(("given", "status", "named"), BAD_CARDS)
def test_bad_card(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    refused(shared_server, ids, "create", {"name": "Card", **given}, status, named)


BAD_UPDATES: list[tuple[dict[str, Any], int, str]] = [
    ({"rate_card_id": UNKNOWN}, 404, "rate_card_id"),
    ({"rate_card_id": THEIR_CARD}, 404, "rate_card_id"),
    ({"rate_card_id": "x"}, 400, "rate_card_id"),
    ({"rate_card_id": None}, 400, "rate_card_id"),
    ({"name": ""}, 400, "name"),
    ({"name": 5}, 400, "name"),
    ({"description": []}, 400, "description"),
    ({"aliases": "a"}, 400, "aliases"),
    ({"aliases": [{"name": "a"}, {}]}, 400, "aliases[1].name"),
    (
        {"name": "New", "aliases": [{"name": "a", "starting_at": HOUR, "ending_before": HOUR}]},
        400,
        "aliases[0].ending_before",
    ),
    ({"fiat_credit_type_id": EUR}, 400, "fiat_credit_type_id"),
    ({"credit_type_conversions": []}, 400, "credit_type_conversions"),
    ({"custom_fields": {}}, 400, "custom_fields"),
]


@pytest.mark.parametrize(("given", "status", "named"), BAD_UPDATES)
def test_bad_update(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    refused(shared_server, ids, "update", {"rate_card_id": CARD, **given}, status, named)


MOVE = {"product_id": PRODUCT, "position": 0}

BAD_CALLS: list[tuple[str, Any, int, str]] = [
    ("create", {}, 400, "name"),
    ("create", [], 400, "body"),
    ("create?limit=5", {"name": "x"}, 400, "limit"),
    ("get", {}, 400, "id"),
    ("get", {"id": None}, 400, "id"),
    ("get", {"id": "x"}, 400, "id"),
    ("get", {"id": UNKNOWN}, 404, "id"),
    ("get", {"id": THEIR_CARD}, 404, "id"),
    ("get", {"id": CARD, "more": 1}, 400, "more"),
    ("list", {"archived": True}, 400, "archived"),
    ("list?limit=0", {}, 400, "limit"),
    ("list?limit=101", {}, 400, "limit"),
    ("list?limit=ten", {}, 400, "limit"),
    ("list?next_page=abc", {}, 400, "next_page"),
    ("list?colour=red", {}, 400, "colour"),
    ("update", {"name": "x"}, 400, "rate_card_id"),
    ("archive", {}, 400, "id"),
    ("archive", {"id": 5}, 400, "id"),
    ("archive", {"id": UNKNOWN}, 404, "id"),
    ("archive", {"id": THEIR_CARD}, 404, "id"),
    ("archive", {"id": CARD, "more": 1}, 400, "more"),
    ("addRate", GOOD_RATE, 400, "rate_card_id"),
    ("addRate", {"rate_card_id": "x", **GOOD_RATE}, 400, "rate_card_id"),
    ("addRate", {"rate_card_id": UNKNOWN, **GOOD_RATE}, 404, "rate_card_id"),
    ("addRate", {"rate_card_id": THEIR_CARD, **GOOD_RATE}, 404, "rate_card_id"),
    ("addRates", {"rates": [GOOD_RATE]}, 400, "rate_card_id"),
    ("addRates", {"rate_card_id": UNKNOWN, "rates": [GOOD_RATE]}, 404, "rate_card_id"),
    ("addRates", {"rate_card_id": THEIR_CARD, "rates": [GOOD_RATE]}, 404, "rate_card_id"),
    ("addRates", {"rate_card_id": CARD}, 400, "rates"),
    ("addRates", {"rate_card_id": CARD, "rates": None}, 400, "rates"),
    ("addRates", {"rate_card_id": CARD, "rates": GOOD_RATE}, 400, "rates"),
    ("addRates", {"rate_card_id": CARD, "rates": [5]}, 400, "rates[0]"),
    ("addRates", {"rate_card_id": CARD, "rates": [], "more": 1}, 400, "more"),
    ("getRates", {"at": HOUR}, 400, "rate_card_id"),
    ("getRates", {"rate_card_id": UNKNOWN, "at": HOUR}, 404, "rate_card_id"),
    ("getRates", {"rate_card_id": THEIR_CARD, "at": HOUR}, 404, "rate_card_id"),
    ("getRates", {"rate_card_id": CARD}, 400, "at"),
    ("getRates", {"rate_card_id": CARD, "at": None}, 400, "at"),
    ("getRates", {"rate_card_id": CARD, "at": "2026-01-01"}, 400, "at"),
    ("getRates?limit=0", {"rate_card_id": CARD, "at": HOUR}, 400, "limit"),
    ("getRates?limit=101", {"rate_card_id": CARD, "at": HOUR}, 400, "limit"),
    ("getRates?next_page=abc", {"rate_card_id": CARD, "at": HOUR}, 400, "next_page"),
    ("getRates", {"rate_card_id": CARD, "at": HOUR, "limit": 5}, 400, "limit"),
    ("getRates", {"rate_card_id": CARD, "at": HOUR, "selectors": {}}, 400, "selectors"),
    ("getRateSchedule", {"starting_at": HOUR}, 400, "rate_card_id"),
    ("getRateSchedule", {"rate_card_id": UNKNOWN, "starting_at": HOUR}, 404, "rate_card_id"),
    ("getRateSchedule", {"rate_card_id": THEIR_CARD, "starting_at": HOUR}, 404, "rate_card_id"),
    ("getRateSchedule", {"rate_card_id": CARD}, 400, "starting_at"),
    ("getRateSchedule", {"rate_card_id": CARD, "starting_at": 5}, 400, "starting_at"),
    ("getRateSchedule", {"rate_card_id": CARD, "starting_at": HOUR, "at": HOUR}, 400, "at"),
    (
        "getRateSchedule",
        {"rate_card_id": CARD, "starting_at": HOUR, "ending_before": HOUR},
        400,
        "ending_before",
    ),
    (
        "getRateSchedule",
        {"rate_card_id": CARD, "starting_at": HOUR, "ending_before": "x"},
        400,
        "ending_before",
    ),
    ("getRateSchedule?limit=101", {"rate_card_id": CARD, "starting_at": HOUR}, 400, "limit"),
    ("getRateSchedule?next_page=abc", {"rate_card_id": CARD, "starting_at": HOUR}, 400, "next_page"),
    (
        "getRateSchedule",
        {"rate_card_id": CARD, "starting_at": HOUR, "selectors": [{"product_tags": ["a"]}]},
        400,
        "selectors[0].product_tags",
    ),
    ("setRateCardProductsOrder", {"product_order": [PRODUCT]}, 400, "rate_card_id"),
    (
        "setRateCardProductsOrder",
        {"rate_card_id": UNKNOWN, "product_order": [PRODUCT]},
        404,
        "rate_card_id",
    ),
    (
        "setRateCardProductsOrder",
        {"rate_card_id": THEIR_CARD, "product_order": [PRODUCT]},
        404,
        "rate_card_id",
    ),
    ("setRateCardProductsOrder", {"rate_card_id": CARD}, 400, "product_order"),
    ("setRateCardProductsOrder", {"rate_card_id": CARD, "product_order": PRODUCT}, 400, "product_order"),
    (
        "setRateCardProductsOrder",
        {"rate_card_id": CARD, "product_order": [PRODUCT, "x"]},
        400,
        "product_order[1]",
    ),
    (
        "setRateCardProductsOrder",
        {"rate_card_id": CARD, "product_order": [PRODUCT, UNKNOWN]},
        404,
        "product_order[1]",
    ),
    (
        "setRateCardProductsOrder",
        {"rate_card_id": CARD, "product_order": [THEIR_PRODUCT]},
        404,
        "product_order[0]",
    ),
    (
        "setRateCardProductsOrder",
        {"rate_card_id": CARD, "product_order": [PRODUCT, PRODUCT]},
        400,
        "product_order[1]",
    ),
    ("setRateCardProductsOrder", {"rate_card_id": CARD, "product_order": [], "more": 1}, 400, "more"),
    ("moveRateCardProducts", {"product_moves": [MOVE]}, 400, "rate_card_id"),
    ("moveRateCardProducts", {"rate_card_id": UNKNOWN, "product_moves": [MOVE]}, 404, "rate_card_id"),
    ("moveRateCardProducts", {"rate_card_id": THEIR_CARD, "product_moves": [MOVE]}, 404, "rate_card_id"),
    ("moveRateCardProducts", {"rate_card_id": CARD}, 400, "product_moves"),
    ("moveRateCardProducts", {"rate_card_id": CARD, "product_moves": MOVE}, 400, "product_moves"),
    ("moveRateCardProducts", {"rate_card_id": CARD, "product_moves": [], "more": 1}, 400, "more"),
    (
        "moveRateCardProducts",
        {"rate_card_id": CARD, "product_moves": [MOVE, MOVE]},
        400,
        "product_moves[1].product_id",
    ),
]
BAD_MOVES: list[tuple[dict[str, Any], int, str]] = [
    ({"product_id": None}, 400, "product_id"),
    ({"product_id": "x"}, 400, "product_id"),
    ({"product_id": UNKNOWN}, 404, "product_id"),
    ({"product_id": THEIR_PRODUCT}, 404, "product_id"),
    ({"product_id": UNRATED}, 400, "product_id"),
    ({"position": None}, 400, "position"),
    ({"position": "first"}, 400, "position"),
    ({"position": -1}, 400, "position"),
    ({"position": 0.5}, 400, "position"),
    ({"position": True}, 400, "position"),
    ({"position": 1}, 400, "position"),
    ({"position": 10**90}, 400, "position"),
    ({"more": 1}, 400, "more"),
]


@pytest.mark.parametrize(("operation", "body", "status", "named"), BAD_CALLS)
def test_bad_call(
    shared_server: Server, ids: dict[str, str], operation: str, body: Any, status: int, named: str
) -> None:
    refused(shared_server, ids, operation, body, status, named)


@pytest.mark.parametrize(("given", "status", "named"), BAD_MOVES)
def test_bad_move(
    shared_server: Server, ids: dict[str, str], given: dict[str, Any], status: int, named: str
) -> None:
    body = {"rate_card_id": CARD, "product_moves": [{**MOVE, **given}]}
    refused(shared_server, ids, "moveRateCardProducts", body, status, f"product_moves[0].{named}")


def test_two_products_cannot_have_one_position(shared_server: Server, ids: dict[str, str]) -> None:
    fresh = shared_server.client.v1.contracts.rate_cards.create(name="Two").data.id
    shared_server.client.v1.contracts.rate_cards.product_orders.set(
        rate_card_id=fresh, product_order=[ids[PRODUCT], ids[UNRATED]]
    )
    moves = [{**MOVE, "position": 1}, {"product_id": UNRATED, "position": 1}]
    body = {"rate_card_id": fresh, "product_moves": moves}
    refused(shared_server, ids, "moveRateCardProducts", body, 400, "product_moves[1].position")


def test_a_cursor_belongs_to_its_own_list(shared_server: Server, ids: dict[str, str]) -> None:
    shared_server.client.v1.contracts.rate_cards.create(name="Another")
    cursor = shared_server.post(f"{PATH}/list?limit=1", {}).json()["next_page"]
    body = {"rate_card_id": CARD, "at": HOUR}
    refused(shared_server, ids, f"getRates?next_page={cursor}", body, 400, "next_page")


@pytest.mark.parametrize(
    "operation",
    [
        "create",
        "get",
        "list",
        "update",
        "archive",
        "addRate",
        "addRates",
        "getRates",
        "getRateSchedule",
        "setRateCardProductsOrder",
        "moveRateCardProducts",
    ],
)
def test_rate_cards_are_reached_by_post_with_json(shared_server: Server, operation: str) -> None:
    assert shared_server.get(f"{PATH}/{operation}").status_code == 405
    headers = {"content-type": "application/json"}
    broken = shared_server.request("POST", f"{PATH}/{operation}", content=b"{", headers=headers)
    assert broken.status_code == 400
    headers = {"content-type": "text/plain"}
    plain = shared_server.request("POST", f"{PATH}/{operation}", content=b"{}", headers=headers)
    assert plain.status_code == 415
