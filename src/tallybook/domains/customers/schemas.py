"""Wire shapes of customers and their conversions."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from tallybook.domains import integrations
from tallybook.domains.customers.model import ALIASES_MAX, BillableStatus, Customer, merge_aliases
from tallybook.domains.customers.service import CustomerDraft, CustomerFilter
from tallybook.kit.http.paging import PageQuery
from tallybook.kit.http.wire import (
    UNSET,
    CustomFields,
    Instant,
    Request,
    Response,
    Text,
    UnsetType,
    Uuid,
    or_unset,
)
from tallybook.values.errors import Invalid

Alias = Annotated[str, Meta(min_length=1, max_length=128)]
Aliases = Annotated[list[Alias], Meta(max_length=ALIASES_MAX)]
Some = Meta(max_length=500)
"""Bounds lists whose items are each looked up and stored apart."""


class InlineBillingConfigurationRequest(Request, frozen=True):
    """A billing-provider configuration given with a new customer."""

    billing_provider: integrations.InlineBillingProvider
    configuration: dict[str, Any] | None = None
    delivery_method: integrations.DeliveryMethod | None = None
    delivery_method_id: Uuid | None = None
    tax_provider: integrations.TaxProvider | None = None

    def to_draft(self) -> integrations.ConfigurationDraft:
        """The draft that integrations take."""
        return integrations.ConfigurationDraft(
            provider=self.billing_provider,
            configuration=self.configuration or {},
            delivery_method=self.delivery_method,
            delivery_method_id=self.delivery_method_id,
            tax_provider=self.tax_provider,
        )


class InlineRevenueConfigurationRequest(Request, frozen=True):
    """A revenue-system configuration given with a new customer."""

    provider: integrations.RevenueProvider
    configuration: dict[str, Any] | None = None
    delivery_method: integrations.RevenueDeliveryMethod | None = None
    delivery_method_id: Uuid | None = None

    def to_draft(self) -> integrations.ConfigurationDraft:
        """The draft that integrations take."""
        return integrations.ConfigurationDraft(
            provider=self.provider,
            configuration=self.configuration or {},
            delivery_method=self.delivery_method,
            delivery_method_id=self.delivery_method_id,
        )


class CreateCustomerRequest(Request, frozen=True):
    """A customer to create."""

    name: Text
    ingest_aliases: Aliases | None = None
    external_id: Alias | None = None
    customer_billing_provider_configurations: (
        Annotated[list[InlineBillingConfigurationRequest], Some] | None
    ) = None
    customer_revenue_system_configurations: (
        Annotated[list[InlineRevenueConfigurationRequest], Some] | None
    ) = None
    custom_fields: CustomFields | None = None

    def to_draft(self) -> CustomerDraft:
        """The draft that the service takes. Raises Invalid."""
        aliases = merge_aliases(self.ingest_aliases or (), self.external_id)
        if len(aliases) > ALIASES_MAX:
            message = (
                f"external_id: one more than {ALIASES_MAX} aliases; leave it out, or one of ingest_aliases"
            )
            raise Invalid(message)
        return CustomerDraft(
            name=self.name,
            aliases=aliases,
            custom_fields=self.custom_fields or {},
            billing_provider_configurations=[
                item.to_draft() for item in self.customer_billing_provider_configurations or ()
            ],
            revenue_system_configurations=[
                item.to_draft() for item in self.customer_revenue_system_configurations or ()
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

    name: Text


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


class BillingConfigurationRequest(Request, frozen=True):
    """A billing-provider configuration for a customer."""

    customer_id: Uuid
    billing_provider: integrations.BillingProvider
    configuration: dict[str, Any] | None = None
    delivery_method: integrations.DeliveryMethod | None = None
    delivery_method_id: Uuid | None = None
    tax_provider: integrations.TaxProvider | None = None

    def to_draft(self) -> integrations.ConfigurationDraft:
        """The draft that integrations take."""
        return integrations.ConfigurationDraft(
            provider=self.billing_provider,
            configuration=self.configuration or {},
            delivery_method=self.delivery_method,
            delivery_method_id=self.delivery_method_id,
            tax_provider=self.tax_provider,
        )


class RevenueConfigurationRequest(Request, frozen=True):
    """A revenue-system configuration for a customer; it travels directly unless an id says otherwise."""

    customer_id: Uuid
    provider: integrations.RevenueProvider
    configuration: dict[str, Any]
    delivery_method_id: Uuid | None = None

    def to_draft(self) -> integrations.ConfigurationDraft:
        """The draft that integrations take."""
        direct = integrations.RevenueDeliveryMethod.DIRECT_TO_BILLING_PROVIDER
        return integrations.ConfigurationDraft(
            provider=self.provider,
            configuration=self.configuration,
            delivery_method=direct if self.delivery_method_id is None else None,
            delivery_method_id=self.delivery_method_id,
        )


class SetBillingConfigurationsRequest(Request, frozen=True):
    """Configurations to store together, of any customers."""

    data: Annotated[list[BillingConfigurationRequest], Some]


class SetRevenueConfigurationsRequest(Request, frozen=True):
    """Configurations to store together, of any customers."""

    data: Annotated[list[RevenueConfigurationRequest], Some]


class GetBillingConfigurationsRequest(Request, frozen=True):
    """Whose configurations to read."""

    customer_id: Uuid
    include_archived: bool | None = None


class GetRevenueConfigurationsRequest(Request, frozen=True):
    """Whose configurations to read."""

    customer_id: Uuid
    provider: integrations.RevenueProvider | None = None
    include_archived: bool | None = None


class ArchiveBillingConfigurationsRequest(Request, frozen=True):
    """Which configurations of a customer to archive."""

    customer_id: Uuid
    customer_billing_provider_configuration_ids: Annotated[list[Uuid], Some]


class ArchiveRevenueConfigurationsRequest(Request, frozen=True):
    """Which configurations of a customer to archive."""

    customer_id: Uuid
    customer_revenue_system_configuration_ids: Annotated[list[Uuid], Some]


class BillingConfigRequest(Request, frozen=True):
    """The older form of a billing-provider configuration; the path names the provider."""

    billing_provider_customer_id: Text
    stripe_collection_method: integrations.CollectionMethod | None = None
    aws_customer_account_id: str | None = None
    aws_customer_id: str | None = None
    aws_product_code: str | None = None
    aws_region: str | None = None

    def keys(self) -> dict[str, str]:
        """The configuration keys that were given, beside the customer's id."""
        names = [name for name in self.__struct_fields__ if name != "billing_provider_customer_id"]
        return {name: str(value) for name in names if (value := getattr(self, name)) is not None}


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


class NewBillingConfigurationResponse(Response, frozen=True):
    """A billing-provider configuration as it was stored."""

    id: str
    billing_provider: integrations.BillingProvider
    customer_id: str
    configuration: dict[str, Any]
    delivery_method_id: str
    tax_provider: integrations.TaxProvider | UnsetType = UNSET


class BillingConfigurationResponse(NewBillingConfigurationResponse, frozen=True, kw_only=True):
    """A billing-provider configuration with what is shown of its delivery method."""

    delivery_method: integrations.DeliveryMethod
    delivery_method_configuration: dict[str, Any]
    archived_at: datetime | None


class RevenueConfigurationResponse(Response, frozen=True):
    """A revenue-system configuration with what is shown of its delivery method."""

    id: str
    provider: integrations.RevenueProvider
    customer_id: str
    configuration: dict[str, Any]
    delivery_method_id: str
    delivery_method: integrations.DeliveryMethod
    delivery_method_configuration: dict[str, Any]
    archived_at: datetime | None


class ArchivedBillingConfigurationsResponse(Response, frozen=True):
    """Which configurations were archived."""

    customer_id: str
    customer_billing_provider_configuration_ids: list[str]


class ArchivedRevenueConfigurationsResponse(Response, frozen=True):
    """Which configurations were archived."""

    customer_id: str
    customer_revenue_system_configuration_ids: list[str]


class BillingConfigResponse(Response, frozen=True):
    """The older form of a billing-provider configuration; what it does not hold is left out."""

    billing_provider_customer_id: str | UnsetType = UNSET
    stripe_collection_method: str | UnsetType = UNSET
    aws_customer_account_id: str | UnsetType = UNSET
    aws_customer_id: str | UnsetType = UNSET
    aws_product_code: str | UnsetType = UNSET
    aws_region: str | UnsetType = UNSET
    aws_is_subscription_product: bool | UnsetType = UNSET


def new_configuration_to_wire(
    configuration: integrations.CustomerConfiguration,
) -> NewBillingConfigurationResponse:
    """The answer to storing a billing-provider configuration."""
    return NewBillingConfigurationResponse(
        id=configuration.id,
        billing_provider=configuration.provider,
        customer_id=configuration.customer_id,
        configuration=configuration.configuration,
        delivery_method_id=configuration.delivery_method_id,
        tax_provider=or_unset(configuration.tax_provider),
    )


def billing_configuration_to_wire(
    configuration: integrations.CustomerConfiguration,
) -> BillingConfigurationResponse:
    """A billing-provider configuration as it is read."""
    return BillingConfigurationResponse(
        id=configuration.id,
        billing_provider=configuration.provider,
        customer_id=configuration.customer_id,
        configuration=configuration.configuration,
        delivery_method_id=configuration.delivery_method_id,
        delivery_method=configuration.delivery_method,
        delivery_method_configuration=configuration.delivery_method_configuration,
        tax_provider=or_unset(configuration.tax_provider),
        archived_at=configuration.archived_at,
    )


def revenue_configuration_to_wire(
    configuration: integrations.CustomerConfiguration,
) -> RevenueConfigurationResponse:
    """A revenue-system configuration as it is stored and read."""
    return RevenueConfigurationResponse(
        id=configuration.id,
        provider=integrations.RevenueProvider(configuration.provider.value),
        customer_id=configuration.customer_id,
        configuration=configuration.configuration,
        delivery_method_id=configuration.delivery_method_id,
        delivery_method=configuration.delivery_method,
        delivery_method_configuration=configuration.delivery_method_configuration,
        archived_at=configuration.archived_at,
    )


def billing_config_to_wire(configuration: integrations.CustomerConfiguration) -> BillingConfigResponse:
    """The older form of a billing-provider configuration."""
    given = configuration.configuration
    names = BillingConfigResponse.__struct_fields__
    known = {name: given[name] for name in names if name in given}
    if configuration.reference is not None:
        known["billing_provider_customer_id"] = configuration.reference
    return BillingConfigResponse(**known)


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
    change = customer.status_at(now)
    return CustomerDetailResponse(
        id=customer.id,
        external_id=customer.external_id,
        ingest_aliases=list(customer.aliases),
        name=customer.name,
        customer_config=CustomerConfigResponse(
            salesforce_account_id=customer.salesforce_account_id,
            leave_stripe_invoices_in_draft=or_unset(customer.leave_stripe_invoices_in_draft),
        ),
        custom_fields=custom_fields,
        created_at=customer.created_at,
        updated_at=customer.updated_at,
        archived_at=customer.archived_at,
        current_billable_status=CurrentBillableStatusResponse(
            value=customer.billable_status_at(now),
            effective_at=change.effective_at if change else None,
        ),
    )


def status_to_wire(customer: Customer, now: datetime) -> SetBillableStatusResponse:
    """The answer to a change of billable status."""
    return SetBillableStatusResponse(id=customer.id, current_billable_status=customer.billable_status_at(now))
