"""A product, its dated versions, and the pure rules about them."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from tallybook.values.cased import CasedEnum
from tallybook.values.errors import Invalid
from tallybook.values.pricing import (
    ProductTerms,
    ProductType,
    QuantityConversion,
    QuantityRounding,
    SqlBreakdownGranularity,
)
from tallybook.values.quantity import DIGITS_MAX, ZERO

Timeline = tuple[tuple[datetime | None, ProductTerms], ...]


class CompositeScope(CasedEnum):
    """Whose spend a composite charge looks at."""

    CONTRACT = "CONTRACT"
    CUSTOMER = "CUSTOMER"


class ArchiveFilter(CasedEnum):
    """Which products to list."""

    ARCHIVED = "ARCHIVED"
    NOT_ARCHIVED = "NOT_ARCHIVED"
    ALL = "ALL"


class Attributes(Struct, frozen=True, kw_only=True):
    """What one version says of a product. UNSET: as it was before; None: nothing from now on."""

    name: str | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    billable_metric_id: str | UnsetType = UNSET
    sql_breakdown_granularity: SqlBreakdownGranularity | UnsetType = UNSET
    pricing_group_key: tuple[str, ...] | UnsetType = UNSET
    presentation_group_key: tuple[str, ...] | UnsetType = UNSET
    quantity_conversion: QuantityConversion | UnsetType | None = UNSET
    quantity_rounding: QuantityRounding | UnsetType | None = UNSET
    is_refundable: bool | UnsetType = UNSET
    netsuite_internal_item_id: str | UnsetType = UNSET
    netsuite_overage_item_id: str | UnsetType = UNSET
    exclude_free_usage: bool | UnsetType = UNSET
    include_composite_spend: bool | UnsetType = UNSET
    composite_product_ids: tuple[str, ...] | UnsetType = UNSET
    composite_tags: tuple[str, ...] | UnsetType = UNSET
    composite_scope: CompositeScope | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        """The attributes that are set, by name."""
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in values if value is not UNSET}

    def updated(self, change: "Attributes") -> "Attributes":
        """These attributes, with those that `change` sets in their place."""
        return replace(self, **change.given())

    def to_terms(self) -> ProductTerms:
        """What of these attributes decides an invoice line."""
        given = self.given()
        return ProductTerms(**{name: given[name] for name in _TERMS if name in given})


_TERMS = (
    "name",
    "billable_metric_id",
    "quantity_conversion",
    "quantity_rounding",
    "pricing_group_key",
    "presentation_group_key",
    "tags",
    "sql_breakdown_granularity",
)
_USAGE_ONLY = (
    "billable_metric_id",
    "quantity_conversion",
    "quantity_rounding",
    "pricing_group_key",
    "presentation_group_key",
)
_COMPOSITE_ONLY = {
    "composite_product_ids": (),
    "composite_tags": (),
    "composite_scope": CompositeScope.CONTRACT,
    "exclude_free_usage": False,
    "include_composite_spend": False,
}
"""Attributes of composite products with their defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What was said of a product at once. `added` counts from 0, the creation, which has no start."""

    added: int
    starting_at: datetime | None
    created_at: datetime
    created_by: str
    attributes: Attributes


@dataclass(frozen=True, kw_only=True)
class Product:
    """What an invoice line is about. `versions` are in the order in which they were added."""

    id: str
    type: ProductType
    created_at: datetime
    archived_at: datetime | None
    versions: tuple[Version, ...]

    @property
    def initial(self) -> Version:
        """The version it was created with."""
        return self.versions[0]

    @property
    def updates(self) -> tuple[Version, ...]:
        """The dated updates, in the order in which they were added."""
        return self.versions[1:]

    @cached_property
    def timeline(self) -> Timeline:
        """The terms in force from each instant at which they change (pricing.md 2.12).

        Ascending; the first start is None, from ever. Updates that change nothing of an invoice line
        make no entry.
        """
        entries: list[tuple[datetime | None, ProductTerms]] = []
        attributes = Attributes()
        for version in sorted(self.versions, key=_rank):
            attributes = attributes.updated(version.attributes)
            if entries and entries[-1][0] == version.starting_at:
                entries.pop()
            terms = attributes.to_terms()
            if not entries or entries[-1][1] != terms:
                entries.append((version.starting_at, terms))
        return tuple(entries)

    def terms_at(self, instant: datetime) -> ProductTerms:
        """The terms in force at `instant`."""
        return [terms for start, terms in self.timeline if start is None or start <= instant][-1]

    def version_at(self, instant: datetime) -> Version:
        """Everything in force at `instant`, under the date and author of the last version that has begun."""
        begun = sorted(
            (item for item in self.versions if item.starting_at is None or item.starting_at <= instant),
            key=_rank,
        )
        attributes = Attributes()
        for version in begun:
            attributes = attributes.updated(version.attributes)
        last = begun[-1]
        return Version(
            added=last.added,
            starting_at=last.starting_at,
            created_at=last.created_at,
            created_by=last.created_by,
            attributes=attributes,
        )


def _rank(version: Version) -> tuple[bool, datetime, int]:
    """Sorts versions by start, the one from ever first, then by when they were added."""
    start = version.starting_at
    return start is not None, version.created_at if start is None else start, version.added


def check_attributes(kind: ProductType, attributes: Attributes) -> None:
    """Raise Invalid, naming the field, for what a product of this type cannot have (pricing.md 2)."""
    given = attributes.given()
    if kind is not ProductType.USAGE:
        for name in _USAGE_ONLY:
            if given.get(name):
                raise Invalid(f"{name}: only USAGE products have it, this one is {kind}; leave it out")
    for name, default in _COMPOSITE_ONLY.items():
        if given.get(name, default) != default:
            raise Invalid(f"{name}: only COMPOSITE products have it, this one is {kind}; leave it out")
    for name in ("pricing_group_key", "presentation_group_key"):
        key = given.get(name, ())
        if len(set(key)) != len(key):
            raise Invalid(f"{name}: names a property twice; name each property once")
    conversion: QuantityConversion | None = given.get("quantity_conversion")
    if conversion is not None and conversion.conversion_factor <= ZERO:
        raise Invalid("quantity_conversion.conversion_factor: must be greater than 0; send a positive number")
    rounding: QuantityRounding | None = given.get("quantity_rounding")
    if rounding is not None and not 0 <= rounding.decimal_places <= DIGITS_MAX:
        raise Invalid(
            f"quantity_rounding.decimal_places: must be a whole number from 0 to {DIGITS_MAX}; change it"
        )


def fits_group_keys(terms: ProductTerms, declared: tuple[tuple[str, ...], ...]) -> bool:
    """Whether one declared group key holds all properties that the terms group by (pricing.md 2.10).

    >>> terms = ProductTerms(name="x", pricing_group_key=("a",), presentation_group_key=("b", "a"))
    >>> fits_group_keys(terms, (("a",), ("b",))), fits_group_keys(terms, (("b", "c", "a"),))
    (False, True)
    """
    wanted = {*terms.pricing_group_key, *terms.presentation_group_key}
    return not wanted or any(wanted <= set(key) for key in declared)
