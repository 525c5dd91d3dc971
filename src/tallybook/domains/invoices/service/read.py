"""Read invoices: final ones as stored, open ones rated on the spot."""

from collections.abc import Iterable

from tallybook.domains import contracts, customers, products
from tallybook.domains.invoices import store
from tallybook.domains.invoices.model import Invoice, InvoiceFilter, Stub
from tallybook.domains.invoices.service.build import build, stubs_of
from tallybook.domains.invoices.service.load import Loader
from tallybook.kit.db.lists import Place
from tallybook.kit.db.tx import ReadTx
from tallybook.values.errors import NotFound
from tallybook.values.instant import micros_of


def get_invoice(tx: ReadTx, customer_id: str, invoice_id: str) -> Invoice:
    """The customer's invoice, open or final. Raises NotFound."""
    customer = customers.get_customer(tx, customer_id)
    stored = store.select_invoice(tx, customer_id, invoice_id)
    if stored is not None:
        return stored
    loader = Loader(tx)
    known = {item.id: item for item in contracts.contracts_of(tx, customer_id)}
    stubs = [stub for stub in stubs_of(loader, list(known.values())) if stub.id == invoice_id]
    if not stubs:
        raise NotFound(f"invoice_id: customer {customer_id} has no invoice with the id {invoice_id}")
    return build(loader, customer, known, stubs)[0][0]


def list_invoices(
    tx: ReadTx,
    customer_id: str,
    wanted: InvoiceFilter,
    after: Place | None,
    count: int,
    *,
    newest_first: bool,
) -> list[Invoice]:
    """At most `count` invoices by issue date and id, after a place. Raises NotFound.

    Of the open invoices only those that fall on the page are rated.
    """
    customer = customers.get_customer(tx, customer_id)
    loader = Loader(tx)
    known = {item.id: item for item in contracts.contracts_of(tx, customer_id)}
    stored = store.select_page(tx, customer_id, wanted, after, count, newest_first=newest_first)
    stubs = [
        stub
        for stub in stubs_of(loader, list(known.values()))
        if wanted.admits(stub) and _is_beyond(stub, after, newest_first=newest_first)
    ]
    both: list[Invoice | Stub] = [*stored, *stubs]
    page = sorted(both, key=lambda item: (item.issued_at, item.id), reverse=newest_first)[:count]
    drafts = [item for item in page if isinstance(item, Stub)]
    rated = {item.id: item for item in build(loader, customer, known, drafts)[0]} if drafts else {}
    return [rated[item.id] if isinstance(item, Stub) else item for item in page]


def _is_beyond(stub: Stub, after: Place | None, *, newest_first: bool) -> bool:
    if after is None:
        return True
    key = micros_of(stub.issued_at), stub.id
    return key < after if newest_first else key > after


def product_tags(tx: ReadTx, invoices: Iterable[Invoice]) -> dict[str, tuple[str, ...]]:
    """The present tags of every product on these invoices, by id (pricing.md 2.14)."""
    ids = {line.product_id for invoice in invoices for line in invoice.lines}
    known = products.products_by_id(tx, sorted(key for key in ids if key is not None))
    return {key: product.terms_at(tx.now).tags for key, product in known.items()}
