"""Shows the demo's invoices, counts and times."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tallybook.cli.demo.catalogue import Buyer
from tallybook.cli.demo.replay import Sent
from tallybook.values.instant import format_instant, parse_instant
from tallybook.values.quantity import divide, plain, total

CENTS_PER_DOLLAR = Decimal(100)
DECIMALS_MIN = 2


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that each part took."""

    setting_up: float
    replaying: float
    closing: float


@dataclass(frozen=True, slots=True)
class Month:
    """What the month came to."""

    bills: Sequence[tuple[Buyer, dict[str, Any]]]
    """Customers with their invoices as the API shows them."""
    sent: Sent
    counted: int
    """Distinct events, as the server counted them."""
    times: Times

    @property
    def cents(self) -> Decimal:
        """All invoices together."""
        return total([Decimal(invoice["total"]) for _, invoice in self.bills])


def dollars(cents: Decimal | int) -> str:
    """Exact dollars of an amount in cents, two decimals or as many as it takes.

    >>> dollars(Decimal("476088.95")), dollars(Decimal(-5))
    ('$4,760.8895', '-$0.05')
    """
    text = plain(divide(abs(Decimal(cents)), CENTS_PER_DOLLAR))
    whole, _, fraction = text.partition(".")
    sign = "-" if cents < 0 else ""
    return f"{sign}${int(whole):,}.{fraction.ljust(DECIMALS_MIN, '0')}"


def show(console: Console, month: Month) -> None:
    """Print all invoices, one in full, counts and times."""
    _invoices(console, month)
    buyer, invoice = month.bills[0]
    _invoice(console, buyer, invoice)
    sent, times = month.sent, month.times
    counts = Table("events", "", title="Counts", title_justify="left", show_header=False, box=SIMPLE_HEAD)
    counts.add_row("events sent", f"{sent.events:,}")
    counts.add_row("counted, each once", f"{month.counted:,}")
    counts.add_row("duplicates dropped", f"{sent.events - month.counted:,}")
    counts.add_row("came a day or more late, counted in their hour", f"{sent.late:,}")
    counts.add_row("set up", f"{times.setting_up:.1f} s")
    rate = sent.events / max(times.replaying, 0.001)
    counts.add_row(
        "replay (client and server in one process)", f"{times.replaying:.1f} s, {rate:,.0f} events/s"
    )
    counts.add_row(f"close the month, {len(month.bills)} invoices", f"{times.closing:.1f} s")
    console.print(counts)


def _invoices(console: Console, month: Month) -> None:
    table = Table("customer", "period", "status", title="Invoices", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("total", justify="right", no_wrap=True)
    for buyer, invoice in month.bills:
        table.add_row(buyer.name, _period(invoice), invoice["status"], dollars(invoice["total"]))
    table.add_section()
    table.add_row("all", "", "", dollars(month.cents))
    console.print(table)


def _invoice(console: Console, buyer: Buyer, invoice: dict[str, Any]) -> None:
    title = f"{buyer.name}: invoice {invoice['id']}"
    table = Table("product", "model", "workload", "from", title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in ("quantity", "price", "total"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in invoice["line_items"]:
        table.add_row(
            line["name"],
            (line.get("pricing_group_values") or {}).get("model", ""),
            (line.get("presentation_group_values") or {}).get("workload") or "",
            f"{parse_instant(line['starting_at']):%d %b}" if "starting_at" in line else "",
            plain(Decimal(line["quantity"])) if "quantity" in line else "",
            dollars(line["unit_price"]) if "unit_price" in line else "",
            dollars(line["total"]),
        )
    table.add_section()
    table.add_row("total", "", "", "", "", "", dollars(invoice["total"]))
    console.print(table)
    console.print(
        "Quantities and prices are per million tokens and thousand requests; nothing is rounded.", style="dim"
    )


def _period(invoice: dict[str, Any]) -> str:
    start, end = parse_instant(invoice["start_timestamp"]), parse_instant(invoice["end_timestamp"])
    return f"{start:%d %b} to {end:%d %b %Y}"


def show_next(
    console: Console, data: Path, token: str, customer_id: str, *, url: str | None, now: datetime
) -> None:
    """Print what to try next; with `url` the server goes on running there."""
    address = url or "http://127.0.0.1:8080"
    # After `make demo` the command lies in the checkout's own environment, not on the PATH.
    command = "tallybook" if shutil.which("tallybook") else sys.argv[0]
    console.rule("What to try next")
    if url is None:
        console.print("Serve this month again (its sandbox stands at", f"{now:%d %b %Y %H:%M} UTC):")
        console.print(f"  {command} serve --data {data}\n", highlight=False, soft_wrap=True)
    console.print("Ask for an invoice:")
    console.print(
        f"  curl -s -H 'Authorization: Bearer {token}' \\\n"
        f"    {address}/v1/customers/{customer_id}/invoices\n",
        highlight=False,
        soft_wrap=True,
    )
    console.print("The same with the official Python client (pip install metronome-sdk):")
    console.print(
        "  from metronome import Metronome\n"
        f'  client = Metronome(bearer_token="{token}", base_url="{address}")\n'
        f'  for invoice in client.v1.customers.invoices.list(customer_id="{customer_id}"):\n'
        "      print(invoice.status, invoice.total)\n",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"Load your own usage: {command} ingest --help; every operation: {address}/docs",
        highlight=False,
        soft_wrap=True,
    )


def summary(month: Month, data: Path, token: str) -> dict[str, Any]:
    """The month, for programs."""
    return {
        "data": str(data),
        "sandbox_token": token,
        "events_sent": month.sent.events,
        "events_counted": month.counted,
        "events_late": month.sent.late,
        "invoices": [
            {
                "customer": buyer.name,
                "customer_id": buyer.id,
                "id": invoice["id"],
                "status": invoice["status"],
                "starting_at": format_instant(parse_instant(invoice["start_timestamp"])),
                "ending_before": format_instant(parse_instant(invoice["end_timestamp"])),
                "cents": plain(Decimal(invoice["total"])),
            }
            for buyer, invoice in month.bills
        ],
        "cents": plain(month.cents),
        "seconds": {
            "setting_up": round(month.times.setting_up, 3),
            "replaying": round(month.times.replaying, 3),
            "closing": round(month.times.closing, 3),
        },
    }
