"""Rate cards, their aliases and rates, and the pure rules about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tallybook.rating.rates import RateSegment
from tallybook.values.errors import Invalid, NotBuilt
from tallybook.values.instant import require_on_the_hour
from tallybook.values.money import CreditType
from tallybook.values.period import covers
from tallybook.values.pricing import GroupValues, ProductTerms, RateType


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSegment:
    """A name for a card over `[starting_at, ending_before)`; an absent bound is without limit."""

    name: str
    starting_at: datetime | None = None
    ending_before: datetime | None = None

    def overlaps(self, other: "AliasSegment") -> bool:
        """Whether some instant lies in both."""
        return _starts_before_end(self.starting_at, other.ending_before) and _starts_before_end(
            other.starting_at, self.ending_before
        )

    def covers(self, instant: datetime) -> bool:
        """Whether the name stands for the card at `instant`."""
        return covers(self.starting_at or instant, self.ending_before, instant)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """A list of prices in one currency. Names and aliases never reach end customers."""

    id: str
    name: str
    description: str | None
    fiat_credit_type_id: str
    aliases: tuple[AliasSegment, ...]
    created_at: datetime
    created_by: str
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class RateKeyRecord:
    """What one price is for, on one card; `ordinal` counts the card's keys from 1."""

    ordinal: int
    product_id: str
    group_values: GroupValues
    billing_frequency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSelector:
    """Which rates to show: those that meet every criterion given (pricing.md 4.12).

    `group_values` is the exact set, `partial_group_values` a subset; `product_tags` any of them.
    """

    product_id: str | None = None
    product_tags: frozenset[str] | None = None
    group_values: GroupValues | None = None
    partial_group_values: GroupValues | None = None
    billing_frequency: str | None = None

    def matches(self, key: RateKeyRecord, tags: Mapping[str, Sequence[str]]) -> bool:
        """Whether rates of `key` are shown; `tags` are those of products, by product id."""
        return (
            self.product_id in (None, key.product_id)
            and (self.product_tags is None or not self.product_tags.isdisjoint(tags.get(key.product_id, ())))
            and self.group_values in (None, key.group_values)
            and set(self.partial_group_values or ()) <= set(key.group_values)
            and self.billing_frequency in (None, key.billing_frequency)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    """A stretch in which one rate is in force, with what a reader wants to know of its product.

    `key` places the row in the card: rows are in the order of key, then start.
    """

    key: int
    segment: RateSegment
    credit_type: CreditType
    product: ProductTerms
    product_custom_fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class TierDraft:
    """One tier as sent: `size` is its width, None for all that remains (pricing.md 5.2)."""

    price: Decimal
    size: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceDraft:
    """The price part of a rate as sent; None and empty where nothing was."""

    rate_type: RateType
    price: Decimal | None = None
    tiers: tuple[TierDraft, ...] = ()
    minimum: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDraft(PriceDraft):
    """A rate as sent."""

    product_id: str
    group_values: GroupValues
    starting_at: datetime
    ending_before: datetime | None
    entitled: bool
    credit_type_id: str
    billing_frequency: str | None = None
    quantity: Decimal | None = None
    is_prorated: bool | None = None
    use_list_prices: bool | None = None
    custom_rate: dict[str, Any] | None = None
    commit_rate: PriceDraft | None = None


PERCENTAGES = (RateType.PERCENTAGE, RateType.TIERED_PERCENTAGE)
TIERED = (RateType.TIERED, RateType.TIERED_PERCENTAGE)
PRICED = (RateType.FLAT, RateType.PERCENTAGE, RateType.SUBSCRIPTION)


def _starts_before_end(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end


def check_aliases(aliases: Sequence[AliasSegment]) -> None:
    """Raises Invalid for a segment that ends before it begins."""
    for index, segment in enumerate(aliases):
        if not _starts_before_end(segment.starting_at, segment.ending_before):
            raise Invalid(f"aliases[{index}].ending_before: not after starting_at; send a later instant")


def cut_back(held: Iterable[AliasSegment], taken: Sequence[AliasSegment]) -> list[AliasSegment]:
    """What remains of a card's segments when another card is assigned those in `taken`.

    An alias belongs to one card at a time and the last assignment wins: a segment that overlaps a
    taken one of its name ends where that begins, and is gone when nothing is left (pricing.md 3.4).
    """
    kept: list[AliasSegment] = []
    for segment in held:
        rest: AliasSegment | None = segment
        for other in taken:
            if rest is not None and rest.name == other.name and rest.overlaps(other):
                rest = _cut_at(rest, other.starting_at)
        if rest is not None:
            kept.append(rest)
    return kept


def _cut_at(segment: AliasSegment, instant: datetime | None) -> AliasSegment | None:
    if instant is None or (segment.starting_at is not None and instant <= segment.starting_at):
        return None
    return replace(segment, ending_before=instant)


def check_rate(draft: RateDraft, path: str) -> None:
    """What a rate must satisfy by itself; `path` stands before field names in messages.

    Raises Invalid for a broken bound or a missing or misplaced field (pricing.md 4.1, 4.2, 4.6, 4.8).
    """
    require_on_the_hour(draft.starting_at, f"{path}starting_at")
    if draft.ending_before is not None:
        require_on_the_hour(draft.ending_before, f"{path}ending_before")
        if draft.ending_before <= draft.starting_at:
            raise Invalid(f"{path}ending_before: not after starting_at; send a later hour or leave it out")
    _check_price(draft, path)
    _check_extras(draft, path)
    if draft.commit_rate is not None:
        _check_price(draft.commit_rate, f"{path}commit_rate.")


def _check_price(draft: PriceDraft, path: str) -> None:
    kind = draft.rate_type
    if draft.price is None and kind in PRICED:
        raise Invalid(f"{path}price: required for rate_type {kind}; add it")
    if draft.price is not None and draft.price < 0:
        raise Invalid(f"{path}price: negative; send zero or more")
    if kind in TIERED:
        _check_tiers(draft.tiers, path)
    elif draft.tiers:
        raise Invalid(f"{path}tiers: only for rate_type TIERED and TIERED_PERCENTAGE; leave it out")
    if draft.minimum is not None and kind not in PERCENTAGES:
        message = f"{path}minimum_config: only for rate_type PERCENTAGE and TIERED_PERCENTAGE; leave it out"
        raise Invalid(message)


def _check_tiers(tiers: Sequence[TierDraft], path: str) -> None:
    if not tiers:
        raise Invalid(f"{path}tiers: required for tiered rates; add at least one tier")
    for index, tier in enumerate(tiers):
        if tier.price < 0:
            raise Invalid(f"{path}tiers[{index}].price: negative; send zero or more")
        if tier.size is not None and tier.size <= 0:
            raise Invalid(f"{path}tiers[{index}].size: not above zero; send the width of the tier")
        if tier.size is None and index < len(tiers) - 1:
            raise Invalid(f"{path}tiers[{index}].size: only the last tier may be without size; add it")


def _check_extras(draft: RateDraft, path: str) -> None:
    kind = draft.rate_type
    if kind is RateType.SUBSCRIPTION:
        if draft.quantity is None or draft.quantity < 0:
            raise Invalid(f"{path}quantity: required for rate_type SUBSCRIPTION; send zero or more")
        if draft.is_prorated is not True:
            raise Invalid(f"{path}is_prorated: must be true for rate_type SUBSCRIPTION; set it to true")
    else:
        for name, value in (("quantity", draft.quantity), ("is_prorated", draft.is_prorated)):
            if value is not None:
                raise Invalid(f"{path}{name}: only for rate_type SUBSCRIPTION; leave it out")
    if kind is RateType.CUSTOM and draft.custom_rate is None:
        raise Invalid(f"{path}custom_rate: required for rate_type CUSTOM; add it")
    if draft.custom_rate and kind is not RateType.CUSTOM:
        raise Invalid(f"{path}custom_rate: only for rate_type CUSTOM; leave it out")
    if draft.use_list_prices and kind not in PERCENTAGES:
        raise Invalid(f"{path}use_list_prices: only for rate_type PERCENTAGE; leave it out")


def require_built(draft: RateDraft, path: str) -> None:
    """Raises NotBuilt, naming the field, for what only later versions can price."""
    if draft.rate_type is not RateType.FLAT:
        message = f"{path}rate_type: {draft.rate_type} rates are not available in this version; use FLAT"
        raise NotBuilt(message)
    if draft.commit_rate is not None:
        message = (
            f"{path}commit_rate: separate prices for commits are not available in this version; leave it out"
        )
        raise NotBuilt(message)
    if draft.billing_frequency is not None:
        message = f"{path}billing_frequency: recurring fees are not available in this version; leave it out"
        raise NotBuilt(message)


def check_group_values(given: GroupValues, terms: ProductTerms, path: str) -> None:
    """Raises Invalid unless the names are exactly the product's pricing group key (pricing.md 6.4)."""
    field_name = f"{path}pricing_group_values"
    names, wanted = {name for name, _ in given}, set(terms.pricing_group_key)
    if missing := sorted(wanted - names):
        message = (
            f"{field_name}.{missing[0]}: missing; the product is priced by "
            f"{', '.join(terms.pricing_group_key)}, so give a value for each"
        )
        raise Invalid(message)
    if extra := sorted(names - wanted):
        known = ", ".join(terms.pricing_group_key) or "no property"
        message = (
            f"{field_name}.{extra[0]}: not in the product's pricing group key at starting_at, "
            f"which holds {known}; remove it or update the product first"
        )
        raise Invalid(message)


def moved(order: Sequence[str], moves: Mapping[str, int]) -> list[str]:
    """`order` with each moved product at its position and the others in their order around them.

    Positions are from 0, distinct and inside the order.

    >>> moved(["a", "b", "c", "d"], {"c": 1, "d": 0})
    ['d', 'c', 'a', 'b']
    """
    result = [product_id for product_id in order if product_id not in moves]
    for product_id, position in sorted(moves.items(), key=lambda move: move[1]):
        result.insert(position, product_id)
    return result
