"""`tallybook demo`: its bills are exactly what its events and prices come to."""

import subprocess
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tallybook.cli.demo.catalogue import CUSTOMERS, MODELS, PRICE_CHANGE_AFTER, Buyer, buyers
from tallybook.cli.demo.command import MONTH
from tallybook.cli.demo.month import Event, deliveries
from tallybook.cli.demo.report import dollars
from tallybook.values.instant import DAY, add_months, parse_instant
from tests.cli.support import TALLYBOOK, run, served

EVENTS = 4_000


def test_the_month_is_the_same_for_the_same_seed_and_has_every_kind_of_event() -> None:
    month = list(deliveries(MONTH, buyers(), EVENTS, 1))
    assert month == list(deliveries(MONTH, buyers(), EVENTS, 1))
    assert month != list(deliveries(MONTH, buyers(), EVENTS, 2))
    events = [event for delivery in month for event in delivery.events]
    assert len(events) == EVENTS
    duplicates = sum(delivery.duplicates for delivery in month)
    assert duplicates == 60 == EVENTS - len({event["transaction_id"] for event in events})
    assert sum(delivery.late for delivery in month) > 50
    end = add_months(MONTH, 1)
    for delivery in month:
        for event in delivery.events:
            at = parse_instant(event["timestamp"])
            assert MONTH <= at < end
            assert delivery.day - 6 * DAY < at < delivery.day + DAY
    by_customer = Counter(event["customer_id"].removeprefix("org-") for event in events)
    assert by_customer["harbor-analytics"] > EVENTS // 8
    assert len(buyers()) == CUSTOMERS == len({buyer.aliases for buyer in buyers()})


def _expected_cents(buyer: Buyer, events: list[Event]) -> Decimal:
    """The slow and obvious way: every event at its own price."""
    cents = Decimal(0)
    for event in events:
        if event["customer_id"] not in buyer.aliases:
            continue
        given = event["properties"]
        model = next(model for model in MODELS if model.name == given["model"])
        prices = (model.input_price, model.output_price)
        if model.changed is not None and parse_instant(event["timestamp"]) >= MONTH + PRICE_CHANGE_AFTER:
            prices = model.changed
        cents += Decimal(given["input_tokens"]) * prices[0] / 1_000_000
        cents += Decimal(given.get("output_tokens", "0")) * (prices[1] or 0) / 1_000_000
        cents += Decimal(5) / 1_000
    return cents


def test_bills_are_what_events_and_prices_come_to(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ran = run("demo", "--events", str(EVENTS), "--data", data, "--json")
    assert ran.status == 0, ran.err
    month = ran.json
    events = {
        event["transaction_id"]: event
        for delivery in deliveries(MONTH, buyers(), EVENTS, 1)
        for event in delivery.events
    }
    assert (month["events_sent"], month["events_counted"]) == (EVENTS, len(events))
    assert len(month["invoices"]) == CUSTOMERS
    for buyer, invoice in zip(buyers(), month["invoices"], strict=True):
        assert invoice["status"] == "FINALIZED"
        assert invoice["customer"] == buyer.name
        assert Decimal(invoice["cents"]) == _expected_cents(buyer, list(events.values()))
    assert Decimal(month["cents"]) == sum(Decimal(invoice["cents"]) for invoice in month["invoices"])
    # The folder is an installation like any other.
    assert "already holds an installation" in run("demo", "--data", data).err
    first = month["invoices"][0]
    with served(data) as server:
        path = f"/v1/customers/{first['customer_id']}/invoices/{first['id']}"
        shown = server.call("GET", path, month["sandbox_token"]).json()["data"]
        assert shown["status"] == "FINALIZED"
        assert {line["name"] for line in shown["line_items"]} == {"Input tokens", "Output tokens", "Requests"}


def test_it_shows_bills_and_what_to_try_next_and_goes_on_serving(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [TALLYBOOK, "demo", "--serve", "--events", "1000", "--data", tmp_path / "data"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("serving on "):
            break
    text = "".join(printed)
    for said in ("Invoices", "Harbor Analytics", "FINALIZED", "duplicates dropped", "metronome-sdk", "curl"):
        assert said in text
    url = printed[-1].split()[2].rstrip(";")
    assert httpx.get(url + "/healthz").status_code == 200
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()


@pytest.mark.parametrize(
    ("cents", "shown"),
    [("0", "$0.00"), ("5", "$0.05"), ("476088.95", "$4,760.8895"), ("-100", "-$1.00"), ("1E+2", "$1.00")],
)
def test_dollars_are_exact(cents: str, shown: str) -> None:
    assert dollars(Decimal(cents)) == shown


def test_wrong_usage() -> None:
    assert run("demo", "--events", "10").status == 2
    assert timedelta(days=31) == add_months(MONTH, 1) - MONTH
