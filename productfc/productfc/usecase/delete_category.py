"""Deletes an empty category."""

from chassis.db.database import Database
from productfc.errors import CategoryInUse, CategoryNotFound
from productfc.repository import categories


async def delete_category(db: Database, category_id: int) -> None:
    """Raises CategoryNotFound, and CategoryInUse while a product on sale belongs to it."""
    async with db.transaction() as tx:
        if not await categories.lock_against_use(tx, category_id):
            raise CategoryNotFound(category_id)
        if await categories.has_products(tx, category_id):
            raise CategoryInUse(category_id)
        await categories.delete(tx, category_id)
