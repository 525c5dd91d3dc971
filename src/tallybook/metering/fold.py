"""Folds accepted events into hourly cells, thousands at a time: the hot path of metering.

Events of one customer, hour and combination of properties are of one kind and go to the same cells.
So each event costs a look-up of its kind and an addition to its kind's running count and sums, in
columns of numpy; the cells are brought up to date when someone wants to see them (`settle`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import compress, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tallybook.metering.cells import (
    MICROS_PER_HOUR,
    WHOLE_ROOM,
    ActiveMetric,
    Cell,
    Cells,
    Group,
    Integers,
    text_of_group,
)
from tallybook.metering.event import Column, Columns, Wanted
from tallybook.metering.match import group_of, matches_type, number_of, passes, stored_groupings
from tallybook.metering.timestamps import Micros
from tallybook.values.event import canonical_text
from tallybook.values.metric import Aggregation
from tallybook.values.quantity import add

_WHOLE_MAX = 10**15
"""Integers up to this are added up in 64 bits; greater ones one by one, exactly."""
_ROWS = 1_024
_KINDS_MAX = 120_000
_CELLS_MAX = 250_000
_NUMBERS_MAX = 100_000
_NUMBER_LENGTH_MAX = 40
_TEXTS: frozenset[type] = frozenset((str, type(None)))

Flags = NDArray[np.bool_]


class _Numbers(dict[str, int | Decimal | None]):
    """The numbers that texts are, remembered; small whole ones as integers."""

    def __missing__(self, text: str) -> int | Decimal | None:
        decimal = number_of(text)
        number: int | Decimal | None = decimal
        if decimal is not None and decimal.copy_abs() < _WHOLE_MAX and decimal == int(decimal):
            number = int(decimal)
        if len(text) <= _NUMBER_LENGTH_MAX:
            if len(self) >= _NUMBERS_MAX:
                self.clear()
            self[text] = number
        return number


_NUMBERS = _Numbers()


@dataclass(frozen=True, slots=True)
class _Goal:
    """A cell's place but for customer and hour, and what goes there: a sum, another value, or a count."""

    metric: int
    grouping: int
    group: Group
    text: str
    """The group as text."""
    summed: int
    """Index of the property that is added up; that of a column of zeros for none."""
    valued: str | None
    """The property that is looked at event by event."""
    aggregation: Aggregation


@dataclass(frozen=True, slots=True)
class _Selected:
    """Some events of a row: their columns, instants and indexes in the row."""

    columns: Columns
    instants: Micros
    places: Sequence[int]


class Folder:
    """Folds events into cells, by series. One thread at a time."""

    def __init__(self, metrics: Iterable[ActiveMetric] = ()) -> None:
        """Fold for these metrics."""
        self._cells = Cells()
        self._metrics: tuple[ActiveMetric, ...] = ()
        self._plans: dict[str, _Plan] = {}
        self._plan_of: dict[tuple[int, ...], _Plan] = {}
        self._filled_until = 0
        self.wanted: Wanted = ()
        """Properties that events must be read with."""
        self.set_metrics(metrics)

    @property
    def cells(self) -> Cells:
        """Everything folded since the last `take`."""
        for plan in self._plan_of.values():
            plan.settle(self._cells)
        return self._cells

    def set_metrics(self, metrics: Iterable[ActiveMetric]) -> None:
        """Fold for these metrics from now on."""
        self._metrics = tuple(metrics)
        self._filled_until = max((metric.from_row for metric in self._metrics), default=0)
        self.wanted = wanted_by(self._metrics)
        self._forget()

    def take(self) -> Cells:
        """Hand over the cells folded so far and start anew."""
        taken = self.cells.take()
        if len(self._cells) > _CELLS_MAX:
            self._cells = Cells()
            for plan in self._plan_of.values():
                plan.forget()
        return taken

    def fold(self, columns: Columns, instants: Micros, is_new: Flags | None, row: int) -> None:
        """Fold the new events of log row `row`; `is_new` None means that all of them are."""
        if row <= self._filled_until:
            self._fold_old(columns, instants, is_new, row)
            return
        events = _Selected(columns, instants, range(len(columns)))
        if is_new is not None:
            events = _select(events, is_new)
        for plan, part in self._by_plan(events):
            if plan.is_full:
                plan.settle(self._cells)
                plan.forget()
            plan.fold(part, row, self._cells)

    def _fold_old(self, columns: Columns, instants: Micros, is_new: Flags | None, row: int) -> None:
        """Fold a row that some metrics have been filled in for already: leave those out."""
        metrics = self._metrics
        self.set_metrics([metric for metric in metrics if metric.from_row < row])
        self._filled_until = 0
        self.fold(columns, instants, is_new, row)
        self.set_metrics(metrics)

    def _by_plan(self, events: _Selected) -> "list[tuple[_Plan, _Selected]]":
        """The events that some metric may count, apart by plan."""
        event_types = events.columns.event_types
        plans = {event_type: self._plan(event_type) for event_type in set(event_types)}
        different = list(dict.fromkeys(plans.values()))
        if len(different) == 1:
            return [(different[0], events)] if different[0].metrics and event_types else []
        numbers = {event_type: different.index(plan) for event_type, plan in plans.items()}
        chosen = np.fromiter(map(numbers.__getitem__, event_types), dtype=np.int64, count=len(event_types))
        return [
            (plan, _select(events, chosen == number)) for number, plan in enumerate(different) if plan.metrics
        ]

    def _plan(self, event_type: str) -> "_Plan":
        plan = self._plans.get(event_type)
        if plan is None:
            metrics = [
                item for item in self._metrics if matches_type(item.definition.event_types, event_type)
            ]
            key = tuple([item.number for item in metrics])
            plan = self._plan_of.get(key)
            if plan is None:
                plan = self._plan_of[key] = _Plan(metrics)
            if len(self._plans) >= _KINDS_MAX:
                self._plans.clear()
            self._plans[event_type] = plan
        return plan

    def _forget(self) -> None:
        for plan in self._plan_of.values():
            plan.settle(self._cells)
        self._plans.clear()
        self._plan_of.clear()


class _Plan:
    """Everything about events that the same metrics may count: which properties matter, their kinds."""

    def __init__(self, metrics: Sequence[ActiveMetric]) -> None:
        self.metrics = tuple(metrics)
        definitions = [item.definition for item in metrics]
        rules = [rule for item in definitions for rule in item.property_filters]
        texts = {rule.name for rule in rules if rule.in_values is not None or rule.not_in_values is not None}
        texts |= {name for item in definitions for key in item.group_keys for name in key}
        # Of these only the presence decides; a summed amount must not make a kind of its own.
        self._marked = tuple(sorted({rule.name for rule in rules} - texts))
        self._texts = tuple(sorted(texts))
        sums = {item.aggregation_key or "" for item in definitions if item.aggregation is Aggregation.SUM}
        self._summed = tuple(sorted(sums))
        plain = (Aggregation.COUNT, Aggregation.SUM)
        self._has_others = any(item.aggregation not in plain for item in definitions)
        self.forget()

    @property
    def is_full(self) -> bool:
        """Whether so many kinds are remembered that it is time to begin anew."""
        return len(self._kinds) >= _KINDS_MAX

    def forget(self) -> None:
        """Begin anew; what was folded must be settled."""
        self._shapes = _Ordinals()
        self._goals: list[tuple[_Goal, ...]] = []
        self._kinds = _Ordinals()
        self._shape_of: Integers = np.zeros(_ROWS, dtype=np.int64)
        self._counts: Integers = np.zeros(_ROWS, dtype=np.int64)
        # One column more than there are sums: it stays zero and serves the goals without a sum.
        self._sums: Integers = np.zeros((_ROWS, len(self._summed) + 1), dtype=np.int64)
        self._numbers: Integers = np.zeros((_ROWS, 1), dtype=np.int64)
        self._summed_by: Integers = np.zeros((_ROWS, 1), dtype=np.int64)
        self._spent = 0

    def fold(self, events: _Selected, row: int, cells: Cells) -> None:
        """Count events and add up what is small and whole; bring the rest to its cells at once."""
        columns = dict(zip(events.columns.wanted, events.columns.properties, strict=True))
        kinds = self._kinds_of(events, columns, cells)
        amounts = [_small_and_whole(columns[name]) for name in self._summed]
        most = max([int(np.abs(wholes).max()) * len(wholes) for wholes, _ in amounts], default=0)
        if self._spent + most > WHOLE_ROOM:
            self.settle(cells)
        self._spent += most
        np.add.at(self._counts, kinds, 1)
        for column, (wholes, others) in enumerate(amounts):
            np.add.at(self._sums[:, column], kinds, wholes)
            for index, value in others:
                for goal, cell in self._others_of(int(kinds[index]), cells):
                    if goal.summed == column:
                        cell.exact = add(cell.exact, value)
        if self._has_others:
            self._fold_others(events, kinds, columns, row, cells)

    def settle(self, cells: Cells) -> None:
        """Bring the cells up to date with what has been counted and added up."""
        touched = np.flatnonzero(self._counts)
        if not len(touched):
            return
        cells.make_room(self._spent)
        self._spent = 0
        counts, sums = self._counts[touched], self._sums[touched]
        shapes = self._shape_of[touched]
        rows = np.arange(len(touched))
        for goal in range(self._numbers.shape[1]):
            cells.add(self._numbers[touched, goal], counts, sums[rows, self._summed_by[shapes, goal]])
        self._counts[touched] = 0
        self._sums[touched] = 0

    def _kinds_of(self, events: _Selected, columns: dict[str, Column], cells: Cells) -> Integers:
        """The kind of every event; new kinds are numbered and given room."""
        count = len(events.columns)
        texts = [_texts_of(columns[name]) for name in self._texts]
        marks = [[value is not None for value in columns[name]] for name in self._marked]
        if texts or marks:
            shapes: Iterable[int] = map(self._shapes.__getitem__, zip(*texts, *marks, strict=True))
        else:
            shapes = repeat(self._shapes[()], count)
        hours = (events.instants // MICROS_PER_HOUR).tolist()
        keys = zip(events.columns.customers, hours, shapes)  # noqa: B905  # repeat() has no end
        kinds = np.fromiter(map(self._kinds.__getitem__, keys), dtype=np.int64, count=count)
        self._note_shapes()
        self._note_kinds(cells)
        return kinds

    def _note_shapes(self) -> None:
        for shape, key in self._shapes.newest():
            goals = self._goals_of(key)
            self._goals.append(goals)
            self._summed_by = _grown(self._summed_by, shape + 1, len(goals))
            self._summed_by[shape] = len(self._summed)
            self._summed_by[shape, : len(goals)] = [goal.summed for goal in goals]

    def _note_kinds(self, cells: Cells) -> None:
        newest = self._kinds.newest()
        if not newest:
            return
        size = newest[-1][0] + 1
        self._numbers = _grown(self._numbers, size, self._summed_by.shape[1])
        if size > len(self._counts):
            self._shape_of = _grown(self._shape_of[:, None], size, 1)[:, 0]
            self._counts = _grown(self._counts[:, None], size, 1)[:, 0]
            self._sums = _grown(self._sums, size, 1)
        for kind, (customer, hour, shape) in newest:
            self._shape_of[kind] = shape
            for index, goal in enumerate(self._goals[shape]):
                series = (goal.metric, goal.grouping, customer)
                self._numbers[kind, index] = cells.number_of(series, (hour, goal.group), goal.text)
        cells.make_room(0)

    def _goals_of(self, shape: tuple[Any, ...]) -> tuple[_Goal, ...]:
        """Where events with these texts and marks go."""
        known: dict[str, str | None] = dict(zip(self._texts, shape, strict=False))
        marks = shape[len(self._texts) :]
        known |= {name: "" if mark else None for name, mark in zip(self._marked, marks, strict=True)}
        goals = []
        for metric in self.metrics:
            definition = metric.definition
            if not all(passes(rule, known[rule.name]) for rule in definition.property_filters):
                continue
            is_sum = definition.aggregation is Aggregation.SUM
            summed = self._summed.index(definition.aggregation_key or "") if is_sum else len(self._summed)
            is_plain = is_sum or definition.aggregation is Aggregation.COUNT
            valued = None if is_plain else definition.aggregation_key or ""
            for number, grouping in enumerate(stored_groupings(definition)):
                group = group_of(known, grouping)
                goals.append(
                    _Goal(
                        metric.number,
                        number,
                        group,
                        text_of_group(group),
                        summed,
                        valued,
                        definition.aggregation,
                    )
                )
        return tuple(goals)

    def _others_of(self, kind: int, cells: Cells) -> "list[tuple[_Goal, Cell]]":
        """What the cells of a kind hold beside counts and whole sums."""
        goals = self._goals[int(self._shape_of[kind])]
        numbers = self._numbers[kind].tolist()
        return [(goal, cells.other(number)) for goal, number in zip(goals, numbers, strict=False)]

    def _fold_others(
        self,
        events: _Selected,
        kinds: Integers,
        columns: dict[str, Column],
        row: int,
        cells: Cells,
    ) -> None:
        """Show MAX, LATEST and UNIQUE every event."""
        instants = events.instants.tolist()
        for place, kind in enumerate(kinds.tolist()):
            for goal, cell in self._others_of(kind, cells):
                if goal.valued is not None:
                    where = (instants[place], row, events.places[place])
                    _fold_other(cell, goal.aggregation, columns[goal.valued][place], where)


class _Ordinals(dict[tuple[Any, ...], int]):
    """Numbers keys from 0 in the order in which they are first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._new: list[tuple[int, Any]] = []

    def __missing__(self, key: tuple[Any, ...]) -> int:
        number = self[key] = len(self)
        self._new.append((number, key))
        return number

    def newest(self) -> list[tuple[int, Any]]:
        """The numbers and keys given since the last call."""
        newest, self._new = self._new, []
        return newest


def _grown(table: Integers, rows: int, columns: int) -> Integers:
    """The table with at least so many rows and columns, new ones zero."""
    held_rows, held_columns = table.shape
    if rows <= held_rows and columns <= held_columns:
        return table
    more = max(rows, held_rows * 2) if rows > held_rows else held_rows
    grown = np.zeros((more, max(columns, held_columns)), dtype=np.int64)
    grown[:held_rows, :held_columns] = table
    return grown


def wanted_by(metrics: Iterable[ActiveMetric]) -> Wanted:
    """The properties that some of these metrics read, sorted."""
    names: set[str] = set()
    for metric in metrics:
        definition = metric.definition
        names |= {rule.name for rule in definition.property_filters}
        names |= {name for key in definition.group_keys for name in key}
        if definition.aggregation is not Aggregation.COUNT:
            names.add(definition.aggregation_key or "")
    return tuple(sorted(names))


def _select(events: _Selected, chosen: Flags) -> _Selected:
    """Those of the events."""
    flags = chosen.tolist()
    columns = events.columns
    return _Selected(
        Columns(
            list(compress(columns.customers, flags)),
            list(compress(columns.event_types, flags)),
            (),
            columns.wanted,
            tuple([list(compress(column, flags)) for column in columns.properties]),
        ),
        events.instants[chosen],
        list(compress(events.places, flags)),
    )


def _texts_of(column: Column) -> Iterable[str | None]:
    if _TEXTS.issuperset(map(type, column)):
        return column
    return [value if value.__class__ is str else canonical_text(value) for value in column]


def _small_and_whole(column: Column) -> tuple[Integers, list[tuple[int, Decimal]]]:
    """What can be added up in 64 bits, 0 elsewhere; and the other numbers with their indexes."""
    types = set(map(type, column))
    if str in types:
        if len(types) == 1:
            column = list(map(_NUMBERS.__getitem__, column))
        else:
            column = [_NUMBERS[value] if value.__class__ is str else value for value in column]
        types = set(map(type, column))
    if types == {int}:
        try:
            wholes = np.array(column, dtype=np.int64)
        except OverflowError:
            pass
        else:
            if int(wholes.min()) > -_WHOLE_MAX and int(wholes.max()) < _WHOLE_MAX:
                return wholes, []
    small = [
        value if value.__class__ is int and -_WHOLE_MAX < value < _WHOLE_MAX else None for value in column
    ]
    others = [
        (index, number)
        for index, (whole, value) in enumerate(zip(small, column, strict=True))
        if whole is None and (number := number_of(value)) is not None
    ]
    return np.array([whole or 0 for whole in small], dtype=np.int64), others


def _fold_other(cell: Cell, aggregation: Aggregation, value: object, where: tuple[int, int, int]) -> None:
    """Fold a value into a cell of MAX, LATEST or UNIQUE; `where` is (instant, row, index)."""
    if aggregation is Aggregation.UNIQUE:
        text = canonical_text(value)
        if text is not None:
            if cell.distinct is None:
                cell.distinct = set()
            cell.distinct.add(text)
        return
    number = number_of(value)
    if number is None:
        return
    if aggregation is Aggregation.MAX:
        cell.max = number if cell.max is None or number > cell.max else cell.max
    elif cell.latest is None or where > cell.latest[:3]:
        cell.latest = (*where, number)
