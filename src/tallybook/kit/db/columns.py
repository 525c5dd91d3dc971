"""Column types that keep values exact on every database, and the metadata all tables join.

Instants are stored as microseconds since 1970, decimals as plain text, records as JSON text. So a
value read back equals the value written, on SQLite and PostgreSQL alike.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, MetaData, Text
from sqlalchemy.types import TypeDecorator

from tallybook.values.instant import instant_of_micros, micros_of
from tallybook.values.quantity import plain

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of the catalogue; each domain's `store.py` adds its own."""


class Instant(TypeDecorator[datetime]):
    """A UTC instant, stored as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else micros_of(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else instant_of_micros(value)


class Exact(TypeDecorator[Decimal]):
    """An exact decimal, stored as plain text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else plain(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Document(TypeDecorator[Any]):
    """A value of one msgspec-readable type (struct, dataclass, list, dict), stored as JSON text.

    Decimals inside are written as texts, so they come back with every digit. Document(Any) reads
    JSON numbers as int or Decimal.
    """

    impl = Text
    cache_ok = True

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.shape = shape
        self._decode: Callable[[str], Any] = msgspec.json.Decoder(shape, float_hook=Decimal).decode

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else _ENCODER.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else self._decode(value)


_ENCODER = msgspec.json.Encoder(decimal_format="string")
