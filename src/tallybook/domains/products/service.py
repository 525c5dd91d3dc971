"""Use cases of products: load, decide, store."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from msgspec import UNSET

from tallybook.domains import custom_fields, metrics
from tallybook.domains.products import store
from tallybook.domains.products.model import (
    ArchiveFilter,
    Attributes,
    Product,
    Version,
    check_attributes,
    fits_group_keys,
)
from tallybook.kit.db.lists import Place
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import Invalid, NotBuilt, NotFound
from tallybook.values.instant import format_instant, require_on_the_hour
from tallybook.values.pricing import ProductType

_BUILT = (ProductType.USAGE, ProductType.FIXED)
_GROUPING = ("pricing_group_key", "presentation_group_key", "billable_metric_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductDraft:
    """What a caller says of a product to be created."""

    type: ProductType
    attributes: Attributes
    custom_fields: dict[str, str] = field(default_factory=dict)


def create_product(tx: Tx, draft: ProductDraft) -> Product:
    """Store a product with its custom fields, all or nothing (pricing.md 2.1-2.10).

    Raises NotBuilt for a type that is not offered yet, Invalid for attributes that the type or the
    metric rules out, NotFound for an unknown metric.
    """
    if draft.type not in _BUILT:
        raise NotBuilt(f"type: {draft.type} products are not available in this version; use USAGE or FIXED")
    if draft.type is ProductType.USAGE and draft.attributes.billable_metric_id is UNSET:
        raise Invalid("billable_metric_id: a USAGE product needs one; name the metric it bills")
    defaults = Attributes(tags=(), is_refundable=True)
    first = Version(
        added=0,
        starting_at=None,
        created_at=tx.now,
        created_by=tx.actor,
        attributes=defaults.updated(draft.attributes),
    )
    product = Product(id=tx.new_id(), type=draft.type, created_at=tx.now, archived_at=None, versions=(first,))
    _check(tx, product, first.attributes)
    store.insert_product(tx, product)
    custom_fields.attach(tx, "contract_product", product.id, draft.custom_fields)
    return product


def update_product(tx: Tx, product_id: str, starting_at: datetime, change: Attributes) -> Product:
    """Change what is given from `starting_at` on; the past may be changed too (pricing.md 2.12).

    Raises NotFound, or Invalid when the product is archived, the start is off the hour, or the
    attributes do not fit the type or, at any instant, the metric.
    """
    product = require_active(tx, product_id)
    version = Version(
        added=len(product.versions),
        starting_at=require_on_the_hour(starting_at, "starting_at"),
        created_at=tx.now,
        created_by=tx.actor,
        attributes=change,
    )
    changed = replace(product, versions=(*product.versions, version))
    _check(tx, changed, change)
    store.insert_version(tx, product_id, version)
    return changed


def archive_product(tx: Tx, product_id: str) -> None:
    """Archive the product for good. Doing it again changes nothing. Raises NotFound."""
    if get_product(tx, product_id).archived_at is None:
        store.update_archived_at(tx, product_id, tx.now)


def get_product(tx: ReadTx, product_id: str, field_name: str = "product_id") -> Product:
    """The product, archived or not. Raises NotFound naming `field_name`."""
    found = store.select_products(tx, [product_id])
    if not found:
        raise NotFound(f"{field_name}: no product has the id {product_id} in this environment")
    return found[0]


def require_active(tx: ReadTx, product_id: str, field_name: str = "product_id") -> Product:
    """The product. Raises NotFound, or Invalid when it is archived."""
    product = get_product(tx, product_id, field_name)
    if product.archived_at is not None:
        raise Invalid(f"{field_name}: product {product_id} is archived; use an active product")
    return product


def products_by_id(tx: ReadTx, ids: Iterable[str]) -> dict[str, Product]:
    """The products with these ids, archived or not; ids that no product has are left out."""
    return {product.id: product for product in store.select_products(tx, ids)}


def list_products(
    tx: ReadTx, archive_filter: ArchiveFilter, after: Place | None, count: int
) -> list[Product]:
    """At most `count` products after a place, oldest first."""
    return store.select_page(tx, archive_filter, after, count)


def _check(tx: ReadTx, product: Product, change: Attributes) -> None:
    """Refuse a change that the product's type or, at any instant, its metric rules out."""
    check_attributes(product.type, change)
    if change.billable_metric_id is not UNSET:
        metrics.require_active(tx, change.billable_metric_id, "billable_metric_id")
    touched = [name for name in _GROUPING if change.given().get(name)]
    if not touched:
        return
    used = {terms.billable_metric_id for _, terms in product.timeline if terms.billable_metric_id}
    known = metrics.metrics_by_id(tx, used)
    for start, terms in product.timeline:
        metric = known.get(terms.billable_metric_id or "")
        declared = metrics.group_keys_of(metric.definition) if metric else ()
        if not fits_group_keys(terms, declared):
            keys = ", ".join(str(list(key)) for key in declared) or "none"
            wanted = sorted({*terms.pricing_group_key, *terms.presentation_group_key})
            since = "" if start is None else f" from {format_instant(start)}"
            message = (
                f"{touched[0]}: the product groups by {wanted}{since}, and no single group key of billable "
                f"metric {terms.billable_metric_id} holds all of them (it declares {keys}); "
                "name properties of one declared group key, or a metric that declares one with all of them"
            )
            raise Invalid(message)
