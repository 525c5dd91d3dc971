"""Every operation we serve, domain by domain."""

from tallybook.domains.custom_fields import endpoints as custom_fields
from tallybook.domains.customers import endpoints as customers
from tallybook.domains.settings import endpoints as settings
from tallybook.domains.usage import endpoints as usage
from tallybook.kit.http.operation import Operation, operations_of


def all_operations() -> list[Operation]:
    """All operations, the source of routes, of the OpenAPI document and of the coverage table."""
    return operations_of(custom_fields, customers, settings, usage)
