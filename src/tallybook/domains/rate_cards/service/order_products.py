"""The order of products on a card, which is their order on invoices (pricing.md 3.5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from tallybook.domains import products
from tallybook.domains.rate_cards import store
from tallybook.domains.rate_cards.model import moved
from tallybook.domains.rate_cards.service.cards import get_rate_card, require_active
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Invalid, NotFound


@dataclass(frozen=True, slots=True)
class ProductMove:
    """Where one product shall stand, from 0."""

    product_id: str
    position: int


def product_order(tx: ReadTx, rate_card_id: str) -> list[str]:
    """The products that were put in order; all others follow them in the order of their first rate.

    Raises NotFound.
    """
    get_rate_card(tx, rate_card_id)
    return store.select_product_order(tx, rate_card_id)


def set_product_order(tx: Tx, rate_card_id: str, order: Sequence[str]) -> None:
    """Put these products first, in this order; an earlier order is forgotten.

    A product may be put in order before it has a rate. Raises NotFound for an unknown card or product,
    Invalid for an archived card or a product given twice.
    """
    require_active(tx, rate_card_id)
    _require_products(tx, order, "product_order[{}]")
    store.replace_product_order(tx, rate_card_id, order)


def move_products(tx: Tx, rate_card_id: str, moves: Sequence[ProductMove]) -> None:
    """Put each product at its position in the card's whole order; the others close up around them.

    The whole order is kept from then on. Raises NotFound for an unknown card or product, Invalid for an
    archived card, a product that is not on the card, a product or position given twice, or a position
    past the end.
    """
    require_active(tx, rate_card_id)
    _require_products(tx, [move.product_id for move in moves], "product_moves[{}].product_id")
    order = list(
        dict.fromkeys(
            [
                *store.select_product_order(tx, rate_card_id),
                *store.select_priced_products(tx, rate_card_id),
            ]
        )
    )
    taken: set[int] = set()
    for index, move in enumerate(moves):
        path = f"product_moves[{index}]"
        if move.product_id not in order:
            message = (
                f"{path}.product_id: product {move.product_id} is not on the card; add a rate for it first"
            )
            raise Invalid(message)
        if move.position >= len(order):
            message = (
                f"{path}.position: past the end; the card has {len(order)} products, "
                f"so send at most {len(order) - 1}"
            )
            raise Invalid(message)
        if move.position in taken:
            raise Invalid(f"{path}.position: {move.position} is given twice; send each position once")
        taken.add(move.position)
    store.replace_product_order(
        tx, rate_card_id, moved(order, {move.product_id: move.position for move in moves})
    )


def _require_products(tx: ReadTx, product_ids: Sequence[str], path: str) -> None:
    known = products.products_by_id(tx, product_ids)
    seen: set[str] = set()
    for index, product_id in enumerate(product_ids):
        if product_id not in known:
            message = f"{path.format(index)}: no product has the id {product_id} in this environment"
            raise NotFound(message)
        if product_id in seen:
            raise Invalid(f"{path.format(index)}: product {product_id} is given twice; send it once")
        seen.add(product_id)
