"""A billable metric, and the pure rules of its definition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from tallybook.values.errors import Invalid
from tallybook.values.metric import Aggregation, MetricDefinition, PropertyFilter, ValueFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What is counted. `filter_document` is the JSON Schema that the old form of create was given."""

    id: str
    name: str
    definition: MetricDefinition
    created_at: datetime
    archived_at: datetime | None
    filter_document: dict[str, Any] | None = None


def check_definition(definition: MetricDefinition) -> None:
    """Raise Invalid with everything that is wrong with a definition, or with its query."""
    if definition.sql is not None:
        _columns_of(definition.sql)
    elif problems := _problems_of(definition):
        raise Invalid(". ".join(problems))


def group_keys_of(definition: MetricDefinition) -> tuple[tuple[str, ...], ...]:
    """The group keys that usage can be read by (metering.md 2.4).

    Of an SQL metric this is one key: every output column beside the quantity. Any part of it may be
    asked for, while a declared key is asked for as a whole.
    """
    if definition.sql is None:
        return definition.group_keys
    columns = _columns_of(definition.sql)
    return (columns,) if columns else ()


@lru_cache(maxsize=1024)
def _columns_of(sql: str) -> tuple[str, ...]:
    # Parsing SQL is slow to load, and most installations have no such metric.
    from tallybook.metering.sql import check_sql  # noqa: PLC0415

    return tuple(check_sql(sql).columns)


def _problems_of(definition: MetricDefinition) -> list[str]:
    """Everything wrong with a definition, one text each, naming field and remedy (metering.md 2.1).

    COUNT needs no aggregation key; one given for it must fit the filters and has no effect.
    """
    names = {rule.name for rule in definition.property_filters}
    problems = [
        f"group_keys[{index}]: Group key '{name}' does not match one of the property filter names. "
        f"Add a property filter for it"
        for index, key in enumerate(definition.group_keys)
        for name in key
        if name not in names
    ]
    problems += _repeats_of(definition.group_keys)
    key = definition.aggregation_key
    if key is not None and key not in names:
        problems.append(
            "aggregation_key: The specified aggregation key must be one of the property filter names. "
            f"Add a property filter for '{key}'"
        )
    if key is None and definition.aggregation is not Aggregation.COUNT:
        problems.append(
            f"aggregation_key: required for {definition.aggregation}; name the property to aggregate"
        )
    return problems


def _repeats_of(group_keys: Sequence[Sequence[str]]) -> list[str]:
    """Repeats inside a key, and keys of the same properties in whatever order."""
    problems = []
    seen: dict[frozenset[str], int] = {}
    for index, key in enumerate(group_keys):
        if len(set(key)) < len(key):
            problems.append(f"group_keys[{index}]: names a property twice; name each once")
        first = seen.setdefault(frozenset(key), index)
        if first != index:
            problems.append(f"group_keys[{index}]: the same key as group_keys[{first}]; leave one out")
    return problems


class Inexpressible(Exception):
    """A filter document asks for something that property filters cannot say; the text says what."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters that a document stands for."""

    event_types: ValueFilter
    properties: tuple[PropertyFilter, ...]


_NOTES = frozenset({"$schema", "$id", "$comment", "title", "description"})
"""Keywords that say nothing of values; each holds a text."""
_EVENT_FIELDS = frozenset({"transaction_id", "customer_id", "event_type", "timestamp"})


def filters_of_document(document: Mapping[str, Any]) -> Filters:
    """The filters of a JSON Schema about an event, as the old form of create takes it.

    Understood: the required fields of an event, `const`, `enum` and `not` of `event_type` and of
    members of `properties`, and the required members. Raises Inexpressible for anything else.
    """
    _require_object(document, "filter")
    required = _names(document.get("required", []), "filter.required")
    members = _members(document, "filter")
    if strange := (set(required) | set(members)) - _EVENT_FIELDS - {"properties"}:
        raise Inexpressible(f"filter: an event has no field {min(strange)!r}")
    if fixed := set(members) - {"event_type", "properties"}:
        raise Inexpressible(f"filter.properties.{min(fixed)}: no rule on this field can be kept")
    event_type = _rule(members.get("event_type", {}), "filter.properties.event_type")
    return Filters(ValueFilter(*event_type), _property_filters(members.get("properties", {})))


def _property_filters(document: Any) -> tuple[PropertyFilter, ...]:
    where = "filter.properties.properties"
    _require_object(document, where)
    required = _names(document.get("required", []), f"{where}.required")
    filters = []
    members = _members(document, where)
    for name in dict.fromkeys([*members, *required]):
        in_values, not_in_values = _rule(members.get(name, {}), f"{where}.properties.{name}")
        if in_values is not None and name not in required:
            raise Inexpressible(f"{where}.properties.{name}: values are listed, so list it as required too")
        filters.append(PropertyFilter(name, True if name in required else None, in_values, not_in_values))
    return tuple(filters)


def _require_object(document: Any, where: str) -> None:
    if not isinstance(document, dict):
        raise Inexpressible(f"{where}: a schema must be an object")
    _require_notes(document, where)
    known = _NOTES | {"type", "required", "properties", "additionalProperties"}
    if unknown := set(document) - known:
        raise Inexpressible(f"{where}.{min(unknown)}: this keyword cannot be kept")
    if document.get("type", "object") != "object" or document.get("additionalProperties", True) is not True:
        raise Inexpressible(f"{where}: only open objects can be described")


def _require_notes(schema: Mapping[str, Any], where: str) -> None:
    for keyword in sorted(_NOTES & schema.keys()):
        if not isinstance(schema[keyword], str):
            raise Inexpressible(f"{where}.{keyword}: must be a string")


def _members(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    members = document.get("properties", {})
    if not isinstance(members, dict) or "" in members:
        raise Inexpressible(f"{where}.properties: must be an object of named schemas")
    return members


def _names(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise Inexpressible(f"{where}: must be a list of names")
    return value


def _rule(schema: Any, where: str) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """The accepted and the refused values of a schema of one value."""
    if not isinstance(schema, dict):
        raise Inexpressible(f"{where}: a schema must be an object")
    _require_notes(schema, where)
    rules = {keyword: value for keyword, value in schema.items() if keyword not in _NOTES}
    refused = _listed(rules.pop("not", {}), f"{where}.not")
    if rules.get("type") == "string" and ("const" in rules or "enum" in rules):
        del rules["type"]
    return _listed(rules, where), refused


def _listed(rules: Any, where: str) -> tuple[str, ...] | None:
    """The texts of `const` or `enum`; None when neither is given."""
    if rules == {}:
        return None
    if not isinstance(rules, dict) or len(rules) > 1 or not rules.keys() <= {"const", "enum"}:
        raise Inexpressible(f"{where}: only a list of values can be kept, as const or enum")
    values = rules["enum"] if "enum" in rules else [rules["const"]]
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise Inexpressible(f"{where}: values must be strings, at least one")
    return tuple(values)
