"""What may happen to a server, drawn at random: events of every shape, metrics, and things done to it.

Everything here is plain data. Names are numbers into small pools, so that what is drawn meets: the same
ids, keys, event types, properties and values come again and again.
"""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.properties.queries import QUERIES

MICRO = 1
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR

PROPERTIES = ("amount", "région", "team.x", 'a "quoted" \\ name', "🙂", "size")
EVENT_TYPES = ("call", "Call", "étape 🙂", "other")
ALIASES = 5
TEXTS = (
    *("a", "b", "eu", "", " ", "1", "1.5", "1.50", "007", "-0", "1e3", "+1", "1,5", "true", "null", "[1,2]"),
    *(
        "é",
        "e\u0301",
        "🙂",
        'q"\\',
        '","',
        "\u001f",
        "a\u0000b",
        "\u2028",
        "9" * 60,
        "0." + "1" * 90,
        "x" * 300,
    ),
)
NUMBERS = (
    *("0", "-0", "-0.0", "1", "2", "-3", "10", "1.50", "1.5", "1e3", "1E-5", "-7.25", "1e400", "9" * 60),
    *("9" * 5_000, "1e-99", "123456789012345678901234567890.123456789", "9007199254740993", "1e99", "-1e99"),
)
OTHERS = ("true", "false", "null", "[]", "{}", "[1, 2]", "[1,2.0]", '{"b": 1, "a": [null, "x"]}')


NAMEABLE = tuple(text for text in TEXTS if text and "\u0000" not in text)
"""Texts that a request may name: as a value of a filter or a group."""


def _dumps(text: str) -> str:
    return json.dumps(text)


numbers = st.one_of(
    st.integers(-100, 1_000).map(str),
    st.integers(-(10**37), 10**37).map(str),
    st.decimals(-(10**6), 10**6, places=3).map(lambda number: format(number, "f")),
    st.decimals(-1, 1, places=30).map(lambda number: format(number, "f")),
    st.sampled_from(NUMBERS),
)
values = st.one_of(
    numbers,
    numbers.map(_dumps),
    st.sampled_from(TEXTS[:4]).map(_dumps),
    st.sampled_from(TEXTS).map(_dumps),
    st.sampled_from(OTHERS),
)
"""One value of a property, as JSON text."""


@dataclass(frozen=True)
class Sent:
    """An event to send. `at` is microseconds from the present; `key` counts aliases, then customers."""

    number: int
    key: int
    event_type: str
    at: int
    digits: int
    offset: str
    properties: tuple[tuple[str, str], ...] | None


instants = st.one_of(
    st.integers(-30 * HOUR, 6 * HOUR),
    st.integers(-30, 6).map(lambda hour: hour * HOUR),
    st.integers(-30, 6).map(lambda hour: hour * HOUR - MICRO),
    st.integers(-33 * DAY, 23 * HOUR),
    st.sampled_from([-34 * DAY + 600 * SECOND, DAY - 600 * SECOND, -DAY, 0]),
)
few_values = st.one_of(st.sampled_from(("a", "b", "eu", "", "1", "true")).map(_dumps), values)
wild = st.one_of(numbers, numbers.map(_dumps), values)
tame_numbers = st.one_of(
    st.integers(-(10**9), 10**9).map(str), st.decimals(-(10**6), 10**6, places=3).map(lambda one: f"{one:f}")
)
tame = st.one_of(
    tame_numbers,
    tame_numbers.map(_dumps),
    st.sampled_from(
        (*OTHERS, '""', '"x"', '"1.50"', "1.50", '"007"', '"-0"', "-0.0", "1e3", '"1e3"', '" 1"')
    ),
)
"""What a metric in SQL computes with: it answers 400 where more than 38 digits would be needed."""


def _properties(readings: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.one_of(
        *[
            st.fixed_dictionaries(always, optional=dict.fromkeys(PROPERTIES[1:5], few_values)).map(
                lambda found: tuple(found.items())
            )
            for always in ({"amount": readings}, {"amount": readings, "size": values}, {"size": readings}, {})
        ],
        st.none(),
    )


def _sends(readings: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    sent = st.builds(
        Sent,
        number=st.one_of(st.integers(0, 400), st.integers(0, 10_000), st.integers(0, 12)),
        key=st.integers(0, ALIASES + 3),
        event_type=st.sampled_from(EVENT_TYPES),
        at=instants,
        digits=st.sampled_from([0, 3, 6, 9]),
        offset=st.sampled_from(["Z", "Z", "+00:00", "+05:30", "-08:00"]),
        properties=_properties(readings),
    )
    return st.lists(sent, min_size=1, max_size=40).map(tuple)


@dataclass(frozen=True)
class Send:
    """Events, and the sizes of the requests they go in, over and over."""

    events: tuple[Sent, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class MakeMetric:
    """A metric, as the body that creates it but for its name."""

    body: dict[str, Any]


@dataclass(frozen=True)
class MakeQuery:
    """A metric in SQL, by its place in `queries.QUERIES`."""

    query: int


@dataclass(frozen=True)
class MakeCustomer:
    """A customer with those of these aliases that nobody has."""

    aliases: frozenset[int]


@dataclass(frozen=True)
class SetAliases:
    """A whole new set of aliases for a customer, which may be refused."""

    customer: int
    aliases: frozenset[int]


@dataclass(frozen=True)
class MoveAlias:
    """One alias to a customer, from whoever has it."""

    alias: int
    customer: int


@dataclass(frozen=True)
class ArchiveCustomer:
    """A customer archived; it keeps its usage and its aliases."""

    customer: int


@dataclass(frozen=True)
class ArchiveMetric:
    """A metric archived; it goes on metering."""

    metric: int


@dataclass(frozen=True)
class Advance:
    """The sandbox's clock moved on."""

    hours: int


@dataclass(frozen=True)
class Restart:
    """The server started anew on its folder, after it was asked to end or killed with signal 9."""

    kills: bool


@dataclass(frozen=True)
class Tidy:
    """What the server does in the background at moments of its own, done now."""

    what: str


@dataclass(frozen=True)
class Ask:
    """One question to `/v1/usage/groups` about days around the present."""

    customer: int
    metric: int
    size: str
    day_from: int
    days: int
    key: int
    shown: tuple[str, ...]
    limit: int


value_filters = st.lists(
    st.one_of(st.sampled_from(("a", "b", "eu", "", "1", "true")), st.sampled_from(NAMEABLE)),
    min_size=1,
    max_size=6,
    unique=True,
)
property_rules = st.one_of(
    st.sampled_from([{}, {"exists": True}, {"exists": True}, {"exists": False}]),
    st.builds(lambda values: {"in_values": values}, value_filters),
    st.builds(lambda values: {"not_in_values": values}, value_filters),
    st.builds(lambda values: {"exists": True, "not_in_values": values}, value_filters),
)
event_types = st.lists(st.sampled_from(EVENT_TYPES), min_size=1, max_size=3, unique=True)
group_keys = st.lists(
    st.lists(st.sampled_from(PROPERTIES[:5]), min_size=1, max_size=3, unique=True),
    max_size=3,
    unique_by=frozenset,
)


def _metric(
    kind: str,
    key: str,
    types: dict[str, list[str]] | None,
    rules: dict[str, dict[str, Any]],
    groups: list[list[str]],
) -> MakeMetric:
    needed = [name for group in groups for name in group]
    if kind != "COUNT":
        needed.append(key)
    filters = {**{name: {} for name in needed}, **rules}
    body: dict[str, Any] = {
        "aggregation_type": kind,
        "property_filters": [{"name": name, **rule} for name, rule in filters.items()],
        "group_keys": groups,
    }
    if types is not None:
        body["event_type_filter"] = types
    if kind != "COUNT":
        body["aggregation_key"] = key
    return MakeMetric(body)


metrics = st.builds(
    _metric,
    st.sampled_from(["COUNT", "SUM", "MAX", "LATEST", "UNIQUE"]),
    st.sampled_from(["amount", "size"]),
    st.one_of(
        st.none(),
        st.none(),
        st.none(),
        st.builds(lambda names: {"in_values": names}, event_types),
        st.builds(lambda names: {"not_in_values": names}, event_types),
        st.builds(lambda some, none: {"in_values": some, "not_in_values": none}, event_types, event_types),
    ),
    st.one_of(st.just({}), st.dictionaries(st.sampled_from(PROPERTIES), property_rules, max_size=2)),
    group_keys,
)
alias_sets = st.frozensets(st.integers(0, ALIASES - 1), max_size=3)
small = st.integers(0, 7)
asks = st.builds(
    Ask,
    customer=small,
    metric=small,
    size=st.sampled_from(["HOUR", "DAY", "NONE"]),
    day_from=st.one_of(st.integers(-3, 0), st.integers(-40, 1)),
    days=st.integers(1, 4),
    key=small,
    shown=st.lists(st.sampled_from(("2", *NAMEABLE)), max_size=3).map(tuple),
    limit=st.sampled_from([1, 3, 50, 100]),
)
customers = st.builds(MakeCustomer, alias_sets)
changes = st.one_of(
    st.builds(SetAliases, small, alias_sets),
    st.builds(MoveAlias, st.integers(0, ALIASES - 1), small),
    st.builds(MoveAlias, st.integers(0, ALIASES - 1), small),
    st.builds(ArchiveCustomer, small),
    st.builds(ArchiveMetric, small),
    st.builds(Advance, st.sampled_from([1, 11, 24, 24 * 20, 24 * 34 - 1, 24 * 34, 24 * 35])),
)
tidyings = st.builds(Tidy, st.sampled_from(["checkpoint", "archive"]))
restarts = st.builds(Restart, st.booleans())


def stories(restarts_max: int = 0, queries: int = 0) -> st.SearchStrategy[list[object]]:
    """Something of everything, in any order; with so many metrics in SQL, or none of them."""
    sends = st.builds(
        Send,
        _sends(tame if queries else wild),
        st.lists(st.sampled_from([1, 2, 5, 30]), min_size=1, max_size=3).map(tuple),
    )
    parts: st.SearchStrategy[tuple[list[object], ...]] = st.tuples(
        st.lists(sends, min_size=2, max_size=5),
        st.lists(metrics, min_size=1, max_size=4),
        st.lists(customers, min_size=1, max_size=3),
        st.lists(changes, max_size=4),
        st.lists(asks, max_size=2),
        st.lists(tidyings, max_size=3),
        st.lists(restarts, max_size=restarts_max),
        st.lists(
            st.builds(MakeQuery, st.integers(0, len(QUERIES) - 1)),
            min_size=queries,
            max_size=queries,
            unique=True,
        ),
    )
    return parts.flatmap(lambda found: st.permutations([step for part in found for step in part]))
