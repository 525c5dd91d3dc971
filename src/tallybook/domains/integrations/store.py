"""All SQL of integrations."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Select,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    update,
)

from tallybook.domains.integrations.model import (
    AccountDelivery,
    BillingProvider,
    ConfigurationKind,
    CustomerConfiguration,
    DeliveryMethod,
    TaxProvider,
)
from tallybook.kit.db.columns import Document, Instant, metadata
from tallybook.kit.db.lists import Place, page, parts_of
from tallybook.kit.db.tx import ReadTx, Tx

deliveries = Table(
    "account_deliveries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("provider", String, nullable=False),
    Column("delivery_method", String, nullable=False),
    Column("configuration", Document(dict[str, Any]), nullable=False),
    Column("sealed_secrets", Document(dict[str, str]), nullable=False),
    Column("identity", String),
    Column("created_at", Instant, nullable=False),
    Column("set_up_at", Instant, index=True),
    UniqueConstraint("provider", "delivery_method", "identity"),
)
"""`identity` names the account on the other side; it is null until the method is set up."""

configurations = Table(
    "customer_configurations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer_id", String(36), nullable=False),
    Column("kind", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("configuration", Document(dict[str, Any]), nullable=False),
    Column("identity", String),
    Column("delivery_id", String(36), ForeignKey("account_deliveries.id"), nullable=False),
    Column("tax_provider", String),
    Column("created_at", Instant, nullable=False),
    Column("archived_at", Instant),
    Index("ix_customer_configurations_customer_id", "customer_id", "kind"),
    Index("ix_customer_configurations_identity", "delivery_id", "identity"),
)
"""`identity` names the customer on the other side; active ones of one delivery method share none."""


def insert_delivery(
    tx: Tx, delivery: AccountDelivery, identity: str | None, sealed_secrets: dict[str, str]
) -> None:
    """Store an account-level delivery method."""
    tx.sql.execute(
        insert(deliveries).values(
            id=delivery.id,
            provider=delivery.provider.value,
            delivery_method=delivery.delivery_method.value,
            configuration=delivery.configuration,
            sealed_secrets=sealed_secrets,
            identity=identity,
            created_at=delivery.created_at,
            set_up_at=delivery.set_up_at,
        )
    )


def update_delivery(tx: Tx, delivery_id: str, **values: object) -> None:
    """Change columns of a delivery method."""
    tx.sql.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**values))


def select_delivery(tx: ReadTx, delivery_id: str) -> AccountDelivery | None:
    """The delivery method with this id."""
    found = _deliveries(tx, select(deliveries).where(deliveries.c.id == delivery_id))
    return found[0] if found else None


def select_deliveries(
    tx: ReadTx, provider: BillingProvider, method: DeliveryMethod, count: int
) -> list[AccountDelivery]:
    """At most `count` delivery methods of this provider and kind, oldest first."""
    query = select(deliveries).where(
        deliveries.c.provider == provider.value, deliveries.c.delivery_method == method.value
    )
    return _deliveries(tx, page(query, deliveries.c.created_at, deliveries.c.id, None, count))


def select_delivery_by_identity(
    tx: ReadTx, provider: BillingProvider, method: DeliveryMethod, identity: str
) -> AccountDelivery | None:
    """The delivery method that was set up for this account on the other side."""
    query = select(deliveries).where(
        deliveries.c.provider == provider.value,
        deliveries.c.delivery_method == method.value,
        deliveries.c.identity == identity,
    )
    found = _deliveries(tx, query)
    return found[0] if found else None


def select_deliveries_set_up(tx: ReadTx, after: Place | None, count: int) -> list[AccountDelivery]:
    """At most `count` delivery methods that were set up, in that order, after a place."""
    query = select(deliveries).where(deliveries.c.set_up_at.is_not(None))
    return _deliveries(tx, page(query, deliveries.c.set_up_at, deliveries.c.id, after, count))


def insert_configuration(tx: Tx, configuration: CustomerConfiguration, identity: str | None) -> None:
    """Store a customer's configuration."""
    tax_provider = configuration.tax_provider
    tx.sql.execute(
        insert(configurations).values(
            id=configuration.id,
            customer_id=configuration.customer_id,
            kind=configuration.kind.value,
            provider=configuration.provider.value,
            configuration=configuration.configuration,
            identity=identity,
            delivery_id=configuration.delivery_method_id,
            tax_provider=tax_provider.value if tax_provider else None,
            created_at=configuration.created_at,
        )
    )


def update_configurations(tx: Tx, ids: Collection[str], **values: object) -> None:
    """Change columns of configurations."""
    for part in parts_of(ids):
        tx.sql.execute(update(configurations).where(configurations.c.id.in_(part)).values(**values))


def select_configurations(
    tx: ReadTx, customer_id: str, kind: ConfigurationKind, *, include_archived: bool
) -> list[CustomerConfiguration]:
    """The customer's configurations of this kind, oldest first."""
    query = _joined().where(configurations.c.customer_id == customer_id, configurations.c.kind == kind.value)
    if not include_archived:
        query = query.where(configurations.c.archived_at.is_(None))
    return _configurations(tx, query)


def select_by_ids(tx: ReadTx, ids: Iterable[str]) -> list[CustomerConfiguration]:
    """The configurations with these ids, archived ones too."""
    found: list[CustomerConfiguration] = []
    for part in parts_of(ids):
        found += _configurations(tx, _joined().where(configurations.c.id.in_(part)))
    return found


def select_by_identity(
    tx: ReadTx, kind: ConfigurationKind, delivery_id: str, identity: str
) -> list[CustomerConfiguration]:
    """The active configurations of this kind that name the same customer on the other side."""
    query = _joined().where(
        configurations.c.delivery_id == delivery_id,
        configurations.c.identity == identity,
        configurations.c.kind == kind.value,
        configurations.c.archived_at.is_(None),
    )
    return _configurations(tx, query)


def _deliveries(tx: ReadTx, query: Select[Any]) -> list[AccountDelivery]:
    return [
        AccountDelivery(
            id=row.id,
            provider=BillingProvider(row.provider),
            delivery_method=DeliveryMethod(row.delivery_method),
            configuration=row.configuration,
            created_at=row.created_at,
            set_up_at=row.set_up_at,
        )
        for row in tx.sql.execute(query)
    ]


def _joined() -> Select[Any]:
    return (
        select(
            configurations,
            deliveries.c.delivery_method,
            deliveries.c.configuration.label("delivery_configuration"),
        )
        .join(deliveries, deliveries.c.id == configurations.c.delivery_id)
        .order_by(configurations.c.created_at, configurations.c.id)
    )


def _configurations(tx: ReadTx, query: Select[Any]) -> list[CustomerConfiguration]:
    return [
        CustomerConfiguration(
            id=row.id,
            customer_id=row.customer_id,
            kind=ConfigurationKind(row.kind),
            provider=BillingProvider(row.provider),
            configuration=row.configuration,
            delivery_method_id=row.delivery_id,
            delivery_method=DeliveryMethod(row.delivery_method),
            delivery_method_configuration=row.delivery_configuration,
            tax_provider=TaxProvider(row.tax_provider) if row.tax_provider else None,
            created_at=row.created_at,
            archived_at=row.archived_at,
        )
        for row in tx.sql.execute(query)
    ]
