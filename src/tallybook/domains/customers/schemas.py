"""Wire shapes of customers and their conversions."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from tallybook.domains import integrations
from tallybook.domains.customers.model import ALIASES_MAX, BillableStatus, Customer, merge_aliases
from tallybook.domains.customers.service import CustomerDraft, CustomerFilter
from tallybook.kit.http.paging import PageQuery
from tallybook.kit.http.wire import UNSET, CustomFields, Instant, Request, Response, UnsetType, Uuid

Alias = Annotated[str, Meta(min_length=1, max_length=128)]
Aliases = Annotated[list[Alias], Meta(max_length=ALIASES_MAX)]


class BillingConfigurationRequest(Request, frozen=True):
    """A billing-provider configuration given with a new customer."""

    billing_provider: integrations.InlineBillingProvider
    configuration: dict[str, Any] | None = None
    delivery_method: integrations.DeliveryMethod | None = None
    delivery_method_id: Uuid | None = None
    tax_provider: integrations.TaxProvider | None = None


class RevenueConfigurationRequest(Request, frozen=True):
    """A revenue-system configuration given with a new customer."""

    provider: integrations.RevenueProvider
    configuration: dict[str, Any] | None = None
    delivery_method: integrations.RevenueDeliveryMethod | None = None
    delivery_method_id: Uuid | None = None


class CreateCustomerRequest(Request, frozen=True):
    """A customer to create."""

    name: Annotated[str, Meta(min_length=1)]
    ingest_aliases: Aliases | None = None
    external_id: Alias | None = None
    customer_billing_provider_configurations: list[BillingConfigurationRequest] | None = None
    customer_revenue_system_configurations: list[RevenueConfigurationRequest] | None = None
    custom_fields: CustomFields | None = None

    def to_draft(self) -> CustomerDraft:
        """The draft that the service takes."""
        return CustomerDraft(
            name=self.name,
            aliases=merge_aliases(self.ingest_aliases or (), self.external_id),
            custom_fields=self.custom_fields or {},
            billing_provider_configurations=[
                integrations.ConfigurationDraft(
                    provider=item.billing_provider,
                    configuration=item.configuration or {},
                    delivery_method=item.delivery_method,
                    delivery_method_id=item.delivery_method_id,
                    tax_provider=item.tax_provider,
                )
                for item in self.customer_billing_provider_configurations or ()
            ],
            revenue_system_configurations=[
                integrations.ConfigurationDraft(
                    provider=item.provider,
                    configuration=item.configuration or {},
                    delivery_method=item.delivery_method,
                    delivery_method_id=item.delivery_method_id,
                )
                for item in self.customer_revenue_system_configurations or ()
            ],
        )


class ListCustomersQuery(PageQuery, frozen=True):
    """Filters of the customer list."""

    ingest_alias: str | None = None
    customer_ids: Annotated[list[Uuid], Meta(max_length=100)] | None = None
    salesforce_account_ids: Annotated[list[str], Meta(max_length=100)] | None = None
    only_archived: bool | None = None

    def to_filter(self) -> CustomerFilter:
        """The filter that the service takes."""
        return CustomerFilter(
            ingest_alias=self.ingest_alias,
            customer_ids=self.customer_ids,
            salesforce_account_ids=self.salesforce_account_ids,
            is_archived=bool(self.only_archived),
        )


class SetNameRequest(Request, frozen=True):
    """A new name."""

    name: Annotated[str, Meta(min_length=1)]


class SetIngestAliasesRequest(Request, frozen=True):
    """The whole new set of aliases."""

    ingest_aliases: Aliases


class UpdateConfigRequest(Request, frozen=True):
    """Settings to change; null clears one, absence leaves it."""

    salesforce_account_id: str | UnsetType | None = UNSET
    leave_stripe_invoices_in_draft: bool | UnsetType | None = UNSET

    def changes(self) -> dict[str, object]:
        """The settings that were given."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in given.items() if value is not UNSET}


class SetBillableStatusRequest(Request, frozen=True):
    """A change of billable status."""

    customer_id: Uuid
    billable_status: BillableStatus
    effective_at: Instant


class CustomerResponse(Response, frozen=True):
    """A customer as create and rename answer."""

    id: str
    external_id: str
    ingest_aliases: list[str]
    name: str
    custom_fields: CustomFields


class CustomerConfigResponse(Response, frozen=True):
    """Settings of a customer."""

    salesforce_account_id: str | None
    leave_stripe_invoices_in_draft: bool | UnsetType = UNSET


class CurrentBillableStatusResponse(Response, frozen=True):
    """The billable status in force; `effective_at` is None when it was never set."""

    value: BillableStatus
    effective_at: datetime | None


class CustomerDetailResponse(Response, frozen=True):
    """A customer as get and list answer."""

    id: str
    external_id: str
    ingest_aliases: list[str]
    name: str
    customer_config: CustomerConfigResponse
    custom_fields: CustomFields
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    current_billable_status: CurrentBillableStatusResponse


class SetBillableStatusResponse(Response, frozen=True):
    """The status in force after a change."""

    id: str
    current_billable_status: BillableStatus


def customer_to_wire(customer: Customer, custom_fields: CustomFields) -> CustomerResponse:
    """The short form."""
    return CustomerResponse(
        id=customer.id,
        external_id=customer.external_id,
        ingest_aliases=list(customer.aliases),
        name=customer.name,
        custom_fields=custom_fields,
    )


def detail_to_wire(customer: Customer, custom_fields: CustomFields, now: datetime) -> CustomerDetailResponse:
    """The long form, with the billable status in force at `now`."""
    in_draft = customer.leave_stripe_invoices_in_draft
    change = customer.status_at(now)
    return CustomerDetailResponse(
        id=customer.id,
        external_id=customer.external_id,
        ingest_aliases=list(customer.aliases),
        name=customer.name,
        customer_config=CustomerConfigResponse(
            salesforce_account_id=customer.salesforce_account_id,
            leave_stripe_invoices_in_draft=UNSET if in_draft is None else in_draft,
        ),
        custom_fields=custom_fields,
        created_at=customer.created_at,
        updated_at=customer.updated_at,
        archived_at=customer.archived_at,
        current_billable_status=CurrentBillableStatusResponse(
            value=change.status if change else BillableStatus.BILLABLE,
            effective_at=change.effective_at if change else None,
        ),
    )


def status_to_wire(customer: Customer, now: datetime) -> SetBillableStatusResponse:
    """The answer to a change of billable status."""
    change = customer.status_at(now)
    return SetBillableStatusResponse(
        id=customer.id,
        current_billable_status=change.status if change else BillableStatus.BILLABLE,
    )
