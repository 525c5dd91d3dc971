"""All SQL of invoices. A row is written once, when its invoice is final; only voiding touches it."""

from typing import Any

import msgspec
import zstandard
from sqlalchemy import Column, Index, Integer, LargeBinary, Row, String, Table, func, insert, select, update

from tallybook.domains.invoices.model import (
    Content,
    FinalInvoice,
    Invoice,
    InvoiceFilter,
    InvoiceStatus,
    RatedFrom,
)
from tallybook.kit.db.columns import Document, Exact, Instant, metadata
from tallybook.kit.db.lists import Place, page
from tallybook.kit.db.tx import ReadTx, Tx

invoices = Table(
    "invoices",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer_id", String(36), nullable=False),
    Column("contract_id", String(36), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("starting_at", Instant, nullable=False),
    Column("ending_before", Instant, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("credit_type_id", String(36), nullable=False),
    Column("total", Exact, nullable=False),
    Column("content", Document(Content), nullable=False),
    Column("rated_from", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("voided_at", Instant),
    Index("ix_invoices_customer_id_issued_at", "customer_id", "issued_at", "id"),
)


def insert_invoice(tx: Tx, invoice: Invoice, rated_from: RatedFrom) -> None:
    """Store a final invoice with what it was rated from."""
    draft = invoice.content.draft
    tx.sql.execute(
        insert(invoices).values(
            id=invoice.id,
            customer_id=invoice.customer_id,
            contract_id=draft.contract_id,
            kind=draft.kind.value,
            generation=0,
            starting_at=draft.period.starting_at,
            ending_before=draft.period.ending_before,
            issued_at=draft.issued_at,
            credit_type_id=draft.credit_type_id,
            total=draft.total,
            content=invoice.content,
            rated_from=zstandard.compress(msgspec.json.encode(rated_from)),
            created_at=tx.now,
        )
    )


def void_all_of(tx: Tx, customer_id: str) -> None:
    """Void every invoice of a customer that is not void yet."""
    living = (invoices.c.customer_id == customer_id) & invoices.c.voided_at.is_(None)
    tx.sql.execute(update(invoices).where(living).values(voided_at=tx.now))


def select_invoice(tx: ReadTx, customer_id: str, invoice_id: str) -> Invoice | None:
    """The customer's final invoice with this id."""
    query = _columns().where(invoices.c.id == invoice_id, invoices.c.customer_id == customer_id)
    row = tx.sql.execute(query).one_or_none()
    return None if row is None else _from_row(row)


def select_rated_from(tx: ReadTx, invoice_id: str) -> RatedFrom | None:
    """What a final invoice was rated from."""
    query = select(invoices.c.rated_from).where(invoices.c.id == invoice_id)
    packed = tx.sql.execute(query).scalar_one_or_none()
    return None if packed is None else msgspec.json.decode(zstandard.decompress(packed), type=RatedFrom)


def select_final(tx: ReadTx, invoice_id: str) -> FinalInvoice | None:
    """A final invoice with the columns that repeat its content."""
    columns = [invoices.c[name] for name in FinalInvoice.__dataclass_fields__]
    row = tx.sql.execute(select(*columns).where(invoices.c.id == invoice_id)).one_or_none()
    return None if row is None else FinalInvoice(**row._asdict())


def select_ids(tx: ReadTx, after: str, count: int) -> list[str]:
    """At most `count` ids of final invoices after one, in order."""
    query = select(invoices.c.id).where(invoices.c.id > after).order_by(invoices.c.id).limit(count)
    return list(tx.sql.execute(query).scalars())


def count_invoices(tx: ReadTx) -> int:
    """How many final invoices there are."""
    return tx.sql.execute(select(func.count()).select_from(invoices)).scalar_one()


def select_page(
    tx: ReadTx,
    customer_id: str,
    wanted: InvoiceFilter,
    after: Place | None,
    count: int,
    *,
    newest_first: bool,
) -> list[Invoice]:
    """At most `count` final invoices that pass the filter, by issue date and id, after a place."""
    if wanted.status is InvoiceStatus.DRAFT:
        return []
    query = _columns().where(invoices.c.customer_id == customer_id)
    if wanted.status is not None:
        is_void = wanted.status is InvoiceStatus.VOID
        query = query.where(invoices.c.voided_at.is_not(None) if is_void else invoices.c.voided_at.is_(None))
    for name, value in (
        ("kind", wanted.kind),
        ("credit_type_id", wanted.credit_type_id),
        ("contract_id", wanted.contract_id),
    ):
        if value is not None:
            query = query.where(invoices.c[name] == value)
    if wanted.starting_on is not None:
        query = query.where(invoices.c.starting_at >= wanted.starting_on)
    if wanted.ending_before is not None:
        query = query.where(invoices.c.ending_before < wanted.ending_before)
    query = page(query, invoices.c.issued_at, invoices.c.id, after, count, newest_first=newest_first)
    return [_from_row(row) for row in tx.sql.execute(query)]


def _columns() -> Any:
    return select(invoices.c.id, invoices.c.customer_id, invoices.c.content, invoices.c.voided_at)


def _from_row(row: Row[Any]) -> Invoice:
    return Invoice(
        id=row.id,
        customer_id=row.customer_id,
        status=InvoiceStatus.FINALIZED if row.voided_at is None else InvoiceStatus.VOID,
        content=row.content,
    )
