"""Use cases of integrations, one file for each of the three levels (invoicing.md 9.1) and the older form."""

from tallybook.domains.integrations.service.configurations import (
    archive_configurations,
    create_configuration,
    list_configurations,
)
from tallybook.domains.integrations.service.deliveries import list_deliveries, set_up_delivery
from tallybook.domains.integrations.service.only import (
    archive_only_configuration,
    get_only_configuration,
    set_only_configuration,
)
from tallybook.domains.integrations.service.selection import (
    configurations_by_id,
    find_billing_configuration,
    find_revenue_configuration,
)

__all__ = [
    "archive_configurations",
    "archive_only_configuration",
    "configurations_by_id",
    "create_configuration",
    "find_billing_configuration",
    "find_revenue_configuration",
    "get_only_configuration",
    "list_configurations",
    "list_deliveries",
    "set_only_configuration",
    "set_up_delivery",
]
