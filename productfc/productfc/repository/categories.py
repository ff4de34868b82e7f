"""The questions about categories that PostgreSQL answers."""

import asyncpg

from chassis.db.database import Database, Tx
from productfc.errors import CategoryExists
from productfc.model import Category

# Archived products let go of a category that goes; their rows are locked in the order that stock events use.
_DELETE = """
WITH gone AS (SELECT id FROM products WHERE category_id = $1 ORDER BY id FOR NO KEY UPDATE)
UPDATE products SET category_id = NULL WHERE id IN (SELECT id FROM gone)
"""


async def every(db: Database) -> list[Category]:
    """List all categories by name."""
    async with db.driver() as connection:
        rows = await connection.fetch("SELECT id, name FROM product_categories ORDER BY name, id")
    return [Category(*row) for row in rows]


async def by_id(db: Database, category_id: int) -> Category | None:
    """Find a category."""
    async with db.driver() as connection:
        row = await connection.fetchrow("SELECT id, name FROM product_categories WHERE id = $1", category_id)
    return None if row is None else Category(*row)


async def hold(tx: Tx, category_id: int) -> bool:
    """Keep a category from being deleted until the transaction ends; False when there is none."""
    statement = "SELECT 1 FROM product_categories WHERE id = $1 FOR KEY SHARE"
    return await tx.driver().fetchval(statement, category_id) is not None


async def lock(tx: Tx, category_id: int) -> bool:
    """Keep products from being put into a category until the transaction ends; False when there is none."""
    statement = "SELECT 1 FROM product_categories WHERE id = $1 FOR UPDATE"
    return await tx.driver().fetchval(statement, category_id) is not None


async def insert(tx: Tx, name: str) -> Category:
    """Store a category. Raises CategoryExists."""
    try:
        category_id: int = await tx.driver().fetchval(
            "INSERT INTO product_categories (name) VALUES ($1) RETURNING id", name
        )
    except asyncpg.UniqueViolationError as error:
        raise CategoryExists(name) from error
    return Category(category_id, name)


async def rename(tx: Tx, category_id: int, name: str) -> Category | None:
    """Rename a category; None when there is none. Raises CategoryExists."""
    statement = "UPDATE product_categories SET name = $2, updated_at = now() WHERE id = $1 RETURNING id, name"
    try:
        row = await tx.driver().fetchrow(statement, category_id, name)
    except asyncpg.UniqueViolationError as error:
        raise CategoryExists(name) from error
    return None if row is None else Category(*row)


async def has_products(tx: Tx, category_id: int) -> bool:
    """Tell whether a product that is on sale belongs to the category."""
    statement = "SELECT EXISTS (SELECT 1 FROM products WHERE category_id = $1 AND deleted_at IS NULL)"
    return bool(await tx.driver().fetchval(statement, category_id))


async def delete(tx: Tx, category_id: int) -> None:
    """Delete a category that is locked and has no product on sale."""
    await tx.driver().execute(_DELETE, category_id)
    await tx.driver().execute("DELETE FROM product_categories WHERE id = $1", category_id)
