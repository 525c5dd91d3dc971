"""Wire shapes of account-level delivery methods and their conversions."""

from typing import Any

from tallybook.domains.integrations.model import (
    AccountDelivery,
    AccountDeliveryMethod,
    BillingProvider,
    DeliveryMethod,
)
from tallybook.kit.http.wire import Request, Response, Uuid


class SetUpBillingProviderRequest(Request, frozen=True):
    """Credentials and settings for a provider."""

    billing_provider: BillingProvider
    delivery_method: AccountDeliveryMethod
    configuration: dict[str, Any]


class DeliveryMethodIdResponse(Response, frozen=True):
    """The id that customers' configurations name."""

    delivery_method_id: str


class ListConfiguredBillingProvidersRequest(Request, frozen=True):
    """Where to go on; the cursor of this list is a UUID, as published."""

    next_page: Uuid | None = None


class ConfiguredBillingProviderResponse(Response, frozen=True):
    """A delivery method that was set up, without its secrets."""

    billing_provider: BillingProvider
    delivery_method_id: str
    delivery_method: DeliveryMethod
    delivery_method_configuration: dict[str, Any]


def delivery_to_wire(delivery: AccountDelivery) -> ConfiguredBillingProviderResponse:
    """What may be shown of a delivery method."""
    return ConfiguredBillingProviderResponse(
        billing_provider=delivery.provider,
        delivery_method_id=delivery.id,
        delivery_method=delivery.delivery_method,
        delivery_method_configuration=delivery.configuration,
    )
