"""Credit types, services and the clock, through the official client and plain HTTP."""

from datetime import UTC, datetime, timedelta

import metronome
import pytest
from metronome import Metronome

from tests.support import NOW, PRODUCTION_TOKEN, SANDBOX_TOKEN, UNKNOWN, Server, assert_refused

USD = "2714e483-4ff1-48e4-9e25-ac732e8f24f2"
CURRENCIES = [
    "USD (cents)", "AUD", "BRL", "CAD", "CHF", "CZK", "EUR", "GBP", "INR", "MXN",
    "NGN", "NOK", "PLN", "SEK", "TRY", "ZAR", "NZD", "SGD",
]  # fmt: skip


def test_every_supported_currency_is_a_credit_type(client: Metronome) -> None:
    found = client.v1.pricing_units.list().data
    assert [unit.name for unit in found] == CURRENCIES
    assert all(unit.is_currency for unit in found)
    assert found[0].id == USD
    assert len({unit.id for unit in found}) == len(CURRENCIES)


def test_credit_types_are_paged(client: Metronome) -> None:
    page = client.v1.pricing_units.list(limit=7)
    sizes, names = [], []
    while True:
        sizes.append(len(page.data))
        names += [unit.name for unit in page.data]
        if page.next_page is None:
            break
        page = client.v1.pricing_units.list(limit=7, next_page=page.next_page)
    assert sizes == [7, 7, 4]
    assert names == CURRENCIES


def test_credit_types_are_the_same_in_both_environments(server: Server) -> None:
    sandbox = [unit.id for unit in server.client.v1.pricing_units.list()]
    production = [unit.id for unit in server.client_of(PRODUCTION_TOKEN).v1.pricing_units.list()]
    assert sandbox == production


def test_no_service_has_addresses_of_its_own(client: Metronome) -> None:
    assert client.v1.services.list().services == []


def test_custom_pricing_units_are_refused_as_not_built(client: Metronome) -> None:
    with pytest.raises(metronome.APIStatusError) as refused:
        client.v1.pricing_units.create(name="AI credits")
    assert refused.value.status_code == 501
    assert "custom pricing units" in refused.value.response.json()["message"]
    assert len(client.v1.pricing_units.list().data) == len(CURRENCIES)


def test_clocks_of_both_environments(server: Server) -> None:
    assert server.get("/tallybook/v1/clock").json() == {"data": {"now": "2026-01-15T12:00:00Z"}}
    before = datetime.now(UTC)
    answer = server.get("/tallybook/v1/clock", token=PRODUCTION_TOKEN).json()
    assert before <= datetime.fromisoformat(answer["data"]["now"]) <= datetime.now(UTC)


def test_sandbox_clock_moves_forward_only(server: Server) -> None:
    path = "/tallybook/v1/clock"
    moved = server.post(path, {"now": "2026-02-01T01:30:00+01:30"})
    assert moved.json() == {"data": {"now": "2026-02-01T00:00:00Z"}}
    assert server.post(path, {"now": "2026-02-01T00:00:00Z"}).status_code == 200
    back = server.post(path, {"now": "2026-01-31T23:59:59.999999Z"})
    assert back.status_code == 409
    assert "forward" in back.json()["message"]
    assert back.headers["x-should-retry"] == "false"
    assert server.get(path).json() == {"data": {"now": "2026-02-01T00:00:00Z"}}


def test_new_objects_carry_the_sandbox_time(server: Server) -> None:
    server.move_clock(NOW + timedelta(days=40))
    customer = server.client.v1.customers.create(name="Later").data
    assert server.client.v1.customers.retrieve(customer_id=customer.id).data.created_at == NOW + timedelta(
        days=40
    )


def test_production_clock_does_not_move(server: Server) -> None:
    answer = server.post("/tallybook/v1/clock", {"now": "2099-01-01T00:00:00Z"}, token=PRODUCTION_TOKEN)
    assert answer.status_code == 409
    assert "sandbox" in answer.json()["message"]


BAD_CALLS = [
    ("GET", "/v1/credit-types/list?limit=0", None, 400, "limit"),
    ("GET", "/v1/credit-types/list?limit=101", None, 400, "limit"),
    ("GET", "/v1/credit-types/list?limit=x", None, 400, "limit"),
    ("GET", "/v1/credit-types/list?next_page=abc", None, 400, "next_page"),
    ("GET", "/v1/credit-types/list?colour=red", None, 400, "colour"),
    ("POST", "/v1/credit-types/list", {}, 405, "GET"),
    ("POST", "/v1/credit-types/create", {}, 400, "name"),
    ("POST", "/v1/credit-types/create", {"name": ""}, 400, "name"),
    ("POST", "/v1/credit-types/create", {"name": 5}, 400, "name"),
    ("POST", "/v1/credit-types/create", {"name": "x", "sign": "y"}, 400, "sign"),
    ("POST", "/v1/credit-types/create", {"name": "x"}, 501, "name"),
    ("POST", "/v1/credit-types/archive", {}, 400, "id"),
    ("POST", "/v1/credit-types/archive", {"id": "x"}, 400, "id"),
    ("POST", "/v1/credit-types/archive", {"id": UNKNOWN}, 404, "id"),
    ("POST", "/v1/credit-types/archive", {"id": USD}, 400, "id"),
    ("GET", "/v1/services?limit=5", None, 400, "limit"),
    ("POST", "/v1/services", {}, 405, "GET"),
    ("POST", "/tallybook/v1/clock", {}, 400, "now"),
    ("POST", "/tallybook/v1/clock", {"now": None}, 400, "now"),
    ("POST", "/tallybook/v1/clock", {"now": 5}, 400, "now"),
    ("POST", "/tallybook/v1/clock", {"now": "tomorrow"}, 400, "now"),
    ("POST", "/tallybook/v1/clock", {"now": "2027-01-01"}, 400, "now"),
    ("POST", "/tallybook/v1/clock", {"now": "2027-01-01T00:00:00"}, 400, "now"),
    ("POST", "/tallybook/v1/clock", {"now": "9999-12-31T23:59:59-23:59"}, 400, "now"),
    ("POST", "/tallybook/v1/clock", {"now": "2027-01-01T00:00:00Z", "then": 1}, 400, "then"),
    ("POST", "/tallybook/v1/clock", [], 400, "body"),
    ("GET", "/tallybook/v1/clock?at=now", None, 400, "at"),
    ("DELETE", "/tallybook/v1/clock", None, 405, "DELETE"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "named"), BAD_CALLS)
def test_bad_call_is_refused_naming_the_field(
    shared_server: Server, method: str, path: str, body: object, status: int, named: str
) -> None:
    answer = shared_server.request(method, path, json=body)
    assert_refused(answer, status, named)
    assert shared_server.get("/tallybook/v1/clock").json() == {"data": {"now": "2026-01-15T12:00:00Z"}}


@pytest.mark.parametrize("token", [SANDBOX_TOKEN, PRODUCTION_TOKEN])
def test_clock_refuses_text_that_is_not_json(shared_server: Server, token: str) -> None:
    answer = shared_server.request("POST", "/tallybook/v1/clock", token=token, content=b"{")
    assert answer.status_code == 400
