"""A data folder with a bit of everything that is derived from events, for tests that damage it."""

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from tallybook.adapters.archive.compact import Compactor
from tallybook.upkeep import Report, at_rest, verify
from tests.catalogue import FEBRUARY, JANUARY, Catalogue
from tests.support import NOW, Server, serving

AGGREGATIONS = ("COUNT", "MAX", "LATEST", "UNIQUE")


def event(number: int, at: datetime, **properties: object) -> dict:
    return {
        "transaction_id": f"t{number}",
        "customer_id": f"acme-{number % 3}",
        "event_type": ("inference", "other")[number % 5 == 4],
        "timestamp": at.isoformat(),
        "properties": {"tokens": str(number % 7) + ".5", "region": ("eu", "us")[number % 2], **properties},
    }


def make(data: Path) -> Path:
    """Two months of a customer: repeats, odd values, a late metric, an invoice, most of it archived."""
    with serving(data) as server:
        catalogue = Catalogue(server.client)
        metric = catalogue.metric("tokens", "region")
        card = catalogue.card()
        catalogue.rate(card, catalogue.product(metric), 3)
        customer = catalogue.customer("Acme", "acme-0", "acme-1")
        catalogue.contract(customer, card)
        for start in range(0, 200, 40):
            _send(server, [event(n, NOW - timedelta(hours=n % 50)) for n in range(start, start + 40)])
            _send(server, [event(n, NOW) for n in range(start, start + 40, 7)])
        _send(server, [event(1_000, NOW), event(1_000, NOW)])
        for aggregation in AGGREGATIONS:
            catalogue.metric(
                "tokens",
                name=aggregation,
                aggregation_type=aggregation,
                aggregation_key=None if aggregation == "COUNT" else "tokens",
                property_filters=[
                    {"name": "tokens", "exists": True},
                    *({"name": name, "not_in_values": ["none"]} for name in ("region", "size")),
                ],
                group_keys=[["region"], ["region", "size"]],
            )
        server.move_clock(FEBRUARY + timedelta(hours=24))
        # The same ids again: repeats of those accepted less than 34 days ago, which renew nothing.
        server.move_clock(NOW + timedelta(days=34, seconds=-1))
        _send(server, [event(n, NOW + timedelta(days=30)) for n in range(20)])
        server.move_clock(NOW + timedelta(days=34))
        now = NOW + timedelta(days=34)
        odd = ["x", True, None, 12, "1e3", [1, {"a": 2.50}], "9" * 60, ""]
        _send(server, [event(n, now - timedelta(days=n % 9), size=odd[n % 8]) for n in range(60)])
        _send(server, [event(2_000 + n, now - timedelta(days=n), tokens=odd[n]) for n in range(8)])
        _send(server, [{**event(3_000, now), "properties": None}])
    return data


def archive(data: Path) -> None:
    """Archive what there is, then leave a tail in the log."""
    Compactor(data / "sandbox").run()
    with serving(data) as server:
        _send(server, [event(4_000 + n, NOW + timedelta(days=33)) for n in range(10)])


def _send(server: Server, events: list[dict]) -> None:
    answer = server.post("/v1/ingest", content=json.dumps(events).encode())
    assert answer.status_code == 200, answer.text


def verified(data: Path, told: Callable[[int], object] = bool) -> Report:
    with at_rest(data, "sandbox") as environment:
        return verify(environment, data / "sandbox", told=told)


def copied(data: Path, to: Path) -> Path:
    shutil.copytree(data, to, symlinks=True)
    return to


__all__ = ["JANUARY", "archive", "copied", "event", "make", "verified"]
