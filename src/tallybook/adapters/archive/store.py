"""Every accepted raw event, archived or not, as one DuckDB view over what a question needs.

DuckDB may open nothing but the archive's files, loads no extension and cannot be told otherwise.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from tallybook.adapters.archive.damage import require_readable
from tallybook.adapters.archive.manifest import (
    DAY_MICROS,
    Manifest,
    RawScope,
    day_name,
    read_manifest,
    reading,
)
from tallybook.adapters.archive.paths import globbed, quoted
from tallybook.adapters.log.sqlite import SqliteLog
from tallybook.values.errors import Invalid, Unavailable

if TYPE_CHECKING:
    import duckdb

    from tallybook.adapters.archive.tail import Tail

MEMORY = "512MB"
SPILLED = "8GB"
THREADS = 2
_LITERALS_MAX = 64
_numbers = itertools.count()


class RawEventStore:
    """Reads accepted events. Any thread may call; each question has a connection of its own."""

    def __init__(self, folder: Path, repeats: Callable[[int, int], Mapping[int, bytes]]) -> None:
        """Read what lies in an environment's folder; its log must exist.

        `repeats` tells which events of some rows are repeats (see Follower.repeats).
        """
        self.folder = folder
        self._archive = (folder / "archive").absolute()
        self._repeats = repeats
        self._log = SqliteLog(folder / "events.db")
        self._spill = self._archive / f"reading-{os.getpid()}-{next(_numbers)}"
        self._opening = Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._tail: Tail | None = None
        self._tailing = Lock()

    @contextmanager
    def events(self, scope: RawScope) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A connection whose view `raw_events` has exactly the accepted events in scope.

        Those acknowledged before the call are among them. The connection is good until the block
        ends, for one thread. Raises Unavailable when metering lags too far behind the log, and when a
        file of the archive turns out to be unreadable inside the block; Invalid when the scope must be
        whole and begins before what is kept.
        """
        from tallybook.adapters.archive.tail import Moved  # noqa: PLC0415  # loads pyarrow

        last = self._log.stored_row()
        while True:
            with reading(self._archive) as manifest:
                _require_kept(manifest, scope)
                try:
                    with self._tailing:
                        tail = self._opened_tail().read(manifest.position, last, scope)
                except Moved:
                    if read_manifest(self._archive).position > manifest.position:
                        continue
                    message = (
                        f"{self.folder.name}/archive: it ends at row {manifest.position} and the log no "
                        "longer holds what follows; restore the folder from a backup, or go on without "
                        "those events after 'tallybook rebuild --from-kept-events'"
                    )
                    raise Unavailable(message) from None
                connection = self._opened().cursor()
                try:
                    with self._damage_named(manifest, scope):
                        connection.register("raw_tail", tail)
                        connection.execute(self._view(connection, manifest, scope))
                        yield connection
                finally:
                    connection.close()
            return

    def manifest(self) -> Manifest:
        """What is archived."""
        return read_manifest(self._archive)

    def status(self) -> Mapping[str, int]:
        """`archive_position` (the last row of the log that is archived), `archive_files` and more."""
        manifest = self.manifest()
        return {
            "archive_position": manifest.position,
            "archive_files": len(manifest.files),
            "archive_events": manifest.events,
            "archive_bytes": sum([file.bytes for file in manifest.files]),
        }

    def trim(self) -> None:
        """Let go of decoded events that have been archived meanwhile."""
        position = self.manifest().position
        with self._tailing:
            if self._tail is not None:
                self._tail.drop(position)

    def close(self) -> None:
        """Let go of everything; no question may be under way."""
        with self._opening:
            if self._database is not None:
                self._database.close()
                self._database = None
        self._log.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def _opened_tail(self) -> "Tail":
        from tallybook.adapters.archive.tail import Tail  # noqa: PLC0415  # loads pyarrow

        if self._tail is None:
            self._tail = Tail(self._log, self._repeats)
        return self._tail

    def _opened(self) -> "duckdb.DuckDBPyConnection":
        """The database that all connections share: one limit of memory and threads for all."""
        with self._opening:
            if self._database is None:
                shutil.rmtree(self._spill, ignore_errors=True)
                self._database = _open(self._archive, self._spill)
            return self._database

    @contextmanager
    def _damage_named(self, manifest: Manifest, scope: RawScope) -> Iterator[None]:
        """Raise Unavailable where a query fails because a file in scope cannot be read."""
        import duckdb  # noqa: PLC0415  # loaded long since

        try:
            yield
        except (duckdb.InterruptException, duckdb.OutOfMemoryException):
            raise
        except duckdb.Error as error:
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                with self._opening:
                    self._database = None  # it answers nothing from now on
            files = [file for file in manifest.files if file.may_hold(scope)]
            with self._opened().cursor() as connection:
                require_readable(connection, self._archive, files)
            raise

    def _view(self, connection: "duckdb.DuckDBPyConnection", manifest: Manifest, scope: RawScope) -> str:
        files = [file for file in manifest.files if file.may_hold(scope)]
        parts = ["SELECT * FROM raw_tail"]
        if files:
            paths = ", ".join(quoted(globbed(str(self._archive / file.path))) for file in files)
            where = [f"timestamp >= {scope.micros_from}", f"timestamp < {scope.micros_until}"]
            if scope.customer_keys is not None:
                where.append(_among(connection, scope.customer_keys))
            parts.append(
                f"SELECT * FROM read_parquet([{paths}], hive_partitioning = false) "  # noqa: S608  # ours
                f"WHERE {' AND '.join(where)}"
            )
        return f"CREATE TEMP VIEW raw_events AS {' UNION ALL '.join(parts)}"


def _require_kept(manifest: Manifest, scope: RawScope) -> None:
    day = manifest.kept_from_day
    if scope.is_whole and day is not None and scope.micros_from < day * DAY_MICROS:
        raise Invalid(
            f"raw events of days before {day_name(day)} are no longer kept, so nothing can be computed from "
            "them; begin the question there, or later"
        )


def _open(archive: Path, spill: Path) -> "duckdb.DuckDBPyConnection":
    import duckdb  # noqa: PLC0415  # only where raw events are asked for

    from tallybook.adapters.sql_metrics.numbers import install  # noqa: PLC0415  # the same

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": THREADS,
            "memory_limit": MEMORY,
            "temp_directory": str(spill),
            "max_temp_directory_size": SPILLED,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )
    install(connection)
    for statement in (
        "SET GLOBAL TimeZone = 'UTC'",
        f"SET allowed_directories = [{quoted(str(archive))}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


def _among(connection: "duckdb.DuckDBPyConnection", keys: frozenset[str]) -> str:
    """A condition on the customer. Few keys as literals, which files are skipped by best."""
    ordered = sorted(keys)
    if not ordered:
        return "false"
    if len(ordered) <= _LITERALS_MAX and not any("\0" in key for key in ordered):
        return f"customer_id IN ({', '.join(map(quoted, ordered))})"
    import pyarrow as pa  # noqa: PLC0415

    connection.register("raw_keys", pa.table({"key": pa.array(ordered, pa.string())}))
    return "customer_id IN (SELECT key FROM raw_keys)"
