"""The options of `tallybook ingest`, checked and handed to the load."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import Annotated

import typer

from tallybook.cli.common import JsonOption
from tallybook.cli.ingest import report
from tallybook.cli.ingest.batches import batches_of
from tallybook.cli.ingest.checkpoint import Checkpoint, default_path, key_of
from tallybook.cli.ingest.loading import Load, Outcome
from tallybook.cli.ingest.mapping import Mapping, event_maker
from tallybook.cli.ingest.rejects import Rejects
from tallybook.cli.ingest.sender import Sender
from tallybook.cli.ingest.sources import Source
from tallybook.values.errors import Invalid

Files = Annotated[
    list[Path],
    typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV with a header, or JSON lines."),
]
Url = Annotated[str, typer.Option(help="The server.")]
TokenOption = Annotated[
    str,
    typer.Option(
        envvar="TALLYBOOK_TOKEN", show_default=False, help="A token of the environment to load into."
    ),
]
Format = Annotated[str | None, typer.Option("--format", help="csv or jsonl; else told by the file's name.")]
Columns = "Which column is what"
CustomerId = Annotated[
    str | None, typer.Option(help="One customer (id or alias) for all.", rich_help_panel=Columns)
]
CustomerColumn = Annotated[str | None, typer.Option(help="Default: customer_id.", rich_help_panel=Columns)]
EventType = Annotated[str | None, typer.Option(help="One event type for all.", rich_help_panel=Columns)]
EventTypeColumn = Annotated[str | None, typer.Option(help="Default: event_type.", rich_help_panel=Columns)]
TimestampColumn = Annotated[str | None, typer.Option(help="Default: timestamp.", rich_help_panel=Columns)]
IdColumn = Annotated[
    str | None,
    typer.Option(
        help="Default: transaction_id. Without such a column ids are derived from the rows' content: "
        "the same input gives the same ids, in any order.",
        rich_help_panel=Columns,
    ),
]
Property = Annotated[
    list[str] | None,
    typer.Option(
        "--property",
        metavar="NAME=COLUMN",
        help="A property of the event; repeatable.",
        rich_help_panel=Columns,
    ),
]
Rest = Annotated[
    bool,
    typer.Option(
        "--properties-rest",
        help="All other columns are properties too; so it is for CSV without --property.",
        rich_help_panel=Columns,
    ),
]
AssumeUtc = Annotated[
    bool,
    typer.Option(
        "--assume-utc/--no-assume-utc", help="Read times without an offset as UTC.", rich_help_panel=Columns
    ),
]
Running = "How it runs"
State = Annotated[
    Path | None,
    typer.Option(help="Where to keep how far it got; default: a file of the user.", rich_help_panel=Running),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin anew instead of going on.", rich_help_panel=Running)
]
RejectsFile = Annotated[
    Path | None, typer.Option(help="Write all rejected lines here, as JSON lines.", rich_help_panel=Running)
]
Connections = Annotated[int, typer.Option(min=1, max=64, help="Requests at once.", rich_help_panel=Running)]
RetryFor = Annotated[
    int,
    typer.Option(
        min=0, max=86_400, help="Seconds to repeat a request before giving up.", rich_help_panel=Running
    ),
]


def ingest(
    files: Files,
    token: TokenOption,
    url: Url = "http://127.0.0.1:8080",
    given_format: Format = None,
    customer_id: CustomerId = None,
    customer_column: CustomerColumn = None,
    event_type: EventType = None,
    event_type_column: EventTypeColumn = None,
    timestamp_column: TimestampColumn = None,
    transaction_id_column: IdColumn = None,
    properties: Property = None,
    properties_rest: Rest = False,  # noqa: FBT002  # a flag of the command line
    assume_utc: AssumeUtc = True,  # noqa: FBT002  # a flag of the command line
    state: State = None,
    restart: Restart = False,  # noqa: FBT002  # a flag of the command line
    rejects: RejectsFile = None,
    connections: Connections = 4,
    retry_for: RetryFor = 300,
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Load usage events from files; interrupted, the same command goes on where it stopped.

    JSON lines are events in the shape of POST /v1/ingest unless columns are named. Loading a file
    again, also shuffled, counts nothing twice. Lines that cannot be taken are reported, the others
    go on. Status: 0 all taken, 1 some rejected or not finished, 2 wrong usage.
    """
    mapping = Mapping(
        customer_id=_not_empty("--customer-id", customer_id),
        customer_column=customer_column,
        event_type=_not_empty("--event-type", event_type),
        event_type_column=event_type_column,
        timestamp_column=timestamp_column,
        transaction_id_column=transaction_id_column,
        properties=_properties(properties or []),
        takes_rest=properties_rest,
        assumes_utc=assume_utc,
    )
    if not url.startswith(("http://", "https://")):
        raise Invalid(f"--url: {url!r} is no address; e.g. http://127.0.0.1:8080")
    sources = [Source(path, given_format) for path in files]
    key = key_of(files, [source.format for source in sources], url, mapping)
    checkpoint = Checkpoint(state or default_path(key), key)
    if restart:
        checkpoint.remove()
    stopping = Flag()
    sender = Sender(
        url,
        token,
        connections=connections,
        patience_s=retry_for,
        stopping=stopping,
        troubled=report.tell_trouble,
    )
    started = time.monotonic()
    outcome = _run(sources, mapping, sender, checkpoint, rejects, stopping, connections, as_json=as_json)
    shown = str(rejects) if rejects else None
    report.tell(outcome, seconds=time.monotonic() - started, rejects=shown, as_json=as_json)
    if outcome.failure is not None or outcome.is_interrupted or outcome.progress.rejected:
        raise typer.Exit(1)


def _run(
    sources: list[Source],
    mapping: Mapping,
    sender: Sender,
    checkpoint: Checkpoint,
    rejects_path: Path | None,
    stopping: Flag,
    connections: int,
    *,
    as_json: bool,
) -> Outcome:
    inputs = [(source, event_maker(mapping, source.columns)) for source in sources]
    progress = checkpoint.read()
    bytes_total = sum(source.path.stat().st_size for source in sources)
    try:
        with (
            _stopping_on_signals(stopping),
            Rejects(rejects_path, progress.rejects_bytes) as rejects,
            report.Bar(bytes_total, progress.taken, sender, is_shown=not as_json) as bar,
        ):
            load = Load(
                sender.deliver,
                checkpoint,
                rejects,
                connections=connections,
                stopping=stopping,
                advanced=bar.advanced,
            )
            return load.run(progress, batches_of(inputs))
    finally:
        sender.close()


def _properties(given: list[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for text in given:
        name, separator, column = text.partition("=")
        if not name or not separator or not column:
            raise Invalid(f"--property: {text!r} is not NAME=COLUMN")
        if name in chosen:
            raise Invalid(f"--property: {name!r} is given twice; give it once")
        chosen[name] = column
    return chosen


def _not_empty(option: str, value: str | None) -> str | None:
    if value == "":
        raise Invalid(f"{option}: empty; give a value or leave it out")
    return value


@contextmanager
def _stopping_on_signals(stopping: Flag) -> Iterator[None]:
    """Within the block the first signal stops gracefully; a second one does what it always does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: object) -> None:
        stopping.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
