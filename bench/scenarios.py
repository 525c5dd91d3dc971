"""Ingest under different loads, growth to many stored events, and questions about one great customer."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from bench.server import Server
from bench.workload import METRICS, bystanders, lookers

Load = Callable[..., dict[str, Any]]
Metrics = Sequence[dict[str, Any]]

MILLION = 1_000_000
MINUTES_ARCHIVE = 20
_SEEDS = count(2_000)
"""No two of these loads may send the same ids."""


def loads(folder: Path, load: Load, seconds: float) -> list[dict[str, Any]]:
    """Requests of 1, 10 and 100 events; 1 to 200 metrics; none, some and only repeats."""
    three = list(METRICS)
    cases: list[tuple[str, Metrics, dict[str, Any]]] = [
        *(
            (f"{size} events a request" if size > 1 else "1 event a request", three, {"events": size})
            for size in (1, 10, 100)
        ),
        ("1 metric", three[:1], {}),
        ("20 metrics, 3 of them match", [*three, *bystanders(17)], {}),
        ("200 metrics, 3 of them match", [*three, *bystanders(197)], {}),
        ("20 metrics, all look at every event, 3 match", lookers(20), {}),
        ("200 metrics, all look at every event, 33 match", lookers(200), {}),
        ("10 % repeats", three, {"repeats": 0.1}),
        ("100 % repeats", three, {"repeats": 1.0}),
        ("timestamps spread over 33 days", three, {"hours": 33 * 24}),
    ]
    found = []
    for number, (name, metrics, options) in enumerate(cases):
        server = Server(folder / f"load-{number}")
        server.start()
        server.make_metrics(metrics)
        before, cpu = server.status(), server.cpu_s()
        seen = load(server.port, seconds=seconds, connections=64, seed=7, **options)
        after = server.status()
        counted = sum(after[key] - before[key] for key in ("events_accepted", "events_duplicate"))
        cost = round((server.cpu_s() - cpu) / max(1, counted) * 1e6, 2)
        server.kill()
        found.append(
            {"name": name, "events_per_s": seen["events_per_s"], "p99_ms": seen["p99_ms"], "cpu_us": cost}
        )
    return found


def growth(
    server: Server, load: Load, seconds: float, most: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Rates at 1, 20 and 100 million stored events, and a restart after kill -9 at 50 million."""
    rates: list[dict[str, Any]] = []
    restart: dict[str, float] = {}
    empty = server.memory_mb()
    for goal in (1, 20, 50, 100):
        if goal * MILLION > most:
            break
        say(f"growing to {goal} M stored events")
        _grow(server, load, goal * MILLION)
        if goal == 50:
            server.kill()
            restart = {"stored": goal * MILLION, "ready_s": round(server.start(), 2)}
            continue
        cpu, before = server.cpu_s(), server.status()
        seen = load(server.port, seconds=seconds, connections=64, seed=1000 + goal)
        after = server.status()
        counted = after["events_accepted"] - before["events_accepted"]
        time.sleep(5)
        rates.append(
            {
                "stored": after["events_accepted"],
                "events_per_s": seen["events_per_s"],
                "p99_ms": seen["p99_ms"],
                "cpu_us": round((server.cpu_s() - cpu) / max(1, counted) * 1e6, 2),
                "memory_mb": round(server.memory_mb()),
                "empty_mb": round(empty),
            }
        )
    return {"rates": rates, "restart": restart, "bytes_per_event_on_disk": _bytes_per_event(server)}


def _grow(server: Server, load: Load, goal: float) -> None:
    while (missing := goal - server.status()["events_accepted"]) > 0:
        seconds = max(1.0, min(60.0, missing / 250_000))
        load(server.port, seconds=seconds, connections=64, seed=next(_SEEDS))


def _bytes_per_event(server: Server) -> dict[str, float]:
    events = server.status()["events_accepted"]
    production = server.data / "production"
    sizes = {
        "log": sum(path.stat().st_size for path in production.glob("events.db*")),
        "cells": sum(path.stat().st_size for path in production.glob("cells.db*")),
        "archive": sum(path.stat().st_size for path in (production / "archive").rglob("*") if path.is_file()),
    }
    return {name: round(size / max(1, events), 1) for name, size in sizes.items()}


SQL = {
    "SQL tokens": "SELECT SUM(properties.input_tokens) AS value, properties.model FROM events "
    "WHERE event_type IN ('completion', 'embedding') GROUP BY properties.model",
    "SQL busiest hours": "SELECT SUM(tokens) AS value FROM (SELECT date_trunc('day', timestamp) AS day, "
    "MAX(properties.input_tokens) AS tokens FROM events GROUP BY day)",
}


def one_customer(
    folder: Path, load: Load, sizes: Sequence[int], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A month of one customer with so many events: from cells, from raw events, as a draft invoice."""
    server = Server(folder / "customer")
    server.start()
    metrics = server.make_metrics()
    sql = [
        server.ask("POST", "/v1/billable-metrics/create", {"name": name, "sql": text})["data"]["id"]
        for name, text in SQL.items()
    ]
    found = []
    for size in sizes:
        say(f"a customer with {size:,} events")
        name = f"great-{size}"
        customer = server.ask("POST", "/v1/customers", {"name": name, "ingest_aliases": [name]})["data"]["id"]
        start = server.status()["events_accepted"]
        seed = size
        while server.status()["events_accepted"] - start < size:
            seed += 1
            missing = size - (server.status()["events_accepted"] - start)
            seconds = max(0.2, min(30.0, missing / 250_000))
            load(server.port, seconds=seconds, connections=64, seed=seed, customer=name, hours=30 * 24)
        _contract(server, customer, metrics)
        _wait_for_archive(server)
        events = server.status()["events_accepted"] - start
        found.append({"events": events, **_ask(server, customer, metrics, sql)})
    server.kill()
    return found


def _contract(server: Server, customer: str, metrics: list[str]) -> None:
    card = server.ask("POST", "/v1/contract-pricing/rate-cards/create", {"name": f"Card of {customer}"})[
        "data"
    ]["id"]
    first = (datetime.now(UTC) - timedelta(days=31)).strftime("%Y-%m-%dT00:00:00Z")
    groups = (["model", "region"], ["model"], ["region"])
    for metric, key in zip(metrics, groups, strict=True):
        product = server.ask(
            "POST",
            "/v1/contract-pricing/products/create",
            {
                "name": f"Product {metric}",
                "type": "USAGE",
                "billable_metric_id": metric,
                "presentation_group_key": key,
            },
        )["data"]["id"]
        server.ask(
            "POST",
            "/v1/contract-pricing/rate-cards/addRate",
            {
                "rate_card_id": card,
                "product_id": product,
                "starting_at": "2020-01-01T00:00:00Z",
                "entitled": True,
                "rate_type": "FLAT",
                "price": 0.003,
            },
        )
    server.ask(
        "POST",
        "/v1/contracts/create",
        {
            "customer_id": customer,
            "rate_card_id": card,
            "starting_at": first,
            "usage_statement_schedule": {"frequency": "MONTHLY", "day": "CONTRACT_START"},
        },
    )


def _wait_for_archive(server: Server) -> None:
    """Until what was sent is in the archive, or does not move any more."""
    until = time.monotonic() + MINUTES_ARCHIVE * 60
    last, since = -1, time.monotonic()
    while time.monotonic() < until:
        status = server.status()
        reached = status.get("archive_position", status["log_position"])
        if reached >= status["log_position"]:
            return
        if reached != last:
            last, since = reached, time.monotonic()
        if time.monotonic() - since > 30:
            return
        time.sleep(0.5)


def _ask(server: Server, customer: str, metrics: list[str], sql: list[str]) -> dict[str, float]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    bounds = {
        "starting_on": (today - timedelta(days=31)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ending_before": (today + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }

    def usage(metric: str, key: list[str] | None) -> Callable[[], Any]:
        body = {"customer_id": customer, "billable_metric_id": metric, "window_size": "NONE", **bounds}
        grouped = body if key is None else {**body, "group_key": key}
        return lambda: server.ask("POST", "/v1/usage/groups?limit=100", grouped)

    drafts = f"/v1/customers/{customer}/invoices?status=DRAFT"
    return {
        "cells_ms": _median(usage(metrics[1], ["model"])),
        "draft_ms": _median(lambda: server.ask("GET", drafts)),
        "sql_sum_ms": _median(usage(sql[0], ["model"])),
        "sql_daily_max_ms": _median(usage(sql[1], None)),
    }


def _median(work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(7):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return round(sorted(taken)[len(taken) // 2] * 1000, 1)
