"""Products: what an invoice line is about, and how metered usage becomes its quantity."""

from tallybook.domains.products.model import Product, Timeline
from tallybook.domains.products.service import get_product, products_by_id, require_active

__all__ = ["Product", "Timeline", "get_product", "products_by_id", "require_active"]
