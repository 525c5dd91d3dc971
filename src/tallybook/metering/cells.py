"""Folds accepted events into hourly cells, fast: the hot path of metering.

A cell is keyed by (metric, grouping, customer key as sent, UTC hour, group). Cells here are deltas:
what has come since the last checkpoint. They merge with what is stored in any order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tallybook.metering.event import Batch, WireEvent
from tallybook.metering.match import group_of, matches_type, number_of, passes, stored_groupings
from tallybook.values.event import canonical_text
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.quantity import ZERO, add
from tallybook.values.usage import Reading, Tally

MICROS_PER_HOUR = 3_600_000_000
_WHOLE_MAX = 10**18
_REMEMBERED_MAX = 200_000

Group = tuple[str | None, ...]
SeriesKey = tuple[int, int, str]
"""Metric number, grouping number, customer key."""


class Cell:
    """What matching events add up to within one hour and group; changed in place."""

    __slots__ = ("count", "distinct", "exact", "latest", "max", "whole")

    def __init__(self) -> None:
        """Start with nothing."""
        self.count = 0
        self.whole = 0
        self.exact: Decimal = ZERO
        self.max: Decimal | None = None
        self.latest: tuple[int, int, int, Decimal] | None = None
        self.distinct: set[str] = set()

    def tally(self) -> Tally:
        """The cell as everyone else knows it."""
        reading = None
        if self.latest is not None:
            at, row, index, value = self.latest
            reading = Reading(at, (row, index), value)
        return Tally(
            self.count, add(Decimal(self.whole), self.exact), self.max, reading, frozenset(self.distinct)
        )

    def absorb(self, other: "Cell") -> None:
        """Add another cell's events."""
        self.count += other.count
        self.whole += other.whole
        self.exact = add(self.exact, other.exact)
        if other.max is not None and (self.max is None or other.max > self.max):
            self.max = other.max
        if other.latest is not None and (self.latest is None or other.latest[:3] > self.latest[:3]):
            self.latest = other.latest
        self.distinct |= other.distinct


Series = dict[tuple[int, Group], Cell]
"""Cells by (hour, group)."""


@dataclass(frozen=True, slots=True)
class ActiveMetric:
    """A metric that is folded live: for log rows after `from_row`; earlier ones are filled in apart."""

    number: int
    definition: MetricDefinition
    from_row: int


@dataclass(slots=True)
class _Targets:
    """The cells that events of one kind go to."""

    counted: list[Cell] = field(default_factory=list)
    summed: list[tuple[Cell, str]] = field(default_factory=list)
    others: list[tuple[Cell, str, Aggregation]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What matters of events of one type: the metrics that may match and the properties they read."""

    metrics: tuple[ActiveMetric, ...]
    valued: tuple[str, ...]
    """Properties whose text decides: listed in a filter, or part of a group key."""
    marked: tuple[str, ...]
    """Properties of which only the presence decides; a summed amount must not make a kind of its own."""


_Kind = tuple[str, str, int, tuple[str | None, ...], tuple[bool, ...]]
"""Event type, customer key, hour, texts of the valued and presence of the marked properties."""


class Folder:
    """Folds batches into `cells`, by series. One thread at a time."""

    def __init__(self, metrics: Iterable[ActiveMetric] = ()) -> None:
        """Fold for these metrics."""
        self.cells: dict[SeriesKey, Series] = {}
        self._metrics: tuple[ActiveMetric, ...] = ()
        self._plans: dict[str, _Plan] = {}
        self._targets: dict[_Kind, _Targets] = {}
        self._filled_until = 0
        self.set_metrics(metrics)

    def set_metrics(self, metrics: Iterable[ActiveMetric]) -> None:
        """Fold for these metrics from now on."""
        self._metrics = tuple(metrics)
        self._filled_until = max((metric.from_row for metric in self._metrics), default=0)
        self._forget()

    def take(self) -> dict[SeriesKey, Series]:
        """Hand over the cells folded so far and start anew."""
        cells, self.cells = self.cells, {}
        self._targets.clear()
        return cells

    def fold(self, batch: Batch, is_new: Sequence[bool] | None, row: int, index: int) -> None:
        """Fold the new events of a batch whose first event is number `index` of log row `row`.

        `is_new` None means that all of them are.
        """
        if row <= self._filled_until:
            self._fold_old(batch, is_new, row, index)
            return
        for offset, (event, at) in enumerate(zip(batch.events, batch.instants, strict=True)):
            if is_new is not None and not is_new[offset]:
                continue
            targets = self._targets_of(event, at)
            properties = event.properties
            for cell in targets.counted:
                cell.count += 1
            for cell, name in targets.summed:
                value = properties.get(name)
                if value.__class__ is int and -_WHOLE_MAX < value < _WHOLE_MAX:
                    cell.whole += value
                elif (number := number_of(value)) is not None:
                    cell.exact = add(cell.exact, number)
            for cell, name, aggregation in targets.others:
                _fold_other(cell, aggregation, properties.get(name), (at, row, index + offset))

    def _targets_of(self, event: WireEvent, at: int) -> _Targets:
        plan = self._plans.get(event.event_type)
        if plan is None:
            plan = self._plan(event.event_type)
        read = event.properties.get
        texts = tuple(
            [value if value.__class__ is str else canonical_text(value) for value in map(read, plan.valued)]
        )
        marks = tuple([read(name) is not None for name in plan.marked])
        key = (event.event_type, event.customer_id, at // MICROS_PER_HOUR, texts, marks)
        return self._targets.get(key) or self._find_targets(plan, key)

    def _fold_old(self, batch: Batch, is_new: Sequence[bool] | None, row: int, index: int) -> None:
        """Fold a row that some metrics have been filled in for already: leave those out."""
        metrics = self._metrics
        wanting = tuple(metric for metric in metrics if metric.from_row < row)
        filled_until, self._filled_until, self._metrics = self._filled_until, 0, wanting
        self._forget()
        self.fold(batch, is_new, row, index)
        self._metrics, self._filled_until = metrics, filled_until
        self._forget()

    def _forget(self) -> None:
        self._plans.clear()
        self._targets.clear()

    def _plan(self, event_type: str) -> _Plan:
        metrics = tuple(
            item for item in self._metrics if matches_type(item.definition.event_types, event_type)
        )
        rules = [rule for item in metrics for rule in item.definition.property_filters]
        valued = {rule.name for rule in rules if rule.in_values is not None or rule.not_in_values is not None}
        valued |= {name for item in metrics for key in item.definition.group_keys for name in key}
        marked = {rule.name for rule in rules} - valued
        plan = _Plan(metrics, tuple(sorted(valued)), tuple(sorted(marked)))
        if len(self._plans) >= _REMEMBERED_MAX:
            self._plans.clear()
        self._plans[event_type] = plan
        return plan

    def _find_targets(self, plan: _Plan, key: _Kind) -> _Targets:
        _, customer_key, hour, texts, marks = key
        known = dict(zip(plan.valued, texts, strict=True))
        known |= {name: "" if mark else None for name, mark in zip(plan.marked, marks, strict=True)}
        targets = _Targets()
        for metric in plan.metrics:
            definition = metric.definition
            if not all(passes(rule, known[rule.name]) for rule in definition.property_filters):
                continue
            for number, grouping in enumerate(stored_groupings(definition)):
                series = self.cells.setdefault((metric.number, number, customer_key), {})
                cell = series.setdefault((hour, group_of(known, grouping)), Cell())
                targets.counted.append(cell)
                if definition.aggregation is Aggregation.SUM:
                    targets.summed.append((cell, definition.aggregation_key or ""))
                elif definition.aggregation is not Aggregation.COUNT:
                    targets.others.append((cell, definition.aggregation_key or "", definition.aggregation))
        if len(self._targets) >= _REMEMBERED_MAX:
            self._targets.clear()
        self._targets[key] = targets
        return targets


def _fold_other(cell: Cell, aggregation: Aggregation, value: object, where: tuple[int, int, int]) -> None:
    """Fold a value into a cell of MAX, LATEST or UNIQUE; `where` is (instant, row, index)."""
    if aggregation is Aggregation.UNIQUE:
        text = canonical_text(value)
        if text is not None:
            cell.distinct.add(text)
        return
    number = number_of(value)
    if number is None:
        return
    if aggregation is Aggregation.MAX:
        cell.max = number if cell.max is None or number > cell.max else cell.max
    elif cell.latest is None or where > cell.latest[:3]:
        cell.latest = (*where, number)
