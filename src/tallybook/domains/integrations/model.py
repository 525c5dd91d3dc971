"""Providers, delivery methods, and which configuration keys each provider knows (invoicing.md 9)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from tallybook.values.errors import Invalid

TEXT_LENGTH_MAX = 255
DEPTH_MAX = 20
SECRET_PREFIX = "raw_"  # noqa: S105  # what names of secret keys begin with, not a secret
"""Account-level keys that begin so are sealed when stored and never shown again (invoicing.md 9.2)."""


class ConfigurationKind(StrEnum):
    """What a customer's configuration is for."""

    BILLING = "billing"
    REVENUE = "revenue"


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


MARKETPLACES = frozenset(
    (BillingProvider.AWS_MARKETPLACE, BillingProvider.AZURE_MARKETPLACE, BillingProvider.GCP_MARKETPLACE)
)
"""The providers whose credentials are set up over the API."""


class InlineBillingProvider(StrEnum):
    """The providers that can be given with a new customer, or chosen on a contract by name."""

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


class AccountDeliveryMethod(StrEnum):
    """The ways invoices can travel that can be set up over the API."""

    DIRECT_TO_BILLING_PROVIDER = "direct_to_billing_provider"
    AWS_SQS = "aws_sqs"
    AWS_SNS = "aws_sns"


class RevenueDeliveryMethod(StrEnum):
    """How revenue records travel."""

    DIRECT_TO_BILLING_PROVIDER = "direct_to_billing_provider"


class TaxProvider(StrEnum):
    """Who computes tax."""

    ANROK = "anrok"
    AVALARA = "avalara"
    STRIPE = "stripe"


class CollectionMethod(StrEnum):
    """How Stripe collects an invoice."""

    CHARGE_AUTOMATICALLY = "charge_automatically"
    SEND_INVOICE = "send_invoice"
    AUTO_CHARGE_PAYMENT_INTENT = "auto_charge_payment_intent"
    MANUALLY_CHARGE_PAYMENT_INTENT = "manually_charge_payment_intent"


PAYMENT_INTENTS = (
    CollectionMethod.AUTO_CHARGE_PAYMENT_INTENT,
    CollectionMethod.MANUALLY_CHARGE_PAYMENT_INTENT,
)
"""The collection methods that a tax provider can be named for (invoicing.md 6.2, 9.3)."""


@dataclass(frozen=True, slots=True)
class ProviderKeys:
    """The keys of one provider: each with its type, which must be given, and which name its customer."""

    known: Mapping[str, type]
    required: tuple[str, ...]
    identity: tuple[str, ...] = ()


CUSTOMER_KEYS: dict[BillingProvider, ProviderKeys] = {
    BillingProvider.STRIPE: ProviderKeys(
        {"stripe_customer_id": str, "stripe_collection_method": str, "leave_stripe_invoices_in_draft": bool},
        required=("stripe_customer_id",),
        identity=("stripe_customer_id",),
    ),
    BillingProvider.AWS_MARKETPLACE: ProviderKeys(
        {
            "aws_customer_id": str,
            "aws_customer_account_id": str,
            "aws_product_code": str,
            "aws_region": str,
            "aws_is_subscription_product": bool,
        },
        required=("aws_customer_id", "aws_product_code"),
        identity=("aws_customer_id", "aws_product_code"),
    ),
    BillingProvider.AZURE_MARKETPLACE: ProviderKeys(
        {"azure_subscription_id": str},
        required=("azure_subscription_id",),
        identity=("azure_subscription_id",),
    ),
    BillingProvider.GCP_MARKETPLACE: ProviderKeys(
        {"gcp_entitlement_id": str, "gcp_service_name": str},
        required=("gcp_entitlement_id", "gcp_service_name"),
        identity=("gcp_entitlement_id",),
    ),
    BillingProvider.NETSUITE: ProviderKeys(
        {"netsuite_customer_id": str},
        required=("netsuite_customer_id",),
        identity=("netsuite_customer_id",),
    ),
}
"""Keys of customer-level configurations; providers not listed take any keys, as none are documented."""

ACCOUNT_KEYS: dict[BillingProvider, ProviderKeys] = {
    BillingProvider.AWS_MARKETPLACE: ProviderKeys(
        {"aws_external_id": str, "aws_iam_role_arn": str, "aws_region": str},
        required=("aws_external_id", "aws_iam_role_arn"),
        identity=("aws_external_id", "aws_iam_role_arn"),
    ),
    BillingProvider.AZURE_MARKETPLACE: ProviderKeys(
        {"azure_client_id": str, "raw_azure_client_secret": str, "azure_tenant_id": str},
        required=("azure_client_id", "raw_azure_client_secret", "azure_tenant_id"),
        identity=("azure_client_id", "azure_tenant_id"),
    ),
    BillingProvider.GCP_MARKETPLACE: ProviderKeys(
        {"gcp_provider_id": str, "raw_gcp_workload_identity_federation_config": str},
        required=("gcp_provider_id", "raw_gcp_workload_identity_federation_config"),
        identity=("gcp_provider_id",),
    ),
}
"""Keys of account-level delivery methods."""

_REFERENCE_KEYS = {
    BillingProvider.STRIPE: "stripe_customer_id",
    BillingProvider.AWS_MARKETPLACE: "aws_customer_id",
    BillingProvider.AZURE_MARKETPLACE: "azure_subscription_id",
    BillingProvider.GCP_MARKETPLACE: "gcp_entitlement_id",
    BillingProvider.NETSUITE: "netsuite_customer_id",
}

_WORDS = {str: "a string", bool: "true or false"}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDraft:
    """A customer's configuration to create; its delivery method is named by kind, by id, or by both."""

    provider: StrEnum
    configuration: dict[str, Any] = field(default_factory=dict)
    delivery_method: StrEnum | None = None
    delivery_method_id: str | None = None
    tax_provider: TaxProvider | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDelivery:
    """An account-level delivery method: credentials and settings that many customers share.

    `configuration` holds what may be shown; secrets stay in the store. `set_up_at` is None for the one
    that stands in until somebody sets up this provider and delivery method.
    """

    id: str
    provider: BillingProvider
    delivery_method: DeliveryMethod
    configuration: dict[str, Any]
    created_at: datetime
    set_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerConfiguration:
    """Where the invoices or revenue records of a customer's contracts can be sent."""

    id: str
    customer_id: str
    kind: ConfigurationKind
    provider: BillingProvider
    configuration: dict[str, Any]
    delivery_method_id: str
    delivery_method: DeliveryMethod
    delivery_method_configuration: dict[str, Any]
    """What may be shown of the account-level delivery method; empty while it is not set up."""
    tax_provider: TaxProvider | None
    created_at: datetime
    archived_at: datetime | None

    @property
    def reference(self) -> str | None:
        """The customer's id on the provider's side; None where the configuration does not say."""
        reference = self.configuration.get(reference_key(self.provider))
        return reference if isinstance(reference, str) else None


def reference_key(provider: BillingProvider) -> str:
    """The configuration key that holds the customer's id on the provider's side."""
    return _REFERENCE_KEYS.get(provider, "billing_provider_customer_id")


def checked_configuration(
    provider: BillingProvider, method: DeliveryMethod, configuration: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """A customer's configuration as it is stored: nulls left out, NetSuite numbers as text.

    Raises Invalid naming the first key that the provider does not know, that has a wrong type, or that
    is missing (invoicing.md 9.3). Queues and topics take partial configurations: who reads them decides.
    """
    given = {key: value for key, value in configuration.items() if value is not None}
    if provider is BillingProvider.NETSUITE:
        given = {key: _as_text(value) for key, value in given.items()}
    keys = CUSTOMER_KEYS.get(provider)
    if keys is None:
        _require_exact(given, path)
        return given
    is_partial = method in (DeliveryMethod.AWS_SQS, DeliveryMethod.AWS_SNS)
    _check_keys(provider, keys, given, path, () if is_partial else keys.required)
    collection = given.get("stripe_collection_method")
    if collection is not None and collection not in list(CollectionMethod):
        raise Invalid(f"{at(path, 'stripe_collection_method')}: use one of {', '.join(CollectionMethod)}")
    return given


def check_tax_provider(draft: ConfigurationDraft, path: str) -> None:
    """Raise Invalid when the draft names a tax provider where none applies (invoicing.md 6.2, 9.3)."""
    if draft.tax_provider is None:
        return
    if (
        draft.provider != BillingProvider.STRIPE
        or draft.configuration.get("stripe_collection_method") not in PAYMENT_INTENTS
    ):
        message = (
            f"{at(path, 'tax_provider')}: only for stripe with a stripe_collection_method of "
            f"{' or '.join(PAYMENT_INTENTS)}; remove it"
        )
        raise Invalid(message)


def checked_account(
    provider: BillingProvider, configuration: Mapping[str, Any], path: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """An account-level configuration, split into what may be shown and what is secret.

    Raises Invalid naming the first key that is unknown, missing or of a wrong type. No message repeats
    a value, since it may be a secret.
    """
    given = {key: value for key, value in configuration.items() if value is not None}
    keys = ACCOUNT_KEYS[provider]
    _check_keys(provider, keys, given, path, keys.required)
    federation = given.get("raw_gcp_workload_identity_federation_config")
    if federation is not None and not _is_json_object(federation):
        where = at(path, "raw_gcp_workload_identity_federation_config")
        raise Invalid(f"{where}: expected the text of a JSON object; send the file's content as one string")
    shown = {key: value for key, value in given.items() if not key.startswith(SECRET_PREFIX)}
    secret = {key: value for key, value in given.items() if key.startswith(SECRET_PREFIX)}
    return shown, secret


def identity_of(keys: ProviderKeys | None, configuration: Mapping[str, Any]) -> str | None:
    """What names the other side's account; None where the configuration does not say."""
    parts = [configuration.get(key) for key in keys.identity] if keys else [None]
    return None if None in parts else json.dumps(parts)


def _check_keys(
    provider: str, keys: ProviderKeys, given: Mapping[str, Any], path: str, required: tuple[str, ...]
) -> None:
    for key, value in given.items():
        where = at(path, key)
        kind = keys.known.get(key)
        if kind is None:
            raise Invalid(f"{where}: {provider} has no such key; use {', '.join(keys.known)}")
        if not isinstance(value, kind) or value == "":
            raise Invalid(f"{where}: expected {_WORDS[kind]}{', not empty' if kind is str else ''}")
        if isinstance(value, str):
            _check_text(key, value, where)
    for key in required:
        if key not in given:
            raise Invalid(f"{at(path, key)}: {provider} needs this key; add it")


def _check_text(key: str, text: str, where: str) -> None:
    if len(text) > TEXT_LENGTH_MAX and not key.startswith(SECRET_PREFIX):
        raise Invalid(f"{where}: longer than {TEXT_LENGTH_MAX} characters; shorten it")
    if key == "aws_region" and not _REGION.fullmatch(text):
        raise Invalid(f"{where}: not a region of AWS; send one such as us-east-1")


def _require_exact(value: Any, path: str, depth: int = 0) -> None:
    """Refuse what could not be given back as it came: binary fractions, and nesting without end."""
    if isinstance(value, float):
        raise Invalid(f"{path}: fractional or very large number; send it as a string")
    if isinstance(value, dict | list) and depth == DEPTH_MAX:
        raise Invalid(f"{path}: nested deeper than {DEPTH_MAX} levels; send a flatter object")
    if isinstance(value, dict):
        for key, item in value.items():
            _require_exact(item, at(path, key), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _require_exact(item, f"{path}[{index}]", depth + 1)


def _as_text(value: Any) -> Any:
    # The published example of a NetSuite id is a number where its answer is a text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def at(path: str, key: str) -> str:
    """The path of a key below another path; an empty one is the request itself."""
    return f"{path}.{key}" if path else key


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
