"""What the tests of bad input share: names that stand for ids, and that a refusal changes nothing."""

from typing import Any

from tallybook.values.money import FIAT_TYPES
from tests.support import Server, assert_refused, fill

PATH = "/v1/contract-pricing/rate-cards"
EUR = next(fiat.id for fiat in FIAT_TYPES.values() if fiat.name == "EUR")
CARD = "the id of a card"
PRODUCT = "the id of a usage product without pricing group key"
GROUPED = "the id of a usage product that is priced by model"
FIXED = "the id of a fixed product"
UNRATED = "the id of a product that is not on the card"
THEIR_CARD = "the id of a card in production"
THEIR_PRODUCT = "the id of a product in production"


HOUR = "2026-02-01T00:00:00Z"
GOOD_RATE = {"product_id": PRODUCT, "starting_at": HOUR, "entitled": True, "rate_type": "FLAT", "price": 5}


def state(server: Server, ids: dict[str, str]) -> Any:
    """Everything that a refused call might have changed."""
    since = {"rate_card_id": ids[CARD], "starting_at": "2020-01-01T00:00:00Z"}
    return (
        server.post(f"{PATH}/list?limit=100", {}).json(),
        server.post(f"{PATH}/getRateSchedule?limit=100", since).json(),
    )


def refused(server: Server, ids: dict[str, str], operation: str, body: Any, status: int, named: str) -> None:
    before = state(server, ids)
    assert_refused(server.post(f"{PATH}/{operation}", fill(body, ids)), status, named)
    assert state(server, ids) == before
