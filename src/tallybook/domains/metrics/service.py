"""Use cases of billable metrics: load, decide, store."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tallybook.domains import custom_fields
from tallybook.domains.metrics import store
from tallybook.domains.metrics.model import Inexpressible, Metric, check_definition, filters_of_document
from tallybook.kit.db.lists import Place
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Invalid, NotBuilt, NotFound
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDraft:
    """What a caller says of a metric to be created; the definition's id is not set yet."""

    name: str
    definition: MetricDefinition
    custom_fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldMetricDraft:
    """What a caller of the old form says; each of `group_keys` is a simple key."""

    name: str
    aggregation: Aggregation
    aggregation_key: str | None
    filter_document: dict[str, Any]
    group_keys: tuple[str, ...]


def create_metric(tx: Tx, draft: MetricDraft) -> Metric:
    """Store a metric, and meter it once that is durable.

    Raises Invalid with everything that is wrong with it, Conflict or Invalid for its custom fields.
    """
    return _store(tx, draft.name, draft.definition, None, draft.custom_fields)


def create_old_metric(tx: Tx, draft: OldMetricDraft) -> Metric:
    """Store a metric given in the old form; see create_metric.

    Raises NotBuilt when property filters cannot say what the filter document says.
    """
    if draft.aggregation_key is None and draft.aggregation is not Aggregation.COUNT:
        raise Invalid(f"aggregate_key: required for {draft.aggregation}; name the property to aggregate")
    try:
        filters = filters_of_document(draft.filter_document)
    except Inexpressible as error:
        raise NotBuilt(f"{error}; say it with POST /v1/billable-metrics/create") from None
    named = {rule.name for rule in filters.properties}
    keys = [name for name in (draft.aggregation_key, *draft.group_keys) if name is not None]
    # The old form names no filters for its keys, so the rule that each has one is met by empty ones.
    added = tuple(PropertyFilter(name) for name in dict.fromkeys(keys) if name not in named)
    definition = MetricDefinition(
        id="",
        aggregation=draft.aggregation,
        aggregation_key=draft.aggregation_key,
        event_types=filters.event_types,
        property_filters=filters.properties + added,
        group_keys=tuple((name,) for name in draft.group_keys),
    )
    return _store(tx, draft.name, definition, draft.filter_document, {})


def get_metric(tx: ReadTx, metric_id: str, field_name: str = "billable_metric_id") -> Metric:
    """The metric, archived or not. Raises NotFound naming `field_name`."""
    found = store.select_metrics(tx, [metric_id])
    if not found:
        raise NotFound(f"{field_name}: no billable metric has the id {metric_id} in this environment")
    return found[0]


def require_active(tx: ReadTx, metric_id: str, field_name: str = "billable_metric_id") -> Metric:
    """The metric. Raises NotFound, or Invalid when it is archived."""
    metric = get_metric(tx, metric_id, field_name)
    if metric.archived_at is not None:
        raise Invalid(f"{field_name}: billable metric {metric_id} is archived; use an active metric")
    return metric


def metrics_by_id(tx: ReadTx, ids: Iterable[str]) -> dict[str, Metric]:
    """The metrics with these ids, archived or not; unknown ids are left out."""
    return {metric.id: metric for metric in store.select_metrics(tx, ids)}


def all_metrics(tx: ReadTx, *, include_archived: bool) -> list[Metric]:
    """Every metric of the environment, oldest first."""
    return store.select_page(tx, include_archived=include_archived, after=None, count=None)


def list_metrics(tx: ReadTx, *, include_archived: bool, after: Place | None, count: int) -> list[Metric]:
    """At most `count` metrics after a place, oldest first."""
    return store.select_page(tx, include_archived=include_archived, after=after, count=count)


def rename_metric(tx: Tx, metric_id: str, name: str) -> None:
    """Change the name, the only thing that may change (metering.md 2.5). Raises NotFound."""
    get_metric(tx, metric_id)
    store.update_metric(tx, metric_id, name=name)


def archive_metric(tx: Tx, metric_id: str) -> None:
    """Take the metric out of use for new products; it goes on metering. Raises NotFound.

    Doing it again changes nothing.
    """
    if get_metric(tx, metric_id, "id").archived_at is None:
        store.update_metric(tx, metric_id, archived_at=tx.now)


def _store(
    tx: Tx,
    name: str,
    definition: MetricDefinition,
    filter_document: dict[str, Any] | None,
    fields: dict[str, str],
) -> Metric:
    check_definition(definition)
    metric_id = tx.new_id()
    metric = Metric(
        id=metric_id,
        name=name,
        definition=replace(definition, id=metric_id),
        created_at=tx.now,
        archived_at=None,
        filter_document=filter_document,
    )
    store.insert_metric(tx, metric)
    custom_fields.attach(tx, "billable_metric", metric_id, fields)
    tx.after_commit.append(lambda: tx.usage.register(metric.definition))
    return metric
