"""Use cases of settings."""

from typing import NoReturn

from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Invalid, NotBuilt, NotFound
from tallybook.values.money import FIAT_TYPES, CreditType


def credit_types(tx: ReadTx) -> list[CreditType]:  # noqa: ARG001  # pricing units of our own belong to an environment
    """Every credit type of the environment: the supported currencies, the dollar first (pricing.md 8.1)."""
    return list(FIAT_TYPES.values())


def get_credit_type(tx: ReadTx, credit_type_id: str, field_name: str = "credit_type_id") -> CreditType:
    """The credit type. Raises NotFound naming `field_name`."""
    for credit_type in credit_types(tx):
        if credit_type.id == credit_type_id:
            return credit_type
    message = (
        f"{field_name}: no credit type has the id {credit_type_id} in this environment; "
        "see GET /v1/credit-types/list"
    )
    raise NotFound(message)


def create_custom_pricing_unit(tx: Tx, name: str) -> NoReturn:  # noqa: ARG001  # the face it will have
    """Refuse, until custom pricing units are built. Raises NotBuilt."""
    message = (
        "name: custom pricing units are not available in this version; "
        "price in one of the currencies of GET /v1/credit-types/list"
    )
    raise NotBuilt(message)


def archive_custom_pricing_unit(tx: Tx, credit_type_id: str) -> NoReturn:
    """Refuse: only custom pricing units can be archived. Raises NotFound, or Invalid for a currency."""
    currency = get_credit_type(tx, credit_type_id, "id")
    raise Invalid(f"id: {currency.name} is a currency and cannot be archived; name a custom pricing unit")
