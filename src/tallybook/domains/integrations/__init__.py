"""Integrations: where a customer's invoices and revenue records are to be sent."""

from tallybook.domains.integrations.model import (
    BillingProvider,
    CollectionMethod,
    ConfigurationDraft,
    ConfigurationKind,
    CustomerConfiguration,
    DeliveryMethod,
    InlineBillingProvider,
    RevenueDeliveryMethod,
    RevenueProvider,
    TaxProvider,
)
from tallybook.domains.integrations.service import (
    archive_configurations,
    archive_only_configuration,
    configurations_by_id,
    create_configuration,
    find_billing_configuration,
    find_revenue_configuration,
    get_only_configuration,
    list_configurations,
    set_only_configuration,
)

__all__ = [
    "BillingProvider",
    "CollectionMethod",
    "ConfigurationDraft",
    "ConfigurationKind",
    "CustomerConfiguration",
    "DeliveryMethod",
    "InlineBillingProvider",
    "RevenueDeliveryMethod",
    "RevenueProvider",
    "TaxProvider",
    "archive_configurations",
    "archive_only_configuration",
    "configurations_by_id",
    "create_configuration",
    "find_billing_configuration",
    "find_revenue_configuration",
    "get_only_configuration",
    "list_configurations",
    "set_only_configuration",
]
