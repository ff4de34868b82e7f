"""An administrator renames a category."""

from chassis.db.database import Database
from productfc.errors import unknown_category
from productfc.model import Category
from productfc.repository import categories, products
from productfc.repository.cache import ProductCache


async def update_category(db: Database, cache: ProductCache, category_id: int, name: str) -> Category:
    """Rename the category; its products show the new name at once. Raises NotFound, CategoryExists."""
    async with cache.changing() as changed:
        async with db.transaction() as tx:
            category = await categories.rename(tx, category_id, name)
            if category is None:
                raise unknown_category(category_id)
            # Known before the commit, so that a commit of unknown outcome leaves the cache in doubt.
            changed.update(await products.in_category(tx, category_id))
        # A product that entered the category meanwhile may have been cached with the old name.
        changed.update(await products.ids_in_category(db, category_id))
    return category
