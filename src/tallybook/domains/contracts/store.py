"""All SQL of contracts."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    Select,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from tallybook.domains.contracts.model import ChargeConsolidation, Contract, MultiplierPrioritization
from tallybook.kit.db.columns import Exact, Instant, metadata
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.rating.statements import StatementFrequency, StatementSchedule

contracts = Table(
    "contracts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer_id", String(36), ForeignKey("customers.id"), nullable=False),
    Column("name", String),
    Column("uniqueness_key", String(128), unique=True),
    Column("starting_at", Instant, nullable=False),
    Column("ending_before", Instant),
    Column("rate_card_id", String(36)),
    Column("net_payment_terms_days", Integer),
    Column("statement_frequency", String, nullable=False),
    Column("statement_anchor", Instant, nullable=False),
    Column("invoice_generation_starting_at", Instant),
    Column("total_contract_value", Exact),
    Column("multiplier_override_prioritization", String, nullable=False),
    Column("scheduled_charges_on_usage_invoices", String),
    Column("netsuite_sales_order_id", String),
    Column("salesforce_opportunity_id", String),
    Column("billing_provider_configuration_id", String(36)),
    Column("revenue_system_configuration_id", String(36)),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("archived_at", Instant),
    Column("billed_until", Instant),
    Column("next_statement_ends_at", Instant),
    Index("ix_contracts_customer_id_starting_at", "customer_id", "starting_at", "id"),
    Index("ix_contracts_next_statement_ends_at", "next_statement_ends_at"),
)


def insert_contract(tx: Tx, contract: Contract) -> None:
    """Store a new contract."""
    tx.sql.execute(insert(contracts).values(**_to_row(contract)))


def select_contract(tx: ReadTx, contract_id: str) -> Contract | None:
    """The contract with this id."""
    found = _all(tx, select(contracts).where(contracts.c.id == contract_id))
    return found[0] if found else None


def is_key_used(tx: ReadTx, uniqueness_key: str) -> bool:
    """Whether any contract, archived or not, was created under the key."""
    found = select(contracts.c.id).where(contracts.c.uniqueness_key == uniqueness_key)
    return tx.sql.execute(found).first() is not None


def select_of_customer(tx: ReadTx, customer_id: str, *, include_archived: bool) -> list[Contract]:
    """The customer's contracts by start, then id."""
    query = select(contracts).where(contracts.c.customer_id == customer_id)
    if not include_archived:
        query = query.where(contracts.c.archived_at.is_(None))
    return _all(tx, query.order_by(contracts.c.starting_at, contracts.c.id))


def select_due(tx: ReadTx, ended_by: datetime, count: int) -> list[Contract]:
    """Contracts whose next statement period ends by an instant, the oldest end first."""
    due = contracts.c.next_statement_ends_at
    query = select(contracts).where(due.is_not(None), due <= ended_by)
    return _all(tx, query.order_by(due, contracts.c.starting_at, contracts.c.id).limit(count))


def select_earliest_open(tx: ReadTx) -> datetime | None:
    """Where the earliest statement period begins that is not billed yet; None where there is none."""
    is_open = contracts.c.next_statement_ends_at.is_not(None)
    begins = func.min(func.coalesce(contracts.c.billed_until, contracts.c.starting_at, type_=Instant()))
    found: datetime | None = tx.sql.execute(select(begins).where(is_open)).scalar_one()
    return found


def update_progress(tx: Tx, changed: Iterable[Contract]) -> None:
    """Store how far contracts are billed, whether they are archived, and what is due next."""
    for contract in changed:
        row = _to_row(contract)
        progress = {name: row[name] for name in ("archived_at", "billed_until", "next_statement_ends_at")}
        tx.sql.execute(update(contracts).where(contracts.c.id == contract.id).values(**progress))


def _all(tx: ReadTx, query: Select[Any]) -> list[Contract]:
    return [_from_row(row) for row in tx.sql.execute(query).mappings()]


def _to_row(contract: Contract) -> dict[str, Any]:
    row = asdict(contract)
    del row["schedule"]
    statement = contract.next_statement()
    return row | {
        "statement_frequency": contract.schedule.frequency.value,
        "statement_anchor": contract.schedule.anchor,
        "invoice_generation_starting_at": contract.schedule.invoice_generation_starting_at,
        "multiplier_override_prioritization": contract.multiplier_override_prioritization.value,
        "next_statement_ends_at": statement.ending_before if statement else None,
    }


def _from_row(row: RowMapping) -> Contract:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    del values["next_statement_ends_at"]
    consolidation = values.pop("scheduled_charges_on_usage_invoices")
    return Contract(
        schedule=StatementSchedule(
            frequency=StatementFrequency(values.pop("statement_frequency")),
            anchor=values.pop("statement_anchor"),
            invoice_generation_starting_at=values.pop("invoice_generation_starting_at"),
        ),
        multiplier_override_prioritization=MultiplierPrioritization(
            values.pop("multiplier_override_prioritization")
        ),
        scheduled_charges_on_usage_invoices=ChargeConsolidation(consolidation) if consolidation else None,
        **values,
    )
