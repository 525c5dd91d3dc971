"""Exact decimals: reading, printing and computing without ever rounding by accident.

Quantities and money amounts are `decimal.Decimal` from the request's bytes to the response's bytes.
Sums and products are exact or they raise; only `divide` may round, to 28 significant digits
(design decision 14), and `round_to` rounds where a rule of the contract says so.
"""

import re
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

ZERO = Decimal(0)
ONE = Decimal(1)

# Numbers are accepted up to this many digits on either side of the decimal point, so that sums and
# products of accepted numbers always fit the exact context below.
DIGITS_MAX = 100

EXACT = Context(prec=2_000, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""Computes exactly or raises `decimal.Inexact`."""

_QUOTIENT = Context(prec=28, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])
_NUMBER = re.compile(r"-?[0-9]{1,200}(?:\.[0-9]{1,200})?(?:[eE][+-]?[0-9]{1,4})?")

ROUNDINGS = {
    "ROUND_UP": ROUND_UP,
    "ROUND_DOWN": ROUND_DOWN,
    "ROUND_HALF_UP": ROUND_HALF_UP,
    "HALF_UP": ROUND_HALF_UP,
    "FLOOR": ROUND_FLOOR,
    "CEILING": ROUND_CEILING,
}


def is_bounded(number: Decimal) -> bool:
    """Whether `number` is finite and has at most DIGITS_MAX digits before and after the point.

    >>> is_bounded(Decimal("1e400"))
    False
    """
    if not number.is_finite():
        return False
    _, digits, exponent = number.as_tuple()
    return isinstance(exponent, int) and exponent >= -DIGITS_MAX and len(digits) + exponent <= DIGITS_MAX


def parse_number(text: str) -> Decimal | None:
    """The decimal written in `text`, or None when it is not a plain JSON-style number in bounds.

    >>> parse_number("1.50")
    Decimal('1.50')
    >>> parse_number("1,5") is None
    True
    """
    if _NUMBER.fullmatch(text) is None:
        return None
    number = Decimal(text)
    if len(text) <= DIGITS_MAX and "e" not in text and "E" not in text:
        return number  # so few digits are within bounds whatever they are
    return number if is_bounded(number) else None


def add(left: Decimal, right: Decimal) -> Decimal:
    """Exact sum."""
    return EXACT.add(left, right)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """Exact difference."""
    return EXACT.subtract(left, right)


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Exact product."""
    return EXACT.multiply(left, right)


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Quotient; exact when it ends within 28 significant digits, else rounded half up to 28.

    A quotient of finite length is always given exactly, however long it is.

    >>> divide(Decimal(18059974), Decimal(1000000))
    Decimal('18.059974')
    """
    try:
        return _EXACT_QUOTIENT.divide(dividend, divisor)
    except Inexact:
        return _QUOTIENT.divide(dividend, divisor)


# A terminating quotient of accepted numbers fits this precision in practice; a non-terminating one
# raises at once and is rounded to 28 digits.
_EXACT_QUOTIENT = Context(prec=400, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])


def total(numbers: "list[Decimal] | tuple[Decimal, ...]") -> Decimal:
    """Exact sum of many numbers.

    >>> total([Decimal("0.1"), Decimal("0.2")])
    Decimal('0.3')
    """
    result = ZERO
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def round_to(number: Decimal, places: int, method: str) -> Decimal:
    """`number` rounded to `places` decimals (negative: tens, hundreds) by a method of ROUNDINGS.

    >>> round_to(Decimal("2.345"), 2, "ROUND_HALF_UP")
    Decimal('2.35')
    """
    step = Decimal(1).scaleb(-places)
    context = Context(prec=2_000, rounding=ROUNDINGS[method], traps=[InvalidOperation])
    return number.quantize(step, context=context)


def plain(number: Decimal) -> str:
    """Shortest plain decimal text: no exponent, no trailing zeros, no negative zero.

    >>> plain(Decimal("1E+2")), plain(Decimal("1.10")), plain(Decimal("-0.0"))
    ('100', '1.1', '0')
    """
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
