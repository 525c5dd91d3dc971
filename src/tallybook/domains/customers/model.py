"""A customer and the pure rules about its name, keys and billable status."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

NAME_LENGTH = 160
ALIASES_MAX = 2_000


class BillableStatus(StrEnum):
    """Whether a customer's invoices are to be collected."""

    BILLABLE = "billable"
    UNBILLABLE = "unbillable"


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One setting of the billable status; `added` counts settings, so that later ones win ties."""

    status: BillableStatus
    effective_at: datetime
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who is billed. `aliases` keep the order in which they were given."""

    id: str
    name: str
    aliases: tuple[str, ...]
    salesforce_account_id: str | None
    leave_stripe_invoices_in_draft: bool | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    status_changes: tuple[StatusChange, ...]

    @property
    def external_id(self) -> str:
        """The first key usable in events: the first alias, else the id (metering.md 1.4)."""
        return self.aliases[0] if self.aliases else self.id

    @property
    def usage_keys(self) -> frozenset[str]:
        """The keys under which the customer's usage arrives: its id and its aliases (metering.md 1.4)."""
        return frozenset((self.id, *self.aliases))

    def status_at(self, instant: datetime) -> StatusChange | None:
        """The change of billable status in force at `instant`; None while none is."""
        past = [change for change in self.status_changes if change.effective_at <= instant]
        return max(past, key=lambda change: (change.effective_at, change.added), default=None)

    def billable_status_at(self, instant: datetime) -> BillableStatus:
        """Whether invoices are to be collected at `instant`: yes, until something else is said."""
        change = self.status_at(instant)
        return change.status if change else BillableStatus.BILLABLE


def cut_name(name: str) -> str:
    """The first 160 characters: longer names are cut, not refused (metering.md 6.10)."""
    return name[:NAME_LENGTH]


def merge_aliases(aliases: Sequence[str], external_id: str | None = None) -> tuple[str, ...]:
    """The aliases without repeats, in order, the deprecated single one first.

    >>> merge_aliases(["a", "b", "a"], external_id="b")
    ('b', 'a')
    """
    first = [] if external_id is None else [external_id]
    return tuple(dict.fromkeys([*first, *aliases]))
