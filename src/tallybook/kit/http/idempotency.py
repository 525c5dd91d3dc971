"""`Idempotency-Key`: a repeated POST gets the first answer again (metering.md 6.4).

An answer is stored in the transaction of the work itself, so a crash leaves both or neither.
Refusals that came out of the stored state are kept too; refusals of the request's form are not,
since such a request never began.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, delete, insert, select

from tallybook.kit.db.columns import Instant, metadata
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Conflict, Invalid

KEPT_FOR = timedelta(hours=48)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_idempotency_keys_created_at", "created_at"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told: status and JSON body."""

    status: int
    body: bytes


def check_key(key: str) -> str:
    """The key, or Invalid when it is empty or too long."""
    if not 1 <= len(key) <= 255:
        raise Invalid("Idempotency-Key: must have 1 to 255 characters; send a shorter, unique text")
    return key


def digest_request(method: str, target: str, body: bytes) -> str:
    """What makes two requests the same."""
    return hashlib.sha256(b"\n".join((method.encode(), target.encode(), body))).hexdigest()


def recall(tx: ReadTx, key: str, request_digest: str) -> Answer | None:
    """The answer stored under `key`. Raises Conflict when the key was used for another request."""
    kept = idempotency_keys.c.created_at > tx.now - KEPT_FOR
    row = tx.sql.execute(select(idempotency_keys).where(idempotency_keys.c.key == key, kept)).one_or_none()
    if row is None:
        return None
    if row.request_digest != request_digest:
        message = "Idempotency-Key: already used with other parameters; use a new key for a new request"
        raise Conflict(message)
    return Answer(row.status, row.body)


def is_free(tx: ReadTx, key: str) -> bool:
    """Whether no answer is stored under `key`."""
    kept = idempotency_keys.c.created_at > tx.now - KEPT_FOR
    return (
        tx.sql.execute(select(idempotency_keys.c.key).where(idempotency_keys.c.key == key, kept)).first()
        is None
    )


def remember(tx: Tx, key: str, request_digest: str, answer: Answer) -> None:
    """Store an answer, and drop those that are older than KEPT_FOR."""
    tx.sql.execute(
        delete(idempotency_keys).where(
            (idempotency_keys.c.key == key) | (idempotency_keys.c.created_at <= tx.now - KEPT_FOR)
        )
    )
    tx.sql.execute(
        insert(idempotency_keys).values(
            key=key,
            request_digest=request_digest,
            status=answer.status,
            body=answer.body,
            created_at=tx.now,
        )
    )
