"""Wire shapes of invoices and their conversions."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tallybook.domains.invoices.model import Invoice, InvoiceFilter, InvoiceStatus
from tallybook.domains.settings.schemas import CreditTypeReference, reference_to_wire
from tallybook.kit.http.paging import PageQuery
from tallybook.kit.http.wire import (
    UNSET,
    CustomFields,
    Instant,
    Request,
    Response,
    UnsetType,
    Uuid,
    or_unset,
)
from tallybook.rating.model import Line
from tallybook.values.cased import CasedEnum
from tallybook.values.money import FIAT_TYPES
from tallybook.values.pricing import ProductType
from tallybook.values.quantity import ZERO


class TypeFilter(CasedEnum):
    """Types an invoice can be asked for by."""

    USAGE = "USAGE"
    USAGE_CONSOLIDATED = "USAGE_CONSOLIDATED"
    SCHEDULED = "SCHEDULED"


class SortOrder(StrEnum):
    """By issue date, oldest or newest first."""

    DATE_ASC = "date_asc"
    DATE_DESC = "date_desc"


class GetInvoiceQuery(Request, frozen=True):
    """How to show an invoice."""

    skip_zero_qty_line_items: bool = False


class ListInvoicesQuery(PageQuery, frozen=True):
    """Which invoices to list, and how to show them."""

    status: InvoiceStatus | None = None
    type: TypeFilter | None = None
    skip_zero_qty_line_items: bool = False
    sort: SortOrder = SortOrder.DATE_ASC
    credit_type_id: Uuid | None = None
    contract_id: Uuid | None = None
    starting_on: Instant | None = None
    ending_before: Instant | None = None
    webhook_notification_id: str | None = None

    def to_filter(self) -> InvoiceFilter:
        """The filter that the service takes."""
        return InvoiceFilter(
            status=self.status,
            kind=None if self.type is None else self.type.value,
            credit_type_id=self.credit_type_id,
            contract_id=self.contract_id,
            starting_on=self.starting_on,
            ending_before=self.ending_before,
        )


class LineItemResponse(Response, frozen=True):
    """One line of an invoice."""

    type: str
    name: str
    total: Decimal
    credit_type: CreditTypeReference
    quantity: Decimal | UnsetType = UNSET
    unit_price: Decimal | UnsetType = UNSET
    product_id: str | UnsetType = UNSET
    product_type: str | UnsetType = UNSET
    product_tags: list[str] | UnsetType = UNSET
    product_custom_fields: CustomFields | UnsetType = UNSET
    starting_at: datetime | UnsetType = UNSET
    ending_before: datetime | UnsetType = UNSET
    pricing_group_values: dict[str, str] | UnsetType = UNSET
    presentation_group_values: dict[str, str | None] | UnsetType = UNSET


class InvoiceResponse(Response, frozen=True):
    """An invoice; `external_invoice` stays null until it is sent to a billing provider."""

    id: str
    customer_id: str
    customer_custom_fields: CustomFields
    contract_id: str
    contract_custom_fields: CustomFields
    type: str
    status: InvoiceStatus
    billable_status: str
    credit_type: CreditTypeReference
    line_items: list[LineItemResponse]
    total: Decimal
    start_timestamp: datetime
    end_timestamp: datetime
    issued_at: datetime
    external_invoice: None
    custom_fields: CustomFields
    net_payment_terms_days: int | UnsetType = UNSET
    netsuite_sales_order_id: str | UnsetType = UNSET
    salesforce_opportunity_id: str | UnsetType = UNSET


_PRODUCT_TYPES = {
    ProductType.USAGE: "UsageProductListItem",
    ProductType.FIXED: "FixedProductListItem",
    ProductType.SUBSCRIPTION: "SubscriptionProductListItem",
    ProductType.COMPOSITE: "CompositeProductListItem",
    ProductType.PRO_SERVICE: "ProServiceProductListItem",
}


def invoice_to_wire(
    invoice: Invoice,
    tags: Mapping[str, tuple[str, ...]],
    custom_fields: CustomFields,
    *,
    skips_zero_lines: bool,
) -> InvoiceResponse:
    """An invoice as it is shown; `tags` are the products' present ones, by id."""
    draft, labels = invoice.content.draft, invoice.content.labels
    return InvoiceResponse(
        id=invoice.id,
        customer_id=invoice.customer_id,
        customer_custom_fields=dict(labels.customer_custom_fields),
        contract_id=draft.contract_id,
        contract_custom_fields=dict(labels.contract_custom_fields),
        type=draft.kind.value,
        status=invoice.status,
        billable_status=labels.billable_status,
        credit_type=reference_to_wire(FIAT_TYPES[draft.credit_type_id]),
        line_items=[
            _line(line, tags, labels.product_custom_fields)
            for line in draft.lines
            if not (skips_zero_lines and line.quantity == ZERO)
        ],
        total=draft.total,
        start_timestamp=draft.period.starting_at,
        end_timestamp=draft.period.ending_before,
        issued_at=draft.issued_at,
        external_invoice=None,
        custom_fields=custom_fields,
        net_payment_terms_days=or_unset(labels.net_payment_terms_days),
        netsuite_sales_order_id=or_unset(labels.netsuite_sales_order_id),
        salesforce_opportunity_id=or_unset(labels.salesforce_opportunity_id),
    )


def _line(
    line: Line,
    tags: Mapping[str, tuple[str, ...]],
    product_fields: Mapping[str, Mapping[str, str]],
) -> LineItemResponse:
    product_id = line.product_id or ""
    presentation = dict(line.presentation_group_values)
    return LineItemResponse(
        type=line.kind.value,
        name=line.name,
        total=line.total,
        credit_type=reference_to_wire(FIAT_TYPES[line.credit_type_id]),
        quantity=or_unset(line.quantity),
        unit_price=or_unset(line.unit_price),
        product_id=or_unset(line.product_id),
        product_type=UNSET if line.product_type is None else _PRODUCT_TYPES[line.product_type],
        product_tags=list(tags.get(product_id, ())),
        product_custom_fields=dict(product_fields.get(product_id, {})),
        starting_at=or_unset(line.starting_at),
        ending_before=or_unset(line.ending_before),
        pricing_group_values=dict(line.pricing_group_values) or UNSET,
        presentation_group_values=presentation or UNSET,
    )
