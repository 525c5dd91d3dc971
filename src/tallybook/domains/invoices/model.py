"""An invoice as it is kept and shown, and which invoices a filter admits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tallybook.rating.model import AccountTerms, InvoiceDraft, InvoiceKind, Line, UsageSlice
from tallybook.values.cased import CasedEnum
from tallybook.values.period import Period


class InvoiceStatus(CasedEnum):
    """Where an invoice stands (invoicing.md 1.2); the grace period is still DRAFT."""

    DRAFT = "DRAFT"
    FINALIZED = "FINALIZED"
    VOID = "VOID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What an invoice shows of others: taken when it is final, as things stand while it is a draft."""

    customer_custom_fields: Mapping[str, str] = field(default_factory=dict)
    contract_custom_fields: Mapping[str, str] = field(default_factory=dict)
    product_custom_fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By product id."""
    net_payment_terms_days: int | None = None
    netsuite_sales_order_id: str | None = None
    salesforce_opportunity_id: str | None = None
    billable_status: str = "billable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that is said on an invoice, as stored with it."""

    draft: InvoiceDraft
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedFrom:
    """What a final invoice was rated from, kept so that it can be rated again to the last digit."""

    terms: AccountTerms
    usage: tuple[UsageSlice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalInvoice:
    """The columns of a stored invoice, which repeat what is in its content."""

    contract_id: str
    kind: str
    starting_at: datetime
    ending_before: datetime
    issued_at: datetime
    credit_type_id: str
    total: Decimal
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """An invoice that is known to exist but not rated yet: one open period of one contract."""

    id: str
    contract_id: str
    period: Period
    issued_at: datetime
    credit_type_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """An invoice with its lines. Money is in the unit of its credit type."""

    id: str
    customer_id: str
    status: InvoiceStatus
    content: Content

    @property
    def issued_at(self) -> datetime:
        """When it is (or is planned to be) final."""
        return self.content.draft.issued_at

    @property
    def lines(self) -> tuple[Line, ...]:
        """Its lines in the order in which they are shown."""
        return self.content.draft.lines


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFilter:
    """Which invoices to list; every filter given must be met. Dates look at the billing period."""

    status: InvoiceStatus | None = None
    kind: str | None = None
    credit_type_id: str | None = None
    contract_id: str | None = None
    starting_on: datetime | None = None
    ending_before: datetime | None = None

    def admits(self, stub: Stub) -> bool:
        """Whether an open usage invoice passes."""
        return (
            self.status in (None, InvoiceStatus.DRAFT)
            and self.kind in (None, InvoiceKind.USAGE)
            and self.credit_type_id in (None, stub.credit_type_id)
            and self.contract_id in (None, stub.contract_id)
            and (self.starting_on is None or stub.period.starting_at >= self.starting_on)
            and (self.ending_before is None or stub.period.ending_before < self.ending_before)
        )
