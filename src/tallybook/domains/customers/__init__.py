"""Customers: who is billed, and by which keys their usage arrives."""

from tallybook.domains.customers.model import Customer
from tallybook.domains.customers.service import (
    CustomerFilter,
    get_customer,
    list_customers,
    mark_archived,
    owners_of,
    require_active,
)

__all__ = [
    "Customer",
    "CustomerFilter",
    "get_customer",
    "list_customers",
    "mark_archived",
    "owners_of",
    "require_active",
]
