"""The older form: one configuration for each provider of a customer, addressed by provider.

It reads and changes the same configurations as the customer level. Where a customer has several active
ones of a provider the older form cannot tell them apart and refuses.
"""

from dataclasses import replace
from typing import Any

from tallybook.domains.integrations import store
from tallybook.domains.integrations.model import (
    BillingProvider,
    ConfigurationDraft,
    ConfigurationKind,
    CustomerConfiguration,
    DeliveryMethod,
    check_tax_provider,
    checked_configuration,
    reference_key,
)
from tallybook.domains.integrations.service.configurations import (
    create_configuration,
    list_configurations,
    require_free,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Conflict, Invalid, NotFound


def get_only_configuration(tx: ReadTx, customer_id: str, provider: BillingProvider) -> CustomerConfiguration:
    """The customer's only active configuration of a provider. Raises NotFound, or Conflict for several."""
    found = _only(tx, customer_id, provider)
    if found is None:
        raise NotFound(f"billing_provider_type: customer {customer_id} has no configuration of {provider}")
    return found


def set_only_configuration(
    tx: Tx, customer_id: str, provider: BillingProvider, reference: str, given: dict[str, Any]
) -> None:
    """Create the customer's configuration of a provider, or change the keys of the one there is.

    `reference` is the customer's id on the provider's side. Keys that this form cannot name stay as they
    are. Raises Invalid for keys that do not fit the provider, Conflict when the reference is another
    customer's, or when the customer has several of the provider.
    """
    key = reference_key(provider)
    if given.get(key, reference) != reference:
        raise Invalid(
            f"{key}: differs from billing_provider_customer_id; send the same text, or leave it out"
        )
    current = _only(tx, customer_id, provider)
    kept = current.configuration if current else {}
    configuration = {**kept, **given, key: reference}
    if provider is BillingProvider.GCP_MARKETPLACE and "gcp_service_name" not in configuration:
        message = (
            "billing_provider_type: gcp_marketplace needs gcp_service_name, which this operation does not "
            "take; use setCustomerBillingProviderConfigurations"
        )
        raise Invalid(message)
    method = current.delivery_method if current else DeliveryMethod.DIRECT_TO_BILLING_PROVIDER
    checked = checked_configuration(provider, method, configuration, "")
    if current is None:
        draft = ConfigurationDraft(provider=provider, configuration=checked, delivery_method=method)
        create_configuration(tx, ConfigurationKind.BILLING, customer_id, draft, "billing_provider_type")
        return
    draft = ConfigurationDraft(provider=provider, configuration=checked, tax_provider=current.tax_provider)
    check_tax_provider(draft, "")
    identity = require_free(tx, replace(current, configuration=checked), "")
    store.update_configurations(tx, [current.id], configuration=checked, identity=identity)


def archive_only_configuration(tx: Tx, customer_id: str, provider: BillingProvider) -> None:
    """Archive the customer's only configuration of a provider.

    Raises NotFound when there is none, Conflict for several, Invalid for AWS and Azure, which this form
    does not delete.
    """
    if provider in (BillingProvider.AWS_MARKETPLACE, BillingProvider.AZURE_MARKETPLACE):
        message = (
            f"billing_provider_type: {provider} cannot be deleted this way; "
            "use archiveCustomerBillingProviderConfigurations"
        )
        raise Invalid(message)
    configuration = get_only_configuration(tx, customer_id, provider)
    store.update_configurations(tx, [configuration.id], archived_at=tx.now)


def _only(tx: ReadTx, customer_id: str, provider: BillingProvider) -> CustomerConfiguration | None:
    found = list_configurations(tx, ConfigurationKind.BILLING, customer_id, provider=provider)
    if len(found) > 1:
        message = (
            f"billing_provider_type: customer {customer_id} has {len(found)} active configurations of "
            f"{provider}; use the operations on customer billing provider configurations"
        )
        raise Conflict(message)
    return found[0] if found else None
