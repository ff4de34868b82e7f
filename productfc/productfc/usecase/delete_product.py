"""Takes a product off sale."""

from dataclasses import asdict

from chassis.db.database import Database
from productfc.errors import ProductNotFound
from productfc.repository import admin_actions, products
from productfc.repository.admin_actions import Action, Admin
from productfc.repository.cache import ProductCache


async def delete_product(db: Database, cache: ProductCache, admin: Admin, product_id: int) -> None:
    """Archive the product, so that orders which hold it keep working. Raises ProductNotFound."""
    async with cache.invalidation() as changed, db.transaction() as tx:
        product = await products.locked(tx, product_id)
        if product is None:
            raise ProductNotFound(product_id)
        changed.add(product_id)
        await products.archive(tx, product_id)
        await admin_actions.add(tx, admin, Action.PRODUCT_DELETED, product_id, asdict(product), {})
