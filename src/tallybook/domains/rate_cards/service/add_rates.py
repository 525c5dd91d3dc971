"""Adding rates to a card, all or nothing."""

from collections.abc import Mapping, Sequence

from tallybook.domains import products, settings
from tallybook.domains.products import Product
from tallybook.domains.rate_cards import store
from tallybook.domains.rate_cards.model import (
    PERCENTAGES,
    RateCard,
    RateDraft,
    check_group_values,
    check_rate,
    require_built,
)
from tallybook.domains.rate_cards.service.cards import require_active
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Invalid, NotBuilt, NotFound
from tallybook.values.money import CreditType
from tallybook.values.pricing import Price, ProductType, RateEntry


def add_rate(tx: Tx, rate_card_id: str, draft: RateDraft) -> tuple[RateEntry, CreditType]:
    """Add one rate; messages name its fields as they are. Raises as `add_rates` does."""
    (entry,) = _add(tx, rate_card_id, {"": draft})
    return entry, settings.get_credit_type(tx, entry.price.credit_type_id, "credit_type_id")


def add_rates(tx: Tx, rate_card_id: str, drafts: Sequence[RateDraft]) -> list[RateEntry]:
    """Add rates, later ones ruling over earlier ones of the same key and start (pricing.md 4.2).

    Raises NotFound for an unknown card, product or credit type; Invalid for an archived card or
    product, a product that takes no rate, or fields that break a rule; NotBuilt for kinds of price
    and product that later versions bring. Messages name the field from `rates[index]` on.
    """
    return _add(tx, rate_card_id, {f"rates[{index}].": draft for index, draft in enumerate(drafts)})


def _add(tx: Tx, rate_card_id: str, drafts: Mapping[str, RateDraft]) -> list[RateEntry]:
    card = require_active(tx, rate_card_id)
    known = products.products_by_id(tx, list({draft.product_id for draft in drafts.values()}))
    for path, draft in drafts.items():
        product = _require_usage_product(known.get(draft.product_id), draft.product_id, path)
        check_rate(draft, path)
        if draft.rate_type not in PERCENTAGES:
            _require_fiat(tx, card, draft.credit_type_id, path)
        check_group_values(draft.group_values, product.terms_at(draft.starting_at), path)
        require_built(draft, path)
    last = store.count_entries(tx, rate_card_id)
    entries = [
        _entry_of(tx.new_id(), draft, last + index) for index, draft in enumerate(drafts.values(), start=1)
    ]
    store.insert_entries(tx, rate_card_id, entries)
    return entries


def _entry_of(entry_id: str, draft: RateDraft, added: int) -> RateEntry:
    if draft.price is None:
        raise AssertionError("a checked FLAT rate has a price")
    return RateEntry(
        id=entry_id,
        product_id=draft.product_id,
        group_values=draft.group_values,
        starting_at=draft.starting_at,
        ending_before=draft.ending_before,
        entitled=draft.entitled,
        price=Price(rate_type=draft.rate_type, price=draft.price, credit_type_id=draft.credit_type_id),
        added=added,
    )


def _require_usage_product(product: Product | None, product_id: str, path: str) -> Product:
    field_name = f"{path}product_id"
    if product is None:
        raise NotFound(f"{field_name}: no product has the id {product_id} in this environment")
    if product.archived_at is not None:
        raise Invalid(f"{field_name}: product {product_id} is archived; use an active product")
    if product.type in (ProductType.FIXED, ProductType.PRO_SERVICE):
        message = f"{field_name}: {product.type} products have no rate on a card; use a USAGE product"
        raise Invalid(message)
    if product.type is not ProductType.USAGE:
        message = (
            f"{field_name}: rates of {product.type} products are not available in this version; "
            "use a USAGE product"
        )
        raise NotBuilt(message)
    return product


def _require_fiat(tx: ReadTx, card: RateCard, credit_type_id: str, path: str) -> None:
    if credit_type_id == card.fiat_credit_type_id:
        return
    field_name = f"{path}credit_type_id"
    given = settings.get_credit_type(tx, credit_type_id, field_name)
    fiat = settings.get_credit_type(tx, card.fiat_credit_type_id, "fiat_credit_type_id")
    if given.is_fiat:
        message = (
            f"{field_name}: {given.name} (the dollar when left out) is not the currency of this rate "
            f"card, {fiat.name}; send {fiat.id}"
        )
    else:
        message = f"{field_name}: the rate card has no conversion for {given.name}; send {fiat.id}"
    raise Invalid(message)
