"""The transaction that services receive. The edge opens and ends it; services and stores never do.

`ReadTx` sees one consistent state of an environment's catalogue and can only read; `Tx` may also
write. Both carry everything a use case may know of the world: the SQL connection, metered usage,
the present instant, the vault for secrets, and who is asking.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import Connection, Engine

from tallybook.kit.db.faults import store_faults
from tallybook.kit.vault import Vault
from tallybook.ports import Clock, EventSink, RawEvents, UsageReader


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTx:
    """A consistent view of one environment at one instant."""

    environment: str
    sql: Connection
    usage: UsageReader
    raw: RawEvents
    now: datetime
    grace: timedelta
    vault: Vault
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx(ReadTx):
    """A view that may also write; all its writes are stored together or not at all."""

    after_commit: list[Callable[[], None]] = field(default_factory=list)
    """Run in order once the writes are durable; never when they are not."""

    def new_id(self) -> str:
        """A fresh random UUID for an object created in this transaction."""
        return str(uuid4())


AnyTx = TypeVar("AnyTx", bound=ReadTx)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One isolated set of data with its own clock: `production` or `sandbox`."""

    name: str
    engine: Engine
    clock: Clock
    usage: UsageReader
    raw: RawEvents
    events: EventSink
    vault: Vault
    grace: timedelta
    advance: Callable[[datetime], None]
    """Move the clock forward and do all work due by then; raises Conflict where it cannot move."""
    writing: Lock = field(default_factory=Lock)
    """Held while a write transaction is open, so that writers queue here and not in the database."""

    @contextmanager
    def read(self, actor: str) -> Iterator[ReadTx]:
        """Open a read-only view. Raises Unavailable when the database does not answer."""
        with store_faults(), self.engine.connect() as connection, connection.begin():
            yield self._tx(ReadTx, connection, actor)

    @contextmanager
    def write(self, actor: str) -> Iterator[Tx]:
        """Open a transaction; commit when the block ends well, else undo everything.

        Raises Unavailable when the database cannot take the writes; nothing is stored then.
        """
        with store_faults(), self.writing, self.engine.connect() as connection:
            writable = connection.execution_options(tallybook_writes=True)
            with writable.begin():
                tx = self._tx(Tx, writable, actor)
                yield tx
        for action in tx.after_commit:
            action()

    def _tx(self, kind: type[AnyTx], connection: Connection, actor: str) -> AnyTx:
        return kind(
            environment=self.name,
            sql=connection,
            usage=self.usage,
            raw=self.raw,
            now=self.clock.now(),
            grace=self.grace,
            vault=self.vault,
            actor=actor,
        )
