"""A contract: on which terms, and in which periods, a customer is billed."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tallybook.rating.statements import StatementSchedule, first_of_month, statement_periods
from tallybook.values.cased import CasedEnum
from tallybook.values.errors import Invalid
from tallybook.values.instant import EPOCH, format_instant, require_on_the_hour
from tallybook.values.period import Period, covers

PAYMENT_TERMS_DAYS_MAX = 36_500


class StatementDay(CasedEnum):
    """What a statement schedule is anchored to (pricing.md 9.7)."""

    FIRST_OF_MONTH = "FIRST_OF_MONTH"
    CONTRACT_START = "CONTRACT_START"
    CUSTOM_DATE = "CUSTOM_DATE"


class MultiplierPrioritization(CasedEnum):
    """Which of several multipliers rules; stored and shown, multipliers come with overrides."""

    LOWEST_MULTIPLIER = "LOWEST_MULTIPLIER"
    EXPLICIT = "EXPLICIT"


class ChargeConsolidation(CasedEnum):
    """Which scheduled charges move onto usage invoices; stored and shown, charges come later."""

    ALL = "ALL"


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


def check_term(starting_at: datetime, ending_before: datetime | None) -> None:
    """Raise Invalid unless both dates are on full hours, from 1970 on, and the end is after the start."""
    require_on_the_hour(starting_at, "starting_at")
    if starting_at < EPOCH:
        raise Invalid(f"starting_at: {format_instant(starting_at)} is before 1970; begin the contract later")
    if ending_before is None:
        return
    require_on_the_hour(ending_before, "ending_before")
    if ending_before <= starting_at:
        message = (
            f"ending_before: {format_instant(ending_before)} is not after the start, "
            f"{format_instant(starting_at)}; use a later date, or leave it out for an open end"
        )
        raise Invalid(message)


def anchor_of(day: StatementDay, starting_at: datetime, billing_anchor_date: datetime | None) -> datetime:
    """The instant from which statement periods are stepped (pricing.md 9.7).

    Raises Invalid when CUSTOM_DATE comes without a date, or a date without CUSTOM_DATE.
    """
    path = "usage_statement_schedule.billing_anchor_date"
    if day is StatementDay.CUSTOM_DATE:
        if billing_anchor_date is None:
            raise Invalid(f"{path}: required when day is CUSTOM_DATE; add it or choose another day")
        return require_on_the_hour(billing_anchor_date, path)
    if billing_anchor_date is not None:
        raise Invalid(f"{path}: only used when day is CUSTOM_DATE; remove it or set day to CUSTOM_DATE")
    return starting_at if day is StatementDay.CONTRACT_START else first_of_month(starting_at)


def payment_terms_of(days: Decimal | None) -> int | None:
    """The whole days until an invoice is to be paid; raises Invalid for anything else."""
    if days is None:
        return None
    if days != days.to_integral_value() or not 0 <= days <= PAYMENT_TERMS_DAYS_MAX:
        message = f"net_payment_terms_days: send a whole number of days, 0 to {PAYMENT_TERMS_DAYS_MAX}"
        raise Invalid(message)
    return int(days)
