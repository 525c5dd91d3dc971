"""A database that cannot answer is no fault of ours or of the caller: it becomes Unavailable."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tallybook.values.errors import Unavailable


@contextmanager
def store_faults() -> Iterator[None]:
    """Turn a database that does not answer, or has no connection free, into Unavailable."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        message = "The store cannot take this request now; nothing was stored. Try again shortly."
        raise Unavailable(message) from error


def reason_of(error: Unavailable) -> str:
    """What the store said, for the log; never the values of a statement."""
    cause = error.__cause__
    return str(cause.orig if isinstance(cause, DBAPIError) else cause or error.message)
