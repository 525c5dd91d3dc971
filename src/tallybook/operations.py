"""Every operation we serve, domain by domain."""

from tallybook.domains.contracts import endpoints as contracts
from tallybook.domains.custom_fields import endpoints as custom_fields
from tallybook.domains.customers import endpoints as customers
from tallybook.domains.events import endpoints as events
from tallybook.domains.integrations import endpoints as integrations
from tallybook.domains.invoices import endpoints as invoices
from tallybook.domains.metrics import endpoints as metrics
from tallybook.domains.products import endpoints as products
from tallybook.domains.rate_cards import endpoints as rate_cards
from tallybook.domains.settings import endpoints as settings
from tallybook.domains.usage import endpoints as usage
from tallybook.kit.http.operation import Operation, operations_of


def all_operations() -> list[Operation]:
    """All operations, the source of routes, of the OpenAPI document and of the coverage table."""
    return operations_of(
        contracts,
        custom_fields,
        customers,
        events,
        integrations,
        invoices,
        metrics,
        products,
        rate_cards,
        settings,
        usage,
    )
