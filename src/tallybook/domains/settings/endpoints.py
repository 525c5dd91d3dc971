"""HTTP of an environment's settings: its clock."""

from datetime import datetime

from tallybook.kit.db.tx import Environment, ReadTx
from tallybook.kit.http.operation import get, post
from tallybook.kit.http.wire import Data, Instant, Request, Response


class MoveClockRequest(Request, frozen=True):
    """Where the sandbox's clock shall stand."""

    now: Instant


class ClockResponse(Response, frozen=True):
    """Where the environment's clock stands."""

    now: datetime


@get("/tallybook/v1/clock", "getClock")
def get_clock(tx: ReadTx) -> Data[ClockResponse]:
    """Tell the environment's present instant."""
    return Data(data=ClockResponse(now=tx.now))


@post("/tallybook/v1/clock", "moveClock")
def move_clock(environment: Environment, body: MoveClockRequest) -> Data[ClockResponse]:
    """Move the sandbox's clock forward and do everything that is due by then."""
    environment.advance(body.now)
    return Data(data=ClockResponse(now=environment.clock.now()))
