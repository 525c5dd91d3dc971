"""HTTP of rate cards: parse, call one use case, render."""

from tallybook.domains import custom_fields, settings
from tallybook.domains.rate_cards import service
from tallybook.domains.rate_cards.model import RateCard
from tallybook.domains.rate_cards.schemas import (
    AddRateRequest,
    AddRatesRequest,
    CreateRateCardRequest,
    GetRateScheduleRequest,
    GetRatesRequest,
    MoveProductsRequest,
    NoFilters,
    RateCardResponse,
    RateResponse,
    RateRowResponse,
    SetProductOrderRequest,
    UpdateRateCardRequest,
    rate_card_to_wire,
    rate_to_wire,
    row_to_wire,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import post
from tallybook.kit.http.paging import LIMIT_DEFAULT, PageQuery, page_of, start_after
from tallybook.kit.http.wire import Data, Id, IdRequest, Page
from tallybook.values.instant import micros_of


@post("/v1/contract-pricing/rate-cards/create", "createRateCard-v1")
def create_rate_card(tx: Tx, body: CreateRateCardRequest) -> Data[Id]:
    """Create a rate card."""
    return Data(data=Id(id=service.create_rate_card(tx, body.to_draft()).id))


@post("/v1/contract-pricing/rate-cards/get", "getRateCard-v1")
def get_rate_card(tx: ReadTx, body: IdRequest) -> Data[RateCardResponse]:
    """Get a rate card, archived ones too; its rates are read with getRates."""
    (rendered,) = _rendered(tx, [service.get_rate_card(tx, body.id, "id")]).values()
    return Data(data=rendered)


@post("/v1/contract-pricing/rate-cards/list", "listRateCards-v1")
def list_rate_cards(
    tx: ReadTx,
    query: PageQuery,
    body: NoFilters | None = None,  # noqa: ARG001  # an empty body is documented
) -> Page[RateCardResponse]:
    """List rate cards that are not archived, oldest first."""
    limit = query.limit or LIMIT_DEFAULT
    after = start_after("rate cards", query.next_page, (int, str))
    cards = service.list_rate_cards(tx, after, limit + 1)
    rendered = _rendered(tx, cards)
    return page_of(
        "rate cards",
        cards,
        limit,
        key=lambda card: (micros_of(card.created_at), card.id),
        render=lambda card: rendered[card.id],
    )


@post("/v1/contract-pricing/rate-cards/update", "updateRateCard-v1")
def update_rate_card(tx: Tx, body: UpdateRateCardRequest) -> Data[Id]:
    """Change a rate card's name, description and aliases."""
    service.update_rate_card(tx, body.rate_card_id, body.to_changes())
    return Data(data=Id(id=body.rate_card_id))


@post("/v1/contract-pricing/rate-cards/archive", "archiveRateCard-v1")
def archive_rate_card(tx: Tx, body: IdRequest) -> Data[Id]:
    """Take a rate card out of use for new contracts."""
    service.archive_rate_card(tx, body.id)
    return Data(data=Id(id=body.id))


@post("/v1/contract-pricing/rate-cards/addRate", "addRate-v1")
def add_rate(tx: Tx, body: AddRateRequest) -> Data[RateResponse]:
    """Add a rate."""
    entry, credit_type = service.add_rate(tx, body.rate_card_id, body.to_draft())
    return Data(data=rate_to_wire(entry, credit_type))


@post("/v1/contract-pricing/rate-cards/addRates", "addRates-v1")
def add_rates(tx: Tx, body: AddRatesRequest) -> Data[Id]:
    """Add rates, all or none."""
    service.add_rates(tx, body.rate_card_id, [rate.to_draft() for rate in body.rates])
    return Data(data=Id(id=body.rate_card_id))


@post("/v1/contract-pricing/rate-cards/getRates", "getRates-v1")
def get_rates(tx: ReadTx, query: PageQuery, body: GetRatesRequest) -> Page[RateRowResponse]:
    """Show the rates in force at an instant, in the order in which the card first got a price for them."""
    limit = query.limit or LIMIT_DEFAULT
    (after,) = start_after("rates", query.next_page, (int,)) or (0,)
    selectors = [selector.to_selector() for selector in body.selectors or ()]
    rows = service.rates_at(tx, body.rate_card_id, body.at, selectors, after=after, count=limit + 1)
    return page_of("rates", rows, limit, key=lambda row: (row.key,), render=row_to_wire)


@post("/v1/contract-pricing/rate-cards/getRateSchedule", "getRateSchedule-v1")
def get_rate_schedule(tx: ReadTx, query: PageQuery, body: GetRateScheduleRequest) -> Page[RateRowResponse]:
    """Show every segment of the rates over a stretch of time, in the order of getRates, then by start."""
    limit = query.limit or LIMIT_DEFAULT
    rows = service.rate_schedule(
        tx,
        body.rate_card_id,
        body.starting_at,
        body.ending_before,
        [selector.to_selector() for selector in body.selectors or ()],
        after=start_after("rate schedule", query.next_page, (int, int)),
        count=limit + 1,
    )
    return page_of(
        "rate schedule",
        rows,
        limit,
        key=lambda row: (row.key, micros_of(row.segment.starting_at)),
        render=row_to_wire,
    )


@post("/v1/contract-pricing/rate-cards/setRateCardProductsOrder", "setRateCardProductsOrder-v1")
def set_rate_card_products_order(tx: Tx, body: SetProductOrderRequest) -> Data[Id]:
    """Put products first on invoices, in the order given."""
    service.set_product_order(tx, body.rate_card_id, body.product_order)
    return Data(data=Id(id=body.rate_card_id))


@post("/v1/contract-pricing/rate-cards/moveRateCardProducts", "moveRateCardProducts-v1")
def move_rate_card_products(tx: Tx, body: MoveProductsRequest) -> Data[Id]:
    """Move products to positions of their own in the card's order."""
    service.move_products(tx, body.rate_card_id, body.to_moves())
    return Data(data=Id(id=body.rate_card_id))


def _rendered(tx: ReadTx, cards: list[RateCard]) -> dict[str, RateCardResponse]:
    ids = [card.id for card in cards]
    fields = custom_fields.read(tx, "rate_card", ids)
    units = {unit.id: unit for unit in settings.credit_types(tx)}
    return {
        card.id: rate_card_to_wire(card, units[card.fiat_credit_type_id], fields.get(card.id, {}))
        for card in cards
    }
