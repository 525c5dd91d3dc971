"""The composition root: the only file that knows which adapter stands behind which port.

Settings become open stores, stores become environments, environments and operations become one
ASGI application. Nothing below this file opens a file or reads the system clock.
"""

import asyncio
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from tallybook.adapters.archive import RawEventStore
from tallybook.adapters.archive.archiver import Archiver
from tallybook.adapters.archive.queries import RawQueries
from tallybook.adapters.clock import SandboxClock, SystemClock
from tallybook.adapters.log.committer import IngestLimits
from tallybook.adapters.routing import RoutedUsage
from tallybook.adapters.sql.engine import open_sqlite
from tallybook.adapters.sql.migrate import migrate_catalogue, migrate_control
from tallybook.applier import Metering, MeteringApart
from tallybook.domains import invoices
from tallybook.kit.db.tx import Environment
from tallybook.kit.http import metrics, openapi
from tallybook.kit.http.application import Application, Page
from tallybook.kit.http.auth import Tokens
from tallybook.kit.http.limits import RequestLimits
from tallybook.kit.http.wire import encode
from tallybook.kit.rate_limit import RateLimit
from tallybook.kit.settings import Settings
from tallybook.kit.vault import Vault
from tallybook.operations import all_operations
from tallybook.upkeep.switch import finish as finish_rebuild
from tallybook.values.errors import Conflict, Invalid, Unavailable
from tallybook.worker import Worker

ENVIRONMENTS = ("production", "sandbox")
FREE_BYTES_MIN = 64 * 1024 * 1024
"""With less room on the disk of the data folder the server says that it is not ready."""


@dataclass(slots=True)
class Tallybook:
    """A running installation: its environments, tokens, workers and HTTP application."""

    settings: Settings
    control: Engine
    tokens: Tokens
    environments: dict[str, Environment]
    workers: dict[str, Worker]
    meterings: dict[str, Metering | MeteringApart]
    raw_stores: dict[str, RawEventStore] = field(default_factory=dict)
    archivers: dict[str, Archiver] = field(default_factory=dict)
    new_tokens: dict[str, str] = field(default_factory=dict)
    """Tokens made at this start because none existed, by environment; shown once."""
    free_bytes_min: int = FREE_BYTES_MIN

    def application(self) -> Application:
        """The ASGI application that serves this installation."""
        operations = all_operations()
        document = openapi.document(operations)
        return Application(
            operations=operations,
            pages={
                "/healthz": Page("application/json", lambda: (200, b'{"status":"alive"}')),
                "/readyz": Page("application/json", self._ready, waits=True),
                "/metrics": Page("text/plain; version=0.0.4; charset=utf-8", lambda: (200, metrics.render())),
                "/openapi.json": Page("application/json", lambda: (200, document)),
                "/docs": Page("text/html; charset=utf-8", lambda: (200, openapi.page(operations))),
            },
            tokens=self.tokens,
            environments=self.environments,
            limits=RequestLimits(
                clock_ns=time.monotonic_ns,
                requests_per_second=self.settings.requests_per_second,
                slow_waiting_max=self.settings.slow_requests_waiting_max,
            ),
            shutdown=self._shutdown,
        )

    def _ready(self) -> tuple[int, bytes]:
        """Whether every store answers and events are taken and applied; 503 with a reason while not."""
        reason = self._trouble()
        if reason is None:
            return 200, b'{"status":"ready"}'
        return 503, encode({"message": reason})

    def _trouble(self) -> str | None:
        try:
            free = shutil.disk_usage(self.settings.data).free
            for environment in self.environments.values():
                with environment.engine.connect() as connection:
                    connection.exec_driver_sql("SELECT 1")
        except Exception:  # noqa: BLE001  # whatever is wrong, the answer is the same
            return "A store does not answer yet; try again shortly."
        for name, metering in self.meterings.items():
            fault = metering.fault()
            if fault is not None:
                return f"{name}: events are not taken: {fault}"
        if free < self.free_bytes_min:
            return f"The disk of the data folder is full: {free} bytes are free; make room on it."
        return None

    async def _shutdown(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Stop the workers, let the meters drain and checkpoint, close every store."""
        for worker in self.workers.values():
            worker.stop()
        for archiver in self.archivers.values():
            archiver.stop()
        for metering in self.meterings.values():
            metering.close()
        for store in self.raw_stores.values():
            store.close()
        for environment in self.environments.values():
            environment.engine.dispose()
        self.control.dispose()


def open_tallybook(settings: Settings) -> Tallybook:
    """Open (or make) the data folder and everything in it.

    Raises Unavailable when its disk does not let us, Invalid for settings that do not fit it.
    """
    try:
        return _open(settings)
    except (DBAPIError, sqlite3.Error, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        message = (
            f"--data: {settings.data} cannot be opened ({reason}); "
            "make room on its disk, or check who may write there"
        )
        raise Unavailable(message) from error


def _open(settings: Settings) -> Tallybook:
    settings.data.mkdir(parents=True, exist_ok=True)
    control = open_sqlite(settings.data / "control.db")
    migrate_control(control)
    try:
        vault = Vault(_secret_key(settings))
    except ValueError:
        message = (
            "TALLYBOOK_SECRET_KEY: not a key; use 32 random bytes in URL-safe base64, as in the file "
            "secret.key of a data folder"
        )
        raise Invalid(message) from None
    tallybook = Tallybook(settings, control, Tokens(control), {}, {}, {})
    for name in ENVIRONMENTS:
        _open_environment(tallybook, name, vault)
    _provide_tokens(tallybook)
    if settings.runs_worker:
        for worker in tallybook.workers.values():
            worker.start()
    return tallybook


def _open_environment(tallybook: Tallybook, name: str, vault: Vault) -> None:
    settings = tallybook.settings
    folder = settings.data / name
    folder.mkdir(exist_ok=True)
    clock: SystemClock | SandboxClock = SystemClock()
    if name == "sandbox":
        clock = SandboxClock(tallybook.control, name)
        if settings.sandbox_now is not None:
            _start_at(clock, settings.sandbox_now)
    finish_rebuild(folder)
    engine = open_sqlite(folder / "catalogue.db")
    migrate_catalogue(engine)
    # Tests of a price model in the sandbox need no second core; production's usage does.
    is_apart = settings.applies_apart and name == "production"
    limits = _ingest_limits(settings)
    metering: Metering | MeteringApart = (MeteringApart if is_apart else Metering)(folder, clock, limits)
    raw_store = RawEventStore(folder, metering.repeats)

    def advance(to: datetime) -> None:
        clock.move(to)
        tallybook.workers[name].run_due()

    environment = Environment(
        name=name,
        engine=engine,
        clock=clock,
        usage=RoutedUsage(metering, raw_store),
        raw=RawQueries(metering, raw_store),
        events=metering,
        vault=vault,
        grace=settings.grace,
        advance=advance,
    )
    tallybook.environments[name] = environment
    tallybook.meterings[name] = metering
    tallybook.raw_stores[name] = raw_store
    tallybook.archivers[name] = Archiver(
        raw_store, name, clock, settings.raw_events_days, needed_from=partial(_raw_events_needed, environment)
    )
    tallybook.archivers[name].start()
    tallybook.workers[name] = Worker(environment)


def _raw_events_needed(environment: Environment) -> datetime | None:
    with environment.read("archiver") as tx:
        return invoices.raw_events_needed_from(tx)


def _ingest_limits(settings: Settings) -> IngestLimits:
    per_second = settings.events_per_second
    rate = None if per_second is None else RateLimit(per_second, time.monotonic_ns)
    return IngestLimits(settings.events_waiting_max, rate)


def _start_at(clock: SandboxClock, now: datetime) -> None:
    """Start the sandbox at `now`; a clock that already stands later stays where it is."""
    try:
        clock.start(now)
    except Conflict:
        return


def _secret_key(settings: Settings) -> bytes:
    """The key that seals secrets: the one given, else the data folder's own, made on first start."""
    if settings.secret_key is not None:
        return settings.secret_key.encode()
    path = settings.data / "secret.key"
    if not path.exists():
        _write_private(path, Vault.new_key())
    return path.read_bytes()


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _provide_tokens(tallybook: Tallybook) -> None:
    """Create the tokens given as settings; with none given and none stored, make one each."""
    settings, tokens = tallybook.settings, tallybook.tokens
    given = {"production": settings.api_token, "sandbox": settings.sandbox_token}
    now = datetime.now(UTC)
    for environment, text in given.items():
        if text is not None:
            tokens.create(name=f"{environment}-admin", environment=environment, now=now, text=text)
    if not any(given.values()) and not tokens.list():
        for environment in ENVIRONMENTS:
            name = f"{environment}-admin"
            tallybook.new_tokens[environment] = tokens.create(name=name, environment=environment, now=now)
