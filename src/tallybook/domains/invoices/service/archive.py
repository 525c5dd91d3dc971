"""Archives a customer with everything that hangs on it."""

from tallybook.domains import contracts, customers
from tallybook.domains.invoices import store
from tallybook.kit.db.tx import Tx


def archive_customer(tx: Tx, customer_id: str) -> None:
    """Archive the customer and its contracts and void its invoices; aliases stay reserved.

    Drafts of archived contracts are gone. Doing it again changes nothing. Raises NotFound.
    Source: invoicing.md 8, metering.md 6.9.
    """
    customers.mark_archived(tx, customer_id)
    contracts.archive_contracts_of(tx, customer_id)
    store.void_all_of(tx, customer_id)
