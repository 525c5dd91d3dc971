"""All SQL of rate cards, their aliases, rates and product order."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from tallybook.domains.rate_cards.model import AliasSegment, RateCard, RateKeyRecord
from tallybook.kit.db.columns import Document, Exact, Instant, metadata
from tallybook.kit.db.lists import Place, page, parts_of
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.rating.rates import RateKey, key_of
from tallybook.values.pricing import GroupValues, Price, RateEntry, RateType

rate_cards = Table(
    "rate_cards",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String, nullable=False),
    Column("description", String),
    Column("fiat_credit_type_id", String(36), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("archived_at", Instant),
    Index("ix_rate_cards_created_at_id", "created_at", "id"),
)

aliases = Table(
    "rate_card_aliases",
    metadata,
    Column("rate_card_id", String(36), ForeignKey("rate_cards.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("name", String, nullable=False, index=True),
    Column("starting_at", Instant),
    Column("ending_before", Instant),
)

# What a card has prices for. Entries of one key follow one another in time. The frequency is "" where
# there is none: databases take nulls in a unique index for different values.
keys = Table(
    "rate_card_keys",
    metadata,
    Column("rate_card_id", String(36), ForeignKey("rate_cards.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("product_id", String(36), nullable=False),
    Column("billing_frequency", String, nullable=False),
    Column("group_values", Document(GroupValues), nullable=False),
    UniqueConstraint("rate_card_id", "product_id", "billing_frequency", "group_values"),
)

entries = Table(
    "rate_card_entries",
    metadata,
    Column("rate_card_id", String(36), primary_key=True),
    Column("added", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("key", Integer, nullable=False),
    Column("starting_at", Instant, nullable=False),
    Column("ending_before", Instant),
    Column("entitled", Boolean, nullable=False),
    Column("rate_type", String, nullable=False),
    Column("price", Exact, nullable=False),
    Column("credit_type_id", String(36), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    ForeignKeyConstraint(["rate_card_id", "key"], [keys.c.rate_card_id, keys.c.ordinal]),
    Index("ix_rate_card_entries_key", "rate_card_id", "key"),
)

product_positions = Table(
    "rate_card_product_positions",
    metadata,
    Column("rate_card_id", String(36), ForeignKey("rate_cards.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("product_id", String(36), nullable=False),
)


def insert_rate_card(tx: Tx, card: RateCard) -> None:
    """Store a new card without its aliases."""
    tx.sql.execute(
        insert(rate_cards).values(
            id=card.id,
            name=card.name,
            description=card.description,
            fiat_credit_type_id=card.fiat_credit_type_id,
            created_at=card.created_at,
            created_by=card.created_by,
        )
    )


def update_rate_card(tx: Tx, rate_card_id: str, **values: object) -> None:
    """Change columns of a card."""
    tx.sql.execute(update(rate_cards).where(rate_cards.c.id == rate_card_id).values(**values))


def select_rate_card(tx: ReadTx, rate_card_id: str) -> RateCard | None:
    """The card with this id."""
    found = _load_cards(tx, select(rate_cards).where(rate_cards.c.id == rate_card_id))
    return found[0] if found else None


def select_page(tx: ReadTx, after: Place | None, count: int) -> list[RateCard]:
    """At most `count` cards that are not archived, oldest first, after a place."""
    query = select(rate_cards).where(rate_cards.c.archived_at.is_(None))
    return _load_cards(tx, page(query, rate_cards.c.created_at, rate_cards.c.id, after, count))


def replace_aliases(tx: Tx, rate_card_id: str, segments: Sequence[AliasSegment]) -> None:
    """Make these the card's alias segments."""
    tx.sql.execute(delete(aliases).where(aliases.c.rate_card_id == rate_card_id))
    if segments:
        tx.sql.execute(
            insert(aliases),
            [
                {
                    "rate_card_id": rate_card_id,
                    "ordinal": index,
                    "name": segment.name,
                    "starting_at": segment.starting_at,
                    "ending_before": segment.ending_before,
                }
                for index, segment in enumerate(segments)
            ],
        )


def select_holders(tx: ReadTx, names: Iterable[str]) -> dict[str, list[AliasSegment]]:
    """All alias segments of the cards that hold any of these names, by card."""
    found: dict[str, list[AliasSegment]] = {}
    for part in parts_of(names):
        holders = select(aliases.c.rate_card_id).where(aliases.c.name.in_(part))
        query = select(aliases).where(aliases.c.rate_card_id.in_(holders)).order_by(aliases.c.ordinal)
        of_part: dict[str, list[AliasSegment]] = {}
        for row in tx.sql.execute(query):
            of_part.setdefault(row.rate_card_id, []).append(_alias(row))
        found.update(of_part)
    return found


def select_holder(tx: ReadTx, name: str, at: datetime) -> str | None:
    """The card that a name stands for at an instant."""
    started = or_(aliases.c.starting_at.is_(None), aliases.c.starting_at <= at)
    runs = or_(aliases.c.ending_before.is_(None), aliases.c.ending_before > at)
    query = select(aliases.c.rate_card_id).where(aliases.c.name == name, started, runs)
    return tx.sql.execute(query).scalars().first()


def insert_entries(tx: Tx, rate_card_id: str, new: Sequence[RateEntry]) -> None:
    """Store entries whose `added` is theirs already."""
    if not new:
        return
    ordinals = _ordinals(tx, rate_card_id, new)
    tx.sql.execute(
        insert(entries),
        [
            {
                "rate_card_id": rate_card_id,
                "added": entry.added,
                "id": entry.id,
                "key": ordinals[key_of(entry)],
                "starting_at": entry.starting_at,
                "ending_before": entry.ending_before,
                "entitled": entry.entitled,
                "rate_type": entry.price.rate_type.value,
                "price": entry.price.price,
                "credit_type_id": entry.price.credit_type_id,
                "created_at": tx.now,
                "created_by": tx.actor,
            }
            for entry in new
        ],
    )


def count_entries(tx: ReadTx, rate_card_id: str) -> int:
    """The highest `added` of the card's entries, 0 when it has none."""
    query = select(func.coalesce(func.max(entries.c.added), 0)).where(entries.c.rate_card_id == rate_card_id)
    return int(tx.sql.execute(query).scalar_one())


def select_entries(
    tx: ReadTx, rate_card_id: str, product_ids: Collection[str] | None = None
) -> list[RateEntry]:
    """The card's entries, of these products or of all, in the order in which they were added."""
    query = _entries_of(rate_card_id)
    if product_ids is None:
        rows: Sequence[Row[Any]] = tx.sql.execute(query.order_by(entries.c.added)).all()
    else:
        parts = (tx.sql.execute(query.where(keys.c.product_id.in_(part))) for part in parts_of(product_ids))
        rows = sorted((row for part in parts for row in part), key=lambda row: row.added)
    return [_entry(row) for row in rows]


def select_entries_by_key(
    tx: ReadTx, rate_card_id: str, ordinals: Sequence[int]
) -> dict[int, list[RateEntry]]:
    """The entries of these keys, in the order in which they were added."""
    found: dict[int, list[RateEntry]] = {}
    for part in parts_of(ordinals):
        query = _entries_of(rate_card_id).where(entries.c.key.in_(part)).order_by(entries.c.added)
        for row in tx.sql.execute(query):
            found.setdefault(row.key, []).append(_entry(row))
    return found


def select_keys(
    tx: ReadTx,
    rate_card_id: str,
    *,
    product_ids: Collection[str] | None,
    group_values: Collection[GroupValues] | None,
    after: int,
    count: int,
) -> list[RateKeyRecord]:
    """At most `count` keys after an ordinal, in its order; at most PART members in a filter."""
    query = select(keys).where(keys.c.rate_card_id == rate_card_id, keys.c.ordinal > after)
    if product_ids is not None:
        query = query.where(keys.c.product_id.in_(product_ids))
    if group_values is not None:
        query = query.where(keys.c.group_values.in_(group_values))
    return [_key(row) for row in tx.sql.execute(query.order_by(keys.c.ordinal).limit(count))]


def select_priced_products(tx: ReadTx, rate_card_id: str) -> list[str]:
    """Products that have rates on the card, in the order in which they got their first one."""
    first = func.min(keys.c.ordinal)
    query = select(keys.c.product_id).where(keys.c.rate_card_id == rate_card_id)
    return list(tx.sql.execute(query.group_by(keys.c.product_id).order_by(first)).scalars())


def select_product_order(tx: ReadTx, rate_card_id: str) -> list[str]:
    """Products that were put in order, in it."""
    query = select(product_positions.c.product_id).where(product_positions.c.rate_card_id == rate_card_id)
    return list(tx.sql.execute(query.order_by(product_positions.c.position)).scalars())


def replace_product_order(tx: Tx, rate_card_id: str, product_ids: Sequence[str]) -> None:
    """Make this the card's product order."""
    tx.sql.execute(delete(product_positions).where(product_positions.c.rate_card_id == rate_card_id))
    rows = [
        {"rate_card_id": rate_card_id, "position": index, "product_id": product_id}
        for index, product_id in enumerate(product_ids)
    ]
    if rows:
        tx.sql.execute(insert(product_positions), rows)


def _ordinals(tx: Tx, rate_card_id: str, new: Sequence[RateEntry]) -> dict[RateKey, int]:
    """The ordinal of each key of these entries; new keys are stored."""
    wanted = list(dict.fromkeys(map(key_of, new)))
    known: dict[RateKey, int] = {}
    for part in parts_of(wanted):
        query = select(keys).where(
            keys.c.rate_card_id == rate_card_id,
            keys.c.product_id.in_({product_id for product_id, _, _ in part}),
            keys.c.group_values.in_({group_values for _, group_values, _ in part}),
        )
        for key in map(_key, tx.sql.execute(query)):
            known[key.product_id, key.group_values, key.billing_frequency] = key.ordinal
    highest = select(func.coalesce(func.max(keys.c.ordinal), 0)).where(keys.c.rate_card_id == rate_card_id)
    start = tx.sql.execute(highest).scalar_one() + 1
    fresh = {key: start + index for index, key in enumerate(key for key in wanted if key not in known)}
    if fresh:
        tx.sql.execute(
            insert(keys),
            [
                {
                    "rate_card_id": rate_card_id,
                    "ordinal": ordinal,
                    "product_id": product_id,
                    "group_values": group_values,
                    "billing_frequency": billing_frequency or "",
                }
                for (product_id, group_values, billing_frequency), ordinal in fresh.items()
            ],
        )
    return known | fresh


def _entries_of(rate_card_id: str) -> Select[Any]:
    return (
        select(entries, keys.c.product_id, keys.c.group_values, keys.c.billing_frequency)
        .join(keys, (keys.c.rate_card_id == entries.c.rate_card_id) & (keys.c.ordinal == entries.c.key))
        .where(entries.c.rate_card_id == rate_card_id)
    )


def _load_cards(tx: ReadTx, query: Select[Any]) -> list[RateCard]:
    rows = tx.sql.execute(query).all()
    names: dict[str, list[AliasSegment]] = {}
    ids = [row.id for row in rows]
    held = select(aliases).where(aliases.c.rate_card_id.in_(ids)).order_by(aliases.c.ordinal)
    for row in tx.sql.execute(held):
        names.setdefault(row.rate_card_id, []).append(_alias(row))
    return [RateCard(aliases=tuple(names.get(row.id, ())), **row._asdict()) for row in rows]


def _alias(row: Row[Any]) -> AliasSegment:
    return AliasSegment(name=row.name, starting_at=row.starting_at, ending_before=row.ending_before)


def _key(row: Row[Any]) -> RateKeyRecord:
    return RateKeyRecord(row.ordinal, row.product_id, row.group_values, row.billing_frequency or None)


def _entry(row: Row[Any]) -> RateEntry:
    return RateEntry(
        id=row.id,
        product_id=row.product_id,
        group_values=row.group_values,
        starting_at=row.starting_at,
        ending_before=row.ending_before,
        entitled=row.entitled,
        price=Price(rate_type=RateType(row.rate_type), price=row.price, credit_type_id=row.credit_type_id),
        added=row.added,
        billing_frequency=row.billing_frequency or None,
    )
