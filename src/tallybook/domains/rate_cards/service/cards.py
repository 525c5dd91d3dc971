"""Cards and their aliases: create, update, archive, find."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tallybook.domains import custom_fields, settings
from tallybook.domains.rate_cards import store
from tallybook.domains.rate_cards.model import AliasSegment, RateCard, check_aliases, cut_back
from tallybook.kit.db.lists import Place
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Invalid, NotBuilt, NotFound
from tallybook.values.money import USD_CENTS_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCardDraft:
    """What a caller says of a card to be created."""

    name: str
    description: str | None = None
    fiat_credit_type_id: str = USD_CENTS_ID
    has_conversions: bool = False
    aliases: tuple[AliasSegment, ...] = ()
    custom_fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCardChanges:
    """What to change of a card; None leaves as it is."""

    name: str | None = None
    description: str | None = None
    aliases: tuple[AliasSegment, ...] | None = None


def create_rate_card(tx: Tx, draft: RateCardDraft) -> RateCard:
    """Store a card with aliases and custom fields, all or nothing (pricing.md 3.1).

    Raises NotFound for an unknown currency, Invalid for one that is no currency, an alias that ends
    before it begins or an undeclared custom field, NotBuilt for conversions of custom pricing units.
    """
    fiat = settings.get_credit_type(tx, draft.fiat_credit_type_id, "fiat_credit_type_id")
    if not fiat.is_fiat:
        raise Invalid("fiat_credit_type_id: a custom pricing unit; use a currency")
    check_aliases(draft.aliases)
    if draft.has_conversions:
        message = (
            "credit_type_conversions: custom pricing units are not available in this version; leave it out"
        )
        raise NotBuilt(message)
    card = RateCard(
        id=tx.new_id(),
        name=draft.name,
        description=draft.description,
        fiat_credit_type_id=fiat.id,
        aliases=draft.aliases,
        created_at=tx.now,
        created_by=tx.actor,
        archived_at=None,
    )
    store.insert_rate_card(tx, card)
    custom_fields.attach(tx, "rate_card", card.id, draft.custom_fields)
    _assign_aliases(tx, card.id, card.aliases)
    return card


def update_rate_card(tx: Tx, rate_card_id: str, changes: RateCardChanges) -> None:
    """Change name and description and replace the aliases, where given (pricing.md 3.2).

    Raises NotFound, or Invalid when the card is archived or an alias ends before it begins.
    """
    require_active(tx, rate_card_id)
    if changes.name is not None:
        store.update_rate_card(tx, rate_card_id, name=changes.name)
    if changes.description is not None:
        store.update_rate_card(tx, rate_card_id, description=changes.description)
    if changes.aliases is not None:
        check_aliases(changes.aliases)
        _assign_aliases(tx, rate_card_id, changes.aliases)


def archive_rate_card(tx: Tx, rate_card_id: str) -> None:
    """Take the card out of use for new contracts, for ever (pricing.md 3.3).

    Doing it again changes nothing. Raises NotFound.
    """
    if get_rate_card(tx, rate_card_id, "id").archived_at is None:
        store.update_rate_card(tx, rate_card_id, archived_at=tx.now)


def get_rate_card(tx: ReadTx, rate_card_id: str, field_name: str = "rate_card_id") -> RateCard:
    """The card, archived or not. Raises NotFound naming `field_name`."""
    card = store.select_rate_card(tx, rate_card_id)
    if card is None:
        raise NotFound(f"{field_name}: no rate card has the id {rate_card_id} in this environment")
    return card


def require_active(tx: ReadTx, rate_card_id: str, field_name: str = "rate_card_id") -> RateCard:
    """The card. Raises NotFound, or Invalid when it is archived."""
    card = get_rate_card(tx, rate_card_id, field_name)
    if card.archived_at is not None:
        raise Invalid(f"{field_name}: rate card {rate_card_id} is archived; use an active rate card")
    return card


def resolve_alias(tx: ReadTx, alias: str, at: datetime, field_name: str = "rate_card_alias") -> RateCard:
    """The card that the alias stands for at `at` (pricing.md 3.4).

    Raises NotFound when it stands for none then, Invalid when that card is archived.
    """
    rate_card_id = store.select_holder(tx, alias, at)
    if rate_card_id is None:
        message = (
            f"{field_name}: {alias!r} stands for no rate card at {at.isoformat()}; "
            "give a rate card this alias for that time, or send rate_card_id"
        )
        raise NotFound(message)
    return require_active(tx, rate_card_id, field_name)


def list_rate_cards(tx: ReadTx, after: Place | None, count: int) -> list[RateCard]:
    """At most `count` cards in use after a place, oldest first."""
    return store.select_page(tx, after, count)


def _assign_aliases(tx: Tx, rate_card_id: str, segments: Sequence[AliasSegment]) -> None:
    for holder, held in store.select_holders(tx, (segment.name for segment in segments)).items():
        if holder == rate_card_id:
            continue
        kept = cut_back(held, segments)
        if kept != held:
            store.replace_aliases(tx, holder, kept)
    store.replace_aliases(tx, rate_card_id, segments)
