"""Bearer tokens: who may ask, for which environment, and whether they may write.

Tokens are random and long, so a plain SHA-256 of them is safe at rest; the token itself is never
stored. They live in the installation's control database, apart from every environment.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from sqlalchemy import Boolean, Column, Engine, MetaData, String, Table, insert, select, update

from tallybook.kit.db.columns import Instant
from tallybook.kit.db.faults import store_faults
from tallybook.values.errors import NotFound, Unauthorized

REMEMBERED_S = 2.0
"""How long a token is trusted without asking the database; a revocation is seen within it."""

control_metadata = MetaData()

tokens = Table(
    "tokens",
    control_metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("is_read_only", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is known here: everything but its text. `id` is the start of its digest."""

    id: str
    name: str
    environment: str
    is_read_only: bool
    created_at: datetime
    revoked_at: datetime | None


def digest_of(text: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class Tokens:
    """The tokens of an installation, with a short memory so that a request costs no query."""

    def __init__(self, control: Engine) -> None:
        """Keep tokens in the control database, which must have its tables."""
        self._control = control
        self._known: dict[str, Token] = {}
        self._known_since = 0.0
        self._lock = Lock()

    def authenticate(self, authorization: str | None) -> Token:
        """The token in an Authorization header. Raises Unauthorized, or Unavailable."""
        scheme, _, text = (authorization or "").partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise Unauthorized("Authorization: header is missing; send 'Authorization: Bearer <token>'")
        if time.monotonic() - self._known_since > REMEMBERED_S:
            self.forget()
        token = self._known.get(text) or self._look_up(text)
        if token is None:
            raise Unauthorized("Authorization: unknown or revoked token; check the token and its environment")
        return token

    def _look_up(self, text: str) -> Token | None:
        with store_faults(), self._control.connect() as connection:
            row = connection.execute(
                select(tokens).where(tokens.c.digest == digest_of(text), tokens.c.revoked_at.is_(None))
            ).one_or_none()
        if row is None:
            return None
        token = _from_row(row._asdict())
        with self._lock:
            self._known[text] = token
        return token

    def forget(self) -> None:
        """Drop the memory, so that revocations made by another process are seen."""
        with self._lock:
            self._known.clear()
            self._known_since = time.monotonic()

    def create(
        self,
        *,
        name: str,
        environment: str,
        now: datetime,
        is_read_only: bool = False,
        text: str | None = None,
    ) -> str:
        """Store a token and return its text, which cannot be read again. An existing one is kept."""
        text = text or f"tb_{environment}_{secrets.token_urlsafe(32)}"
        digest = digest_of(text)
        with self._control.begin() as connection:
            if connection.execute(select(tokens.c.digest).where(tokens.c.digest == digest)).first() is None:
                row = {"digest": digest, "name": name, "environment": environment, "created_at": now}
                connection.execute(insert(tokens).values(is_read_only=is_read_only, **row))
        return text

    def list(self) -> "list[Token]":
        """All tokens, revoked ones too, oldest first."""
        with self._control.connect() as connection:
            rows = connection.execute(select(tokens).order_by(tokens.c.created_at, tokens.c.digest)).all()
        return [_from_row(row._asdict()) for row in rows]

    def revoke(self, token_id: str, now: datetime) -> None:
        """Refuse the token from now on. Raises NotFound."""
        with self._control.begin() as connection:
            done = connection.execute(
                update(tokens)
                .where(tokens.c.digest.startswith(token_id, autoescape=True), tokens.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
        if done.rowcount == 0:
            raise NotFound(f"token: no active token has the id {token_id}; see 'tallybook token list'")
        self.forget()


def _from_row(row: dict[str, object]) -> Token:
    digest = str(row.pop("digest"))
    return Token(id=digest[:12], **row)  # type: ignore[arg-type]  # the columns are the fields
