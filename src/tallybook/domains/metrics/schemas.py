"""Wire shapes of billable metrics and their conversions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from tallybook.domains.metrics.model import Metric
from tallybook.domains.metrics.service import MetricDraft, OldMetricDraft
from tallybook.kit.http.paging import PageQuery
from tallybook.kit.http.wire import UNSET, CustomFields, Request, Response, Text, UnsetType, or_unset
from tallybook.values.cased import CasedEnum
from tallybook.values.errors import Invalid, NotBuilt
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter

FILTERS_MAX = 500
GROUP_KEYS_MAX = 100
KEY_MEMBERS_MAX = 100

Texts = Annotated[list[str], Meta(min_length=1)]
Filters = Annotated[list["PropertyFilterRequest"], Meta(max_length=FILTERS_MAX)]
# Every group key is one more sum kept for each event, so their number bounds what an event costs.
GroupKey = Annotated[list[Text], Meta(min_length=1, max_length=KEY_MEMBERS_MAX)]
GroupKeys = Annotated[list[GroupKey], Meta(max_length=GROUP_KEYS_MAX)]


class AggregationType(CasedEnum):
    """The aggregations as requests and answers name them; SQL metrics have none of these."""

    COUNT = "COUNT"
    SUM = "SUM"
    MAX = "MAX"
    LATEST = "LATEST"
    UNIQUE = "UNIQUE"


class EventTypeFilterRequest(Request, frozen=True):
    """Event types to count, or to leave out."""

    in_values: Texts | None = None
    not_in_values: Texts | None = None


class PropertyFilterRequest(Request, frozen=True):
    """One rule on one event property."""

    name: Text
    exists: bool | None = None
    in_values: Texts | None = None
    not_in_values: Texts | None = None


class CreateBillableMetricRequest(Request, frozen=True):
    """A metric to create; `sql` stands in place of every field but the name and the custom fields."""

    name: Text
    sql: str | None = None
    event_type_filter: EventTypeFilterRequest | None = None
    property_filters: Filters | None = None
    aggregation_type: AggregationType | None = None
    aggregation_key: Text | None = None
    group_keys: GroupKeys | None = None
    custom_fields: CustomFields | None = None

    def to_draft(self) -> MetricDraft:
        """The draft that the service takes. Raises Invalid."""
        definition = self._definition() if self.sql is None else self._sql_definition(self.sql)
        return MetricDraft(name=self.name, definition=definition, custom_fields=self.custom_fields or {})

    def _definition(self) -> MetricDefinition:
        if self.aggregation_type is None:
            kinds = ", ".join(AggregationType)
            message = f"aggregation_type: required field is missing; send one of {kinds}, or sql instead"
            raise Invalid(message)
        types = self.event_type_filter or EventTypeFilterRequest()
        return MetricDefinition(
            id="",
            aggregation=Aggregation(self.aggregation_type.value),
            aggregation_key=self.aggregation_key,
            event_types=ValueFilter(_frozen(types.in_values), _frozen(types.not_in_values)),
            property_filters=tuple(
                PropertyFilter(item.name, item.exists, _frozen(item.in_values), _frozen(item.not_in_values))
                for item in self.property_filters or ()
            ),
            group_keys=tuple(tuple(key) for key in self.group_keys or ()),
        )

    def _sql_definition(self, sql: str) -> MetricDefinition:
        excluded = (
            "aggregation_type",
            "event_type_filter",
            "property_filters",
            "aggregation_key",
            "group_keys",
        )
        for name in excluded:
            if getattr(self, name) is not None:
                raise Invalid(f"{name}: cannot be combined with sql; send only one of the two")
        return MetricDefinition(id="", aggregation=Aggregation.SQL, sql=sql)


class CreateOldBillableMetricRequest(Request, frozen=True):
    """A metric in the old form: a JSON Schema document selects the events."""

    name: Text
    aggregate: AggregationType
    filter: dict[str, Any]
    aggregate_key: Text | None = None
    group_keys: Annotated[list[Text], Meta(max_length=GROUP_KEYS_MAX)] | None = None
    group_values: list[str] | None = None

    def to_draft(self) -> OldMetricDraft:
        """The draft that the service takes. Raises NotBuilt for `group_values`."""
        if self.group_values:
            raise NotBuilt("group_values: not available in this version; filter on the property instead")
        return OldMetricDraft(
            name=self.name,
            aggregation=Aggregation(self.aggregate.value),
            aggregation_key=self.aggregate_key,
            filter_document=self.filter,
            group_keys=tuple(self.group_keys or ()),
        )


class ListBillableMetricsQuery(PageQuery, frozen=True):
    """Filters of the list of metrics."""

    include_archived: bool | None = None


class UpdateBillableMetricRequest(Request, frozen=True):
    """A new name; nothing else of a metric changes."""

    name: Text


class EventTypeFilterResponse(Response, frozen=True):
    """Event types that are counted, or left out."""

    in_values: list[str] | UnsetType = UNSET
    not_in_values: list[str] | UnsetType = UNSET


class PropertyFilterResponse(Response, frozen=True):
    """One rule on one event property."""

    name: str
    exists: bool | UnsetType = UNSET
    in_values: list[str] | UnsetType = UNSET
    not_in_values: list[str] | UnsetType = UNSET


class BillableMetricResponse(Response, frozen=True):
    """A metric as get and list answer; what it does not have is left out.

    SQL metrics have `sql` and none of the fields that say the same in another way.
    """

    id: str
    name: str
    custom_fields: CustomFields
    property_filters: list[PropertyFilterResponse] | UnsetType = UNSET
    aggregation_type: AggregationType | UnsetType = UNSET
    group_keys: list[list[str]] | UnsetType = UNSET
    sql: str | UnsetType = UNSET
    event_type_filter: EventTypeFilterResponse | UnsetType = UNSET
    aggregation_key: str | UnsetType = UNSET
    archived_at: datetime | UnsetType = UNSET


def metric_to_wire(metric: Metric, custom_fields: CustomFields) -> BillableMetricResponse:
    """A metric as it was created."""
    definition = metric.definition
    if definition.sql is not None:
        return BillableMetricResponse(
            id=metric.id,
            name=metric.name,
            sql=definition.sql,
            custom_fields=custom_fields,
            archived_at=or_unset(metric.archived_at),
        )
    types = definition.event_types
    return BillableMetricResponse(
        id=metric.id,
        name=metric.name,
        event_type_filter=(
            UNSET
            if types == ValueFilter()
            else EventTypeFilterResponse(
                in_values=_thawed(types.in_values), not_in_values=_thawed(types.not_in_values)
            )
        ),
        property_filters=[
            PropertyFilterResponse(
                name=rule.name,
                exists=or_unset(rule.exists),
                in_values=_thawed(rule.in_values),
                not_in_values=_thawed(rule.not_in_values),
            )
            for rule in definition.property_filters
        ],
        aggregation_type=AggregationType(definition.aggregation.value),
        aggregation_key=or_unset(definition.aggregation_key),
        group_keys=[list(key) for key in definition.group_keys],
        custom_fields=custom_fields,
        archived_at=or_unset(metric.archived_at),
    )


def _frozen(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _thawed(values: tuple[str, ...] | None) -> list[str] | UnsetType:
    return UNSET if values is None else list(values)
