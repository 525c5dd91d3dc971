"""HTTP of custom fields."""

from typing import Annotated

from msgspec import Meta

from tallybook.domains.custom_fields import service
from tallybook.domains.custom_fields.model import Entity
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import post
from tallybook.kit.http.paging import LIMIT_DEFAULT, page_of, start_after
from tallybook.kit.http.wire import CustomFields, Empty, Page, Request, Response, Uuid

KeyName = Annotated[str, Meta(min_length=1, max_length=200)]


class AddKeyRequest(Request, frozen=True):
    """A key to declare."""

    entity: Entity
    key: KeyName
    enforce_uniqueness: bool


class RemoveKeyRequest(Request, frozen=True):
    """A key to hide."""

    entity: Entity
    key: KeyName


class ListKeysRequest(Request, frozen=True):
    """Of which entities to list keys; all when left out."""

    entities: list[Entity] | None = None


class ListKeysQuery(Request, frozen=True):
    """Where to go on."""

    next_page: str | None = None


class SetValuesRequest(Request, frozen=True):
    """Values to set on one object."""

    entity: Entity
    entity_id: Uuid
    custom_fields: CustomFields


class DeleteValuesRequest(Request, frozen=True):
    """Keys to clear on one object."""

    entity: Entity
    entity_id: Uuid
    keys: list[str]


class KeyResponse(Response, frozen=True):
    """A declared key."""

    entity: Entity
    key: str
    enforce_uniqueness: bool


@post("/v1/customFields/addKey", "addCustomFieldKey-v1")
def add_custom_field_key(tx: Tx, body: AddKeyRequest) -> Empty:
    """Declare a key for an entity."""
    service.add_key(tx, body.entity, body.key, enforce_uniqueness=body.enforce_uniqueness)
    return Empty()


@post("/v1/customFields/removeKey", "disableCustomFieldKey-v1")
def disable_custom_field_key(tx: Tx, body: RemoveKeyRequest) -> Empty:
    """Hide a key and its values."""
    service.remove_key(tx, body.entity, body.key)
    return Empty()


@post("/v1/customFields/listKeys", "listCustomFieldKeys-v1")
def list_custom_field_keys(
    tx: ReadTx, query: ListKeysQuery, body: ListKeysRequest | None = None
) -> Page[KeyResponse]:
    """List declared keys."""
    (after,) = start_after("custom field keys", query.next_page, (int,)) or (0,)
    keys = service.list_keys(tx, body.entities if body else None, after, LIMIT_DEFAULT + 1)
    return page_of(
        "custom field keys",
        keys,
        LIMIT_DEFAULT,
        key=lambda item: (item.ordinal,),
        render=lambda item: KeyResponse(
            entity=item.entity, key=item.key, enforce_uniqueness=item.enforce_uniqueness
        ),
    )


@post("/v1/customFields/setValues", "setCustomFields-v1")
def set_custom_fields(tx: Tx, body: SetValuesRequest) -> Empty:
    """Set values on an object."""
    service.set_values(tx, body.entity, body.entity_id, body.custom_fields)
    return Empty()


@post("/v1/customFields/deleteValues", "deleteCustomFields-v1")
def delete_custom_fields(tx: Tx, body: DeleteValuesRequest) -> Empty:
    """Clear values on an object."""
    service.delete_values(tx, body.entity, body.entity_id, body.keys)
    return Empty()
