"""Takes a product off sale."""

from chassis.db.database import Database
from productfc.errors import ProductNotFound
from productfc.repository import products
from productfc.repository.cache import ProductCache


async def delete_product(db: Database, cache: ProductCache, product_id: int) -> None:
    """Archive the product, so that orders which hold it keep working. Raises ProductNotFound."""
    async with cache.invalidation() as changed, db.transaction() as tx:
        if not await products.archive(tx, product_id):
            raise ProductNotFound(product_id)
        changed.add(product_id)
