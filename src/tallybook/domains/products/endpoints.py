"""HTTP of products: parse, call one use case, render."""

from tallybook.domains import custom_fields
from tallybook.domains.products import service
from tallybook.domains.products.schemas import (
    ArchiveProductRequest,
    CreateProductRequest,
    ListProductsRequest,
    ProductResponse,
    UpdateProductRequest,
    product_to_wire,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import post
from tallybook.kit.http.paging import LIMIT_DEFAULT, PageQuery, page_of, start_after
from tallybook.kit.http.wire import Data, Id, IdRequest, Page
from tallybook.values.instant import micros_of


@post("/v1/contract-pricing/products/create", "createProduct-v1")
def create_product(tx: Tx, body: CreateProductRequest) -> Data[Id]:
    """Create a product."""
    return Data(data=Id(id=service.create_product(tx, body.to_draft()).id))


@post("/v1/contract-pricing/products/get", "getProduct-v1")
def get_product(tx: ReadTx, body: IdRequest) -> Data[ProductResponse]:
    """Get a product with its history, archived ones too."""
    product = service.get_product(tx, body.id, "id")
    fields = custom_fields.read_one(tx, "contract_product", product.id)
    return Data(data=product_to_wire(product, fields, tx.now))


@post("/v1/contract-pricing/products/list", "listProducts-v1")
def list_products(
    tx: ReadTx, query: PageQuery, body: ListProductsRequest | None = None
) -> Page[ProductResponse]:
    """List products, oldest first."""
    wanted = (body or ListProductsRequest()).to_filter()
    limit = query.limit or LIMIT_DEFAULT
    after = start_after("products", query.next_page, (int, str))
    found = service.list_products(tx, wanted, after, limit + 1)
    fields = custom_fields.read(tx, "contract_product", [product.id for product in found])
    return page_of(
        "products",
        found,
        limit,
        key=lambda product: (micros_of(product.created_at), product.id),
        render=lambda product: product_to_wire(product, fields.get(product.id, {}), tx.now),
    )


@post("/v1/contract-pricing/products/update", "updateProduct-v1")
def update_product(tx: Tx, body: UpdateProductRequest) -> Data[Id]:
    """Change a product from an instant on."""
    product = service.update_product(tx, body.product_id, body.starting_at, body.to_attributes())
    return Data(data=Id(id=product.id))


@post("/v1/contract-pricing/products/archive", "archiveProductListItem-v1")
def archive_product(tx: Tx, body: ArchiveProductRequest) -> Data[Id]:
    """Archive a product for good."""
    service.archive_product(tx, body.product_id)
    return Data(data=Id(id=body.product_id))
