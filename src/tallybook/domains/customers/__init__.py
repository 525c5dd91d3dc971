"""Customers: who is billed, and by which keys their usage arrives."""

from tallybook.domains.customers.model import BillableStatus, Customer
from tallybook.domains.customers.service import (
    get_customer,
    mark_archived,
    owners_of,
    require_active,
    usage_keys,
)

__all__ = [
    "BillableStatus",
    "Customer",
    "get_customer",
    "mark_archived",
    "owners_of",
    "require_active",
    "usage_keys",
]
