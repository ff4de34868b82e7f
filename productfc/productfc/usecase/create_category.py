"""Creates a category."""

import structlog

from chassis.db.database import Database
from productfc.model import Category
from productfc.repository import categories

log = structlog.get_logger(__name__)


async def create_category(db: Database, name: str) -> Category:
    """Raises CategoryExists when the name is taken, compared without case."""
    async with db.transaction() as tx:
        category = await categories.insert(tx, name)
    log.info("category created", category_id=category.id)
    return category
