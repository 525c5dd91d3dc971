"""HTTP of the account level: parse, call one use case, render.

The operations on a customer's configurations stand with customers, who know whether one exists.
"""

from tallybook.domains.integrations import service
from tallybook.domains.integrations.schemas import (
    ConfiguredBillingProviderResponse,
    DeliveryMethodIdResponse,
    ListConfiguredBillingProvidersRequest,
    SetUpBillingProviderRequest,
    delivery_to_wire,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import post
from tallybook.kit.http.paging import LIMIT_DEFAULT
from tallybook.kit.http.wire import Data, Page

FIRST_PAGE = ListConfiguredBillingProvidersRequest()


@post("/v1/setUpBillingProvider", "setUpBillingProvider-v1")
def set_up_billing_provider(tx: Tx, body: SetUpBillingProviderRequest) -> Data[DeliveryMethodIdResponse]:
    """Set up an account-level billing provider."""
    delivery = service.set_up_delivery(tx, body.billing_provider, body.delivery_method, body.configuration)
    return Data(data=DeliveryMethodIdResponse(delivery_method_id=delivery.id))


@post("/v1/listConfiguredBillingProviders", "listConfiguredBillingProviders-v1")
def list_configured_billing_providers(
    tx: ReadTx, body: ListConfiguredBillingProvidersRequest = FIRST_PAGE
) -> Page[ConfiguredBillingProviderResponse]:
    """List account-level billing providers that were set up, oldest first."""
    found = service.list_deliveries(tx, body.next_page, LIMIT_DEFAULT + 1)
    shown = found[:LIMIT_DEFAULT]
    return Page(
        data=[delivery_to_wire(delivery) for delivery in shown],
        next_page=shown[-1].id if len(found) > LIMIT_DEFAULT else None,
    )
