"""Fixtures of the tests of rate cards."""

import pytest

from tests.domains.rate_cards.bodies import CARD, FIXED, GROUPED, PRODUCT, THEIR_CARD, THEIR_PRODUCT, UNRATED
from tests.support import PRODUCTION_TOKEN, Server


@pytest.fixture(scope="module")
def ids(shared_server: Server) -> dict[str, str]:
    """What stands for ids in the bodies below."""
    client = shared_server.client
    metric = client.v1.billable_metrics.create(
        name="Calls",
        aggregation_type="COUNT",
        property_filters=[{"name": "model", "exists": True}],
        group_keys=[["model"]],
    ).data.id
    products = client.v1.contracts.products
    usage = products.create(name="Calls", type="USAGE", billable_metric_id=metric).data.id
    unrated = products.create(name="Unrated", type="USAGE", billable_metric_id=metric).data.id
    grouped = products.create(
        name="Grouped", type="USAGE", billable_metric_id=metric, pricing_group_key=["model"]
    ).data.id
    fixed = products.create(name="Fee", type="FIXED").data.id
    card = client.v1.contracts.rate_cards.create(name="Card", aliases=[{"name": "held"}]).data.id
    client.v1.contracts.rate_cards.rates.add(
        rate_card_id=card,
        product_id=usage,
        starting_at="2026-01-01T00:00:00Z",
        entitled=True,
        rate_type="FLAT",
        price=1,
    )
    production = shared_server.client_of(PRODUCTION_TOKEN).v1.contracts
    return {
        CARD: card,
        PRODUCT: usage,
        GROUPED: grouped,
        FIXED: fixed,
        UNRATED: unrated,
        THEIR_CARD: production.rate_cards.create(name="Theirs").data.id,
        THEIR_PRODUCT: production.products.create(name="Theirs", type="FIXED").data.id,
    }
