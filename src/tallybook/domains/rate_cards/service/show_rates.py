"""Reading a card's rates, at an instant or over time."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TypeVar

from tallybook.domains import custom_fields, products, settings
from tallybook.domains.rate_cards import store
from tallybook.domains.rate_cards.model import RateKeyRecord, RateRow, RateSelector
from tallybook.domains.rate_cards.service.cards import get_rate_card
from tallybook.kit.db.lists import PART
from tallybook.kit.db.tx import ReadTx
from tallybook.rating.rates import RateSegment, segments_of
from tallybook.values.errors import Invalid, NotFound
from tallybook.values.instant import micros_of
from tallybook.values.period import covers
from tallybook.values.pricing import RateEntry

T = TypeVar("T")
BATCH = 200
_Placed = tuple[int, RateSegment]


def rate_entries(
    tx: ReadTx, rate_card_id: str, product_ids: Collection[str] | None = None
) -> list[RateEntry]:
    """The card's entries for these products, or for all, in the order in which they were added.

    The cost follows the entries asked for, not those of the card.
    """
    return store.select_entries(tx, rate_card_id, product_ids)


def rates_at(
    tx: ReadTx,
    rate_card_id: str,
    at: datetime,
    selectors: Sequence[RateSelector] = (),
    *,
    after: int = 0,
    count: int,
    only_entitled: bool = False,
) -> list[RateRow]:
    """At most `count` rates in force at `at` that any selector matches, after a row's key.

    Without selectors, all. Raises NotFound for an unknown card or product.
    """
    found = (
        placed
        for placed in _segments(tx, rate_card_id, selectors, after)
        if covers(placed[1].starting_at, placed[1].ending_before, at)
        and (placed[1].entry.entitled or not only_entitled)
    )
    return _rows(tx, list(islice(found, count)))


def rate_schedule(
    tx: ReadTx,
    rate_card_id: str,
    starting_at: datetime,
    ending_before: datetime | None,
    selectors: Sequence[RateSelector] = (),
    *,
    after: tuple[int, int] | None = None,
    count: int,
) -> list[RateRow]:
    """At most `count` segments that meet the given stretch, after a (key, start in micros) place.

    Segments are shown whole, not cut to the stretch. Raises NotFound for an unknown card or product,
    Invalid when the stretch is empty.
    """
    if ending_before is not None and ending_before <= starting_at:
        raise Invalid("ending_before: not after starting_at; send a later instant or leave it out")
    first, last_start = after or (1, None)
    found = (
        (key, segment)
        for key, segment in _segments(tx, rate_card_id, selectors, first - 1)
        if (segment.ending_before is None or segment.ending_before > starting_at)
        and (ending_before is None or segment.starting_at < ending_before)
        and (key > first or last_start is None or micros_of(segment.starting_at) > last_start)
    )
    return _rows(tx, list(islice(found, count)))


def _segments(
    tx: ReadTx, rate_card_id: str, selectors: Sequence[RateSelector], after: int
) -> Iterator[_Placed]:
    """The timelines of the card's matching keys, keys in order after `after`."""
    get_rate_card(tx, rate_card_id)
    _require_products(tx, selectors)
    product_ids = _narrowing([selector.product_id for selector in selectors])
    group_values = _narrowing([selector.group_values for selector in selectors])
    while keys := store.select_keys(
        tx,
        rate_card_id,
        product_ids=product_ids,
        group_values=group_values,
        after=after,
        count=BATCH,
    ):
        wanted = [key.ordinal for key in _matching(tx, keys, selectors)]
        entries = store.select_entries_by_key(tx, rate_card_id, wanted)
        for ordinal in wanted:
            for segment in segments_of(entries[ordinal]):
                yield ordinal, segment
        after = keys[-1].ordinal


def _matching(
    tx: ReadTx, keys: Sequence[RateKeyRecord], selectors: Sequence[RateSelector]
) -> Iterable[RateKeyRecord]:
    if not selectors:
        return keys
    tags: Mapping[str, Sequence[str]] = {}
    if any(selector.product_tags is not None for selector in selectors):
        known = products.products_by_id(tx, list({key.product_id for key in keys}))
        tags = {product_id: product.terms_at(tx.now).tags for product_id, product in known.items()}
    return [key for key in keys if any(selector.matches(key, tags) for selector in selectors)]


def _narrowing(criteria: Sequence[T | None]) -> set[T] | None:
    """The values to look for when every selector names one and they fit a query; else None."""
    named = {criterion for criterion in criteria if criterion is not None}
    return named if criteria and None not in criteria and len(named) <= PART else None


def _require_products(tx: ReadTx, selectors: Sequence[RateSelector]) -> None:
    named = {selector.product_id: index for index, selector in enumerate(selectors) if selector.product_id}
    known = products.products_by_id(tx, list(named)) if named else {}
    for product_id, index in named.items():
        if product_id not in known:
            message = f"selectors[{index}].product_id: no product has the id {product_id} in this environment"
            raise NotFound(message)


def _rows(tx: ReadTx, placed: Sequence[_Placed]) -> list[RateRow]:
    ids = list(dict.fromkeys(segment.entry.product_id for _, segment in placed))
    known = products.products_by_id(tx, ids)
    fields = custom_fields.read(tx, "contract_product", ids)
    units = {unit.id: unit for unit in settings.credit_types(tx)}
    return [
        RateRow(
            key=key,
            segment=segment,
            credit_type=units[segment.entry.price.credit_type_id],
            product=known[segment.entry.product_id].terms_at(tx.now),
            product_custom_fields=fields.get(segment.entry.product_id, {}),
        )
        for key, segment in placed
    ]
