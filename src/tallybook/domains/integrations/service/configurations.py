"""Customer level: the configurations a customer's contracts may choose from (invoicing.md 9.3, 9.4).

Whether the customer exists and is active is for the caller to know: this domain stands below customers.
"""

from collections.abc import Sequence

from tallybook.domains.integrations import store
from tallybook.domains.integrations.model import (
    CUSTOMER_KEYS,
    AccountDelivery,
    BillingProvider,
    ConfigurationDraft,
    ConfigurationKind,
    CustomerConfiguration,
    DeliveryMethod,
    at,
    check_tax_provider,
    checked_configuration,
    identity_of,
)
from tallybook.domains.integrations.service.deliveries import resolve_delivery
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Conflict, Invalid, NotFound


def create_configuration(
    tx: Tx, kind: ConfigurationKind, customer_id: str, draft: ConfigurationDraft, path: str
) -> CustomerConfiguration:
    """Store a configuration of a customer; `path` is where the draft stands in the request.

    Raises Invalid for keys, a tax provider or a delivery method that do not fit the provider, NotFound
    for an unknown delivery method, Conflict when the other side's customer is another customer's here.
    """
    provider = BillingProvider(draft.provider.value)
    method = DeliveryMethod(draft.delivery_method.value) if draft.delivery_method else None
    delivery = resolve_delivery(tx, provider, method, draft.delivery_method_id, path)
    where = f"{path}.configuration"
    configuration = CustomerConfiguration(
        id=tx.new_id(),
        customer_id=customer_id,
        kind=kind,
        provider=provider,
        configuration=checked_configuration(provider, delivery.delivery_method, draft.configuration, where),
        delivery_method_id=delivery.id,
        delivery_method=delivery.delivery_method,
        delivery_method_configuration=delivery.configuration,
        tax_provider=draft.tax_provider,
        created_at=tx.now,
        archived_at=None,
    )
    check_tax_provider(draft, path)
    _require_direct_revenue(kind, delivery, path)
    identity = require_free(tx, configuration, where)
    store.insert_configuration(tx, configuration, identity)
    return configuration


def require_free(tx: ReadTx, configuration: CustomerConfiguration, path: str) -> str | None:
    """What names the other side's customer. Raises Conflict when an active configuration has it.

    The same customer may have several for it, as long as they differ in something.
    """
    keys = CUSTOMER_KEYS.get(configuration.provider)
    identity = identity_of(keys, configuration.configuration)
    if identity is None or keys is None:
        return None
    holders = store.select_by_identity(tx, configuration.kind, configuration.delivery_method_id, identity)
    for holder in holders:
        if holder.customer_id != configuration.customer_id:
            message = (
                f"{at(path, keys.identity[0])}: in use by configuration {holder.id} of customer "
                f"{holder.customer_id}; archive that one first"
            )
            raise Conflict(message)
        is_same = (holder.configuration, holder.tax_provider) == (
            configuration.configuration,
            configuration.tax_provider,
        )
        if is_same and holder.id != configuration.id:
            where = path or keys.identity[0]
            raise Conflict(f"{where}: the customer has this as configuration {holder.id}; use that one")
    return identity


def list_configurations(
    tx: ReadTx,
    kind: ConfigurationKind,
    customer_id: str,
    *,
    include_archived: bool = False,
    provider: str | None = None,
) -> list[CustomerConfiguration]:
    """The customer's configurations, oldest first, of one provider when that is given."""
    found = store.select_configurations(tx, customer_id, kind, include_archived=include_archived)
    return [item for item in found if provider is None or item.provider == provider]


def archive_configurations(
    tx: Tx, kind: ConfigurationKind, customer_id: str, ids: Sequence[str], field_name: str
) -> list[str]:
    """Archive the customer's configurations at once, all or none; returns their ids without repeats.

    Contracts that chose one have nowhere to send to from now on, and what it named is free for others
    (invoicing.md 9.3). Raises NotFound for an id that is not the customer's, Invalid for one that is
    archived already.
    """
    distinct = list(dict.fromkeys(ids))
    found = {item.id: item for item in store.select_by_ids(tx, distinct)}
    for index, configuration_id in enumerate(ids):
        item = found.get(configuration_id)
        where = f"{field_name}[{index}]"
        if item is None or item.customer_id != customer_id or item.kind is not kind:
            message = f"{where}: customer {customer_id} has no {kind} configuration {configuration_id}"
            raise NotFound(message)
        if item.archived_at is not None:
            raise Invalid(f"{where}: configuration {configuration_id} is archived already; leave it out")
    store.update_configurations(tx, distinct, archived_at=tx.now)
    return distinct


def _require_direct_revenue(kind: ConfigurationKind, delivery: AccountDelivery, path: str) -> None:
    is_direct = delivery.delivery_method is DeliveryMethod.DIRECT_TO_BILLING_PROVIDER
    if kind is ConfigurationKind.REVENUE and not is_direct:
        raise Invalid(f"{path}.delivery_method_id: revenue records travel direct_to_billing_provider only")
