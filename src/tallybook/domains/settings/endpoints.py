"""HTTP of settings: credit types, services and the environment's clock."""

from tallybook.domains.settings import service
from tallybook.domains.settings.schemas import (
    ClockResponse,
    CreatePricingUnitRequest,
    CreditTypeResponse,
    MoveClockRequest,
    ServicesResponse,
    credit_type_to_wire,
)
from tallybook.kit.db.tx import Environment, ReadTx, Tx
from tallybook.kit.http.operation import get, post
from tallybook.kit.http.paging import LIMIT_DEFAULT, PageQuery, page_of, start_after
from tallybook.kit.http.wire import Data, Id, IdRequest, Page


@get("/v1/credit-types/list", "listCreditTypes-v1")
def list_credit_types(tx: ReadTx, query: PageQuery) -> Page[CreditTypeResponse]:
    """List the units in which money is expressed."""
    (after,) = start_after("credit types", query.next_page, (int,)) or (0,)
    numbered = list(enumerate(service.credit_types(tx), start=1))
    return page_of(
        "credit types",
        [row for row in numbered if row[0] > after],
        query.limit or LIMIT_DEFAULT,
        key=lambda row: (row[0],),
        render=lambda row: credit_type_to_wire(row[1]),
    )


@post("/v1/credit-types/create", "createCreditType-v1")
def create_credit_type(tx: Tx, body: CreatePricingUnitRequest) -> Data[Id]:
    """Create a custom pricing unit."""
    service.create_custom_pricing_unit(tx, body.name)


@post("/v1/credit-types/archive", "archiveCreditType-v1")
def archive_credit_type(tx: Tx, body: IdRequest) -> Data[Id]:
    """Archive a custom pricing unit."""
    service.archive_custom_pricing_unit(tx, body.id)


@get("/v1/services", "getServices-v1")
def get_services(tx: ReadTx) -> ServicesResponse:  # noqa: ARG001  # every operation is in an environment
    """Name services with fixed addresses: none, since all connections are those of your own server."""
    return ServicesResponse(services=[])


@get("/tallybook/v1/clock", "getClock")
def get_clock(tx: ReadTx) -> Data[ClockResponse]:
    """Tell the environment's present instant."""
    return Data(data=ClockResponse(now=tx.now))


@post("/tallybook/v1/clock", "moveClock", is_slow=True)
def move_clock(environment: Environment, body: MoveClockRequest) -> Data[ClockResponse]:
    """Move the sandbox's clock forward and do everything that is due by then."""
    environment.advance(body.now)
    return Data(data=ClockResponse(now=environment.clock.now()))
