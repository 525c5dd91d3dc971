"""Credit types: the units in which money and custom pricing units are expressed.

US dollars are counted in cents; every other fiat currency in whole units (pricing.md 8.2). The
dollar's id is fixed by the published API; the others are ours, derived from their code, and the
same in every installation.
"""

from dataclasses import dataclass

from tallybook.values.ids import derived_id

USD_CENTS_ID = "2714e483-4ff1-48e4-9e25-ac732e8f24f2"

FIAT_CODES = (
    "USD", "AUD", "BRL", "CAD", "CHF", "CZK", "EUR", "GBP", "INR", "MXN",
    "NGN", "NOK", "PLN", "SEK", "TRY", "ZAR", "NZD", "SGD",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CreditType:
    """A unit of account. `is_fiat` is false for custom pricing units."""

    id: str
    name: str
    is_fiat: bool


def _fiat(code: str) -> CreditType:
    if code == "USD":
        return CreditType(USD_CENTS_ID, "USD (cents)", is_fiat=True)
    return CreditType(derived_id("credit_type", code), code, is_fiat=True)


FIAT_TYPES: dict[str, CreditType] = {fiat.id: fiat for fiat in map(_fiat, FIAT_CODES)}
"""The supported fiat currencies by id (pricing.md 8.1)."""
