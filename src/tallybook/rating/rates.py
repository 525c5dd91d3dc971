"""Which entry of a rate card rules when: overlapping entries become a timeline (pricing.md 4.2, 4.3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tallybook.values.period import covers
from tallybook.values.pricing import GroupValues, RateEntry

RateKey = tuple[str, GroupValues, str | None]
"""Product, exact pricing group values, billing frequency: what one price is for."""


@dataclass(frozen=True, slots=True)
class RateSegment:
    """A stretch in which one entry rules; `ending_before` None means for ever."""

    entry: RateEntry
    starting_at: datetime
    ending_before: datetime | None


def key_of(entry: RateEntry) -> RateKey:
    """What the entry is a price for."""
    return entry.product_id, entry.group_values, entry.billing_frequency


def by_key(entries: Iterable[RateEntry]) -> dict[RateKey, list[RateEntry]]:
    """Entries by what they are a price for, keys in the order in which they first appear."""
    found: dict[RateKey, list[RateEntry]] = {}
    for entry in entries:
        found.setdefault(key_of(entry), []).append(entry)
    return found


def ruling_entry(entries: Iterable[RateEntry], instant: datetime) -> RateEntry | None:
    """Of the entries of one key, the one in force at `instant`: latest start, then latest added."""
    running = [entry for entry in entries if covers(entry.starting_at, entry.ending_before, instant)]
    return max(running, key=lambda entry: (entry.starting_at, entry.added), default=None)


def segments_of(entries: Iterable[RateEntry]) -> list[RateSegment]:
    """The timeline of one key's entries, in order, without overlap; gaps where none is in force."""
    waiting = sorted(entries, key=lambda entry: (entry.starting_at, entry.added), reverse=True)
    starts = {entry.starting_at for entry in waiting}
    borders = sorted(starts | {end for entry in waiting if (end := entry.ending_before)})
    begun: list[RateEntry] = []  # the last one rules, unless it has ended
    segments: list[RateSegment] = []
    for start, end in zip(borders, [*borders, None][1:], strict=True):
        while waiting and waiting[-1].starting_at <= start:
            begun.append(waiting.pop())
        while begun and not covers(begun[-1].starting_at, begun[-1].ending_before, start):
            begun.pop()
        if not begun:
            continue
        last = segments[-1] if segments else None
        if last is not None and last.entry is begun[-1] and last.ending_before == start:
            segments[-1] = RateSegment(begun[-1], last.starting_at, end)
        else:
            segments.append(RateSegment(begun[-1], start, end))
    return segments
