"""`tallybook token`: create, list and revoke API tokens."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tallybook.adapters.sql.engine import open_sqlite
from tallybook.app import ENVIRONMENTS
from tallybook.cli.common import ExistingDataOption, JsonOption, give, require_installation, say
from tallybook.kit.http.auth import Tokens
from tallybook.values.errors import Invalid
from tallybook.values.instant import format_instant

_ID = re.compile(r"[0-9a-f]{12}")

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API tokens.")


@app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Whose token it is; shown in lists and as the actor.")],
    environment: Annotated[str, typer.Option(help="production or sandbox.")] = "sandbox",
    data: ExistingDataOption = Path("data"),
    read_only: Annotated[bool, typer.Option("--read-only", help="A token that cannot write.")] = False,  # noqa: FBT002  # a flag of the command line
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Create a token and print it once."""
    if environment not in ENVIRONMENTS:
        raise Invalid(f"--environment: {environment!r} is none of {', '.join(ENVIRONMENTS)}")
    text = _tokens(data).create(
        name=name, environment=environment, now=datetime.now(UTC), is_read_only=read_only
    )
    if as_json:
        give({"token": text})
    else:
        say(text)


@app.command("list")
def list_tokens(data: ExistingDataOption = Path("data"), as_json: JsonOption = False) -> None:  # noqa: FBT002  # a flag
    """List tokens; their texts are not kept."""
    rows = [
        {
            "id": token.id,
            "name": token.name,
            "environment": token.environment,
            "read_only": token.is_read_only,
            "created_at": format_instant(token.created_at),
            "revoked_at": None if token.revoked_at is None else format_instant(token.revoked_at),
        }
        for token in _tokens(data).list()
    ]
    if as_json:
        give(rows)
        return
    table = Table("id", "name", "environment", "read only", "created at", "revoked at")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


@app.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="An id from 'tallybook token list'.")],
    data: ExistingDataOption = Path("data"),
    as_json: JsonOption = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Refuse a token from now on; a running server notices within seconds."""
    if _ID.fullmatch(token_id) is None:
        raise Invalid(f"{token_id!r} is not a token's id; see 'tallybook token list'")
    _tokens(data).revoke(token_id, datetime.now(UTC))
    if as_json:
        give({"revoked": token_id})
    else:
        say(f"revoked {token_id}")


def _tokens(data: Path) -> Tokens:
    require_installation(data)
    return Tokens(open_sqlite(data / "control.db"))
