"""Use cases of rate cards, one file for each group of them."""

from tallybook.domains.rate_cards.service.add_rates import add_rate, add_rates
from tallybook.domains.rate_cards.service.cards import (
    RateCardChanges,
    RateCardDraft,
    archive_rate_card,
    create_rate_card,
    get_rate_card,
    list_rate_cards,
    require_active,
    resolve_alias,
    update_rate_card,
)
from tallybook.domains.rate_cards.service.order_products import (
    ProductMove,
    move_products,
    product_order,
    set_product_order,
)
from tallybook.domains.rate_cards.service.show_rates import rate_entries, rate_schedule, rates_at

__all__ = [
    "ProductMove",
    "RateCardChanges",
    "RateCardDraft",
    "add_rate",
    "add_rates",
    "archive_rate_card",
    "create_rate_card",
    "get_rate_card",
    "list_rate_cards",
    "move_products",
    "product_order",
    "rate_entries",
    "rate_schedule",
    "rates_at",
    "require_active",
    "resolve_alias",
    "set_product_order",
    "update_rate_card",
]
