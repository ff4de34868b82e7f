"""Changes some fields of a product."""

from collections.abc import Mapping
from typing import Any

from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.money import check_amount
from productfc.errors import CategoryNotFound, ProductNotFound
from productfc.model import MAX_STOCK, Product
from productfc.repository import admin_actions, categories, products
from productfc.repository.admin_actions import Action, Admin
from productfc.repository.cache import ProductCache


async def update_product(
    db: Database, cache: ProductCache, admin: Admin, product_id: int, changes: Mapping[str, Any]
) -> Product:
    """Change the fields in `changes` and leave the others. A value that is there already is not checked.

    Raises Invalid for price and stock, ProductNotFound, CategoryNotFound.
    """
    async with cache.invalidation() as changed, db.transaction() as tx:
        category_id = changes.get("category_id")
        category_exists = category_id is None or await categories.lock_against_delete(tx, category_id)
        product = await products.locked(tx, product_id)
        if product is None:
            raise ProductNotFound(product_id)
        if category_id is not None and not category_exists:
            raise CategoryNotFound(category_id)
        new = {name: value for name, value in changes.items() if value != getattr(product, name)}
        if not new:
            return product
        if "price" in new:
            new["price"] = check_amount(new["price"], db.settings.currency)
        if new.get("stock", 0) > MAX_STOCK:
            raise Invalid(f"stock: should be less than or equal to {MAX_STOCK}")
        changed.add(product_id)
        before = {name: getattr(product, name) for name in new}
        await products.change(tx, product_id, new)
        await admin_actions.add(tx, admin, Action.PRODUCT_CHANGED, product_id, before, new)
        product = await products.by_id_in(tx, product_id)
        if product is None:
            raise RuntimeError(f"product {product_id} is missing while it is locked")
    return product
