"""HTTP of invoices, and of archiving a customer, which voids them."""

from tallybook.domains import custom_fields
from tallybook.domains.invoices import service
from tallybook.domains.invoices.schemas import (
    GetInvoiceQuery,
    InvoiceResponse,
    ListInvoicesQuery,
    SortOrder,
    invoice_to_wire,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import get, post
from tallybook.kit.http.paging import LIMIT_DEFAULT, page_of, start_after
from tallybook.kit.http.wire import Data, Id, IdRequest, Page
from tallybook.values.instant import micros_of


@get("/v1/customers/{customer_id}/invoices", "listInvoices-v1", is_slow=True)
def list_invoices(tx: ReadTx, customer_id: str, query: ListInvoicesQuery) -> Page[InvoiceResponse]:
    """List a customer's invoices by issue date, drafts and voided ones included."""
    limit = query.limit or LIMIT_DEFAULT
    newest_first = query.sort is SortOrder.DATE_DESC
    name = f"invoices:{query.sort}"
    after = start_after(name, query.next_page, (int, str))
    found = service.list_invoices(
        tx, customer_id, query.to_filter(), after, limit + 1, newest_first=newest_first
    )
    shown = found[:limit]
    tags = service.product_tags(tx, shown)
    fields = custom_fields.read(tx, "invoice", [invoice.id for invoice in shown])
    return page_of(
        name,
        found,
        limit,
        key=lambda invoice: (micros_of(invoice.issued_at), invoice.id),
        render=lambda invoice: invoice_to_wire(
            invoice, tags, fields.get(invoice.id, {}), skips_zero_lines=query.skip_zero_qty_line_items
        ),
    )


@get("/v1/customers/{customer_id}/invoices/{invoice_id}", "getInvoice-v1", is_slow=True)
def get_invoice(
    tx: ReadTx, customer_id: str, invoice_id: str, query: GetInvoiceQuery
) -> Data[InvoiceResponse]:
    """Get one of a customer's invoices."""
    invoice = service.get_invoice(tx, customer_id, invoice_id)
    fields = custom_fields.read_one(tx, "invoice", invoice.id)
    tags = service.product_tags(tx, [invoice])
    return Data(data=invoice_to_wire(invoice, tags, fields, skips_zero_lines=query.skip_zero_qty_line_items))


@post("/v1/customers/archive", "archiveCustomer-v1")
def archive_customer(tx: Tx, body: IdRequest) -> Data[Id]:
    """Archive a customer with its contracts, and void its invoices; nothing brings it back."""
    service.archive_customer(tx, body.id)
    return Data(data=Id(id=body.id))
