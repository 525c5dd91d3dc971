"""Use cases of custom fields."""

from collections.abc import Iterable, Sequence

from tallybook.domains.custom_fields import store
from tallybook.domains.custom_fields.model import VALUE_LENGTH_MAX, Entity, Key
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Conflict, Invalid, NotFound


def attach(tx: Tx, entity: str, entity_id: str, fields: dict[str, str] | None) -> None:
    """Register a new object and set its first values.

    Raises Invalid for an undeclared key or a value too long, Conflict for a value that must be unique.
    """
    kind = Entity(entity)
    store.insert_object(tx, kind, entity_id)
    _put(tx, kind, entity_id, fields or {})


def register(tx: Tx, entity: str, ids: Iterable[str]) -> None:
    """Let these objects carry values; the ones that already do are left as they are."""
    kind = Entity(entity)
    for entity_id in ids:
        if not store.has_object(tx, kind, entity_id):
            store.insert_object(tx, kind, entity_id)


def read(tx: ReadTx, entity: str, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The values of objects, by id; objects without any are left out."""
    return store.select_values(tx, Entity(entity), ids)


def read_one(tx: ReadTx, entity: str, entity_id: str) -> dict[str, str]:
    """The values of one object."""
    return read(tx, entity, [entity_id]).get(entity_id, {})


def add_key(tx: Tx, entity: Entity, key: str, *, enforce_uniqueness: bool) -> None:
    """Declare a key. Raises Conflict when it is declared, or when values already repeat."""
    if any(known.key == key for known in store.select_keys(tx, [entity])):
        raise Conflict(f"key: {key!r} is already declared for {entity}; use another name")
    if enforce_uniqueness and store.has_shared_value(tx, entity, key):
        raise Conflict(f"enforce_uniqueness: objects already share a value of {key!r}; clear it there first")
    store.declare(tx, entity, key, enforce_uniqueness=enforce_uniqueness)


def remove_key(tx: Tx, entity: Entity, key: str) -> None:
    """Hide a key with its values. Raises NotFound."""
    if all(known.key != key for known in store.select_keys(tx, [entity])):
        raise NotFound(f"key: {key!r} is not declared for {entity}; see customFields/listKeys")
    store.remove(tx, entity, key)


def list_keys(tx: ReadTx, entities: Iterable[Entity] | None, after: int, count: int) -> list[Key]:
    """At most `count` declared keys after an ordinal."""
    return store.select_keys(tx, entities, after, count)


def set_values(tx: Tx, entity: Entity, entity_id: str, values: dict[str, str]) -> None:
    """Set the given keys and keep the others, all or nothing. Raises NotFound, Invalid, Conflict."""
    _require_object(tx, entity, entity_id)
    _put(tx, entity, entity_id, values)


def delete_values(tx: Tx, entity: Entity, entity_id: str, names: Sequence[str]) -> None:
    """Clear the given keys; ones that hold nothing are passed over. Raises NotFound."""
    _require_object(tx, entity, entity_id)
    store.delete_values(tx, entity, entity_id, names)


def _require_object(tx: ReadTx, entity: Entity, entity_id: str) -> None:
    if not store.has_object(tx, entity, entity_id):
        raise NotFound(f"entity_id: no {entity} has the id {entity_id} in this environment")


def _put(tx: Tx, entity: Entity, entity_id: str, values: dict[str, str]) -> None:
    declared = {known.key: known for known in store.select_keys(tx, [entity])} if values else {}
    for key, value in values.items():
        if key not in declared:
            message = (
                f"custom_fields.{key}: key is not declared for {entity}; declare it with customFields/addKey"
            )
            raise Invalid(message)
        if len(value) > VALUE_LENGTH_MAX:
            raise Invalid(
                f"custom_fields.{key}: longer than {VALUE_LENGTH_MAX} characters; shorten the value"
            )
        holder = (
            store.holder_of(tx, entity, key, value, entity_id) if declared[key].enforce_uniqueness else None
        )
        if holder is not None:
            raise Conflict(f"custom_fields.{key}: {entity} {holder} holds this value, which must be unique")
    store.put_values(tx, entity, entity_id, values)
