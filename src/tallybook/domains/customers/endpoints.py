"""HTTP of customers: parse, call one use case, render."""

from tallybook.domains import custom_fields
from tallybook.domains.customers import service
from tallybook.domains.customers.schemas import (
    CreateCustomerRequest,
    CustomerDetailResponse,
    CustomerResponse,
    ListCustomersQuery,
    SetBillableStatusRequest,
    SetBillableStatusResponse,
    SetIngestAliasesRequest,
    SetNameRequest,
    UpdateConfigRequest,
    customer_to_wire,
    detail_to_wire,
    status_to_wire,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import get, post
from tallybook.kit.http.paging import LIMIT_DEFAULT, page_of, start_after
from tallybook.kit.http.wire import Data, Empty, Page
from tallybook.values.instant import micros_of


@post("/v1/customers", "createCustomer-v1")
def create_customer(tx: Tx, body: CreateCustomerRequest) -> Data[CustomerResponse]:
    """Create a customer."""
    customer = service.create_customer(tx, body.to_draft())
    return Data(data=customer_to_wire(customer, body.custom_fields or {}))


@get("/v1/customers/{customer_id}", "getCustomer-v1")
def get_customer(tx: ReadTx, customer_id: str) -> Data[CustomerDetailResponse]:
    """Get a customer, archived ones too."""
    customer = service.get_customer(tx, customer_id)
    fields = custom_fields.read(tx, "customer", [customer_id])
    return Data(data=detail_to_wire(customer, fields.get(customer_id, {}), tx.now))


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
    fields = custom_fields.read(tx, "customer", [customer_id])
    return Data(data=customer_to_wire(customer, fields.get(customer_id, {})))


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
