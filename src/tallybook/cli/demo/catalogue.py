"""What the demo's business sells, to whom: metrics, products, a rate card, customers, contracts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tallybook.cli.demo.api import Api
from tallybook.values.instant import DAY, format_instant

CUSTOMERS = 50
ALIAS_OF_CARD = "list-prices"
PRICE_CHANGE_AFTER = 15 * DAY
"""How far into the month the middle model gets cheaper."""
TOKENS_PER_UNIT = 1_000_000
REQUESTS_PER_UNIT = 1_000
PRICE_REQUESTS = 5
"""Cents per thousand requests."""

_FIRST = (
    "Harbor",
    "Juniper",
    "Quartz",
    "Saltmarsh",
    "Tidewater",
    "Birch",
    "Copper",
    "Lantern",
    "Meadow",
    "Northgate",
)
_SECOND = ("Analytics", "Health", "Robotics", "Studio", "Systems")


@dataclass(frozen=True, slots=True)
class Model:
    """A language model and its prices in cents per million tokens; None where it makes no output."""

    name: str
    share: int
    """How many of 100 requests go to it."""
    input_price: int
    output_price: int | None
    changed: tuple[int, int] | None = None
    """Its prices for input and output after the price change."""


MODELS = (
    Model("wren", 46, 15, 60),
    Model("heron", 27, 250, 1_000, changed=(200, 800)),
    Model("condor", 9, 1_200, 6_000),
    Model("embed", 18, 2, None),
)


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer: its name, the aliases its events carry, its id."""

    name: str
    aliases: tuple[str, str]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was created that is needed again."""

    buyers: tuple[Buyer, ...]
    requests_metric_id: str


def buyers() -> tuple[Buyer, ...]:
    """The demo's customers, biggest first, before they are created."""
    names = [f"{first} {second}" for second in _SECOND for first in _FIRST]
    aliases = [name.lower().replace(" ", "-") for name in names]
    return tuple(
        Buyer(name, (f"org-{alias}", f"team-{alias}-ml")) for name, alias in zip(names, aliases, strict=True)
    )


def create_catalogue(api: Api, month: datetime, created: Callable[[], None]) -> Catalogue:
    """Create everything through the API; `created` is called after each customer. Raises Refused."""
    metrics = {kind: _token_metric(api, kind) for kind in ("input", "output")}
    requests = _request_metric(api)
    products = {kind: _token_product(api, kind, metric) for kind, metric in metrics.items()}
    card = api.create(
        "/v1/contract-pricing/rate-cards/create",
        {"name": "List prices", "description": "Per million tokens", "aliases": [{"name": ALIAS_OF_CARD}]},
    )
    product = api.create(
        "/v1/contract-pricing/products/create",
        {
            "name": "Requests",
            "type": "USAGE",
            "billable_metric_id": requests,
            "quantity_conversion": _divide_by(REQUESTS_PER_UNIT, "Thousand requests"),
        },
    )
    rates = [_rate(products[kind], price, at, model) for model, kind, price, at in _prices(month)]
    rates.append(_rate(product, PRICE_REQUESTS, month, None))
    api.post("/v1/contract-pricing/rate-cards/addRates", {"rate_card_id": card, "rates": rates})
    signed = []
    for buyer in buyers():
        signed.append(_sign(api, buyer, month))
        created()
    return Catalogue(tuple(signed), requests)


def _token_metric(api: Api, kind: str) -> str:
    """Tokens of one kind, summed, told apart by model and workload."""
    key = f"{kind}_tokens"
    return api.create(
        "/v1/billable-metrics/create",
        {
            "name": f"{kind.title()} tokens",
            "aggregation_type": "SUM",
            "aggregation_key": key,
            "event_type_filter": {"in_values": ["inference"]},
            "property_filters": [{"name": name, "exists": True} for name in (key, "model", "workload")],
            "group_keys": [["model", "workload"]],
        },
    )


def _request_metric(api: Api) -> str:
    return api.create(
        "/v1/billable-metrics/create",
        {"name": "Requests", "aggregation_type": "COUNT", "event_type_filter": {"in_values": ["inference"]}},
    )


def _token_product(api: Api, kind: str, metric_id: str) -> str:
    """Tokens priced per million and by model, shown by workload."""
    return api.create(
        "/v1/contract-pricing/products/create",
        {
            "name": f"{kind.title()} tokens",
            "type": "USAGE",
            "billable_metric_id": metric_id,
            "quantity_conversion": _divide_by(TOKENS_PER_UNIT, "Million tokens"),
            "pricing_group_key": ["model"],
            "presentation_group_key": ["workload"],
        },
    )


def _divide_by(factor: int, name: str) -> dict[str, object]:
    return {"conversion_factor": factor, "operation": "DIVIDE", "name": name}


def _prices(month: datetime) -> list[tuple[str, str, int, datetime]]:
    """Model, kind of token, price and its start, for every price of the month."""
    prices = []
    for model in MODELS:
        given = {"input": model.input_price, "output": model.output_price}
        prices += [(model.name, kind, price, month) for kind, price in given.items() if price is not None]
        if model.changed is not None:
            later = zip(("input", "output"), model.changed, strict=True)
            prices += [(model.name, kind, price, month + PRICE_CHANGE_AFTER) for kind, price in later]
    return prices


def _rate(product_id: str, price: int, starting_at: datetime, model: str | None) -> dict[str, object]:
    rate: dict[str, object] = {
        "product_id": product_id,
        "starting_at": format_instant(starting_at),
        "entitled": True,
        "rate_type": "FLAT",
        "price": price,
    }
    return rate if model is None else rate | {"pricing_group_values": {"model": model}}


def _sign(api: Api, buyer: Buyer, month: datetime) -> Buyer:
    """Create a customer and its contract at list prices."""
    customer = api.create("/v1/customers", {"name": buyer.name, "ingest_aliases": list(buyer.aliases)})
    api.post(
        "/v1/contracts/create",
        {
            "customer_id": customer,
            "rate_card_alias": ALIAS_OF_CARD,
            "starting_at": format_instant(month),
            "net_payment_terms_days": 30,
        },
    )
    return Buyer(buyer.name, buyer.aliases, customer)
