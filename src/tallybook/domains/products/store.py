"""All SQL of products and their versions."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    insert,
    select,
    update,
)

from tallybook.domains.products.model import ArchiveFilter, Attributes, Product, Version
from tallybook.kit.db.columns import Document, Instant, metadata
from tallybook.kit.db.lists import Place, page, parts_of
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.pricing import ProductType

products = Table(
    "products",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("type", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("archived_at", Instant),
    Index("ix_products_created_at_id", "created_at", "id"),
)

versions = Table(
    "product_versions",
    metadata,
    Column("product_id", String(36), ForeignKey("products.id"), primary_key=True),
    Column("added", Integer, primary_key=True),
    Column("starting_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("attributes", Document(Attributes), nullable=False),
)


def insert_product(tx: Tx, product: Product) -> None:
    """Store a new product with its versions."""
    tx.sql.execute(
        insert(products).values(id=product.id, type=product.type.value, created_at=product.created_at)
    )
    for version in product.versions:
        insert_version(tx, product.id, version)


def insert_version(tx: Tx, product_id: str, version: Version) -> None:
    """Add a version to a product."""
    tx.sql.execute(
        insert(versions).values(
            product_id=product_id,
            added=version.added,
            starting_at=version.starting_at,
            created_at=version.created_at,
            created_by=version.created_by,
            attributes=version.attributes,
        )
    )


def update_archived_at(tx: Tx, product_id: str, archived_at: datetime) -> None:
    """Note when a product was archived."""
    tx.sql.execute(update(products).where(products.c.id == product_id).values(archived_at=archived_at))


def select_products(tx: ReadTx, ids: Iterable[str]) -> list[Product]:
    """The products with these ids, in no order."""
    found: list[Product] = []
    for part in parts_of(ids):
        found += _load(tx, select(products).where(products.c.id.in_(part)))
    return found


def select_page(tx: ReadTx, archive_filter: ArchiveFilter, after: Place | None, count: int) -> list[Product]:
    """At most `count` products, oldest first, after a place."""
    query = select(products)
    if archive_filter is ArchiveFilter.ARCHIVED:
        query = query.where(products.c.archived_at.is_not(None))
    elif archive_filter is ArchiveFilter.NOT_ARCHIVED:
        query = query.where(products.c.archived_at.is_(None))
    return _load(tx, page(query, products.c.created_at, products.c.id, after, count))


def _load(tx: ReadTx, query: Select[tuple[object, ...]]) -> list[Product]:
    rows = tx.sql.execute(query).all()
    by_product: dict[str, list[Version]] = {}
    of_these = select(versions).where(versions.c.product_id.in_([row.id for row in rows]))
    for row in tx.sql.execute(of_these.order_by(versions.c.added)):
        version = Version(
            added=row.added,
            starting_at=row.starting_at,
            created_at=row.created_at,
            created_by=row.created_by,
            attributes=row.attributes,
        )
        by_product.setdefault(row.product_id, []).append(version)
    return [
        Product(
            id=row.id,
            type=ProductType(row.type),
            created_at=row.created_at,
            archived_at=row.archived_at,
            versions=tuple(by_product[row.id]),
        )
        for row in rows
    ]
