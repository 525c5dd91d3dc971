"""Use cases of customers: load, decide, store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tallybook.domains import custom_fields, integrations
from tallybook.domains.customers import store
from tallybook.domains.customers.model import BillableStatus, Customer, cut_name, merge_aliases
from tallybook.kit.db.lists import Place
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDraft:
    """What a caller says of a customer to be created."""

    name: str
    aliases: tuple[str, ...] = ()
    custom_fields: dict[str, str] = field(default_factory=dict)
    billing_provider_configurations: Sequence[integrations.ConfigurationDraft] = ()
    revenue_system_configurations: Sequence[integrations.ConfigurationDraft] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFilter:
    """Which customers to list; every filter given must be met."""

    ingest_alias: str | None = None
    customer_ids: Sequence[str] | None = None
    salesforce_account_ids: Sequence[str] | None = None
    is_archived: bool = False


def create_customer(tx: Tx, draft: CustomerDraft) -> Customer:
    """Store a customer with aliases, configurations and custom fields, all or nothing.

    Raises Conflict when an alias is taken (archived owners keep theirs) or a configuration names what
    is another customer's, Invalid for a custom field key nobody declared or a configuration its provider
    does not know, NotFound for an unknown delivery method (metering.md 1.4, 6.10; invoicing.md 9.3).
    """
    customer_id = tx.new_id()
    _require_free(tx, draft.aliases, customer_id)
    customer = Customer(
        id=customer_id,
        name=cut_name(draft.name),
        aliases=draft.aliases,
        salesforce_account_id=None,
        leave_stripe_invoices_in_draft=None,
        created_at=tx.now,
        updated_at=tx.now,
        archived_at=None,
        status_changes=(),
    )
    store.insert_customer(tx, customer)
    custom_fields.attach(tx, "customer", customer_id, draft.custom_fields)
    _create_inline(tx, customer_id, draft)
    return customer


def get_customer(tx: ReadTx, customer_id: str, field_name: str = "customer_id") -> Customer:
    """The customer, archived or not. Raises NotFound naming `field_name`."""
    customer = store.select_customer(tx, customer_id)
    if customer is None:
        raise NotFound(f"{field_name}: no customer has the id {customer_id} in this environment")
    return customer


def require_active(tx: ReadTx, customer_id: str, field_name: str = "customer_id") -> Customer:
    """The customer. Raises NotFound, or Invalid when it is archived."""
    customer = get_customer(tx, customer_id, field_name)
    if customer.archived_at is not None:
        raise Invalid(f"{field_name}: customer {customer_id} is archived; use an active customer")
    return customer


def owners_of(tx: ReadTx, keys: Iterable[str]) -> dict[str, str]:
    """The id of the customer that owns each key, for the keys that anyone owns."""
    return store.select_owners(tx, keys)


def list_customers(tx: ReadTx, wanted: CustomerFilter, after: Place | None, count: int) -> list[Customer]:
    """At most `count` customers after a place, oldest first."""
    return store.select_page(
        tx,
        ingest_alias=wanted.ingest_alias,
        customer_ids=wanted.customer_ids,
        salesforce_account_ids=wanted.salesforce_account_ids,
        is_archived=wanted.is_archived,
        after=after,
        count=count,
    )


def set_name(tx: Tx, customer_id: str, name: str) -> Customer:
    """Rename the customer; the name is cut at 160 characters. Raises NotFound."""
    get_customer(tx, customer_id)
    store.update_customer(tx, customer_id, name=cut_name(name))
    return get_customer(tx, customer_id)


def set_ingest_aliases(tx: Tx, customer_id: str, aliases: Sequence[str]) -> None:
    """Make these the customer's only aliases. Raises NotFound, or Conflict when one is taken."""
    get_customer(tx, customer_id)
    new = merge_aliases(aliases)
    _require_free(tx, new, customer_id)
    store.replace_aliases(tx, customer_id, new)
    store.update_customer(tx, customer_id)


def update_config(tx: Tx, customer_id: str, changes: dict[str, object]) -> None:
    """Change the given settings and leave the others. Raises NotFound."""
    get_customer(tx, customer_id)
    store.update_customer(tx, customer_id, **changes)


def set_billable_status(tx: Tx, customer_id: str, status: BillableStatus, effective_at: datetime) -> Customer:
    """Add a change of billable status (invoicing.md 8). Raises NotFound, or Invalid when archived."""
    require_active(tx, customer_id)
    store.insert_status_change(tx, customer_id, status, effective_at)
    store.update_customer(tx, customer_id)
    return get_customer(tx, customer_id)


def set_configurations(
    tx: Tx,
    kind: integrations.ConfigurationKind,
    drafts: Sequence[tuple[str, integrations.ConfigurationDraft]],
) -> list[integrations.CustomerConfiguration]:
    """Store configurations, each for the customer whose id stands before it, all or none.

    Raises NotFound for an unknown customer or delivery method, Invalid when a customer is archived or a
    configuration does not fit its provider, Conflict when one is taken (invoicing.md 9.3, 9.4).
    """
    stored = []
    for index, (customer_id, draft) in enumerate(drafts):
        require_active(tx, customer_id, f"data[{index}].customer_id")
        stored.append(integrations.create_configuration(tx, kind, customer_id, draft, f"data[{index}]"))
    return stored


def list_configurations(
    tx: ReadTx,
    kind: integrations.ConfigurationKind,
    customer_id: str,
    *,
    include_archived: bool,
    provider: str | None = None,
) -> list[integrations.CustomerConfiguration]:
    """The customer's configurations, oldest first; an archived customer's too. Raises NotFound."""
    get_customer(tx, customer_id)
    return integrations.list_configurations(
        tx, kind, customer_id, include_archived=include_archived, provider=provider
    )


def archive_configurations(
    tx: Tx, kind: integrations.ConfigurationKind, customer_id: str, ids: Sequence[str], field_name: str
) -> list[str]:
    """Archive configurations of the customer, all or none; an archived customer's too.

    Raises NotFound for an unknown customer or an id that is not the customer's, Invalid for one that is
    archived already.
    """
    get_customer(tx, customer_id)
    return integrations.archive_configurations(tx, kind, customer_id, ids, field_name)


def get_only_configuration(
    tx: ReadTx, customer_id: str, provider: integrations.BillingProvider
) -> integrations.CustomerConfiguration:
    """The customer's only configuration of a provider. Raises NotFound, or Conflict for several."""
    get_customer(tx, customer_id)
    return integrations.get_only_configuration(tx, customer_id, provider)


def set_only_configuration(
    tx: Tx, customer_id: str, provider: integrations.BillingProvider, reference: str, keys: dict[str, str]
) -> None:
    """Create or change the customer's only configuration of a provider.

    Raises NotFound, Invalid when the customer is archived or a key does not fit, Conflict when the
    reference is taken or the customer has several configurations of the provider.
    """
    require_active(tx, customer_id)
    integrations.set_only_configuration(tx, customer_id, provider, reference, keys)


def archive_only_configuration(tx: Tx, customer_id: str, provider: integrations.BillingProvider) -> None:
    """Archive the customer's only configuration of a provider. Raises NotFound, Invalid, Conflict."""
    get_customer(tx, customer_id)
    integrations.archive_only_configuration(tx, customer_id, provider)


def mark_archived(tx: Tx, customer_id: str) -> None:
    """Archive the customer; aliases stay reserved. Doing it again changes nothing. Raises NotFound."""
    if get_customer(tx, customer_id, "id").archived_at is None:
        store.update_customer(tx, customer_id, archived_at=tx.now)


def _create_inline(tx: Tx, customer_id: str, draft: CustomerDraft) -> None:
    billing, revenue = integrations.ConfigurationKind.BILLING, integrations.ConfigurationKind.REVENUE
    for index, item in enumerate(draft.billing_provider_configurations):
        path = f"customer_billing_provider_configurations[{index}]"
        integrations.create_configuration(tx, billing, customer_id, item, path)
    for index, item in enumerate(draft.revenue_system_configurations):
        path = f"customer_revenue_system_configurations[{index}]"
        integrations.create_configuration(tx, revenue, customer_id, item, path)


def _require_free(tx: ReadTx, aliases: Sequence[str], customer_id: str) -> None:
    owners = store.select_owners(tx, aliases)
    taken = [alias for alias in aliases if owners.get(alias, customer_id) != customer_id]
    if taken:
        message = (
            f"ingest_aliases: {taken[0]!r} is in use by customer {owners[taken[0]]}; "
            "remove it there first (archived customers keep their aliases)"
        )
        raise Conflict(message)
