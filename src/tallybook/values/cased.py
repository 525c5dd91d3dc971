"""Enums in the API's own words: upper case in answers, any documented casing in requests."""

from enum import StrEnum
from typing import Self


class CasedEnum(StrEnum):
    """An enum whose documented value is upper case and which also takes lower and Title case.

    >>> class Frequency(CasedEnum):
    ...     MONTHLY = "MONTHLY"
    >>> Frequency("monthly") is Frequency("Monthly") is Frequency.MONTHLY
    True
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, str) and value in (value.lower(), value.capitalize()):
            return cls.__members__.get(value.upper())
        return None
