"""Providers, delivery methods, and which configuration keys each provider knows (invoicing.md 9.3)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tallybook.values.errors import Invalid


class BillingProvider(StrEnum):
    """Where invoices can be sent."""

    AWS_MARKETPLACE = "aws_marketplace"
    STRIPE = "stripe"
    NETSUITE = "netsuite"
    CUSTOM = "custom"
    AZURE_MARKETPLACE = "azure_marketplace"
    QUICKBOOKS_ONLINE = "quickbooks_online"
    WORKDAY = "workday"
    GCP_MARKETPLACE = "gcp_marketplace"
    METRONOME = "metronome"


class InlineBillingProvider(StrEnum):
    """The providers that can be given with a new customer."""

    AWS_MARKETPLACE = "aws_marketplace"
    AZURE_MARKETPLACE = "azure_marketplace"
    GCP_MARKETPLACE = "gcp_marketplace"
    STRIPE = "stripe"
    NETSUITE = "netsuite"


class RevenueProvider(StrEnum):
    """Where revenue records can be sent."""

    NETSUITE = "netsuite"


class DeliveryMethod(StrEnum):
    """How invoices travel."""

    DIRECT_TO_BILLING_PROVIDER = "direct_to_billing_provider"
    AWS_SQS = "aws_sqs"
    TACKLE = "tackle"
    AWS_SNS = "aws_sns"


class RevenueDeliveryMethod(StrEnum):
    """How revenue records travel."""

    DIRECT_TO_BILLING_PROVIDER = "direct_to_billing_provider"


class TaxProvider(StrEnum):
    """Who computes tax."""

    ANROK = "anrok"
    AVALARA = "avalara"
    STRIPE = "stripe"


COLLECTION_METHODS = (
    "charge_automatically",
    "send_invoice",
    "auto_charge_payment_intent",
    "manually_charge_payment_intent",
)

KEYS: dict[str, dict[str, type]] = {
    "stripe": {
        "stripe_customer_id": str,
        "stripe_collection_method": str,
        "leave_stripe_invoices_in_draft": bool,
    },
    "aws_marketplace": {
        "aws_customer_id": str,
        "aws_product_code": str,
        "aws_region": str,
        "aws_is_subscription_product": bool,
    },
    "azure_marketplace": {"azure_subscription_id": str},
    "gcp_marketplace": {"gcp_entitlement_id": str, "gcp_service_name": str},
    "netsuite": {"netsuite_customer_id": str},
}
_WORDS = {str: "a string", bool: "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDraft:
    """A configuration to create. Exactly one way to name its delivery method is given."""

    provider: StrEnum
    configuration: dict[str, Any] = field(default_factory=dict)
    delivery_method: StrEnum | None = None
    delivery_method_id: str | None = None
    tax_provider: StrEnum | None = None


def check_configuration(provider: str, configuration: dict[str, Any], path: str) -> None:
    """Raise Invalid naming the first key that the provider does not know or that has a wrong type."""
    known = KEYS.get(provider)
    if known is None:
        return
    for key, value in configuration.items():
        if key not in known:
            raise Invalid(f"{path}.{key}: {provider} has no such key; use {', '.join(known)}")
        if not isinstance(value, known[key]) or value == "":
            raise Invalid(f"{path}.{key}: expected {_WORDS[known[key]]}, not empty")
    method = configuration.get("stripe_collection_method")
    if method is not None and method not in COLLECTION_METHODS:
        raise Invalid(f"{path}.stripe_collection_method: use one of {', '.join(COLLECTION_METHODS)}")
