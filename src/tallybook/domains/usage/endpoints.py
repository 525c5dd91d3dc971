"""HTTP of usage: ingest."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from tallybook.kit.db.tx import Environment
from tallybook.kit.http.operation import post
from tallybook.kit.http.wire import Empty, Request


class IngestEvent(Request, frozen=True):
    """One usage event, as documented; metering reads it."""

    transaction_id: Annotated[str, Meta(min_length=1, max_length=128)]
    customer_id: Annotated[str, Meta(min_length=1)]
    event_type: Annotated[str, Meta(min_length=1)]
    timestamp: datetime
    properties: dict[str, Any] | None = None


IngestEvents = Annotated[list[IngestEvent], Meta(min_length=1, max_length=100)]


@post("/v1/ingest", "ingest-v1")
async def ingest(environment: Environment, content: Annotated[bytes, IngestEvents]) -> Empty:
    """Take 1 to 100 events, all or none; answers once they are on disk."""
    await environment.events.ingest(content)
    return Empty()
