"""Usage as services export it, from files to final invoices: twice, shuffled, to the last digit.

The files have the shape of a public trace of language-model requests: a time with 100 ns and no
offset, tokens read, tokens written; among them identical rows, and one in the last moment of an hour.
"""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import Served, run, served

CODE = [
    "2023-11-16 18:17:03.9799600,4808,10",
    "2023-11-16 18:17:04.0319600,3180,8",
    "2023-11-16 18:59:59.9999999,110,27",
    "2023-11-16 18:17:04.0319600,3180,8",
]
"""11,278 context and 53 generated tokens: 2.8195 + 0.053 = 2.8725 cents."""

CONV = [
    f"2023-11-16 18:{15 + n // 60:02}:{n % 60:02}.{n * 37 % 10_000_000:07},{100 + n % 7},{n % 5}"
    for n in range(1_000)
]
"""1,000 rows. Context: 100,000 + 142 full sevens of 21 + (0+1+2+3+4+5) = 102,997 tokens; generated: 200 fives
of 10 = 2,000 tokens: 25.74925 + 2 = 27.74925 cents."""

EXPECTED = {"code": Decimal("2.8725"), "conv": Decimal("27.74925")}
SANDBOX = {"TALLYBOOK_SANDBOX_TOKEN": "trial"}


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TALLYBOOK_TOKEN", "trial")


def _write(path: Path, rows: list[str]) -> Path:
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\r\n" + "".join(f"{row}\r\n" for row in rows))
    return path


def _load(server: Served, customer: str, file: Path) -> int:
    ran = run(
        "ingest", file, "--url", server.url, "--customer-id", customer, "--event-type", "inference", "--json",
        "--timestamp-column", "TIMESTAMP", "--property", "context_tokens=ContextTokens",
        "--property", "generated_tokens=GeneratedTokens",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    return ran.json["events_taken"]


class Shop:
    """Everything that is needed to bill two services, made through the API."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.card = self.post("/v1/contract-pricing/rate-cards/create", {"name": "List"})["id"]
        for name, price in (("context_tokens", 250), ("generated_tokens", 1_000)):
            self._sell(name, price)
        self.customers = {name: self._sign(name) for name in EXPECTED}

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.server.call("POST", path, "trial", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def _sell(self, name: str, price: int) -> None:
        metric = {
            "name": name,
            "aggregation_type": "SUM",
            "aggregation_key": name,
            "property_filters": [{"name": name, "exists": True}],
            "event_type_filter": {"in_values": ["inference"]},
        }
        product = {
            "name": name,
            "type": "USAGE",
            "billable_metric_id": self.post("/v1/billable-metrics/create", metric)["id"],
            "quantity_conversion": {"conversion_factor": 1_000_000, "operation": "DIVIDE"},
        }
        rate = {
            "rate_card_id": self.card,
            "product_id": self.post("/v1/contract-pricing/products/create", product)["id"],
            "starting_at": "2023-11-01T00:00:00Z",
            "entitled": True,
            "rate_type": "FLAT",
            "price": price,
        }
        self.post("/v1/contract-pricing/rate-cards/addRate", rate)

    def _sign(self, name: str) -> str:
        customer = self.post("/v1/customers", {"name": name, "ingest_aliases": [name]})["id"]
        contract = {"customer_id": customer, "rate_card_id": self.card, "starting_at": "2023-11-01T00:00:00Z"}
        self.post("/v1/contracts/create", contract)
        return customer

    def totals(self, status: str) -> dict[str, Decimal]:
        """The November invoices' totals by customer, exactly as printed."""
        totals = {}
        for name, customer in self.customers.items():
            path = f"/v1/customers/{customer}/invoices?status={status}&ending_before=2023-12-02T00:00:00Z"
            answer = self.server.call("GET", path, "trial")
            (invoice,) = _exact(answer.text)["data"]
            totals[name] = invoice["total"]
        return totals


def _exact(text: str) -> Any:
    import json

    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@pytest.mark.parametrize("seed", [None, 7])
def test_files_become_exact_final_invoices(tmp_path: Path, seed: int | None) -> None:
    """Loaded, loaded again, finalized; and from shuffled files: always the same cents."""
    rows = {"code": list(CODE), "conv": list(CONV)}
    if seed is not None:
        for each in rows.values():
            random.Random(seed).shuffle(each)
    with served(tmp_path / "data", "--sandbox-now", "2023-11-17T00:00:00Z", **SANDBOX) as server:
        shop = Shop(server)
        for _ in range(2):
            for name, each in rows.items():
                assert _load(server, name, _write(tmp_path / f"{name}.csv", each)) == len(each)
            assert shop.totals("DRAFT") == EXPECTED
        shop.post("/tallybook/v1/clock", {"now": "2023-12-03T00:00:00Z"})
        assert shop.totals("FINALIZED") == EXPECTED
        assert server.stop() == 0
