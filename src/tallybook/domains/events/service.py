"""Use cases of events: find them, and tell who and what they were matched to."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tallybook.domains import custom_fields, customers, metrics
from tallybook.domains.customers import Customer
from tallybook.domains.events.model import (
    SEARCH_WINDOW,
    MicrosRange,
    earlier_by,
    explored_range,
    is_streaming,
    unmatched_range,
)
from tallybook.domains.metrics import Metric
from tallybook.kit.db.tx import ReadTx
from tallybook.metering.match import matches
from tallybook.metering.raw import properties_of
from tallybook.ports import EventPlace, ExploreQuestion, RawEvent, Unmatched, UnmatchedQuestion
from tallybook.values.instant import micros_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """An event, and the customer that owns its key."""

    event: RawEvent
    customer: Customer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedEvent:
    """An event, the customer that owns its key, and the metrics that count such an event."""

    event: RawEvent
    customer: Customer | None
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list; every filter given must be met. `customer_id` may be any key of events."""

    customer_id: str | None = None
    event_type: str | None = None
    text: str | None = None
    starting_on: datetime | None = None
    ending_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedEvents:
    """What is not counted in a range, with what is needed to name it."""

    range: MicrosRange
    unmatched: Unmatched
    metrics: dict[str, Metric]
    customers: dict[str, Customer]
    """By key of the samples."""
    sql_metric_count: int


def search_events(tx: ReadTx, transaction_ids: Sequence[str]) -> list[MatchedEvent]:
    """The events with these ids of the last 34 days, in the order of the ids, then of the log.

    Each repeat is an entry of its own (metering.md 1.9). Raises Unavailable when metering lags too far.
    """
    since = earlier_by(tx.now, SEARCH_WINDOW)
    ranks = {text: rank for rank, text in enumerate(dict.fromkeys(transaction_ids))}
    found = [
        event for event in tx.raw.search(tuple(ranks), since) if event.timestamp_micros >= micros_of(since)
    ]
    found.sort(key=lambda event: (ranks[event.transaction_id], event.position))
    owners = _owners(tx, (event.customer_id for event in found))
    known = metrics.all_metrics(tx, include_archived=True) if found else []
    return [
        MatchedEvent(
            event=event, customer=owners.get(event.customer_id), metrics=tuple(_matching(known, event))
        )
        for event in found
    ]


def custom_fields_of(tx: ReadTx, events: Iterable[MatchedEvent]) -> dict[str, dict[str, str]]:
    """The custom fields of every metric that some events were matched to, by its id."""
    ids = {metric.id for event in events for metric in event.metrics}
    return custom_fields.read(tx, "billable_metric", sorted(ids))


def explore_events(
    tx: ReadTx, wanted: EventFilter, before: EventPlace | None, limit: int
) -> tuple[list[FoundEvent], EventPlace | None]:
    """At most `limit` accepted events, newest first, and the place to go on from, None at the end.

    Events of one instant come in the reverse order of the log. Raises Invalid for a range that is none.
    """
    micros_from, micros_until = explored_range(tx.now, wanted.starting_on, wanted.ending_before)
    question = ExploreQuestion(
        customer_keys=_keys_of(tx, wanted.customer_id),
        event_type=wanted.event_type,
        text=wanted.text,
        micros_from=micros_from,
        micros_until=micros_until,
        before=before,
        count=limit + 1,
    )
    found, following = tx.raw.explore(question)
    if len(found) > limit:
        found = found[:limit]
        following = (found[-1].timestamp_micros, *found[-1].position)
    owners = _owners(tx, (event.customer_id for event in found))
    return [FoundEvent(event=event, customer=owners.get(event.customer_id)) for event in found], following


def find_unmatched(tx: ReadTx, wanted: EventFilter, samples: int) -> UnmatchedEvents:
    """The accepted events that no customer owns, no metric counts, or whose number a metric cannot read.

    Of `wanted`, the range and the customer matter. Raises Invalid for a range that is none or too long.
    """
    micros = unmatched_range(tx.now, wanted.starting_on, wanted.ending_before)
    known = {metric.id: metric for metric in metrics.all_metrics(tx, include_archived=True)}
    streaming = [metric.definition for metric in known.values() if is_streaming(metric.definition)]

    def unowned(keys: Sequence[str]) -> Collection[str]:
        return set(keys) - customers.owners_of(tx, keys).keys()

    question = UnmatchedQuestion(
        customer_keys=_keys_of(tx, wanted.customer_id),
        micros_from=micros[0],
        micros_until=micros[1],
        metrics=streaming,
        unowned=unowned,
        samples=samples,
    )
    unmatched = tx.raw.unmatched(question)
    reasons = (unmatched.no_customer, unmatched.no_metric, unmatched.unparsable_number)
    shown = [event for reason in reasons for group in reason.groups for event in group.samples]
    return UnmatchedEvents(
        range=micros,
        unmatched=unmatched,
        metrics=known,
        customers=_owners(tx, (event.customer_id for event in shown)),
        sql_metric_count=len(known) - len(streaming),
    )


def _matching(known: Sequence[Metric], event: RawEvent) -> Iterable[Metric]:
    properties = properties_of(event.properties)
    for metric in known:
        definition = metric.definition
        if not is_streaming(definition) or matches(definition, event.event_type, properties):
            yield metric


def _keys_of(tx: ReadTx, key: str | None) -> frozenset[str] | None:
    """All keys of the customer with this id; where there is none, the key itself."""
    if key is None:
        return None
    if customers.owners_of(tx, [key]).get(key) != key:
        return frozenset((key,))
    return customers.get_customer(tx, key).usage_keys


def _owners(tx: ReadTx, keys: Iterable[str]) -> dict[str, Customer]:
    """The customer that owns each key, archived ones too."""
    owners = customers.owners_of(tx, sorted(set(keys)))
    found = {owner: customers.get_customer(tx, owner) for owner in set(owners.values())}
    return {key: found[owner] for key, owner in owners.items()}
