"""All SQL of customers and their aliases."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from tallybook.domains.customers.model import BillableStatus, Customer, StatusChange
from tallybook.kit.db.columns import Instant, metadata
from tallybook.kit.db.lists import Place, page, parts_of
from tallybook.kit.db.tx import ReadTx, Tx

customers = Table(
    "customers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String, nullable=False),
    Column("salesforce_account_id", String, index=True),
    Column("leave_stripe_invoices_in_draft", Boolean),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("archived_at", Instant),
    Index("ix_customers_created_at_id", "created_at", "id"),
)

aliases = Table(
    "customer_aliases",
    metadata,
    Column("alias", String(128), primary_key=True),
    Column("customer_id", String(36), ForeignKey("customers.id"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
)

status_changes = Table(
    "customer_status_changes",
    metadata,
    Column("customer_id", String(36), ForeignKey("customers.id"), primary_key=True),
    Column("added", Integer, primary_key=True),
    Column("status", String, nullable=False),
    Column("effective_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
)


def insert_customer(tx: Tx, customer: Customer) -> None:
    """Store a new customer with its aliases."""
    tx.sql.execute(
        insert(customers).values(
            id=customer.id,
            name=customer.name,
            salesforce_account_id=customer.salesforce_account_id,
            leave_stripe_invoices_in_draft=customer.leave_stripe_invoices_in_draft,
            created_at=customer.created_at,
            updated_at=customer.updated_at,
        )
    )
    _insert_aliases(tx, customer.id, customer.aliases)


def update_customer(tx: Tx, customer_id: str, **values: object) -> None:
    """Change columns of a customer, and note when."""
    tx.sql.execute(update(customers).where(customers.c.id == customer_id).values(updated_at=tx.now, **values))


def replace_aliases(tx: Tx, customer_id: str, new: Sequence[str]) -> None:
    """Make `new` the customer's aliases."""
    tx.sql.execute(delete(aliases).where(aliases.c.customer_id == customer_id))
    _insert_aliases(tx, customer_id, new)


def insert_status_change(tx: Tx, customer_id: str, status: BillableStatus, effective_at: datetime) -> None:
    """Add a change of billable status."""
    last = select(func.coalesce(func.max(status_changes.c.added), 0)).where(
        status_changes.c.customer_id == customer_id
    )
    added = tx.sql.execute(last).scalar_one() + 1
    row = {"customer_id": customer_id, "added": added, "status": status.value}
    tx.sql.execute(insert(status_changes).values(effective_at=effective_at, created_at=tx.now, **row))


def select_customer(tx: ReadTx, customer_id: str) -> Customer | None:
    """The customer with this id."""
    found = _load(tx, select(customers).where(customers.c.id == customer_id))
    return found[0] if found else None


def select_owners(tx: ReadTx, keys: Iterable[str]) -> dict[str, str]:
    """Which customer owns each of these keys, by alias or by its own id."""
    owners: dict[str, str] = {}
    for part in parts_of(keys):
        ids = tx.sql.execute(select(customers.c.id).where(customers.c.id.in_(part)))
        owners.update({row.id: row.id for row in ids})
        taken = tx.sql.execute(
            select(aliases.c.alias, aliases.c.customer_id).where(aliases.c.alias.in_(part))
        )
        owners.update({row.alias: row.customer_id for row in taken})
    return owners


def select_page(
    tx: ReadTx,
    *,
    ingest_alias: str | None,
    customer_ids: Sequence[str] | None,
    salesforce_account_ids: Sequence[str] | None,
    is_archived: bool,
    after: Place | None,
    count: int,
) -> list[Customer]:
    """Customers that meet every filter given, oldest first, after a place."""
    query = select(customers).where(
        customers.c.archived_at.is_not(None) if is_archived else customers.c.archived_at.is_(None)
    )
    if ingest_alias is not None:
        owner = select(aliases.c.customer_id).where(aliases.c.alias == ingest_alias)
        query = query.where(customers.c.id.in_(owner))
    if customer_ids is not None:
        query = query.where(customers.c.id.in_(customer_ids))
    if salesforce_account_ids is not None:
        query = query.where(customers.c.salesforce_account_id.in_(salesforce_account_ids))
    return _load(tx, page(query, customers.c.created_at, customers.c.id, after, count))


def _insert_aliases(tx: Tx, customer_id: str, new: Sequence[str]) -> None:
    if new:
        rows = [
            {"alias": alias, "customer_id": customer_id, "ordinal": index} for index, alias in enumerate(new)
        ]
        tx.sql.execute(insert(aliases), rows)


def _load(tx: ReadTx, query: Select[tuple[object, ...]]) -> list[Customer]:
    rows = tx.sql.execute(query).all()
    ids = [row.id for row in rows]
    names: dict[str, list[str]] = {}
    alias_query = select(aliases).where(aliases.c.customer_id.in_(ids)).order_by(aliases.c.ordinal)
    for row in tx.sql.execute(alias_query):
        names.setdefault(row.customer_id, []).append(row.alias)
    changes: dict[str, list[StatusChange]] = {}
    for row in tx.sql.execute(select(status_changes).where(status_changes.c.customer_id.in_(ids))):
        change = StatusChange(BillableStatus(row.status), row.effective_at, row.added)
        changes.setdefault(row.customer_id, []).append(change)
    return [
        Customer(
            aliases=tuple(names.get(row.id, ())),
            status_changes=tuple(changes.get(row.id, ())),
            **row._asdict(),
        )
        for row in rows
    ]
