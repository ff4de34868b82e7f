"""Deletes an empty category."""

from chassis.db.database import Database
from productfc.errors import CategoryInUse, CategoryNotFound
from productfc.repository import admin_actions, categories
from productfc.repository.admin_actions import Action, Admin


async def delete_category(db: Database, admin: Admin, category_id: int) -> None:
    """Raises CategoryNotFound, and CategoryInUse while a product on sale belongs to it."""
    async with db.transaction() as tx:
        name = await categories.lock_against_use(tx, category_id)
        if name is None:
            raise CategoryNotFound(category_id)
        if await categories.has_products(tx, category_id):
            raise CategoryInUse(category_id)
        await categories.delete(tx, category_id)
        await admin_actions.add(tx, admin, Action.CATEGORY_DELETED, category_id, {"name": name}, {})
