"""Renames a category."""

from chassis.db.database import Database
from productfc.errors import CategoryNotFound
from productfc.model import Category
from productfc.repository import admin_actions, categories, products
from productfc.repository.admin_actions import Action, Admin
from productfc.repository.cache import ProductCache


async def update_category(db: Database, cache: ProductCache, admin: Admin, category_id: int, name: str) -> Category:
    """Rename the category; its products show the new name at once. Raises CategoryNotFound, CategoryExists."""
    async with cache.invalidation() as changed:
        async with db.transaction() as tx:
            before = await categories.rename(tx, category_id, name)
            if before is None:
                raise CategoryNotFound(category_id)
            if before != name:
                values = {"name": before}, {"name": name}
                await admin_actions.add(tx, admin, Action.CATEGORY_CHANGED, category_id, *values)
            # Before the commit, so that a commit of unknown outcome makes the cache distrust Redis.
            changed.update(await products.ids_in_category(tx, category_id))
        # A product that entered the category meanwhile may have been cached with the old name.
        changed.update(await products.committed_ids_in_category(db, category_id))
    return Category(category_id, name)
