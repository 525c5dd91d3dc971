"""Contract level: the configuration a contract chooses (invoicing.md 9.1; pricing.md 9.14)."""

from collections.abc import Iterable

from tallybook.domains.integrations import store
from tallybook.domains.integrations.model import ConfigurationKind, CustomerConfiguration
from tallybook.kit.db.tx import ReadTx
from tallybook.values.errors import Invalid, NotFound


def find_billing_configuration(
    tx: ReadTx,
    customer_id: str,
    *,
    configuration_id: str | None = None,
    provider: str | None = None,
    delivery_method: str | None = None,
    field_name: str = "billing_provider_configuration",
) -> CustomerConfiguration:
    """The customer's active configuration named by id, or by billing provider and delivery method.

    Raises NotFound for an id that is not the customer's; Invalid when that one is archived, when both or
    neither way of naming is used, when no configuration fits, or when several do.
    """
    names = ("billing_provider_configuration_id", "billing_provider")
    named = (configuration_id, provider, delivery_method)
    return _find(tx, ConfigurationKind.BILLING, customer_id, named, field_name, names)


def find_revenue_configuration(
    tx: ReadTx,
    customer_id: str,
    *,
    configuration_id: str | None = None,
    provider: str | None = None,
    delivery_method: str | None = None,
    field_name: str = "revenue_system_configuration",
) -> CustomerConfiguration:
    """As `find_billing_configuration`, for revenue systems."""
    names = ("revenue_system_configuration_id", "provider")
    named = (configuration_id, provider, delivery_method)
    return _find(tx, ConfigurationKind.REVENUE, customer_id, named, field_name, names)


def configurations_by_id(tx: ReadTx, ids: Iterable[str]) -> dict[str, CustomerConfiguration]:
    """The configurations with these ids, billing and revenue ones, archived or not."""
    return {item.id: item for item in store.select_by_ids(tx, ids)}


def _find(
    tx: ReadTx,
    kind: ConfigurationKind,
    customer_id: str,
    named: tuple[str | None, str | None, str | None],
    field_name: str,
    names: tuple[str, str],
) -> CustomerConfiguration:
    configuration_id, provider, method = named
    by_id, by_provider = names
    if configuration_id is not None:
        if provider is not None or method is not None:
            extra = by_provider if provider is not None else "delivery_method"
            raise Invalid(f"{field_name}.{extra}: not together with {by_id}; send one or the other")
        return _find_by_id(tx, kind, customer_id, configuration_id, f"{field_name}.{by_id}")
    if provider is None or method is None:
        missing = by_provider if provider is None else "delivery_method"
        raise Invalid(f"{field_name}.{missing}: required without {by_id}; add it, or send {by_id}")
    active = store.select_configurations(tx, customer_id, kind, include_archived=False)
    found = [item for item in active if item.provider == provider and item.delivery_method == method]
    if not found:
        message = (
            f"{field_name}: customer {customer_id} has no active {kind} configuration of {provider} with "
            f"{method}; create one first"
        )
        raise Invalid(message)
    if len(found) > 1:
        message = (
            f"{field_name}: customer {customer_id} has {len(found)} active {kind} configurations of "
            f"{provider} with {method}; name one by {by_id}"
        )
        raise Invalid(message)
    return found[0]


def _find_by_id(
    tx: ReadTx, kind: ConfigurationKind, customer_id: str, configuration_id: str, path: str
) -> CustomerConfiguration:
    found = store.select_by_ids(tx, [configuration_id])
    if not found or found[0].customer_id != customer_id or found[0].kind is not kind:
        raise NotFound(f"{path}: customer {customer_id} has no {kind} configuration {configuration_id}")
    if found[0].archived_at is not None:
        raise Invalid(f"{path}: configuration {configuration_id} is archived; use an active one")
    return found[0]
