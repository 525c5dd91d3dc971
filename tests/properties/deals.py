"""Small contracts drawn at random, and what they must cost, worked out window by window from the events."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tallybook.metering.aggregate import aggregate, value_of
from tallybook.metering.match import number_of
from tallybook.values.event import Event
from tallybook.values.instant import parse_instant
from tallybook.values.metric import MetricDefinition
from tests.properties import generated as g
from tests.properties.play import Play, pages
from tests.reference import plain_json

REGIONS = ("eu", "us", "ap")
TEAMS = ("x", "é", "", "9")
HOUR = timedelta(hours=1)
LENGTH_HOURS = 9 * 24
"""Events and rates lie in so many hours from the start of a contract."""
Line = tuple[Any, ...]


QUERIES = {
    f"SQL {name}": (
        f"SELECT {value} AS value, properties.region, properties.team FROM events "
        "GROUP BY properties.region, properties.team"
    )
    for name, value in {
        "COUNT": "COUNT(*)",
        "LATEST": "LATEST(properties.amount)",
        "MAX": "MAX(CAST(properties.amount AS DECIMAL))",
    }.items()
}
"""Metrics in SQL whose value may fall; a product that needs fewer keys adds their rows up."""


@dataclass(frozen=True)
class Rate:
    """A price from some hour of the contract on."""

    hour: int
    price: Decimal


@dataclass(frozen=True)
class Offer:
    """A metric, the product that bills it, and its rates: by region, or under None for all."""

    kind: str
    """An aggregation, or one of QUERIES."""
    by_team: bool
    rates: dict[str | None, tuple[Rate, ...]]
    conversion: tuple[str, str] | None
    rounding: tuple[str, int] | None
    granularity: str
    """When the quantity of a metric in SQL arises: HOUR or SERVICE_PERIOD."""

    @property
    def is_sql(self) -> bool:
        """Whether the metric is a query."""
        return self.kind in QUERIES

    @property
    def by_region(self) -> bool:
        """Whether the price depends on the region."""
        return None not in self.rates

    @property
    def key(self) -> tuple[str, ...]:
        """The properties that quantities are told apart by."""
        return ("region",) * self.by_region + ("team",) * self.by_team


prices = st.decimals(0, 500, places=4)
timelines = st.lists(
    st.builds(Rate, st.sampled_from([24, 30, 100, 216]), prices), max_size=2, unique_by=lambda rate: rate.hour
).flatmap(
    lambda later: prices.map(lambda price: (Rate(0, price), *sorted(later, key=lambda rate: rate.hour)))
)
by_region = st.dictionaries(st.sampled_from(REGIONS), timelines, min_size=1)
offers = st.builds(
    Offer,
    kind=st.sampled_from(["COUNT", "SUM", "MAX", "LATEST", "UNIQUE", *QUERIES]),
    by_team=st.booleans(),
    rates=st.one_of(timelines.map(lambda found: {None: found}), by_region),
    conversion=st.one_of(
        st.none(), st.tuples(st.sampled_from(["multiply", "divide"]), st.sampled_from(["1000", "8", "0.5"]))
    ),
    rounding=st.one_of(
        st.none(),
        st.tuples(st.sampled_from(["round_up", "round_down", "round_half_up"]), st.integers(0, 2)),
    ),
    granularity=st.sampled_from(["HOUR", "SERVICE_PERIOD"]),
)
amounts = st.one_of(
    st.integers(-50, 2_000).map(str),
    st.decimals(-100, 5_000, places=3).map(lambda number: f'"{number:f}"'),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(['"x"', "null", "true", "1e3", "0"]),
)
moments = st.one_of(
    st.integers(-g.DAY, LENGTH_HOURS * g.HOUR),
    st.sampled_from([hour * g.HOUR - late for hour in (0, 24, 30, 100) for late in (0, 1)]),
)


def event_of(number: int, at: int, amount: str, region: str = "eu", team: str = "x") -> g.Sent:
    """An event at a moment counted from the start of a contract."""
    held = (("amount", amount), ("region", f'"{region}"'), ("team", f'"{team}"'))
    return g.Sent(number, 0, "call", at, 6, "Z" if number % 2 else "+05:30", held)


used = st.lists(
    st.tuples(moments, amounts, st.sampled_from(REGIONS), st.sampled_from(TEAMS)),
    max_size=40,
    unique_by=lambda event: event[0],
).map(lambda found: [event_of(number, *event) for number, event in enumerate(found)])
"""Events of the first alias, at distinct moments counted from the start of a contract."""


def make_metrics(play: Play, offered: list[Offer]) -> None:
    """The metrics of some offers."""
    for offer in offered:
        if offer.is_sql:
            play.make_query(QUERIES[offer.kind], (offer.key,) if offer.key else ())
            continue
        names = ["amount", *offer.key]
        body: dict[str, Any] = {
            "aggregation_type": offer.kind,
            "property_filters": [{"name": name, "exists": True} for name in names],
            "group_keys": [list(offer.key)] if offer.key else [],
        }
        if offer.kind != "COUNT":
            body["aggregation_key"] = "amount"
        play.make_metric(g.MakeMetric(body))


def sign(play: Play, offered: list[Offer], start: datetime) -> None:
    """A contract of the example's customer on a card with the offers' products, monthly from its start."""

    def post(path: str, **body: Any) -> str:
        answer = play.host.send(play.environment, "POST", path, content=plain_json(body))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["id"] if "id" in answer.json().get("data", {}) else ""

    card = post("/v1/contract-pricing/rate-cards/create", name="Prices")
    for number, offer in enumerate(offered):
        product = post("/v1/contract-pricing/products/create", **_product(number, offer, play.books.metrics))
        rates = [
            {
                "product_id": product,
                "starting_at": (start + rate.hour * HOUR).isoformat(),
                "entitled": True,
                "rate_type": "FLAT",
                "price": rate.price,
                **({} if region is None else {"pricing_group_values": {"region": region}}),
            }
            for region, timeline in offer.rates.items()
            for rate in timeline
        ]
        post("/v1/contract-pricing/rate-cards/addRates", rate_card_id=card, rates=rates)
    post(
        "/v1/contracts/create",
        customer_id=play.books.customers[0],
        rate_card_id=card,
        starting_at=start.isoformat(),
        usage_statement_schedule={"frequency": "MONTHLY", "day": "CONTRACT_START"},
    )


def _product(number: int, offer: Offer, metrics: list[MetricDefinition]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": f"P{number}",
        "type": "USAGE",
        "billable_metric_id": metrics[number].id,
    }
    if offer.by_region:
        body["pricing_group_key"] = ["region"]
    if offer.by_team:
        body["presentation_group_key"] = ["team"]
    if offer.is_sql:
        body["sql_breakdown_granularity"] = offer.granularity
    if offer.conversion is not None:
        operation, factor = offer.conversion
        body["quantity_conversion"] = {"conversion_factor": Decimal(factor), "operation": operation}
    if offer.rounding is not None:
        method, places = offer.rounding
        body["quantity_rounding"] = {"rounding_method": method, "decimal_places": places}
    return body


def drafts(play: Play) -> list[dict[str, Any]]:
    """The invoices of the example's customer, without what differs from one environment to another."""
    found = pages(
        play.host.client(play.environment).v1.customers.invoices.with_raw_response.list,
        customer_id=play.books.customers[0],
    )
    return [
        {
            "status": invoice["status"],
            "period": (invoice["start_timestamp"], invoice["end_timestamp"]),
            "total": Fraction(invoice["total"]),
            "lines": sorted(map(_shown, invoice["line_items"]), key=repr),
        }
        for invoice in found
    ]


def _shown(line: dict[str, Any]) -> Line:
    return (
        line["name"],
        (line.get("pricing_group_values") or {}).get("region"),
        (line.get("presentation_group_values") or {}).get("team"),
        parse_instant(line["starting_at"]),
        parse_instant(line["ending_before"]),
        Fraction(line["quantity"]),
        Fraction(line["unit_price"]),
        Fraction(line["total"]),
    )


def expected_lines(play: Play, offered: list[Offer], start: datetime, end: datetime) -> list[Line]:
    """The lines of the contract's first period, in the order of `drafts`."""
    usage = play.books.used(play.books.customers[0])
    usage = [event for event in usage if start <= event.timestamp < end]
    lines = []
    for number, (offer, metric) in enumerate(zip(offered, play.books.metrics, strict=True)):
        for region, timeline in offer.rates.items():
            chosen = [event for event in usage if region in (None, event.properties["region"])]
            # An unchanged price cuts nothing.
            changes = [
                rate
                for place, rate in enumerate(timeline)
                if not place or rate.price != timeline[place - 1].price
            ]
            edges = [start + rate.hour * HOUR for rate in changes] + [end]
            windows = list(zip(edges, edges[1:], changes, strict=False))
            found = _lines(offer, metric, chosen, windows)
            lines.extend((f"P{number}", region, *line) for line in found)
    return sorted(lines, key=repr)


def _lines(
    offer: Offer, metric: MetricDefinition, usage: list[Event], windows: list[tuple[datetime, datetime, Rate]]
) -> Iterator[Line]:
    matching = usage if offer.is_sql else [event for event in usage if _is_counted(metric, event)]
    teams = sorted({event.properties["team"] for event in matching}) if offer.by_team else [None]
    portions = {
        team: [(*window, _used(offer, metric, matching, team, window, windows[-1])) for window in windows]
        for team in teams
    }
    portions = {
        team: parts for team, parts in portions.items() if any(part[-1] is not None for part in parts)
    }
    for team, parts in (portions or {None: [(*window, None) for window in windows]}).items():
        before = Fraction(0)
        for begin, end, rate, used_ in parts:
            if used_ is None and (offer.by_region or (offer.by_team and portions)):
                continue
            after = before + (used_ or 0)
            quantity = _rounded(offer, after) - _rounded(offer, before)
            before, price = after, Fraction(rate.price)
            yield team, begin, end, quantity, price, quantity * price


def _used(
    offer: Offer,
    metric: MetricDefinition,
    usage: list[Event],
    team: str | None,
    window: tuple[datetime, datetime, Rate],
    last: tuple[datetime, datetime, Rate],
) -> Fraction | None:
    """What a group used in a window, in priced units; None where that gives no line."""
    usage = [event for event in usage if team in (None, event.properties["team"])]
    begin, end, _ = window
    if offer.is_sql:
        if offer.granularity == "SERVICE_PERIOD":
            begin = datetime.min.replace(tzinfo=UTC)
            if window != last:
                return None
        before, after = (_queried(offer.kind, usage, until) for until in (begin, end))
        return None if before == after else _converted(offer, after) - _converted(offer, before)
    if not any(begin <= event.timestamp < end for event in usage):
        return None
    return _converted(offer, _value(metric, usage, end)) - _converted(offer, _value(metric, usage, begin))


def _queried(kind: str, usage: list[Event], until: datetime) -> Fraction:
    """One of QUERIES over everything before some moment, its rows added up."""
    rows: dict[tuple[str, str], list[Event]] = {}
    for event in usage:
        if event.timestamp < until:
            rows.setdefault((event.properties["region"], event.properties["team"]), []).append(event)
    total = Fraction(0)
    for events in rows.values():
        read = [(event.timestamp, number_of(event.properties["amount"])) for event in events]
        numbers = [(at, number) for at, number in read if number is not None]
        if kind == "SQL COUNT":
            total += len(events)
        elif numbers:
            total += Fraction(max(numbers)[1] if kind == "SQL LATEST" else max(one for _, one in numbers))
    return total


def _is_counted(metric: MetricDefinition, event: Event) -> bool:
    window = event.timestamp, event.timestamp + timedelta(microseconds=1)
    return bool(aggregate(metric, [event], *window))


def _value(metric: MetricDefinition, usage: list[Event], until: datetime) -> Fraction:
    """The metric over everything before some moment."""
    counted = [event for event in usage if event.timestamp < until]
    if not counted:
        return Fraction(0)
    found = aggregate(metric, counted, min(event.timestamp for event in counted), until)
    return Fraction(value_of(metric.aggregation, found[()]) or 0)


def _converted(offer: Offer, value: Fraction) -> Fraction:
    if offer.conversion is None:
        return value
    operation, factor = offer.conversion
    return value / Fraction(factor) if operation == "divide" else value * Fraction(factor)


def _rounded(offer: Offer, value: Fraction) -> Fraction:
    if offer.rounding is None:
        return value
    method, places = offer.rounding
    size, sign = abs(value) * 10**places, -1 if value < 0 else 1
    whole = {
        "round_up": math.ceil(size),
        "round_down": math.floor(size),
        "round_half_up": math.floor(size + Fraction(1, 2)),
    }[method]
    return sign * Fraction(whole, 10**places)
