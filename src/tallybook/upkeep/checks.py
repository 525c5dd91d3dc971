"""What a check is, and what it finds.

A check sees every accepted event of the log, worked out anew, and then tells where what is stored
differs. A new one is a class with these members and a line in `upkeep.verify`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tallybook.adapters.log.sqlite import LogRow
from tallybook.values.event import Event


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is stored otherwise than it follows from the log."""

    check: str
    place: str
    """What differs: a cell, a row, a file, an invoice."""
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.place}: {self.message}"


class Check(Protocol):
    """Compares one kind of stored things with the log."""

    name: str
    compared: int
    """How many things were compared."""
    note: str | None
    """What could not be compared, and why; None when everything was."""

    def see(self, row: LogRow, events: Sequence[Event]) -> None:
        """Take the accepted events of a row; rows come in order."""
        ...

    def differences(self) -> Iterator[Difference]:
        """Compare; called once, after the last row."""
        ...


class Unseeing:
    """A check that needs no events."""

    compared = 0
    note: str | None = None

    def see(self, row: LogRow, events: Sequence[Event]) -> None:
        """Pass over the events."""
