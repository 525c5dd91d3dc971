"""All SQL of custom fields."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, delete, func, insert, select, update

from tallybook.domains.custom_fields.model import Entity, Key
from tallybook.kit.db.columns import Instant, metadata
from tallybook.kit.db.tx import ReadTx, Tx

keys = Table(
    "custom_field_keys",
    metadata,
    Column("entity", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("ordinal", Integer, nullable=False, unique=True),
    Column("enforce_uniqueness", Boolean, nullable=False),
    Column("is_removed", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

objects = Table(
    "custom_field_objects",
    metadata,
    Column("entity", String, primary_key=True),
    Column("entity_id", String(36), primary_key=True),
    Column("created_at", Instant, nullable=False),
)

field_values = Table(
    "custom_field_values",
    metadata,
    Column("entity", String, primary_key=True),
    Column("entity_id", String(36), primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    Index("ix_custom_field_values_value", "entity", "key", "value"),
)


def insert_object(tx: Tx, entity: Entity, entity_id: str) -> None:
    """Register an object that may carry values."""
    tx.sql.execute(insert(objects).values(entity=entity.value, entity_id=entity_id, created_at=tx.now))


def has_object(tx: ReadTx, entity: Entity, entity_id: str) -> bool:
    """Whether the object is registered."""
    found = select(objects.c.entity_id).where(
        objects.c.entity == entity.value, objects.c.entity_id == entity_id
    )
    return tx.sql.execute(found).first() is not None


def declare(tx: Tx, entity: Entity, key: str, *, enforce_uniqueness: bool) -> None:
    """Store a key, or bring back a removed one."""
    ordinal = tx.sql.execute(select(func.coalesce(func.max(keys.c.ordinal), 0))).scalar_one() + 1
    tx.sql.execute(delete(keys).where(keys.c.entity == entity.value, keys.c.key == key))
    row = {"entity": entity.value, "key": key, "ordinal": ordinal, "is_removed": False}
    tx.sql.execute(insert(keys).values(enforce_uniqueness=enforce_uniqueness, created_at=tx.now, **row))


def remove(tx: Tx, entity: Entity, key: str) -> None:
    """Hide a key and its values."""
    tx.sql.execute(
        update(keys).where(keys.c.entity == entity.value, keys.c.key == key).values(is_removed=True)
    )


def select_keys(
    tx: ReadTx, entities: Iterable[Entity] | None, after: int = 0, count: int | None = None
) -> list[Key]:
    """Keys that are not removed, in the order of their declaration."""
    query = select(keys).where(keys.c.is_removed.is_(False), keys.c.ordinal > after).order_by(keys.c.ordinal)
    if entities is not None:
        query = query.where(keys.c.entity.in_({entity.value for entity in entities}))
    rows = tx.sql.execute(query.limit(count))
    return [Key(Entity(row.entity), row.key, row.enforce_uniqueness, row.ordinal) for row in rows]


def holder_of(tx: ReadTx, entity: Entity, key: str, value: str, but: str) -> str | None:
    """Another object than `but` that holds this value."""
    found = select(field_values.c.entity_id).where(
        field_values.c.entity == entity.value,
        field_values.c.key == key,
        field_values.c.value == value,
        field_values.c.entity_id != but,
    )
    return tx.sql.execute(found).scalars().first()


def has_shared_value(tx: ReadTx, entity: Entity, key: str) -> bool:
    """Whether two objects hold the same value under the key."""
    values = (field_values.c.entity == entity.value) & (field_values.c.key == key)
    shared = (
        select(field_values.c.value).where(values).group_by(field_values.c.value).having(func.count() > 1)
    )
    return tx.sql.execute(shared.limit(1)).first() is not None


def delete_values(tx: Tx, entity: Entity, entity_id: str, names: Iterable[str]) -> None:
    """Drop the object's values under these keys."""
    wanted = list(dict.fromkeys(names))
    for start in range(0, len(wanted), 500):
        tx.sql.execute(
            delete(field_values).where(
                field_values.c.entity == entity.value,
                field_values.c.entity_id == entity_id,
                field_values.c.key.in_(wanted[start : start + 500]),
            )
        )


def put_values(tx: Tx, entity: Entity, entity_id: str, values: dict[str, str]) -> None:
    """Set the object's values under these keys."""
    delete_values(tx, entity, entity_id, values)
    rows = [
        {"entity": entity.value, "entity_id": entity_id, "key": key, "value": value}
        for key, value in values.items()
    ]
    if rows:
        tx.sql.execute(insert(field_values), rows)


def select_values(tx: ReadTx, entity: Entity, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Values under keys that are not removed, by object."""
    query = (
        select(field_values)
        .join(keys, (keys.c.entity == field_values.c.entity) & (keys.c.key == field_values.c.key))
        .where(keys.c.is_removed.is_(False), field_values.c.entity == entity.value)
        .order_by(keys.c.ordinal)
    )
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(ids), 500):
        for row in tx.sql.execute(query.where(field_values.c.entity_id.in_(ids[start : start + 500]))):
            found.setdefault(row.entity_id, {})[row.key] = row.value
    return found
