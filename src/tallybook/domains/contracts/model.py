"""A contract: on which terms, and in which periods, a customer is billed."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tallybook.rating.statements import StatementSchedule, statement_periods
from tallybook.values.period import Period, covers


class StatementDay(StrEnum):
    """What a statement schedule is anchored to (pricing.md 9.7)."""

    FIRST_OF_MONTH = "FIRST_OF_MONTH"
    CONTRACT_START = "CONTRACT_START"
    CUSTOM_DATE = "CUSTOM_DATE"


class MultiplierPrioritization(StrEnum):
    """Which of several multipliers rules; stored and shown, multipliers come with overrides."""

    LOWEST_MULTIPLIER = "LOWEST_MULTIPLIER"
    EXPLICIT = "EXPLICIT"


class ChargeConsolidation(StrEnum):
    """Which scheduled charges move onto usage invoices; stored and shown, charges come later."""

    ALL = "ALL"


class ContractState(StrEnum):
    """Where a contract stands at an instant; derived, never stored (pricing.md 9.4)."""

    UPCOMING = "upcoming"
    ACTIVE = "active"
    ENDED = "ended"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The terms of one customer over `[starting_at, ending_before)`; an absent end means for ever.

    `billed_until` is the end of the last statement period whose usage invoice is final; None before
    the first.
    """

    id: str
    customer_id: str
    name: str | None
    uniqueness_key: str | None
    starting_at: datetime
    ending_before: datetime | None
    rate_card_id: str | None
    net_payment_terms_days: int | None
    schedule: StatementSchedule
    total_contract_value: Decimal | None
    multiplier_override_prioritization: MultiplierPrioritization
    scheduled_charges_on_usage_invoices: ChargeConsolidation | None
    netsuite_sales_order_id: str | None
    salesforce_opportunity_id: str | None
    billing_provider_configuration_id: str | None
    revenue_system_configuration_id: str | None
    created_at: datetime
    created_by: str
    archived_at: datetime | None
    billed_until: datetime | None

    def next_statement(self) -> Period | None:
        """The first statement period that is not billed; None when archived or none is left."""
        if self.archived_at is not None:
            return None
        periods = statement_periods(
            self.schedule, self.starting_at, self.ending_before, since=self.billed_until
        )
        return next(periods, None)

    def covers(self, instant: datetime) -> bool:
        """Whether the contract's term contains `instant`."""
        return covers(self.starting_at, self.ending_before, instant)

    def state_at(self, instant: datetime) -> ContractState:
        """Where the contract stands at `instant` (pricing.md 9.4)."""
        if self.archived_at is not None and self.archived_at <= instant:
            return ContractState.ARCHIVED
        if instant < self.starting_at:
            return ContractState.UPCOMING
        return ContractState.ACTIVE if self.covers(instant) else ContractState.ENDED
