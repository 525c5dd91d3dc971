"""Account level: the delivery methods that customers' configurations share (invoicing.md 9.2)."""

from dataclasses import replace
from typing import Any

from tallybook.domains.integrations import store
from tallybook.domains.integrations.model import (
    ACCOUNT_KEYS,
    MARKETPLACES,
    AccountDelivery,
    AccountDeliveryMethod,
    BillingProvider,
    DeliveryMethod,
    checked_account,
    identity_of,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Conflict, Invalid, NotBuilt, NotFound
from tallybook.values.instant import micros_of


def set_up_delivery(
    tx: Tx, provider: BillingProvider, method: AccountDeliveryMethod, configuration: dict[str, Any]
) -> AccountDelivery:
    """Store credentials and settings for a provider; secrets are sealed.

    The first set-up of a provider and delivery method connects the customers' configurations that named
    them before. Raises Invalid for a configuration its provider does not know, Conflict when the same
    account is set up already, NotBuilt for a provider that cannot be connected here yet.
    """
    _require_connectable(provider)
    shown, secrets = checked_account(provider, configuration, "configuration")
    identity = identity_of(ACCOUNT_KEYS[provider], shown) or ""
    way = DeliveryMethod(method.value)
    same = store.select_delivery_by_identity(tx, provider, way, identity)
    if same is not None:
        message = (
            f"configuration: this {provider} account is set up for {method} as delivery method {same.id}; "
            "use that id"
        )
        raise Conflict(message)
    sealed = {key: tx.vault.seal(value) for key, value in secrets.items()}
    stand_in = next(
        (item for item in store.select_deliveries(tx, provider, way, 1) if not item.set_up_at), None
    )
    if stand_in is None:
        delivery = _new(tx, provider, way)
        delivery = replace(delivery, configuration=shown, set_up_at=tx.now)
        store.insert_delivery(tx, delivery, identity, sealed)
        return delivery
    changes = {"configuration": shown, "set_up_at": tx.now}
    store.update_delivery(tx, stand_in.id, sealed_secrets=sealed, identity=identity, **changes)
    return replace(stand_in, configuration=shown, set_up_at=tx.now)


def list_deliveries(tx: ReadTx, after_id: str | None, count: int) -> list[AccountDelivery]:
    """At most `count` delivery methods that were set up, oldest first, after the one with this id.

    Raises Invalid when `after_id` is not the id of one.
    """
    after = None
    if after_id is not None:
        last = store.select_delivery(tx, after_id)
        if last is None or last.set_up_at is None:
            message = "next_page: not a cursor of this list; pass next_page of the page before, unchanged"
            raise Invalid(message)
        after = (micros_of(last.set_up_at), last.id)
    return store.select_deliveries_set_up(tx, after, count)


def resolve_delivery(
    tx: Tx, provider: BillingProvider, method: DeliveryMethod | None, delivery_id: str | None, path: str
) -> AccountDelivery:
    """The account-level delivery method that a customer's configuration names.

    By kind alone it is the account's only one, or, while none is set up, one that stands in for it.
    Raises NotFound for an unknown id; Invalid when nothing is named, when the id is of another provider
    or kind, or when the account has several of the kind (invoicing.md 9.3).
    """
    if delivery_id is not None:
        delivery = store.select_delivery(tx, delivery_id)
        if delivery is None:
            raise NotFound(
                f"{path}.delivery_method_id: no delivery method has the id {delivery_id}; "
                "see listConfiguredBillingProviders"
            )
        _require_fitting(delivery, provider, method, path)
        return delivery
    if method is None:
        raise Invalid(
            f"{path}.delivery_method: required without delivery_method_id; send direct_to_billing_provider"
        )
    _require_sensible(provider, method, path)
    found = store.select_deliveries(tx, provider, method, 2)
    if len(found) > 1:
        message = (
            f"{path}.delivery_method: {provider} has several delivery methods of this kind; "
            "name one by delivery_method_id"
        )
        raise Invalid(message)
    if found:
        return found[0]
    delivery = _new(tx, provider, method)
    store.insert_delivery(tx, delivery, None, {})
    return delivery


def _require_connectable(provider: BillingProvider) -> None:
    if provider in MARKETPLACES:
        return
    if provider in (BillingProvider.STRIPE, BillingProvider.NETSUITE):
        message = (
            f"billing_provider: {provider} cannot be connected in this version; customers' configurations "
            "may name it by delivery_method without a set-up"
        )
        raise NotBuilt(message)
    raise Invalid(f"billing_provider: {provider} needs no set-up; use {', '.join(sorted(MARKETPLACES))}")


def _require_fitting(
    delivery: AccountDelivery, provider: BillingProvider, method: DeliveryMethod | None, path: str
) -> None:
    if delivery.provider is not provider:
        message = (
            f"{path}.delivery_method_id: delivery method {delivery.id} is of {delivery.provider}; "
            f"use one of {provider}"
        )
        raise Invalid(message)
    if method is not None and delivery.delivery_method is not method:
        message = (
            f"{path}.delivery_method: delivery method {delivery.id} is {delivery.delivery_method}; "
            "send only one of the two fields"
        )
        raise Invalid(message)


def _require_sensible(provider: BillingProvider, method: DeliveryMethod, path: str) -> None:
    if method is DeliveryMethod.TACKLE and provider is not BillingProvider.AWS_MARKETPLACE:
        raise Invalid(f"{path}.delivery_method: tackle is for aws_marketplace only; use another")


def _new(tx: Tx, provider: BillingProvider, method: DeliveryMethod) -> AccountDelivery:
    return AccountDelivery(
        id=tx.new_id(),
        provider=provider,
        delivery_method=method,
        configuration={},
        created_at=tx.now,
        set_up_at=None,
    )
