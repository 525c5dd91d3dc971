"""Wire shapes of rate cards and rates, and their conversions."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tallybook.domains.rate_cards.model import (
    AliasSegment,
    PriceDraft,
    RateCard,
    RateDraft,
    RateRow,
    RateSelector,
    TierDraft,
)
from tallybook.domains.rate_cards.service import ProductMove, RateCardChanges, RateCardDraft
from tallybook.domains.settings.schemas import CreditTypeReference, reference_to_wire
from tallybook.kit.http.wire import (
    UNSET,
    CustomFields,
    Instant,
    Request,
    Response,
    Text,
    UnsetType,
    Uuid,
    or_unset,
)
from tallybook.values.cased import CasedEnum
from tallybook.values.errors import Invalid
from tallybook.values.money import USD_CENTS_ID, CreditType
from tallybook.values.pricing import GroupValues, RateEntry, RateType, group_values_of


class BillingFrequencyName(CasedEnum):
    """How often a recurring fee is due, in any documented casing."""

    MONTHLY = "MONTHLY"
    QUARTERLY = "QUARTERLY"
    ANNUAL = "ANNUAL"
    WEEKLY = "WEEKLY"


class AliasRequest(Request, frozen=True):
    """A name for a card, for a time."""

    name: Text
    starting_at: Instant | None = None
    ending_before: Instant | None = None

    def to_segment(self) -> AliasSegment:
        """The segment that the service takes."""
        return AliasSegment(name=self.name, starting_at=self.starting_at, ending_before=self.ending_before)


class ConversionRequest(Request, frozen=True):
    """What one unit of a custom pricing unit is worth in the card's currency."""

    custom_credit_type_id: Uuid
    fiat_per_custom_credit: Decimal


class CreateRateCardRequest(Request, frozen=True):
    """A card to create."""

    name: Text
    description: str | None = None
    fiat_credit_type_id: Uuid | None = None
    credit_type_conversions: list[ConversionRequest] | None = None
    aliases: list[AliasRequest] | None = None
    custom_fields: CustomFields | None = None

    def to_draft(self) -> RateCardDraft:
        """The draft that the service takes."""
        return RateCardDraft(
            name=self.name,
            description=self.description,
            fiat_credit_type_id=self.fiat_credit_type_id or USD_CENTS_ID,
            has_conversions=bool(self.credit_type_conversions),
            aliases=tuple(alias.to_segment() for alias in self.aliases or ()),
            custom_fields=self.custom_fields or {},
        )


class UpdateRateCardRequest(Request, frozen=True):
    """What to change of a card; the aliases given replace those it has."""

    rate_card_id: Uuid
    name: Text | None = None
    description: str | None = None
    aliases: list[AliasRequest] | None = None

    def to_changes(self) -> RateCardChanges:
        """The changes that the service takes."""
        aliases = None if self.aliases is None else tuple(alias.to_segment() for alias in self.aliases)
        return RateCardChanges(name=self.name, description=self.description, aliases=aliases)


class NoFilters(Request, frozen=True):
    """The empty body of a list without filters."""


class TierRequest(Request, frozen=True):
    """One tier; `size` is its width."""

    price: Decimal
    size: Decimal | None = None


class MinimumRequest(Request, frozen=True):
    """The least that a percentage charges in a period."""

    minimum: Decimal


class CommitRateRequest(Request, frozen=True):
    """The price while a commit or credit pays."""

    rate_type: RateType
    price: Decimal | None = None
    tiers: list[TierRequest] | None = None
    minimum_config: MinimumRequest | None = None

    def to_draft(self) -> PriceDraft:
        """The draft that the service takes."""
        return PriceDraft(
            rate_type=self.rate_type,
            price=self.price,
            tiers=_tiers(self.tiers),
            minimum=self.minimum_config.minimum if self.minimum_config else None,
        )


class RateRequest(Request, frozen=True):
    """A rate to add."""

    product_id: Uuid
    starting_at: Instant
    entitled: bool
    rate_type: RateType
    ending_before: Instant | None = None
    pricing_group_values: dict[str, str] | None = None
    billing_frequency: BillingFrequencyName | None = None
    price: Decimal | None = None
    credit_type_id: Uuid | None = None
    quantity: Decimal | None = None
    is_prorated: bool | None = None
    use_list_prices: bool | None = None
    tiers: list[TierRequest] | None = None
    minimum_config: MinimumRequest | None = None
    custom_rate: dict[str, Any] | None = None
    commit_rate: CommitRateRequest | None = None

    def to_draft(self) -> RateDraft:
        """The draft that the service takes; the unit is the dollar when none is given."""
        return RateDraft(
            product_id=self.product_id,
            group_values=group_values_of(self.pricing_group_values),
            starting_at=self.starting_at,
            ending_before=self.ending_before,
            entitled=self.entitled,
            rate_type=self.rate_type,
            price=self.price,
            tiers=_tiers(self.tiers),
            minimum=self.minimum_config.minimum if self.minimum_config else None,
            credit_type_id=self.credit_type_id or USD_CENTS_ID,
            billing_frequency=self.billing_frequency.value if self.billing_frequency else None,
            quantity=self.quantity,
            is_prorated=self.is_prorated,
            use_list_prices=self.use_list_prices,
            custom_rate=self.custom_rate,
            commit_rate=self.commit_rate.to_draft() if self.commit_rate else None,
        )


class AddRateRequest(RateRequest, frozen=True, kw_only=True):
    """One rate and its card."""

    rate_card_id: Uuid


class AddRatesRequest(Request, frozen=True):
    """Rates for one card."""

    rate_card_id: Uuid
    rates: list[RateRequest]


class ScheduleSelectorRequest(Request, frozen=True):
    """Which rates to show over time."""

    product_id: Uuid | None = None
    pricing_group_values: dict[str, str] | None = None
    partial_pricing_group_values: dict[str, str] | None = None
    billing_frequency: BillingFrequencyName | None = None

    def to_selector(self) -> RateSelector:
        """The selector that the service takes."""
        return RateSelector(
            product_id=self.product_id,
            group_values=_given(self.pricing_group_values),
            partial_group_values=_given(self.partial_pricing_group_values),
            billing_frequency=self.billing_frequency.value if self.billing_frequency else None,
        )


class RateSelectorRequest(ScheduleSelectorRequest, frozen=True):
    """Which rates to show at an instant."""

    product_tags: list[str] | None = None

    def to_selector(self) -> RateSelector:
        """The selector that the service takes."""
        tags = None if self.product_tags is None else frozenset(self.product_tags)
        return replace(ScheduleSelectorRequest.to_selector(self), product_tags=tags)


class GetRatesRequest(Request, frozen=True):
    """Which rates to show, as of when."""

    rate_card_id: Uuid
    at: Instant
    selectors: list[RateSelectorRequest] | None = None


class GetRateScheduleRequest(Request, frozen=True):
    """Which rates to show, over which stretch of time."""

    rate_card_id: Uuid
    starting_at: Instant
    ending_before: Instant | None = None
    selectors: list[ScheduleSelectorRequest] | None = None


class SetProductOrderRequest(Request, frozen=True):
    """Products in the order wanted."""

    rate_card_id: Uuid
    product_order: list[Uuid]


class ProductMoveRequest(Request, frozen=True):
    """Where a product shall stand, from 0."""

    product_id: Uuid
    position: Decimal


class MoveProductsRequest(Request, frozen=True):
    """Products to move."""

    rate_card_id: Uuid
    product_moves: list[ProductMoveRequest]

    def to_moves(self) -> list[ProductMove]:
        """The moves that the service takes. Raises Invalid unless positions are whole, from 0 on.

        They are documented as numbers, so some clients send 1.0.
        """
        for index, move in enumerate(self.product_moves):
            if move.position < 0 or move.position != move.position.to_integral_value():
                message = f"product_moves[{index}].position: not a place in the order; send 0 for the first"
                raise Invalid(message)
        return [ProductMove(move.product_id, int(move.position)) for move in self.product_moves]


class AliasResponse(Response, frozen=True):
    """A name of a card, for a time."""

    name: str
    starting_at: datetime | UnsetType = UNSET
    ending_before: datetime | UnsetType = UNSET


class ConversionResponse(Response, frozen=True):
    """What one unit of a custom pricing unit is worth in the card's currency."""

    custom_credit_type: CreditTypeReference
    fiat_per_custom_credit: str


class RateCardResponse(Response, frozen=True):
    """A card as get and list answer."""

    id: str
    name: str
    fiat_credit_type: CreditTypeReference
    credit_type_conversions: list[ConversionResponse]
    aliases: list[AliasResponse]
    custom_fields: CustomFields
    created_at: datetime
    created_by: str
    description: str | UnsetType = UNSET


class RateResponse(Response, frozen=True):
    """A price, wherever one is shown."""

    rate_type: RateType
    price: Decimal
    credit_type: CreditTypeReference
    pricing_group_values: dict[str, str] | UnsetType = UNSET


class RateWindowResponse(Response, frozen=True):
    """What a price is for, and the time in which it is in force on its rate card."""

    product_id: str
    product_name: str
    product_tags: list[str]
    product_custom_fields: CustomFields
    starting_at: datetime
    entitled: bool
    ending_before: datetime | UnsetType = UNSET
    pricing_group_values: dict[str, str] | UnsetType = UNSET
    billing_frequency: BillingFrequencyName | UnsetType = UNSET


class RateRowResponse(RateWindowResponse, frozen=True, kw_only=True):
    """A rate of a card."""

    rate: RateResponse


def rate_card_to_wire(card: RateCard, fiat: CreditType, custom_fields: CustomFields) -> RateCardResponse:
    """The card as get and list answer; `fiat` is its currency."""
    return RateCardResponse(
        id=card.id,
        name=card.name,
        description=or_unset(card.description),
        fiat_credit_type=reference_to_wire(fiat),
        credit_type_conversions=[],
        aliases=[
            AliasResponse(
                name=alias.name,
                starting_at=or_unset(alias.starting_at),
                ending_before=or_unset(alias.ending_before),
            )
            for alias in card.aliases
        ],
        custom_fields=custom_fields,
        created_at=card.created_at,
        created_by=card.created_by,
    )


def rate_to_wire(entry: RateEntry, credit_type: CreditType) -> RateResponse:
    """The price of an entry; `credit_type` is the unit it is in."""
    return RateResponse(
        rate_type=entry.price.rate_type,
        price=entry.price.price,
        credit_type=reference_to_wire(credit_type),
        pricing_group_values=dict(entry.group_values) if entry.group_values else UNSET,
    )


def row_to_wire(row: RateRow) -> RateRowResponse:
    """The row with name, tags and custom fields of the product as they are now."""
    entry = row.segment.entry
    frequency = entry.billing_frequency
    return RateRowResponse(
        product_id=entry.product_id,
        product_name=row.product.name,
        product_tags=list(row.product.tags),
        product_custom_fields=row.product_custom_fields,
        starting_at=row.segment.starting_at,
        ending_before=or_unset(row.segment.ending_before),
        entitled=entry.entitled,
        rate=rate_to_wire(entry, row.credit_type),
        pricing_group_values=dict(entry.group_values) if entry.group_values else UNSET,
        billing_frequency=BillingFrequencyName(frequency) if frequency else UNSET,
    )


def _tiers(tiers: list[TierRequest] | None) -> tuple[TierDraft, ...]:
    return tuple(TierDraft(tier.price, tier.size) for tier in tiers or ())


def _given(values: dict[str, str] | None) -> GroupValues | None:
    return None if values is None else group_values_of(values)
