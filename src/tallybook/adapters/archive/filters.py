"""Sorts raw events into kinds: what filters, which are equalities and absences, can tell apart.

Every event of a kind passes the same filters, so that metering/match.py is asked once for each kind.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tallybook.metering.match import matches_type, passes
from tallybook.values.metric import MetricDefinition
from tallybook.values.quantity import DIGITS_MAX

OTHER = "\0"
"""Stands for every text that no filter names; no filter can name this one."""
_NUMBER = r"-?[0-9]{1,200}(?:\.[0-9]{1,200})?(?:[eE][+-]?[0-9]{1,4})?"
_SHORT_NUMBER = r"-?[0-9]{1,50}(?:\.[0-9]{1,50})?"


@dataclass(frozen=True, slots=True)
class Kind:
    """What filters see of an event: its type, the texts they name, and where there is no number."""

    event_type: str
    texts: Mapping[str, str]
    """By property; those that are not there are left out."""
    unreadable: frozenset[str]
    """Those of the properties asked about that are there and are no number in bounds."""

    def passes(self, metric: MetricDefinition) -> bool:
        """Whether such events pass every filter of a metric; see metering.match.matches."""
        return matches_type(metric.event_types, self.event_type) and all(
            passes(rule, self.texts.get(rule.name)) for rule in metric.property_filters
        )


class Kinds:
    """The columns by which the view of raw events is grouped into kinds, for some metrics."""

    def __init__(self, metrics: Iterable[MetricDefinition], numbers: Iterable[str]) -> None:
        """Tell apart what the filters of `metrics` do, and whether the properties in `numbers` are some."""
        named: dict[str, dict[str, None]] = {}
        for metric in metrics:
            for rule in metric.property_filters:
                listed = (*(rule.in_values or ()), *(rule.not_in_values or ()))
                named.setdefault(rule.name, {}).update(dict.fromkeys(listed))
        self._named = {name: tuple(listed) for name, listed in named.items()}
        self._numbers = tuple(dict.fromkeys(numbers))

    @property
    def columns(self) -> str:
        """The columns, in SQL."""
        places = [
            f"CASE WHEN {text_of(name)} IS NOT NULL "
            f"THEN coalesce(list_position(?::VARCHAR[], {text_of(name)}), 0) END"
            for name in self._named
        ]
        return ", ".join(["event_type", *places, *map(is_unreadable, self._numbers)])

    @property
    def values(self) -> list[Sequence[str]]:
        """The values of their question marks."""
        return [list(listed) for listed in self._named.values()]

    def read(self, row: Sequence[Any]) -> tuple[Kind, Iterator[Any]]:
        """The kind at the head of a row, and the rest of the row."""
        rest = iter(row)
        event_type = next(rest)
        texts = {}
        for name, listed in self._named.items():
            place = next(rest)
            if place is not None:
                texts[name] = listed[place - 1] if place else OTHER
        unreadable = frozenset([name for name in self._numbers if next(rest)])
        return Kind(event_type, texts, unreadable), rest


def text_of(name: str) -> str:
    """The canonical text of a property, in SQL; a name holds no NUL, so doubling its quotes is enough."""
    doubled = name.replace("'", "''")
    return f"texts['{doubled}']"


def is_unreadable(name: str) -> str:
    """Whether a property is there and is no number in bounds, in SQL; see metering.match.number_of.

    What most numbers look like is told first, by what costs least.
    """
    text = text_of(name)
    is_digits = f"length({text}) BETWEEN 1 AND {DIGITS_MAX} AND ltrim({text}, '0123456789') = ''"
    whole = f"regexp_extract({text}, '^-?([0-9]+)', 1)"
    fraction = f"regexp_extract({text}, '\\.([0-9]+)', 1)"
    power = f"coalesce(try_cast(regexp_extract({text}, '[eE]([+-]?[0-9]+)$', 1) AS INTEGER), 0)"
    exponent = f"({power} - length({fraction}))"
    digits = f"greatest(length(ltrim({whole} || {fraction}, '0')), 1)"
    return f"""CASE WHEN {text} IS NULL OR ({is_digits}) THEN FALSE
        WHEN regexp_full_match({text}, '{_SHORT_NUMBER}') THEN FALSE
        WHEN NOT regexp_full_match({text}, '{_NUMBER}') THEN TRUE
        ELSE {exponent} < -{DIGITS_MAX} OR {digits} + {exponent} > {DIGITS_MAX} END"""
