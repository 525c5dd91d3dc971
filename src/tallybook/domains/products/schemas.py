"""Wire shapes of products and their conversions."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import UNSET, UnsetType

from tallybook.domains.products.model import (
    ArchiveFilter,
    Attributes,
    CompositeScope,
    Product,
    Version,
)
from tallybook.domains.products.service import ProductDraft
from tallybook.kit.http.wire import CustomFields, Instant, Request, Response, Text, Uuid, or_unset
from tallybook.values.cased import CasedEnum
from tallybook.values.errors import Invalid
from tallybook.values.pricing import (
    ConversionOperation,
    ProductType,
    QuantityConversion,
    QuantityRounding,
    RoundingMethod,
    SqlBreakdownGranularity,
)


class GivenType(CasedEnum):
    """The kinds of product as requests name them; PROFESSIONAL_SERVICE is PRO_SERVICE."""

    FIXED = "FIXED"
    USAGE = "USAGE"
    COMPOSITE = "COMPOSITE"
    SUBSCRIPTION = "SUBSCRIPTION"
    PROFESSIONAL_SERVICE = "PROFESSIONAL_SERVICE"
    PRO_SERVICE = "PRO_SERVICE"


class QuantityConversionRequest(Request, frozen=True):
    """From the metered unit into the priced one."""

    conversion_factor: Decimal
    operation: ConversionOperation
    name: str | None = None

    def to_value(self) -> QuantityConversion:
        """The conversion."""
        return QuantityConversion(
            conversion_factor=self.conversion_factor,
            operation=self.operation,
            name=self.name,
        )


class QuantityRoundingRequest(Request, frozen=True):
    """How the converted quantity is rounded."""

    rounding_method: RoundingMethod
    decimal_places: Decimal

    def to_value(self) -> QuantityRounding:
        """The rounding. Raises Invalid when the places are no whole number; 2.0 is one."""
        if self.decimal_places != self.decimal_places.to_integral_value():
            raise Invalid(
                "quantity_rounding.decimal_places: must be a whole number; send one without fraction"
            )
        return QuantityRounding(
            rounding_method=self.rounding_method,
            decimal_places=int(self.decimal_places),
        )


class CreateProductRequest(Request, frozen=True):
    """A product to create."""

    name: Text
    type: GivenType
    billable_metric_id: Uuid | None = None
    sql_breakdown_granularity: SqlBreakdownGranularity | None = None
    tags: list[Text] | None = None
    is_refundable: bool | None = None
    netsuite_internal_item_id: str | None = None
    netsuite_overage_item_id: str | None = None
    composite_product_ids: list[Uuid] | None = None
    composite_tags: list[Text] | None = None
    composite_scope: CompositeScope | None = None
    exclude_free_usage: bool | None = None
    include_composite_spend: bool | None = None
    pricing_group_key: list[Text] | None = None
    presentation_group_key: list[Text] | None = None
    quantity_conversion: QuantityConversionRequest | UnsetType | None = UNSET
    quantity_rounding: QuantityRoundingRequest | UnsetType | None = UNSET
    custom_fields: CustomFields | None = None

    def to_draft(self) -> ProductDraft:
        """The draft that the service takes."""
        kind = self.type.value.replace("PROFESSIONAL_SERVICE", "PRO_SERVICE")
        return ProductDraft(
            type=ProductType(kind), attributes=_attributes_of(self), custom_fields=self.custom_fields or {}
        )


class UpdateProductRequest(Request, frozen=True):
    """What changes from an instant on; what is left out stays as it is."""

    product_id: Uuid
    starting_at: Instant
    name: Text | UnsetType = UNSET
    billable_metric_id: Uuid | UnsetType = UNSET
    sql_breakdown_granularity: SqlBreakdownGranularity | UnsetType = UNSET
    tags: list[Text] | UnsetType = UNSET
    is_refundable: bool | UnsetType = UNSET
    netsuite_internal_item_id: str | UnsetType = UNSET
    netsuite_overage_item_id: str | UnsetType = UNSET
    composite_product_ids: list[Uuid] | UnsetType = UNSET
    composite_tags: list[Text] | UnsetType = UNSET
    exclude_free_usage: bool | UnsetType = UNSET
    include_composite_spend: bool | UnsetType = UNSET
    pricing_group_key: list[Text] | UnsetType = UNSET
    presentation_group_key: list[Text] | UnsetType = UNSET
    quantity_conversion: QuantityConversionRequest | UnsetType | None = UNSET
    quantity_rounding: QuantityRoundingRequest | UnsetType | None = UNSET

    def to_attributes(self) -> Attributes:
        """The attributes that were given."""
        return _attributes_of(self)


class ArchiveProductRequest(Request, frozen=True):
    """Which product to archive."""

    product_id: Uuid


class ListProductsRequest(Request, frozen=True):
    """Which products to list."""

    archive_filter: ArchiveFilter | None = None

    def to_filter(self) -> ArchiveFilter:
        """The filter that the service takes."""
        return self.archive_filter or ArchiveFilter.NOT_ARCHIVED


class QuantityConversionResponse(Response, frozen=True):
    """From the metered unit into the priced one."""

    conversion_factor: Decimal
    operation: ConversionOperation
    name: str | UnsetType = UNSET


class QuantityRoundingResponse(Response, frozen=True):
    """How the converted quantity is rounded."""

    rounding_method: RoundingMethod
    decimal_places: int


class ProductStateResponse(Response, frozen=True):
    """A product as created, as of now, or what one update says of it."""

    created_at: datetime
    created_by: str
    starting_at: datetime | UnsetType = UNSET
    name: str | UnsetType = UNSET
    billable_metric_id: str | UnsetType = UNSET
    sql_breakdown_granularity: SqlBreakdownGranularity | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    is_refundable: bool | UnsetType = UNSET
    netsuite_internal_item_id: str | UnsetType = UNSET
    netsuite_overage_item_id: str | UnsetType = UNSET
    composite_product_ids: tuple[str, ...] | UnsetType = UNSET
    composite_tags: tuple[str, ...] | UnsetType = UNSET
    composite_scope: CompositeScope | UnsetType = UNSET
    exclude_free_usage: bool | UnsetType = UNSET
    include_composite_spend: bool | UnsetType = UNSET
    pricing_group_key: tuple[str, ...] | UnsetType = UNSET
    presentation_group_key: tuple[str, ...] | UnsetType = UNSET
    quantity_conversion: QuantityConversionResponse | UnsetType | None = UNSET
    quantity_rounding: QuantityRoundingResponse | UnsetType | None = UNSET


class ProductResponse(Response, frozen=True):
    """A product with its history."""

    id: str
    type: ProductType
    archived_at: datetime | None
    initial: ProductStateResponse
    current: ProductStateResponse
    updates: list[ProductStateResponse]
    custom_fields: CustomFields


def product_to_wire(product: Product, custom_fields: CustomFields, now: datetime) -> ProductResponse:
    """The product, with the state in force at `now`."""
    return ProductResponse(
        id=product.id,
        type=product.type,
        archived_at=product.archived_at,
        initial=_state_to_wire(product.initial),
        current=_state_to_wire(product.version_at(now)),
        updates=[_state_to_wire(update) for update in product.updates],
        custom_fields=custom_fields,
    )


_NULLABLE = ("quantity_conversion", "quantity_rounding")


def _attributes_of(request: CreateProductRequest | UpdateProductRequest) -> Attributes:
    """The attributes that a request sets; null sets only what can be cleared."""
    given: dict[str, Any] = {}
    for name in Attributes.__struct_fields__:
        value = getattr(request, name, UNSET)
        if value is UNSET or (value is None and name not in _NULLABLE):
            continue
        if name in _NULLABLE and value is not None:
            value = value.to_value()
        given[name] = tuple(value) if isinstance(value, list) else value
    return Attributes(**given)


def _state_to_wire(version: Version) -> ProductStateResponse:
    given = version.attributes.given()
    conversion: QuantityConversion | None = given.get("quantity_conversion")
    if conversion is not None:
        given["quantity_conversion"] = QuantityConversionResponse(
            conversion_factor=conversion.conversion_factor,
            operation=conversion.operation,
            name=or_unset(conversion.name),
        )
    rounding: QuantityRounding | None = given.get("quantity_rounding")
    if rounding is not None:
        given["quantity_rounding"] = QuantityRoundingResponse(
            rounding_method=rounding.rounding_method, decimal_places=rounding.decimal_places
        )
    return ProductStateResponse(
        created_at=version.created_at,
        created_by=version.created_by,
        starting_at=or_unset(version.starting_at),
        **given,
    )
