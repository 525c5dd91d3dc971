"""Integrations: where a customer's invoices are to be sent."""

from tallybook.domains.integrations.model import (
    BillingProvider,
    ConfigurationDraft,
    DeliveryMethod,
    InlineBillingProvider,
    RevenueDeliveryMethod,
    RevenueProvider,
    TaxProvider,
)
from tallybook.domains.integrations.service import (
    create_billing_configurations,
    create_revenue_configurations,
)

__all__ = [
    "BillingProvider",
    "ConfigurationDraft",
    "DeliveryMethod",
    "InlineBillingProvider",
    "RevenueDeliveryMethod",
    "RevenueProvider",
    "TaxProvider",
    "create_billing_configurations",
    "create_revenue_configurations",
]
