"""Creates a category."""

import structlog

from chassis.db.database import Database
from productfc.model import Category
from productfc.repository import admin_actions, categories
from productfc.repository.admin_actions import Action, Admin

log = structlog.get_logger(__name__)


async def create_category(db: Database, admin: Admin, name: str) -> Category:
    """Raises CategoryExists when the name is taken, compared without case."""
    async with db.transaction() as tx:
        category = await categories.insert(tx, name)
        await admin_actions.add(tx, admin, Action.CATEGORY_CREATED, category.id, {}, {"name": name})
    log.info("category created", category_id=category.id)
    return category
