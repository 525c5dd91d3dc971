"""Wire shapes of settings and their conversions."""

from datetime import datetime
from enum import StrEnum

from tallybook.kit.http.wire import Instant, Request, Response, Text
from tallybook.values.money import CreditType


class MoveClockRequest(Request, frozen=True):
    """Where the sandbox's clock shall stand."""

    now: Instant


class ClockResponse(Response, frozen=True):
    """Where the environment's clock stands."""

    now: datetime


class CreatePricingUnitRequest(Request, frozen=True):
    """A custom pricing unit to create."""

    name: Text


class CreditTypeReference(Response, frozen=True):
    """A unit of account, wherever an amount names its own."""

    id: str
    name: str


class CreditTypeResponse(CreditTypeReference, frozen=True):
    """A unit of account; `is_currency` is false for custom pricing units."""

    is_currency: bool


class ServiceUsage(StrEnum):
    """Which way connections go between a service and the caller's network."""

    MAKES_CONNECTIONS_FROM = "makes_connections_from"
    ACCEPTS_CONNECTIONS_AT = "accepts_connections_at"


class ServiceResponse(Response, frozen=True):
    """A service and the addresses to let through a firewall."""

    name: str
    usage: ServiceUsage
    ips: list[str]


class ServicesResponse(Response, frozen=True):
    """Every service with addresses of its own."""

    services: list[ServiceResponse]


def credit_type_to_wire(credit_type: CreditType) -> CreditTypeResponse:
    """The credit type as the list shows it."""
    return CreditTypeResponse(id=credit_type.id, name=credit_type.name, is_currency=credit_type.is_fiat)


def reference_to_wire(credit_type: CreditType) -> CreditTypeReference:
    """The credit type as amounts name it."""
    return CreditTypeReference(id=credit_type.id, name=credit_type.name)
