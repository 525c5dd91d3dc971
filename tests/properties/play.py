"""Does to a server what was drawn, keeps the books beside it, and compares its answers with them."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, cycle
from typing import Any

from tallybook.metering.aggregate import value_of
from tallybook.values.instant import parse_instant
from tallybook.values.metric import Aggregation, MetricDefinition
from tallybook.values.usage import Tally
from tests.properties import generated as g
from tests.properties.books import Books, Values, Window, definition_of, windows_of
from tests.properties.hosts import Host
from tests.properties.queries import QUERIES
from tests.reference import Group

DAY = timedelta(days=1)
VALUES_MAX = 200
TAGS = count(1)


class Play:
    """One example in one environment of a server. `tag` keeps its names apart from other examples'."""

    def __init__(self, host: Host, environment: str, tag: str, now: Callable[[], datetime]) -> None:
        self.host, self.environment, self.tag = host, environment, tag
        self.books = Books()
        self.now = now
        self._does: dict[type, Callable[[Any], None]] = {
            g.Send: self.send,
            g.MakeMetric: self.make_metric,
            g.MakeQuery: lambda step: self.make_query(QUERIES[step.query].sql, QUERIES[step.query].keys),
            g.MakeCustomer: self.make_customer,
            g.SetAliases: self.set_aliases,
            g.MoveAlias: self.move_alias,
            g.ArchiveCustomer: self.archive_customer,
            g.ArchiveMetric: self.archive_metric,
            g.Advance: self.advance,
            g.Restart: lambda step: self.host.restart(kills=step.kills),
            g.Tidy: lambda step: self.host.tidy(self.environment, step.what),
            g.Ask: self.ask,
        }

    def play(self, steps: Iterable[object]) -> None:
        """Do one step after the other."""
        for step in steps:
            self._does[type(step)](step)

    @property
    def _v1(self) -> Any:
        return self.host.client(self.environment).v1

    def _post(self, path: str, body: Any) -> Any:
        answer = self.host.send(self.environment, "POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _alias(self, number: int) -> str:
        return f"{self.tag}-клиент {number}"

    def _customer(self, number: int) -> str | None:
        known = self.books.customers
        return known[number % len(known)] if known else None

    def wire(self, event: g.Sent, now: datetime) -> str:
        """The JSON of an event."""
        at = now + timedelta(microseconds=event.at)
        if event.offset not in ("Z", "+00:00"):
            sign = -1 if event.offset[0] == "-" else 1
            hours, minutes = map(int, event.offset[1:].split(":"))
            at += sign * timedelta(hours=hours, minutes=minutes)
        fraction = "" if event.digits == 0 else "." + f"{at.microsecond:06}999"[: event.digits]
        key = event.key - g.ALIASES
        customer = self._customer(key) if key >= 0 else None
        members = {
            "transaction_id": json.dumps(f"{self.tag}-№{event.number}"),
            "customer_id": json.dumps(customer or self._alias(event.key % g.ALIASES)),
            "event_type": json.dumps(event.event_type, ensure_ascii=False),
            "timestamp": f'"{at:%Y-%m-%dT%H:%M:%S}{fraction}{event.offset}"',
        }
        if event.properties is not None:
            held = ", ".join(f"{json.dumps(name)}: {text}" for name, text in event.properties)
            members["properties"] = "{" + held + "}"
        return "{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}"

    def send(self, step: g.Send) -> None:
        sizes, rest = cycle(step.sizes), step.events
        while rest:
            size = next(sizes)
            part, rest = rest[:size], rest[size:]
            now = self.now()
            self.ingest("[" + ",".join(self.wire(event, now) for event in part) + "]")

    def ingest(self, body: str) -> None:
        now = self.now()
        answer = self.host.send(self.environment, "POST", "/v1/ingest", content=body.encode())
        assert answer.status_code == 200, (answer.text, body)
        self.books.acknowledge(body, now)

    def make_metric(self, step: g.MakeMetric) -> None:
        name = f"{self.tag} {len(self.books.metrics)}"
        made = self._post("/v1/billable-metrics/create", {"name": name, **step.body})
        self.books.metrics.append(definition_of(made["data"]["id"], step.body))

    def make_query(self, sql: str, keys: tuple[tuple[str, ...], ...]) -> None:
        """A metric in SQL, and the keys to ask for it by."""
        made = self._v1.billable_metrics.create(name=self.tag, sql=sql).data.id
        self.books.metrics.append(MetricDefinition(made, Aggregation.SQL, group_keys=keys, sql=sql))

    def make_customer(self, step: g.MakeCustomer) -> None:
        free = [alias for alias in map(self._alias, step.aliases) if alias not in self.books.owners]
        made = self._v1.customers.create(name=f"{self.tag} customer", ingest_aliases=free).data.id
        self.books.customers.append(made)
        self.books.owners.update(dict.fromkeys(free, made))

    def set_aliases(self, step: g.SetAliases) -> None:
        customer = self._customer(step.customer)
        if customer is not None:
            self._set_aliases(customer, [self._alias(number) for number in sorted(step.aliases)])

    def _set_aliases(self, customer: str, aliases: list[str]) -> None:
        owners = self.books.owners
        is_taken = any(owners.get(alias, customer) != customer for alias in aliases)
        path = f"/v1/customers/{customer}/setIngestAliases"
        answer = self.host.send(self.environment, "POST", path, json={"ingest_aliases": aliases})
        assert answer.status_code == (409 if is_taken else 200), answer.text
        if not is_taken:
            for alias in [alias for alias, owner in owners.items() if owner == customer]:
                del owners[alias]
            owners.update(dict.fromkeys(aliases, customer))

    def move_alias(self, step: g.MoveAlias) -> None:
        customer, alias = self._customer(step.customer), self._alias(step.alias)
        if customer is None:
            return
        owner = self.books.owners.get(alias)
        if owner is not None:
            self._set_aliases(owner, [name for name in self._aliases_of(owner) if name != alias])
        self._set_aliases(customer, [*self._aliases_of(customer), alias])

    def _aliases_of(self, customer: str) -> list[str]:
        return [alias for alias, owner in self.books.owners.items() if owner == customer]

    def archive_customer(self, step: g.ArchiveCustomer) -> None:
        customer = self._customer(step.customer)
        if customer is not None and customer not in self.books.archived:
            self._v1.customers.archive(id=customer)
            self.books.archived.add(customer)

    def archive_metric(self, step: g.ArchiveMetric) -> None:
        known = self.books.metrics
        if known:
            self._v1.billable_metrics.archive(id=known[step.metric % len(known)].id)

    def advance(self, step: g.Advance) -> None:
        if self.environment == "sandbox":
            to = self.now() + timedelta(hours=step.hours)
            self._post("/tallybook/v1/clock", {"now": to.isoformat()})

    def ask(self, step: g.Ask) -> None:
        customer, known = self._customer(step.customer), self.books.metrics
        if customer is None or not known:
            return
        metric = known[step.metric % len(known)]
        choices = [(), *metric.group_keys]
        grouping = choices[step.key % len(choices)]
        shown = {grouping[step.key % len(grouping)]: list(step.shown)} if grouping and step.shown else {}
        start = midnight(self.now()) + step.day_from * DAY
        days = start, start + step.days * DAY
        self.compare_groups(customer, metric, step.size, days, grouping, shown, step.limit)

    def compare_groups(
        self,
        customer: str,
        metric: MetricDefinition,
        size: str,
        days: Window,
        grouping: tuple[str, ...] = (),
        shown: dict[str, list[str]] | None = None,
        limit: int = 100,
    ) -> None:
        """`/v1/usage/groups` answers what the books hold."""
        asked: dict[str, Any] = {
            "customer_id": customer,
            "billable_metric_id": metric.id,
            "window_size": size,
            "starting_on": days[0],
            "ending_before": days[1],
        }
        if grouping:
            asked["group_key"] = list(grouping)
            if shown:
                asked["group_filters"] = shown
        found: Values = {}
        for row in pages(self._v1.usage.with_raw_response.list_with_groups, limit=limit, **asked):
            group: Group = tuple(row.get("group", {}).get(name) for name in grouping)
            place = parse_instant(row["starting_on"]), group
            assert place not in found, f"{place} comes twice"
            found[place] = row["value"]
        windows = list(windows_of(size, *days))
        expected = self.books.groups(customer, metric, windows, grouping, shown or {})
        assert found == expected, (metric, asked)

    def compare_batch(self, size: str, days: Window, *, by: bool) -> None:
        """`/v1/usage` about all customers and metrics of this example answers what the books hold."""
        metrics = self.books.metrics
        simple = {metric.id: [key[0] for key in metric.group_keys if len(key) == 1] for metric in metrics}
        asked: list[dict[str, Any]] = [
            {"id": metric.id, "group_by": {"key": simple[metric.id][0]}}
            if by and simple[metric.id]
            else {"id": metric.id}
            for metric in metrics
        ]
        found = self._rows(size, days, customer_ids=self.books.customers, billable_metrics=asked)
        assert found == list(self._batch(size, days, asked)), asked

    def compare_everything(self, size: str, days: Window) -> None:
        """`/v1/usage` without names tells of every active customer; nobody else may use this server."""
        expected = self._batch(size, days, [{"id": metric.id} for metric in self.books.metrics])
        active = [row for row in expected if row[0] not in self.books.archived]
        assert sorted(self._rows(size, days), key=repr) == sorted(active, key=repr)

    def _rows(self, size: str, days: Window, **asked: Any) -> list[tuple[Any, ...]]:
        return [
            (
                row["customer_id"],
                row["billable_metric_id"],
                parse_instant(row["start_timestamp"]),
                row["value"],
                row.get("groups"),
            )
            for row in pages(
                self._v1.usage.with_raw_response.list,
                window_size=size,
                starting_on=days[0],
                ending_before=days[1],
                **asked,
            )
        ]

    def _batch(self, size: str, days: Window, asked: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
        windows = list(windows_of(size, *days))
        for customer in self.books.customers:
            for metric, item in zip(self.books.metrics, asked, strict=True):
                grouping = (item["group_by"]["key"],) if "group_by" in item else ()
                for window, tallies in self.books.tallies(customer, metric, windows, grouping):
                    if not grouping:
                        value = value_of(metric.aggregation, tallies.get((), Tally()))
                        yield customer, metric.id, window[0], value, None
                    elif tallies:
                        total = Tally()
                        for tally in tallies.values():
                            total = total.merge(tally)
                        groups = {
                            name: value_of(metric.aggregation, tally)
                            for (name,), tally in tallies.items()
                            if name is not None
                        }
                        first = dict(sorted(groups.items())[:VALUES_MAX])
                        yield customer, metric.id, window[0], value_of(metric.aggregation, total), first

    def compare_all(self) -> None:
        """Every customer, metric and group key, by hour, by day and in one window."""
        books, today = self.books, midnight(self.now())
        if not (books.customers and books.metrics):
            return
        whole = min([today - DAY, *(midnight(event.timestamp) for event in books.events)]), today + 3 * DAY
        near = today - DAY, today + DAY
        self.compare_batch("NONE", whole, by=False)
        self.compare_batch("DAY", near, by=True)
        for number, metric in enumerate(books.metrics):
            for place, customer in enumerate(books.customers):
                keys = [(), *metric.group_keys]
                for index, grouping in enumerate(keys):
                    size = ("NONE", "DAY", "HOUR")[
                        (number + place + index) % (3 if metric.sql is None else 2)
                    ]
                    self.compare_groups(customer, metric, size, near if size == "HOUR" else whole, grouping)


def pages(call: Callable[..., Any], **asked: Any) -> Iterator[dict[str, Any]]:
    """The rows of every page with exact numbers, each page checked by the official client."""
    while True:
        raw = call(**asked)
        raw.parse()
        page = json.loads(raw.http_response.content, parse_float=Decimal, parse_int=Decimal)
        yield from page["data"]
        if page["next_page"] is None:
            return
        asked["next_page"] = page["next_page"]


def midnight(instant: datetime) -> datetime:
    """The beginning of its day."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def sandbox_as_it_stands(host: Host) -> Play:
    """An example in the sandbox, which may share its time with others."""

    def now() -> datetime:
        answer = host.send("sandbox", "GET", "/tallybook/v1/clock").json()
        return datetime.fromisoformat(answer["data"]["now"]).astimezone(UTC)

    return Play(host, "sandbox", f"s{next(TAGS)}", now)


def sandbox(host: Host) -> Play:
    """An example in the sandbox, at noon of a day that no other has seen."""
    play = sandbox_as_it_stands(host)
    to = midnight(play.now()) + timedelta(days=1, hours=12)
    assert host.send("sandbox", "POST", "/tallybook/v1/clock", json={"now": to.isoformat()}).is_success
    return play


def production(host: Host) -> Play:
    """An example in production, whose log a second process applies."""
    return Play(host, "production", f"p{next(TAGS)}", lambda: datetime.now(UTC))
