"""A small catalogue made through the official client, for tests that need something to bill."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from metronome import Metronome

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


@dataclass
class Catalogue:
    """Makes things and remembers nothing; every method gives the id of what it made."""

    client: Metronome

    def customer(self, name: str = "Acme", *aliases: str) -> str:
        return self.client.v1.customers.create(name=name, ingest_aliases=list(aliases)).data.id

    def metric(self, key: str = "tokens", *group: str, **given: Any) -> str:
        """A sum of one property, with one compound group key when `group` is given."""
        filters = [{"name": name, "exists": True} for name in (key, *group)]
        shape: dict[str, Any] = {
            "name": key,
            "aggregation_type": "SUM",
            "aggregation_key": key,
            "property_filters": filters,
            "event_type_filter": {"in_values": ["inference"]},
        }
        if group:
            shape["group_keys"] = [list(group)]
        return self.client.v1.billable_metrics.create(**{**shape, **given}).data.id

    def product(self, metric_id: str, name: str = "Tokens", **given: Any) -> str:
        return self.client.v1.contracts.products.create(
            name=name, type="USAGE", billable_metric_id=metric_id, **given
        ).data.id

    def card(self, name: str = "List prices", **given: Any) -> str:
        return self.client.v1.contracts.rate_cards.create(name=name, **given).data.id

    def rate(
        self, card: str, product: str, price: float, starting_at: datetime = JANUARY, **given: Any
    ) -> None:
        self.client.v1.contracts.rate_cards.rates.add(
            rate_card_id=card,
            product_id=product,
            starting_at=starting_at,
            entitled=True,
            rate_type="FLAT",
            price=price,
            **given,
        )

    def contract(
        self, customer: str, card: str | None = None, starting_at: datetime = JANUARY, **given: Any
    ) -> str:
        terms = given if card is None else {"rate_card_id": card, **given}
        return self.client.v1.contracts.create(customer_id=customer, starting_at=starting_at, **terms).data.id

    def use(self, customer: str, amount: object, at: datetime, number: str, **properties: str) -> None:
        """One event of type `inference` whose `tokens` is `amount`."""
        self.client.v1.usage.ingest(
            usage=[
                {
                    "transaction_id": number,
                    "customer_id": customer,
                    "event_type": "inference",
                    "timestamp": at.isoformat(),
                    "properties": {"tokens": str(amount), **properties},
                }
            ]
        )
