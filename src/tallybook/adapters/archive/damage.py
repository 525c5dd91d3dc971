"""Which file of the archive cannot be read."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.adapters.archive.manifest import ArchiveFile
from tallybook.adapters.archive.paths import globbed
from tallybook.values.errors import Unavailable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def fault_of(connection: "DuckDBPyConnection", path: Path) -> str | None:
    """Why a file cannot be read to its end; None when it can."""
    import duckdb  # noqa: PLC0415  # only where something went wrong

    if not path.exists():
        return "it is missing"
    query = "SELECT max(hash(everything)) FROM read_parquet($path, hive_partitioning = false) AS everything"
    try:
        connection.execute(query, {"path": globbed(str(path))}).fetchall()
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None


def require_readable(connection: "DuckDBPyConnection", archive: Path, files: Iterable[ArchiveFile]) -> None:
    """Raise Unavailable naming the first of these files that cannot be read."""
    for file in files:
        if fault_of(connection, archive / file.path) is not None:
            raise Unavailable(
                f"{archive.parent.name}/{archive.name}/{file.path}: the file is missing or damaged and "
                "cannot be read; run 'tallybook verify' to see what else is, and 'tallybook rebuild' to make "
                "the archive anew from the log of events"
            )
