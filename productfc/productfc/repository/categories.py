"""All SQL on categories."""

import asyncpg

from chassis.db.database import Database, Tx
from productfc.errors import CategoryExists
from productfc.model import Category

_ALL = "SELECT id, name FROM product_categories ORDER BY name, id"
_BY_ID = "SELECT id, name FROM product_categories WHERE id = $1"
_LOCK_AGAINST_DELETE = "SELECT 1 FROM product_categories WHERE id = $1 FOR KEY SHARE"
_LOCK_AGAINST_USE = "SELECT name FROM product_categories WHERE id = $1 FOR UPDATE"
_INSERT = "INSERT INTO product_categories (name) VALUES ($1) RETURNING id"
_RENAME = """
WITH before AS (SELECT id, name FROM product_categories WHERE id = $1 FOR NO KEY UPDATE)
UPDATE product_categories c SET name = $2, updated_at = now() FROM before WHERE c.id = before.id RETURNING before.name
"""
_HAS_PRODUCTS = "SELECT EXISTS (SELECT 1 FROM products WHERE category_id = $1 AND deleted_at IS NULL)"
# Archived products leave the category. Their rows are locked in the order that stock events use.
_REMOVE_PRODUCTS = """
WITH leaving AS (SELECT id FROM products WHERE category_id = $1 ORDER BY id FOR NO KEY UPDATE)
UPDATE products SET category_id = NULL WHERE id IN (SELECT id FROM leaving)
"""
_DELETE = "DELETE FROM product_categories WHERE id = $1"


async def all_by_name(db: Database) -> list[Category]:
    async with db.driver() as connection:
        return [Category(*row) for row in await connection.fetch(_ALL)]


async def by_id(db: Database, category_id: int) -> Category | None:
    async with db.driver() as connection:
        row = await connection.fetchrow(_BY_ID, category_id)
    return None if row is None else Category(*row)


async def lock_against_delete(tx: Tx, category_id: int) -> bool:
    """Keep a category from being deleted until the transaction ends. Returns False if it does not exist."""
    return await tx.driver().fetchval(_LOCK_AGAINST_DELETE, category_id) is not None


async def lock_against_use(tx: Tx, category_id: int) -> str | None:
    """Keep products from being put into a category until the transaction ends; return its name, None without one."""
    name: str | None = await tx.driver().fetchval(_LOCK_AGAINST_USE, category_id)
    return name


async def insert(tx: Tx, name: str) -> Category:
    """Store a category. Raises CategoryExists."""
    try:
        category_id: int = await tx.driver().fetchval(_INSERT, name)
    except asyncpg.UniqueViolationError as error:
        raise CategoryExists(name) from error
    return Category(category_id, name)


async def rename(tx: Tx, category_id: int, name: str) -> str | None:
    """Rename a category and return its name of before, None when it does not exist. Raises CategoryExists."""
    try:
        before: str | None = await tx.driver().fetchval(_RENAME, category_id, name)
    except asyncpg.UniqueViolationError as error:
        raise CategoryExists(name) from error
    return before


async def has_products(tx: Tx, category_id: int) -> bool:
    return bool(await tx.driver().fetchval(_HAS_PRODUCTS, category_id))


async def delete(tx: Tx, category_id: int) -> None:
    """Delete a category that the caller has locked against use and that has no product on sale."""
    await tx.driver().execute(_REMOVE_PRODUCTS, category_id)
    await tx.driver().execute(_DELETE, category_id)
