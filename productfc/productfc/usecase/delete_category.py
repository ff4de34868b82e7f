"""An administrator removes an empty category."""

from chassis.db.database import Database
from productfc.errors import CategoryInUse, unknown_category
from productfc.repository import categories


async def delete_category(db: Database, category_id: int) -> None:
    """Remove the category. Raises NotFound, and CategoryInUse while a product that is on sale belongs to it."""
    async with db.transaction() as tx:
        if not await categories.lock(tx, category_id):
            raise unknown_category(category_id)
        if await categories.has_products(tx, category_id):
            raise CategoryInUse(category_id)
        await categories.delete(tx, category_id)
