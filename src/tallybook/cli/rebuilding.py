"""`tallybook rebuild` makes everything that is derived from the log of events anew."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tallybook.cli.common import ExistingDataOption, JsonOption, give, owned, require_installation
from tallybook.cli.verifying import EnvironmentOption, bar, environments_of
from tallybook.upkeep import Rebuilt, at_rest, expected_events, rebuild
from tallybook.values.errors import Invalid


def rebuild_command(
    data: ExistingDataOption = Path("data"),
    environment: EnvironmentOption = "both",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,  # noqa: FBT002  # a flag of the command line
    from_kept_events: Annotated[  # noqa: FBT002  # a flag of the command line
        bool,
        typer.Option(
            "--from-kept-events",
            help="Go on although the beginning of the log is gone, and lose what it gave.",
        ),
    ] = False,
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Make counted usage and the archive anew from the log of events.

    For files that are lost or damaged; customers, contracts and invoices are not touched. The new files
    are made beside the old ones and switched when they are whole: interrupted at any moment, the old ones
    stay, or the next start finishes the switch. Needs as much room again as the files take. No server may
    hold the folder.
    """
    names = environments_of(environment)
    require_installation(data)
    if not yes:
        _ask(data, as_json=as_json)
    rebuilt = []
    with owned(data):
        for name in names:
            done = _of_environment(data, name, from_kept_events=from_kept_events, is_shown=not as_json)
            if done is not None:
                rebuilt.append(done)
    if as_json:
        give({"environments": [asdict(done) for done in rebuilt]})
        return
    table = Table("environment", "log rows", "events counted", "repeats", "metrics", "events archived")
    for done in rebuilt:
        counts = (done.rows, done.accepted, done.repeated, done.metrics, done.archived)
        table.add_row(done.environment, *[f"{count:,}" for count in counts])
    Console().print(table)


def _ask(data: Path, *, as_json: bool) -> None:
    """Go on only when a person says so. Raises Invalid where nobody can be asked."""
    if as_json or not Console().is_terminal:
        raise Invalid("--yes: say that the derived files may be replaced; nobody can be asked here")
    typer.confirm(f"Make counted usage and the archive in {data} anew?", abort=True)


def _of_environment(data: Path, name: str, *, from_kept_events: bool, is_shown: bool) -> Rebuilt | None:
    folder = data / name
    with at_rest(data, name) as environment, bar(is_shown=is_shown) as progress:
        task = progress.add_task(name, total=max(1, 2 * expected_events(folder)))
        done = rebuild(
            environment,
            folder,
            from_kept_events=from_kept_events,
            told=lambda count: progress.advance(task, count),
        )
        progress.update(task, total=1, completed=1)
    return done
