"""HTTP of events: parse, call one use case, render."""

from typing import Annotated

from tallybook.domains.events import service
from tallybook.domains.events.schemas import (
    EventResponse,
    ExploredEventResponse,
    ExploreEventsQuery,
    IngestEvents,
    SearchEventsRequest,
    UnmatchedQuery,
    UnmatchedResponse,
    cursor_from_wire,
    cursor_to_wire,
    event_to_wire,
    explored_to_wire,
    unmatched_to_wire,
)
from tallybook.kit.db.tx import Environment, ReadTx
from tallybook.kit.http.operation import get, post
from tallybook.kit.http.paging import LIMIT_DEFAULT
from tallybook.kit.http.wire import Data, Empty, Page


@post("/v1/ingest", "ingest-v1")
async def ingest(environment: Environment, content: Annotated[bytes, IngestEvents]) -> Empty:
    """Take 1 to 100 events, all or none; answers once they are on disk."""
    await environment.events.ingest(content)
    return Empty()


@post("/v1/events/search", "searchEvents-v1", is_slow=True)
def search_events(tx: ReadTx, body: SearchEventsRequest) -> list[EventResponse]:
    """Find the events of the last 34 days by transaction id, repeats too, with what they match."""
    found = service.search_events(tx, body.transactionIds)
    fields = service.custom_fields_of(tx, found)
    return [event_to_wire(tx.environment, event, fields) for event in found]


@get("/tallybook/v1/events", "exploreEvents", is_slow=True)
def explore_events(tx: ReadTx, query: ExploreEventsQuery) -> Page[ExploredEventResponse]:
    """List accepted events by customer, type, time and text, newest first."""
    wanted = query.to_filter()
    before = cursor_from_wire(wanted, query.next_page)
    found, following = service.explore_events(tx, wanted, before, query.limit or LIMIT_DEFAULT)
    return Page(
        data=[explored_to_wire(tx.environment, item.event, item.customer) for item in found],
        next_page=cursor_to_wire(wanted, following),
    )


@get("/tallybook/v1/usage/unmatched", "getUnmatchedEvents", is_slow=True)
def get_unmatched_events(tx: ReadTx, query: UnmatchedQuery) -> Data[UnmatchedResponse]:
    """Tell which events no customer or metric counts, by reason, with samples."""
    found = service.find_unmatched(tx, query.to_filter(), query.sample_count)
    return Data(data=unmatched_to_wire(tx.environment, found))
