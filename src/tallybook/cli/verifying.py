"""`tallybook verify` compares all that is stored with what the events of the log make of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from tallybook.cli.common import (
    ExistingDataOption,
    JsonOption,
    complain,
    give,
    owned,
    require_installation,
    say,
)
from tallybook.upkeep import Report, at_rest, expected_steps, verify, verify_invoice
from tallybook.upkeep.switch import finish
from tallybook.upkeep.usage import EVERY_HOUR
from tallybook.values.errors import Invalid
from tallybook.values.instant import hour_of, is_on_the_hour, parse_instant

ENVIRONMENTS = ("production", "sandbox")

EnvironmentOption = Annotated[str, typer.Option("--environment", help="production, sandbox or both.")]


def verify_command(
    data: ExistingDataOption = Path("data"),
    environment: EnvironmentOption = "both",
    starting_on: Annotated[
        str | None, typer.Option("--from", help="Compare usage from this hour on, RFC 3339.")
    ] = None,
    ending_before: Annotated[
        str | None, typer.Option("--until", help="Compare usage before this hour, RFC 3339.")
    ] = None,
    invoice: Annotated[
        str | None, typer.Option(help="Rate this one invoice again, and look at nothing else.")
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Compute everything anew from the stored events and tell every difference.

    Compares the repeats found, every hourly cell of every metric, the counts and the archive with the
    log of events, read once more and slowly; and rates every final invoice again from what is kept with
    it. Changes nothing, but finishes a rebuild that was interrupted. No server may hold the folder. It
    needs room for temporary files, about 100 bytes an event (TMPDIR says where). Status: 0 all agrees,
    1 something differs, 2 wrong usage.
    """
    names = environments_of(environment)
    hours = _hours(starting_on, ending_before)
    require_installation(data)
    with owned(data):
        if invoice is not None:
            reports = _of_invoice(data, names, invoice)
        else:
            reports = [_of_environment(data, name, hours, is_shown=not as_json) for name in names]
    _tell(reports, as_json=as_json)
    if not all(report.agrees for report in reports):
        raise typer.Exit(1)


def environments_of(name: str) -> Sequence[str]:
    """The environments that an option names. Raises Invalid."""
    if name == "both":
        return ENVIRONMENTS
    if name not in ENVIRONMENTS:
        raise Invalid(f"--environment: {name!r} is none; use production, sandbox or both")
    return (name,)


def _hours(starting_on: str | None, ending_before: str | None) -> range:
    bounds = []
    for name, text, default in (
        ("--from", starting_on, EVERY_HOUR.start),
        ("--until", ending_before, EVERY_HOUR.stop),
    ):
        if text is None:
            bounds.append(default)
            continue
        instant = parse_instant(text, name)
        if not is_on_the_hour(instant):
            raise Invalid(f"{name}: {text} is not on the hour; usage is kept by whole hours")
        bounds.append(hour_of(instant))
    if bounds[0] >= bounds[1]:
        raise Invalid("--until: must be later than --from")
    return range(*bounds)


def _of_invoice(data: Path, names: Sequence[str], invoice: str) -> list[Report]:
    for name in names:
        with at_rest(data, name) as environment:
            report = verify_invoice(environment, invoice)
            if report is not None:
                return [report]
    raise Invalid(
        f"--invoice: no final invoice has the id {invoice}; drafts are rated whenever they are read"
    )


def _of_environment(data: Path, name: str, hours: range, *, is_shown: bool) -> Report:
    folder = data / name
    finish(folder)
    with at_rest(data, name) as environment, bar(is_shown=is_shown) as progress:
        task = progress.add_task(name, total=max(1, expected_steps(environment, folder)))
        report = verify(environment, folder, hours, lambda count: progress.advance(task, count))
        progress.update(task, total=1, completed=1)
    return report


@contextmanager
def bar(*, is_shown: bool) -> Iterator[Progress]:
    """A progress bar on the standard error, only where a person looks at it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (is_shown and console.is_terminal)) as progress:
        yield progress


def _tell(reports: Sequence[Report], *, as_json: bool) -> None:
    if as_json:
        told = [{**asdict(report), "agrees": report.agrees} for report in reports]
        give({"agrees": all(report.agrees for report in reports), "environments": told})
        return
    table = Table("environment", "compared", "things", "differences")
    for report in reports:
        for check in dict.fromkeys([*report.compared, *report.differences]):
            differing = report.differences.get(check, 0)
            table.add_row(report.environment, check, f"{report.compared.get(check, 0):,}", f"{differing:,}")
    Console().print(table)
    for report in reports:
        for note in report.notes:
            say(f"{report.environment}: {note}")
        for difference in report.shown:
            complain(f"{report.environment}: {difference}")
        hidden = sum(report.differences.values()) - len(report.shown)
        if hidden:
            complain(f"{report.environment}: and {hidden:,} more")
    if all(report.agrees for report in reports):
        say("everything agrees")
