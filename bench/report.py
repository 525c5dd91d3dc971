"""Writes BENCHMARKS.md from what was measured."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.run import Figures

_BYTES_PER_SLOT = 16


def write(figures: "Figures") -> str:
    """The page."""
    return "\n".join(
        (
            "# Benchmarks",
            "",
            "Written by `make bench`, which measures everything below in one run on one machine; the load",
            "generator and the databases compared with share its processors. Hold ratios, not figures,",
            "against other machines.",
            "",
            *_table(("what", "value"), list(figures.machine.items())),
            "",
            *_ingest(figures),
            "",
            *_stages(figures),
            "",
            *_others(figures),
            "",
            *_loads(figures),
            "",
            *_growth(figures),
            "",
            *_customers(figures),
            "",
        )
    )


def _ingest(figures: "Figures") -> list[str]:
    ours = figures.ingest["events_per_s"]
    rows = [("**Tallybook**: HTTP to durable, deduplicated, matched to 3 metrics", ours, "")]
    rows += [
        (
            f"PostgreSQL, a row per event with a unique id, {size} events a commit",
            rate,
            f"{ours / rate:.1f} times",
        )
        for size, rate in figures.postgresql.items()
    ]
    rows += [
        (f"bare append + fsync of the same bytes, {size} events at a time", rate, f"{ours / rate:.2f} times")
        for size, rate in figures.disk.items()
    ]
    seen = figures.ingest
    return [
        "## Ingest, 100 events a request",
        "",
        "The workload: 328 bytes of JSON an event, 10,000 customers (Zipf 1.1), three event types, seven",
        "properties, fresh ids, 64 connections. Neither baseline reads HTTP or JSON, matches or adds up;",
        "PostgreSQL gets arrays prepared beforehand from 8 and 4 connections.",
        "",
        *_table(
            ("path", "events/s", "Tallybook is"),
            [(name, f"{rate:,}", ratio) for name, rate, ratio in rows],
        ),
        "",
        f"{seen['events']:,} events in {seen['seconds']} s, {seen['events_per_row']:,} events a commit; a",
        f"request took {seen['p50_ms']} ms (p50) and {seen['p99_ms']} ms (p99). An event took",
        f"{seen['server_cpu_us_per_event']} µs of processor time in the server's two processes and",
        f"{seen['load_cpu_us_per_event']} µs in the load generator. Refused: {seen['refused'] or 'none'}.",
    ]


def _stages(figures: "Figures") -> list[str]:
    rows = [(name, f"{value:.2f}") for name, value in figures.stages.items()]
    return [
        "## Where the time goes",
        "",
        "Each stage alone in one thread, 2,000 events at a time, median. A server checks and stores, the",
        "process beside it applies. The rest of their processor time is HTTP, the hand-over between threads",
        "and processes, and checkpoints. What is on the side runs while the interpreter does other work.",
        "",
        *_table(("stage", "µs an event"), rows),
    ]


def _others(figures: "Figures") -> list[str]:
    memory, restart, singles, fresh = figures.memory, figures.restart, figures.singles, figures.freshness_ms
    per_event = (memory["loaded_mb"] - memory["empty_mb"]) * 2**20 / memory["stored_events"]
    rate = singles["requests"] / singles["seconds"]
    rows = [
        (
            f"1 event a request at {rate:,.0f} requests/s",
            f"p50 {singles['p50_ms']} ms, p99 {singles['p99_ms']} ms, worst {singles['max_ms']} ms",
            "p99 < 10 ms",
        ),
        (
            f"event sent, then read back by POST /v1/usage, under that load ({fresh['asked']} times)",
            f"p50 {fresh['p50']} ms, p99 {fresh['p99']} ms",
            "p99 < 250 ms",
        ),
        (
            f"memory with {memory['stored_events']:,.0f} stored events",
            f"{memory['loaded_mb']:.0f} MB, {memory['empty_mb']:.0f} MB empty, {per_event:.0f} bytes each",
            "< 300 MB at 1 M, + ≤ 32 bytes an event",
        ),
        ("start on an empty folder", f"{restart['empty_s']} s", "< 2 s"),
        (
            f"ready after kill -9 under load, {restart['stored_events']:,.0f} events stored",
            f"{restart['ready_s']} s",
            "< 15 s at 50 M",
        ),
        ("stop, and start again after it", f"{restart['stop_s']} s, {restart['start_s']} s", ""),
    ]
    return ["## The rest", "", *_table(("what", "measured", "target"), rows)]


def _loads(figures: "Figures") -> list[str]:
    rows = [
        (item["name"], f"{item['events_per_s']:,}", f"{item['cpu_us']}", f"{item['p99_ms']}")
        for item in figures.loads
    ]
    return [
        "## Other loads",
        "",
        "The same workload on a folder of its own each, with what is named changed. Processor time is that",
        "of the server's processes, background archiving included.",
        "",
        *_table(("load", "events/s", "µs an event", "p99 ms"), rows),
    ]


def _growth(figures: "Figures") -> list[str]:
    found = figures.growth
    rows = [
        (
            f"{item['stored']:,}",
            f"{item['events_per_s']:,}",
            f"{item['cpu_us']}",
            f"{item['p99_ms']}",
            f"{item['memory_mb']}",
            f"{(item['memory_mb'] - item['empty_mb']) * 2**20 / item['stored']:.0f}",
        )
        for item in found["rates"]
    ]
    restart = found["restart"]
    ready = ""
    if restart:
        ready = (
            f"Ready after kill -9 with {restart['stored']:,.0f} events: {restart['ready_s']} s (target 15)."
        )
    disk = ", ".join(f"{name} {size}" for name, size in found["bytes_per_event_on_disk"].items())
    return [
        "## Growth",
        "",
        "One folder that grows; all its events lie in the 34 days in which ids are remembered.",
        "",
        *_table(("stored", "events/s", "µs an event", "p99 ms", "memory MB", "bytes an event"), rows),
        "",
        *([ready, ""] if ready else []),
        f"Bytes an event on disk: {disk}.",
    ]


def _customers(figures: "Figures") -> list[str]:
    rows = [
        (
            f"{item['events']:,}",
            *(f"{item[key]}" for key in ("cells_ms", "draft_ms", "sql_sum_ms", "sql_daily_max_ms")),
        )
        for item in figures.customers
    ]
    return [
        "## One customer's month",
        "",
        "Over HTTP, median of seven, milliseconds: the month's sum by model from hourly cells; its draft",
        "invoices with three products of up to 24 groups; the same sum as an SQL metric over raw events;",
        "and the greatest event of every day added up, as an SQL metric.",
        "",
        *_table(("events", "cells", "draft", "SQL sum by model", "SQL daily maximum"), rows),
    ]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
