"""The command line. One file or folder per command group; tables for people, `--json` for programs.

Exit codes: 0 done, 1 the work failed or was only partly done, 2 the command was used wrongly.
"""

import sys

import typer

from tallybook.cli import demo, ingest, rebuilding, serving, tokens, upkeep, verifying
from tallybook.cli.common import complain
from tallybook.values.errors import TallybookError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Usage-based billing, exact and self-hosted.",
)
app.command("serve")(serving.serve)
app.command("worker")(upkeep.worker)
app.command("migrate")(upkeep.migrate)
app.command("verify")(verifying.verify_command)
app.command("rebuild")(rebuilding.rebuild_command)
app.command("ingest")(ingest.ingest)
app.command("demo")(demo.demo)
app.add_typer(tokens.app, name="token")


def main() -> None:
    """Run the command line; a known problem ends it with one line and status 2."""
    try:
        app()
    except TallybookError as error:
        complain(error.message)
        sys.exit(2)
