"""Wire shapes of events and their conversions."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from tallybook.domains.customers import Customer
from tallybook.domains.events.model import event_id
from tallybook.domains.events.service import EventFilter, MatchedEvent, UnmatchedEvents
from tallybook.domains.metrics import Metric
from tallybook.domains.metrics.schemas import (
    EventTypeFilterResponse,
    PropertyFilterResponse,
    metric_to_wire,
)
from tallybook.kit.http.paging import PageQuery, encode_cursor, start_after
from tallybook.kit.http.wire import (
    UNSET,
    CustomFields,
    Instant,
    Request,
    Response,
    Text,
    UnsetType,
    or_unset,
)
from tallybook.ports import EventPlace, RawEvent, UnmatchedGroup, UnmatchedReason
from tallybook.values.instant import instant_of_micros

SEARCHED_MAX = 1_000
SAMPLES_DEFAULT = 3
SAMPLES_MAX = 20


class IngestEvent(Request, frozen=True):
    """One usage event, as documented; metering reads it."""

    transaction_id: Annotated[str, Meta(min_length=1, max_length=128)]
    customer_id: Annotated[str, Meta(min_length=1)]
    event_type: Annotated[str, Meta(min_length=1)]
    timestamp: datetime
    properties: dict[str, Any] | None = None


IngestEvents = Annotated[list[IngestEvent], Meta(min_length=1, max_length=100)]


class SearchEventsRequest(Request, frozen=True):
    """Transaction ids to look for."""

    transactionIds: Annotated[list[str], Meta(max_length=SEARCHED_MAX)]  # noqa: N815  # as published


class ExploreEventsQuery(PageQuery, frozen=True):
    """Filters of the explorer. `customer_id` is a customer's id or any key that events were sent with."""

    customer_id: Text | None = None
    event_type: Text | None = None
    text: Text | None = None
    starting_on: Instant | None = None
    ending_before: Instant | None = None

    def to_filter(self) -> EventFilter:
        """The filter that the service takes."""
        return EventFilter(
            customer_id=self.customer_id,
            event_type=self.event_type,
            text=self.text,
            starting_on=self.starting_on,
            ending_before=self.ending_before,
        )


class UnmatchedQuery(Request, frozen=True):
    """Which events to look at, and how many samples of each group to tell."""

    customer_id: Text | None = None
    starting_on: Instant | None = None
    ending_before: Instant | None = None
    samples: Annotated[int, Meta(ge=0, le=SAMPLES_MAX)] | None = None

    def to_filter(self) -> EventFilter:
        """The filter that the service takes."""
        return EventFilter(
            customer_id=self.customer_id, starting_on=self.starting_on, ending_before=self.ending_before
        )

    @property
    def sample_count(self) -> int:
        """How many samples of each group."""
        return SAMPLES_DEFAULT if self.samples is None else self.samples


class MatchedCustomerResponse(Response, frozen=True):
    """The customer that owns an event's key."""

    id: str
    name: str


class MatchedMetricResponse(Response, frozen=True):
    """A metric that counts an event, with the deprecated fields beside the present ones."""

    id: str
    name: str
    aggregation_type: str
    custom_fields: CustomFields
    aggregate: str | UnsetType = UNSET
    aggregate_keys: list[str] | UnsetType = UNSET
    aggregation_key: str | UnsetType = UNSET
    archived_at: datetime | UnsetType = UNSET
    event_type_filter: EventTypeFilterResponse | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType = UNSET
    group_by: list[str] | UnsetType = UNSET
    group_keys: list[list[str]] | UnsetType = UNSET
    property_filters: list[PropertyFilterResponse] | UnsetType = UNSET
    sql: str | UnsetType = UNSET


class ExploredEventResponse(Response, frozen=True):
    """An event as it was sent, when it was accepted, and whose it is."""

    id: str
    transaction_id: str
    customer_id: str
    event_type: str
    timestamp: datetime
    processed_at: datetime
    properties: dict[str, Any] | UnsetType = UNSET
    matched_customer: MatchedCustomerResponse | UnsetType = UNSET


class EventResponse(ExploredEventResponse, frozen=True, kw_only=True):
    """The same, whether it only repeated one accepted before, and the metrics that count such an event."""

    is_duplicate: bool
    matched_billable_metrics: list[MatchedMetricResponse]


class UnmatchedMetricResponse(Response, frozen=True):
    """A metric, and the property in which it looks for a number."""

    id: str
    name: str
    aggregation_key: str | None


class UnmatchedGroupResponse(Response, frozen=True, kw_only=True):
    """Events that a reason holds for, and the newest of them. What they share comes first."""

    customer_id: str | UnsetType = UNSET
    event_type: str | UnsetType = UNSET
    billable_metric: UnmatchedMetricResponse | UnsetType = UNSET
    event_count: int
    samples: list[ExploredEventResponse]


class UnmatchedReasonResponse(Response, frozen=True):
    """All events that a reason holds for, and at most 100 groups of them, those with most events first."""

    event_count: int
    group_count: int
    groups: list[UnmatchedGroupResponse]


class UnmatchedResponse(Response, frozen=True):
    """The events of a range that something does not count; SQL metrics are not considered."""

    starting_on: datetime
    ending_before: datetime
    event_count: int
    no_customer: UnmatchedReasonResponse
    no_metric: UnmatchedReasonResponse
    unparsable_number: UnmatchedReasonResponse
    sql_metric_count: int


def explored_to_wire(environment: str, event: RawEvent, customer: Customer | None) -> ExploredEventResponse:
    """An event without the metrics that count it."""
    return ExploredEventResponse(**_sent(environment, event, customer))


def event_to_wire(environment: str, found: MatchedEvent, fields: Mapping[str, CustomFields]) -> EventResponse:
    """An event with everything it matches."""
    return EventResponse(
        **_sent(environment, found.event, found.customer),
        is_duplicate=found.event.is_repeat,
        matched_billable_metrics=[_metric_to_wire(item, fields.get(item.id, {})) for item in found.metrics],
    )


def unmatched_to_wire(environment: str, found: UnmatchedEvents) -> UnmatchedResponse:
    """Every reason with its groups and samples."""

    def group(item: UnmatchedGroup, **shared: Any) -> UnmatchedGroupResponse:
        return UnmatchedGroupResponse(
            event_count=item.event_count,
            samples=[
                explored_to_wire(environment, event, found.customers.get(event.customer_id))
                for event in item.samples
            ],
            **shared,
        )

    reasons = found.unmatched
    return UnmatchedResponse(
        starting_on=instant_of_micros(found.range[0]),
        ending_before=instant_of_micros(found.range[1]),
        event_count=reasons.event_count,
        no_customer=_reason(
            reasons.no_customer, [group(item, customer_id=item.name) for item in reasons.no_customer.groups]
        ),
        no_metric=_reason(
            reasons.no_metric, [group(item, event_type=item.name) for item in reasons.no_metric.groups]
        ),
        unparsable_number=_reason(
            reasons.unparsable_number,
            [
                group(item, billable_metric=_metric_named(found.metrics[item.name]))
                for item in reasons.unparsable_number.groups
            ],
        ),
        sql_metric_count=found.sql_metric_count,
    )


def cursor_from_wire(wanted: EventFilter, text: str | None) -> EventPlace | None:
    """The place in `next_page`. Raises Invalid when it is not of this question."""
    place: EventPlace | None = start_after(_list_name(wanted), text, (int, int, int))
    return place


def cursor_to_wire(wanted: EventFilter, place: EventPlace | None) -> str | None:
    """The text of `next_page`."""
    return None if place is None else encode_cursor(_list_name(wanted), place)


def _list_name(wanted: EventFilter) -> str:
    """A name that only the same question has, so that its cursors fit no other."""
    content = msgspec.json.encode(wanted, order="deterministic")
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _sent(environment: str, event: RawEvent, customer: Customer | None) -> dict[str, Any]:
    text = event.properties
    return {
        "id": event_id(environment, event.position),
        "transaction_id": event.transaction_id,
        "customer_id": event.customer_id,
        "event_type": event.event_type,
        "timestamp": instant_of_micros(event.timestamp_micros),
        "processed_at": instant_of_micros(event.received_micros),
        # The JSON goes out as it came in, unread.
        "properties": UNSET if text is None else cast("dict[str, Any]", msgspec.Raw(text.encode())),
        "matched_customer": UNSET
        if customer is None
        else MatchedCustomerResponse(id=customer.id, name=customer.name),
    }


def _metric_to_wire(metric: Metric, custom_fields: CustomFields) -> MatchedMetricResponse:
    """A metric; only simple group keys fit into `group_by`."""
    definition = metric.definition
    shown = msgspec.structs.asdict(metric_to_wire(metric, custom_fields))
    if definition.sql is not None:
        shown["aggregation_type"] = "custom_sql"
        return MatchedMetricResponse(**shown)
    key = definition.aggregation_key
    return MatchedMetricResponse(
        **shown,
        aggregate=definition.aggregation.lower(),
        aggregate_keys=UNSET if key is None else [key],
        group_by=[names[0] for names in definition.group_keys if len(names) == 1],
        filter=or_unset(metric.filter_document),
    )


def _metric_named(metric: Metric) -> UnmatchedMetricResponse:
    return UnmatchedMetricResponse(
        id=metric.id, name=metric.name, aggregation_key=metric.definition.aggregation_key
    )


def _reason(reason: UnmatchedReason, groups: list[UnmatchedGroupResponse]) -> UnmatchedReasonResponse:
    return UnmatchedReasonResponse(
        event_count=reason.event_count, group_count=reason.group_count, groups=groups
    )
