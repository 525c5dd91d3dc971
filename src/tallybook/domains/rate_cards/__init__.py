"""Rate cards: what products cost, for whom, over time.

The wire pieces of rates, `RateResponse`, `RateSelectorRequest` and `rate_to_wire`, are in
`rate_cards.schemas`: endpoints and schemas of other domains import them from there, since this face
is also read by services, which know no HTTP.
"""

from tallybook.domains.rate_cards.model import AliasSegment, RateCard, RateRow, RateSelector
from tallybook.domains.rate_cards.service import (
    get_rate_card,
    product_order,
    rate_entries,
    rates_at,
    require_active,
    resolve_alias,
)

__all__ = [
    "AliasSegment",
    "RateCard",
    "RateRow",
    "RateSelector",
    "get_rate_card",
    "product_order",
    "rate_entries",
    "rates_at",
    "require_active",
    "resolve_alias",
]
