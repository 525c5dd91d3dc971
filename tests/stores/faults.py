"""SQLite connections that fail, or whose process dies, at the n-th operation."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


class Killed(BaseException):
    """The process is gone: nothing catches it, and nothing of it reaches the disk any more."""


class Plan:
    """What happens at which operation.

    `error`: it fails once, as on a disk that does not answer. `before` and `after`: the process is
    killed before or after it was done, and every later operation, of whichever thread, is not.
    """

    def __init__(self, number: int, kind: str) -> None:
        self.number, self.kind = number, kind
        self.done: list[str] = []
        self.is_dead = False
        self.connections: list[sqlite3.Connection] = []
        self._lock = Lock()

    @property
    def has_struck(self) -> bool:
        """Whether the operation was reached."""
        return len(self.done) > self.number

    def run(self, statement: str, operation: Callable[[], Any]) -> Any:
        """Do an operation, or what the plan says instead."""
        with self._lock:
            if self.is_dead:
                raise Killed(statement)
            number = len(self.done)
            self.done.append(statement)
            strikes = number == self.number
            if strikes and self.kind == "before":
                self.is_dead = True
        if self.is_dead:
            raise Killed(statement)
        if strikes and self.kind == "error":
            raise sqlite3.OperationalError("disk I/O error")
        answer = operation()
        if strikes and self.kind == "after":
            self.is_dead = True
            raise Killed(statement)
        return answer


@contextmanager
def striking(plan: Plan) -> Iterator[Plan]:
    """Follow a plan for every connection that is opened within the block; all are closed after it."""

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *given: Any) -> Any:
            return plan.run(statement, lambda: super(Connection, self).execute(statement, *given))

    connect = sqlite3.connect

    def connect_faulty(*given: Any, **named: Any) -> sqlite3.Connection:
        opened = connect(*given, **named, factory=Connection)
        plan.connections.append(opened)
        return opened

    sqlite3.connect = connect_faulty  # type: ignore[assignment]
    try:
        yield plan
    finally:
        sqlite3.connect = connect
        for opened in plan.connections:
            opened.close()  # whatever was not committed is undone, as when a process ends
