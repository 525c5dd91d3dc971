"""HTTP of customers: parse, call one use case, render."""

from tallybook.domains import custom_fields, integrations
from tallybook.domains.customers import service
from tallybook.domains.customers.schemas import (
    ArchiveBillingConfigurationsRequest,
    ArchivedBillingConfigurationsResponse,
    ArchivedRevenueConfigurationsResponse,
    ArchiveRevenueConfigurationsRequest,
    BillingConfigRequest,
    BillingConfigResponse,
    BillingConfigurationResponse,
    CreateCustomerRequest,
    CustomerDetailResponse,
    CustomerResponse,
    GetBillingConfigurationsRequest,
    GetRevenueConfigurationsRequest,
    ListCustomersQuery,
    NewBillingConfigurationResponse,
    RevenueConfigurationResponse,
    SetBillableStatusRequest,
    SetBillableStatusResponse,
    SetBillingConfigurationsRequest,
    SetIngestAliasesRequest,
    SetNameRequest,
    SetRevenueConfigurationsRequest,
    UpdateConfigRequest,
    billing_config_to_wire,
    billing_configuration_to_wire,
    customer_to_wire,
    detail_to_wire,
    new_configuration_to_wire,
    revenue_configuration_to_wire,
    status_to_wire,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import delete, get, post
from tallybook.kit.http.paging import LIMIT_DEFAULT, page_of, start_after
from tallybook.kit.http.wire import Data, Empty, Page
from tallybook.values.instant import micros_of

BILLING = integrations.ConfigurationKind.BILLING
REVENUE = integrations.ConfigurationKind.REVENUE


@post("/v1/customers", "createCustomer-v1")
def create_customer(tx: Tx, body: CreateCustomerRequest) -> Data[CustomerResponse]:
    """Create a customer."""
    customer = service.create_customer(tx, body.to_draft())
    return Data(data=customer_to_wire(customer, body.custom_fields or {}))


@get("/v1/customers/{customer_id}", "getCustomer-v1")
def get_customer(tx: ReadTx, customer_id: str) -> Data[CustomerDetailResponse]:
    """Get a customer, archived ones too."""
    customer = service.get_customer(tx, customer_id)
    fields = custom_fields.read_one(tx, "customer", customer_id)
    return Data(data=detail_to_wire(customer, fields, tx.now))


@get("/v1/customers", "listCustomers-v1")
def list_customers(tx: ReadTx, query: ListCustomersQuery) -> Page[CustomerDetailResponse]:
    """List active customers, or archived ones, oldest first."""
    limit = query.limit or LIMIT_DEFAULT
    after = start_after("customers", query.next_page, (int, str))
    found = service.list_customers(tx, query.to_filter(), after, limit + 1)
    fields = custom_fields.read(tx, "customer", [customer.id for customer in found])
    return page_of(
        "customers",
        found,
        limit,
        key=lambda customer: (micros_of(customer.created_at), customer.id),
        render=lambda customer: detail_to_wire(customer, fields.get(customer.id, {}), tx.now),
    )


@post("/v1/customers/{customer_id}/setIngestAliases", "setIngestAliases-v1")
def set_ingest_aliases(tx: Tx, customer_id: str, body: SetIngestAliasesRequest) -> Empty:
    """Replace the customer's aliases; their usage follows at once."""
    service.set_ingest_aliases(tx, customer_id, body.ingest_aliases)
    return Empty()


@post("/v1/customers/{customer_id}/setName", "setCustomerName-v1")
def set_customer_name(tx: Tx, customer_id: str, body: SetNameRequest) -> Data[CustomerResponse]:
    """Rename a customer."""
    customer = service.set_name(tx, customer_id, body.name)
    fields = custom_fields.read_one(tx, "customer", customer_id)
    return Data(data=customer_to_wire(customer, fields))


@post("/v1/customers/{customer_id}/updateConfig", "updateCustomerConfig-v1")
def update_customer_config(tx: Tx, customer_id: str, body: UpdateConfigRequest) -> Empty:
    """Change a customer's settings."""
    service.update_config(tx, customer_id, body.changes())
    return Empty()


@post("/v1/customers/setBillableStatus", "setCustomerBillableStatus-v1")
def set_customer_billable_status(tx: Tx, body: SetBillableStatusRequest) -> Data[SetBillableStatusResponse]:
    """Say from when on a customer's invoices are billable or not."""
    customer = service.set_billable_status(tx, body.customer_id, body.billable_status, body.effective_at)
    return Data(data=status_to_wire(customer, tx.now))


@post("/v1/setCustomerBillingProviderConfigurations", "setCustomerBillingProviderConfigurations-v1")
def set_billing_configurations(
    tx: Tx, body: SetBillingConfigurationsRequest
) -> Data[list[NewBillingConfigurationResponse]]:
    """Store billing-provider configurations of customers, all or none."""
    drafts = [(item.customer_id, item.to_draft()) for item in body.data]
    stored = service.set_configurations(tx, BILLING, drafts)
    return Data(data=[new_configuration_to_wire(item) for item in stored])


@post("/v1/getCustomerBillingProviderConfigurations", "getCustomerBillingProviderConfigurations-v1")
def get_billing_configurations(
    tx: ReadTx, body: GetBillingConfigurationsRequest
) -> Data[list[BillingConfigurationResponse]]:
    """List a customer's billing-provider configurations, oldest first."""
    include_archived = bool(body.include_archived)
    found = service.list_configurations(tx, BILLING, body.customer_id, include_archived=include_archived)
    return Data(data=[billing_configuration_to_wire(item) for item in found])


@post("/v1/archiveCustomerBillingProviderConfigurations", "archiveCustomerBillingProviderConfigurations-v1")
def archive_billing_configurations(
    tx: Tx, body: ArchiveBillingConfigurationsRequest
) -> Data[ArchivedBillingConfigurationsResponse]:
    """Archive billing-provider configurations of a customer at once, all or none."""
    field_name = "customer_billing_provider_configuration_ids"
    ids = service.archive_configurations(
        tx, BILLING, body.customer_id, body.customer_billing_provider_configuration_ids, field_name
    )
    return Data(
        data=ArchivedBillingConfigurationsResponse(
            customer_id=body.customer_id, customer_billing_provider_configuration_ids=ids
        )
    )


@post("/v1/setCustomerRevenueSystemConfigurations", "setCustomerRevenueSystemConfigurations-v1")
def set_revenue_configurations(
    tx: Tx, body: SetRevenueConfigurationsRequest
) -> Data[list[RevenueConfigurationResponse]]:
    """Store revenue-system configurations of customers, all or none."""
    drafts = [(item.customer_id, item.to_draft()) for item in body.data]
    stored = service.set_configurations(tx, REVENUE, drafts)
    return Data(data=[revenue_configuration_to_wire(item) for item in stored])


@post("/v1/getCustomerRevenueSystemConfigurations", "getCustomerRevenueSystemConfigurations-v1")
def get_revenue_configurations(
    tx: ReadTx, body: GetRevenueConfigurationsRequest
) -> Data[list[RevenueConfigurationResponse]]:
    """List a customer's revenue-system configurations, oldest first."""
    found = service.list_configurations(
        tx,
        REVENUE,
        body.customer_id,
        include_archived=bool(body.include_archived),
        provider=body.provider,
    )
    return Data(data=[revenue_configuration_to_wire(item) for item in found])


@post("/v1/archiveCustomerRevenueSystemConfigurations", "archiveCustomerRevenueSystemConfigurations-v1")
def archive_revenue_configurations(
    tx: Tx, body: ArchiveRevenueConfigurationsRequest
) -> Data[ArchivedRevenueConfigurationsResponse]:
    """Archive revenue-system configurations of a customer at once, all or none."""
    field_name = "customer_revenue_system_configuration_ids"
    ids = service.archive_configurations(
        tx, REVENUE, body.customer_id, body.customer_revenue_system_configuration_ids, field_name
    )
    return Data(
        data=ArchivedRevenueConfigurationsResponse(
            customer_id=body.customer_id, customer_revenue_system_configuration_ids=ids
        )
    )


@post("/v1/customers/{customer_id}/billing-config/{billing_provider_type}", "setBillingConfigForCustomer-v1")
def set_billing_config(
    tx: Tx, customer_id: str, billing_provider_type: integrations.BillingProvider, body: BillingConfigRequest
) -> Empty:
    """Create or change a customer's only configuration of a provider (older form)."""
    service.set_only_configuration(
        tx, customer_id, billing_provider_type, body.billing_provider_customer_id, body.keys()
    )
    return Empty()


@get("/v1/customers/{customer_id}/billing-config/{billing_provider_type}", "getBillingConfig-v1")
def get_billing_config(
    tx: ReadTx, customer_id: str, billing_provider_type: integrations.BillingProvider
) -> Data[BillingConfigResponse]:
    """Get a customer's only configuration of a provider (older form)."""
    found = service.get_only_configuration(tx, customer_id, billing_provider_type)
    return Data(data=billing_config_to_wire(found))


@delete(
    "/v1/customers/{customer_id}/billing-config/{billing_provider_type}", "deleteBillingConfigForCustomer-v1"
)
def delete_billing_config(
    tx: Tx, customer_id: str, billing_provider_type: integrations.BillingProvider
) -> Empty:
    """Archive a customer's only configuration of a provider (older form)."""
    service.archive_only_configuration(tx, customer_id, billing_provider_type)
    return Empty()
