"""The options of `tallybook demo`, and its course."""

import logging
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from threading import Event as Flag
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tallybook.cli.common import JsonOption, give, log_to_stderr, owned
from tallybook.cli.demo.api import Api
from tallybook.cli.demo.catalogue import CUSTOMERS, Catalogue, create_catalogue
from tallybook.cli.demo.embedded import embedded
from tallybook.cli.demo.month import deliveries
from tallybook.cli.demo.replay import close_month, replay
from tallybook.cli.demo.report import Month, Times, show, show_next, summary
from tallybook.values.errors import Invalid
from tallybook.values.instant import DAY, add_months, format_instant

MONTH = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = 200_000


def demo(
    data: Annotated[
        Path | None, typer.Option(help="A new data folder to keep; default: a new temporary one.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Go on serving at the end.")] = False,  # noqa: FBT002  # a flag of the command line
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to serve on; 0 takes a free one.")] = 0,
    events: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="How many events to send.")] = EVENTS,
    seed: Annotated[int, typer.Option(help="Another seed makes up another month.")] = 1,
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Bill a made-up month of a language-model API business in an embedded sandbox.

    Creates metrics, products, prices with a change in mid-month, 50 customers and contracts; replays
    a month of usage with duplicates and late events; moves the clock past the month; shows the bills.
    """
    if data is not None and (data / "control.db").exists():
        raise Invalid(f"--data: {data} already holds an installation; name a new folder")
    folder = data or Path(tempfile.mkdtemp(prefix="tallybook-demo-"))
    log_to_stderr(logging.WARNING)
    console = Console(stderr=as_json)
    with owned(folder), embedded(folder, now=MONTH, port=port) as server:
        with Api(server.url, server.token) as api:
            month = _bill(api, console, events, seed)
        if as_json:
            give(summary(month, folder, server.token))
        else:
            show(console, month)
            now = add_months(MONTH, 1) + DAY
            url = server.url if serve else None
            show_next(console, folder, server.token, month.bills[0][0].id, url=url, now=now)
        if serve:
            _wait(console, server.url)


def _bill(api: Api, console: Console, events: int, seed: int) -> Month:
    """The whole month, from an empty sandbox to final invoices."""
    started = time.monotonic()
    with _bar(console, "catalogue, customers, contracts", CUSTOMERS) as advance:
        catalogue = create_catalogue(api, MONTH, lambda: advance(1, ""))
    set_up = time.monotonic()
    with _bar(console, "usage", events) as advance:
        days = deliveries(MONTH, catalogue.buyers, events, seed)
        sent = replay(api, days, lambda day, count: advance(count, f"{day:%d %b}"))
    replayed = time.monotonic()
    with console.status("closing the month"):
        close_month(api, add_months(MONTH, 1))
    closed = time.monotonic()
    times = Times(set_up - started, replayed - set_up, closed - replayed)
    invoices = [
        (buyer, invoice)
        for buyer in catalogue.buyers
        for invoice in api.pages(f"/v1/customers/{buyer.id}/invoices?status=FINALIZED")
    ]
    return Month(invoices, sent, _counted(api, catalogue), times)


def _counted(api: Api, catalogue: Catalogue) -> int:
    """How many events the server counted: the usage of the metric that counts requests."""
    query = {
        "billable_metrics": [{"id": catalogue.requests_metric_id}],
        "starting_on": format_instant(MONTH),
        "ending_before": format_instant(add_months(MONTH, 1)),
        "window_size": "NONE",
    }
    rows = api.post("/v1/usage", query)
    return sum(int(Decimal(row["value"] or 0)) for row in rows)


@contextmanager
def _bar(console: Console, title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    with progress:
        task = progress.add_task(title, total=total, told="")
        yield lambda count, told: progress.update(task, advance=count, told=told)


def _wait(console: Console, url: str) -> None:
    stopping = Flag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    console.print(f"serving on {url}; stop with Ctrl-C", highlight=False)
    stopping.wait()
