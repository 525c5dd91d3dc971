"""Use cases of invoices, one file each."""

from tallybook.domains.invoices.service.archive import archive_customer
from tallybook.domains.invoices.service.close import (
    close_contract,
    contracts_to_close,
    raw_events_needed_from,
    read_ahead,
)
from tallybook.domains.invoices.service.load import Loader
from tallybook.domains.invoices.service.read import get_invoice, list_invoices, product_tags
from tallybook.domains.invoices.service.verify import count_invoices, verify_invoices

__all__ = [
    "Loader",
    "archive_customer",
    "close_contract",
    "contracts_to_close",
    "count_invoices",
    "get_invoice",
    "list_invoices",
    "product_tags",
    "raw_events_needed_from",
    "read_ahead",
    "verify_invoices",
]
