"""All SQL of integrations."""

from typing import Any

from sqlalchemy import Column, Index, String, Table, insert

from tallybook.kit.db.columns import Document, Instant, metadata
from tallybook.kit.db.tx import Tx

configurations = Table(
    "customer_configurations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer_id", String(36), nullable=False),
    Column("kind", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("configuration", Document(dict[str, Any]), nullable=False),
    Column("delivery_method", String, nullable=False),
    Column("tax_provider", String),
    Column("created_at", Instant, nullable=False),
    Column("archived_at", Instant),
    Index("ix_customer_configurations_customer_id", "customer_id", "kind"),
)


def insert_configuration(tx: Tx, customer_id: str, kind: str, values: dict[str, Any]) -> None:
    """Store a configuration; `kind` is "billing" or "revenue"."""
    row = {"id": tx.new_id(), "customer_id": customer_id, "kind": kind, "created_at": tx.now}
    tx.sql.execute(insert(configurations).values(**row, **values))
