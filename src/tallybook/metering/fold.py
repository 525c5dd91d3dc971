"""Folds accepted events into hourly cells, thousands at a time: the hot path of metering.

Events of one customer, hour and combination of properties are of one kind and go to the same cells.
So each event costs a look-up of its kind and an addition to its kind's running count and sums, in
columns of numpy; the cells are brought up to date when someone wants to see them (`settle`).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import compress
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tallybook.metering.amounts import greatest, latest, numbers_of, small_and_whole
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
from tallybook.metering.kinds import Ordinals, Triples
from tallybook.metering.match import group_of, matches_type, passes, stored_groupings
from tallybook.metering.timestamps import Micros
from tallybook.values.event import canonical_text
from tallybook.values.metric import Aggregation
from tallybook.values.quantity import add

_ROWS = 1_024
_KINDS_MAX = 120_000
_CELLS_MAX = 250_000
"""So many cells are known by number from one checkpoint to the next."""
_NUMBERS_MAX = 1 << 22
_TEXTS: frozenset[type] = frozenset((str, type(None)))

_COUNT = Aggregation.COUNT

Flags = NDArray[np.bool_]
Row = tuple[int, int]
"""How many of the events stand before a log row, and the number of that row."""


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
    """Some events: their columns and instants."""

    columns: Columns
    instants: Micros
    places: Sequence[int]
    """Their indexes among all that are folded together."""


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

    @property
    def cells_known(self) -> int:
        """How many cells are known by number, which costs memory whether they hold something or not."""
        return len(self._cells)

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

    def can_join(self, row: int) -> bool:
        """Whether the row may be folded together with those after it."""
        return row > self._filled_until

    def fold(self, columns: Columns, instants: Micros, is_new: Flags | None, rows: Sequence[Row]) -> None:
        """Fold the new events of log rows; `is_new` None means that all of them are.

        Several rows can be folded together where all of them can be joined.
        """
        if not self.can_join(rows[0][1]):
            self._fold_old(columns, instants, is_new, rows)
            return
        for plan, part in self._by_plan(_Selected(columns, instants, range(len(columns))), is_new):
            if plan.is_full:
                plan.settle(self._cells)
                plan.forget()
            plan.fold(part, rows, self._cells)

    def _fold_old(
        self, columns: Columns, instants: Micros, is_new: Flags | None, rows: Sequence[Row]
    ) -> None:
        """Fold a row that some metrics have been filled in for already: leave those out."""
        metrics = self._metrics
        self.set_metrics([metric for metric in metrics if metric.from_row < rows[0][1]])
        self._filled_until = 0
        self.fold(columns, instants, is_new, rows)
        self.set_metrics(metrics)

    def _by_plan(self, events: _Selected, is_new: Flags | None) -> "list[tuple[_Plan, _Selected]]":
        """The new events that some metric may count, apart by plan."""
        event_types = events.columns.event_types
        plans = {event_type: self._plan(event_type) for event_type in set(event_types)}
        different = list(dict.fromkeys(plans.values()))
        if len(different) == 1 and is_new is None:
            return [(different[0], events)] if different[0].metrics else []
        numbers = {event_type: different.index(plan) for event_type, plan in plans.items()}
        chosen = np.fromiter(map(numbers.__getitem__, event_types), dtype=np.int64, count=len(event_types))
        if is_new is not None:
            chosen[~is_new] = -1
        parts = [
            (plan, _select(events, chosen == number, plan.wanted))
            for number, plan in enumerate(different)
            if plan.metrics
        ]
        return [(plan, part) for plan, part in parts if len(part.columns)]

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
        self.wanted = wanted_by(metrics)
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
        self._valued = sorted(
            {
                (item.aggregation, item.aggregation_key or "")
                for item in definitions
                if item.aggregation not in plain
            }
        )
        self.forget()

    @property
    def is_full(self) -> bool:
        """Whether so many kinds are remembered that it is time to begin anew."""
        count = max(len(self._kinds), len(self._customers), len(self._shapes))
        return count >= _KINDS_MAX or len(self._kinds) * self._numbers.shape[1] >= _NUMBERS_MAX

    def forget(self) -> None:
        """Begin anew; what was folded must be settled."""
        self._shapes = Ordinals()
        self._goals: list[tuple[_Goal, ...]] = []
        self._customers = Ordinals()
        self._hours = Ordinals()
        self._kinds = Triples()
        self._shape_of: Integers = np.zeros(_ROWS, dtype=np.int64)
        self._counts: Integers = np.zeros(_ROWS, dtype=np.int64)
        # One column more than there are sums: it stays zero and serves the goals without a sum.
        self._sums: Integers = np.zeros((_ROWS, len(self._summed) + 1), dtype=np.int64)
        self._numbers: Integers = np.zeros((_ROWS, 1), dtype=np.int64)
        self._summed_by: Integers = np.zeros((_ROWS, 1), dtype=np.int64)
        self._spent = 0
        self._places: dict[int, list[tuple[_Goal, int]]] = {}

    def fold(self, events: _Selected, rows: Sequence[Row], cells: Cells) -> None:
        """Count events and add up what is small and whole; bring the rest to its cells at once."""
        columns = dict(zip(events.columns.wanted, events.columns.properties, strict=True))
        kinds = self._kinds_of(events, columns, cells)
        amounts = [small_and_whole(columns[name]) for name in self._summed]
        most = max([int(np.abs(wholes).max()) * len(wholes) for wholes, _ in amounts], default=0)
        if self._spent + most > WHOLE_ROOM:
            self.settle(cells)
        self._spent += most
        np.add.at(self._counts, kinds, 1)
        for column, (wholes, others) in enumerate(amounts):
            np.add.at(self._sums[:, column], kinds, wholes)
            if others:
                self._fold_exact(column, kinds, others, cells)
        if self._valued:
            self._fold_valued(events, kinds.tolist(), columns, rows, cells)

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
            keys = zip(*texts, *marks, strict=True)
            shapes = np.fromiter(map(self._shapes.__getitem__, keys), dtype=np.int64, count=count)
        else:
            shapes = np.full(count, self._shapes[()], dtype=np.int64)
        self._note_shapes()
        customers = np.fromiter(
            map(self._customers.__getitem__, events.columns.customers), dtype=np.int64, count=count
        )
        different, which = np.unique(events.instants // MICROS_PER_HOUR, return_inverse=True)
        hours = np.array(list(map(self._hours.__getitem__, different.tolist())), dtype=np.int64)[which]
        kinds, new = self._kinds.number(customers, hours, shapes)
        if len(new):
            keys = zip(
                map(events.columns.customers.__getitem__, new.tolist()),
                different[which[new]].tolist(),
                shapes[new].tolist(),
                strict=True,
            )
            self._note_kinds(list(keys), cells)
        return kinds

    def _note_shapes(self) -> None:
        for shape, key in self._shapes.newest():
            goals = self._goals_of(key)
            self._goals.append(goals)
            self._summed_by = _grown(self._summed_by, shape + 1, len(goals))
            self._summed_by[shape] = len(self._summed)
            self._summed_by[shape, : len(goals)] = [goal.summed for goal in goals]

    def _note_kinds(self, new: list[tuple[str, int, int]], cells: Cells) -> None:
        """Give the kinds numbered last, by customer, hour and shape, room and cells."""
        size = len(self._kinds)
        self._numbers = _grown(self._numbers, size, self._summed_by.shape[1])
        if size > len(self._counts):
            self._shape_of = _grown(self._shape_of[:, None], size, 1)[:, 0]
            self._counts = _grown(self._counts[:, None], size, 1)[:, 0]
            self._sums = _grown(self._sums, size, 1)
        for kind, (customer, hour, shape) in enumerate(new, start=size - len(new)):
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

    def _fold_exact(
        self, column: int, kinds: Integers, amounts: Sequence[tuple[int, Decimal]], cells: Cells
    ) -> None:
        """Add up amounts that are not small and whole: first by kind, then into cells."""
        totals: dict[int, Decimal] = {}
        numbers = kinds[[index for index, _ in amounts]].tolist()
        for kind, (_, amount) in zip(numbers, amounts, strict=True):
            known = totals.get(kind)
            totals[kind] = amount if known is None else add(known, amount)
        for kind, amount in totals.items():
            for goal, number in self._goals_and_numbers(kind):
                if goal.summed == column:
                    cell = cells.other(number)
                    cell.exact = add(cell.exact, amount)

    def _fold_valued(
        self,
        events: _Selected,
        kinds: list[int],
        columns: dict[str, Column],
        rows: Sequence[Row],
        cells: Cells,
    ) -> None:
        """Fold for MAX, LATEST and UNIQUE: first what each kind adds, then into cells."""
        for aggregation, name in self._valued:
            if aggregation is Aggregation.UNIQUE:
                added: Iterable[tuple[int, Any]] = set(zip(kinds, _texts_of(columns[name]), strict=True))
            elif aggregation is Aggregation.MAX:
                added = greatest(kinds, numbers_of(columns[name])).items()
            else:
                places = zip(events.instants.tolist(), events.places, numbers_of(columns[name]), strict=True)
                added = latest(kinds, places).items()
            for kind, value in added:
                for goal, number in self._goals_and_numbers(kind):
                    if goal.valued == name and goal.aggregation is aggregation and value is not None:
                        _fold_value(cells.other(number), aggregation, value, rows)

    def _goals_and_numbers(self, kind: int) -> "list[tuple[_Goal, int]]":
        """Where events of a kind go beside counts, and the numbers of the cells there."""
        found = self._places.get(kind)
        if found is None:
            goals, numbers = self._goals[int(self._shape_of[kind])], self._numbers[kind].tolist()
            pairs = zip(goals, numbers, strict=False)
            found = self._places[kind] = [pair for pair in pairs if pair[0].aggregation is not _COUNT]
        return found


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


def _select(events: _Selected, chosen: Flags, wanted: Wanted) -> _Selected:
    """Those of the events, with the wanted properties alone."""
    flags = chosen.tolist()
    columns = events.columns
    properties = dict(zip(columns.wanted, columns.properties, strict=True))
    return _Selected(
        Columns(
            list(compress(columns.customers, flags)),
            (),
            (),
            wanted,
            tuple([list(compress(properties[name], flags)) for name in wanted]),
        ),
        events.instants[chosen],
        np.flatnonzero(chosen).tolist(),
    )


def _texts_of(column: Column) -> Iterable[str | None]:
    if _TEXTS.issuperset(map(type, column)):
        return column
    return [value if value.__class__ is str else canonical_text(value) for value in column]


def _fold_value(cell: Cell, aggregation: Aggregation, value: Any, rows: Sequence[Row]) -> None:
    """Bring what a kind adds to a cell of MAX, LATEST or UNIQUE."""
    if aggregation is Aggregation.UNIQUE:
        if cell.distinct is None:
            cell.distinct = set()
        cell.distinct.add(value)
    elif aggregation is Aggregation.MAX:
        if cell.max is None or value > cell.max:
            cell.max = Decimal(value)
    else:
        at, place, number = value
        before, row = rows[bisect_right(rows, place, key=itemgetter(0)) - 1]
        index = place - before
        if cell.latest is None or (at, row, index) > cell.latest[:3]:
            cell.latest = (at, row, index, Decimal(number))
