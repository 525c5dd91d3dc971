"""Ids are UUIDs in lower-case text. Derived ids are the same whenever they are computed."""

import re
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from tallybook.values.errors import Invalid
from tallybook.values.instant import format_instant

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:tallybook")


def is_uuid(text: str) -> bool:
    """Whether `text` is written as a UUID with hyphens."""
    return _UUID.fullmatch(text) is not None


def require_uuid(text: str, field: str) -> str:
    """`text` in lower case, or Invalid naming `field` when it is no UUID."""
    if not is_uuid(text):
        message = f"{field}: {text[:60]!r} is not a UUID, e.g. 123e4567-e89b-12d3-a456-426614174000"
        raise Invalid(message)
    return text.lower()


def derived_id(*parts: str) -> str:
    """A UUIDv5 that depends on `parts` alone (design decision 29).

    >>> derived_id("a", "b") == derived_id("a", "b") != derived_id("ab")
    True
    """
    # A length before each part keeps ("a", "b") and ("ab",) apart.
    return str(uuid5(_NAMESPACE, "".join(f"{len(part)}:{part}" for part in parts)))


def usage_invoice_id(environment: str, contract_id: str, starting_at: datetime, generation: int = 0) -> str:
    """The id of a contract's usage invoice, the same as draft and when final (design decision 29)."""
    return derived_id(
        "invoice", environment, contract_id, "USAGE", format_instant(starting_at), str(generation)
    )
