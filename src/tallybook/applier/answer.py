"""Merges stored and recent cells into the answer to one question."""

from bisect import bisect_right
from collections.abc import Sequence

from tallybook.metering.cells import Cells, Group
from tallybook.ports import UsageQuestion
from tallybook.values.usage import Tally, UsageCell


class Merge:
    """Merges cells of a stored grouping into a coarser one, and hours into stretches."""

    def __init__(
        self, stored: tuple[str, ...], wanted: tuple[str, ...], borders: Sequence[int] | None
    ) -> None:
        """Merge what is grouped by `stored` into groups by `wanted`, hours between borders into one."""
        self._borders = borders
        self._picks = [stored.index(name) for name in wanted]
        self._tallies: dict[tuple[str, int, Group], Tally] = {}

    def add(self, customer_key: str, hour: int, group: Group, tally: Tally) -> None:
        """Merge one cell in."""
        if self._borders is not None:
            hour = self._borders[bisect_right(self._borders, hour) - 1]
        key = (customer_key, hour, tuple([group[pick] for pick in self._picks]))
        known = self._tallies.get(key)
        self._tallies[key] = tally if known is None else known.merge(tally)

    def add_recent(self, cells: Cells, number: int, grouping: int, question: UsageQuestion) -> None:
        """Merge in cells that are not stored yet."""
        keys = question.customer_keys
        if keys is None:
            keys = cells.customer_keys(number, grouping)
        for customer_key in keys:
            for hour, group, cell in cells.of((number, grouping, customer_key)):
                if question.hour_from <= hour < question.hour_until:
                    self.add(customer_key, hour, group, cell.tally())

    def cells(self) -> list[UsageCell]:
        """The merged cells by customer key, hour and group; absent members first."""
        ordered = sorted(
            self._tallies.items(),
            key=lambda item: (*item[0][:2], [(m is not None, m or "") for m in item[0][2]]),
        )
        return [UsageCell(key, hour, group, tally) for (key, hour, group), tally in ordered]
