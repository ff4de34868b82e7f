"""Changes some fields of a product."""

from collections.abc import Mapping
from typing import Any

from chassis.db.database import Database
from chassis.money import check_amount
from productfc.errors import CategoryNotFound, ProductNotFound
from productfc.model import Product
from productfc.repository import categories, products
from productfc.repository.cache import ProductCache


async def update_product(db: Database, cache: ProductCache, product_id: int, changes: Mapping[str, Any]) -> Product:
    """Change the fields in `changes` and leave the others.

    Raises Invalid for the price, ProductNotFound, CategoryNotFound.
    """
    if "price" in changes:
        changes = {**changes, "price": check_amount(changes["price"], db.settings.currency)}
    async with cache.invalidation() as changed, db.transaction() as tx:
        if "category_id" in changes and not await categories.lock_against_delete(tx, changes["category_id"]):
            if await products.by_id_in(tx, product_id) is None:
                raise ProductNotFound(product_id)
            raise CategoryNotFound(changes["category_id"])
        if changes:
            changed.add(product_id)
            await products.change(tx, product_id, changes)
        product = await products.by_id_in(tx, product_id)
        if product is None:
            raise ProductNotFound(product_id)
    return product
