"""All SQL on products except the stock ledger. Reads return products on sale; with a `Tx` they see its changes."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import asyncpg

from chassis.db.database import Database, Tx
from productfc.model import Product

COLUMNS = "p.id, p.name, p.description, p.price, p.stock, p.category_id, c.name AS category_name"
ON_SALE = "products p JOIN product_categories c ON c.id = p.category_id WHERE p.deleted_at IS NULL"
_BY_ID = f"SELECT {COLUMNS} FROM {ON_SALE} AND p.id = $1"
_LOCKED = f"{_BY_ID} FOR NO KEY UPDATE OF p"
_BY_IDS = f"""
SELECT {COLUMNS} FROM unnest($1::bigint[]) WITH ORDINALITY AS request (id, place)
JOIN products p ON p.id = request.id JOIN product_categories c ON c.id = p.category_id
WHERE p.deleted_at IS NULL ORDER BY request.place
"""
_INSERT = """
WITH product AS (
  INSERT INTO products (name, description, price, stock, category_id) VALUES ($1, $2, $3, $4, $5) RETURNING id, stock),
adjustment AS (
  INSERT INTO stock_adjustments (product_id, units, cause) SELECT id, stock, 'created' FROM product WHERE stock <> 0)
SELECT id FROM product
"""
# The row is locked first, so that the difference is to the stock that this statement replaces.
_CHANGE = """
WITH before AS (SELECT id, stock FROM products WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE),
product AS (
  UPDATE products p SET {columns}updated_at = now() FROM before
  WHERE p.id = before.id RETURNING p.id, p.stock - before.stock AS units),
adjustment AS (
  INSERT INTO stock_adjustments (product_id, units, cause) SELECT id, units, 'set' FROM product WHERE units <> 0)
SELECT id FROM product
"""
# The only columns that a change may name: they are written into the statement.
_CHANGEABLE = ("name", "description", "price", "stock", "category_id")
_ARCHIVE = (
    "UPDATE products SET deleted_at = now(), updated_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING id"
)
_CHANGED_SINCE = """
SELECT id FROM products WHERE updated_at > now() - $1 * interval '1 second'
UNION
SELECT p.id FROM product_categories c JOIN products p ON p.category_id = c.id
WHERE c.updated_at > now() - $1 * interval '1 second'
"""
_IN_CATEGORY = "SELECT id FROM products WHERE category_id = $1"


async def by_id(db: Database, product_id: int) -> Product | None:
    async with db.driver() as connection:
        row = await connection.fetchrow(_BY_ID, product_id)
    return None if row is None else Product(*row)


async def by_id_in(tx: Tx, product_id: int) -> Product | None:
    row = await tx.driver().fetchrow(_BY_ID, product_id)
    return None if row is None else Product(*row)


async def locked(tx: Tx, product_id: int) -> Product | None:
    """Read a product on sale and lock it against changes until the transaction ends."""
    row = await tx.driver().fetchrow(_LOCKED, product_id)
    return None if row is None else Product(*row)


async def by_ids(db: Database, product_ids: Sequence[int]) -> list[Product]:
    """Return the products that are on sale, in the order of the ids. Unknown ids are left out."""
    async with db.driver() as connection:
        return [Product(*row) for row in await connection.fetch(_BY_IDS, product_ids)]


async def insert(tx: Tx, *, name: str, description: str, price: Decimal, stock: int, category_id: int) -> int:
    """Store a product with the adjustment of its first stock and return its id.

    The caller has locked the category against deletion.
    """
    product_id: int = await tx.driver().fetchval(_INSERT, name, description, price, stock, category_id)
    return product_id


async def change(tx: Tx, product_id: int, changes: Mapping[str, Any]) -> bool:
    """Change the named columns of a product on sale and record the adjustment of its stock. False without one."""
    names = [name for name in _CHANGEABLE if name in changes]
    columns = "".join(f"{name} = ${place}, " for place, name in enumerate(names, start=2))
    values = [changes[name] for name in names]
    return await tx.driver().fetchval(_CHANGE.format(columns=columns), product_id, *values) is not None


async def archive(tx: Tx, product_id: int) -> bool:
    """Take a product off sale for good. Returns False if no such product is on sale."""
    return await tx.driver().fetchval(_ARCHIVE, product_id) is not None


async def ids_in_category(tx: Tx, category_id: int) -> list[int]:
    return _ids(await tx.driver().fetch(_IN_CATEGORY, category_id))


async def committed_ids_in_category(db: Database, category_id: int) -> list[int]:
    async with db.driver() as connection:
        return _ids(await connection.fetch(_IN_CATEGORY, category_id))


async def changed_since(db: Database, seconds: int) -> list[int]:
    """List the ids of the products whose answer changed in the last `seconds`.

    A full scan, about 10 ms for 100,000 products: with an index on `updated_at` every change of stock would have to
    write all indexes of the table.
    """
    async with db.driver() as connection:
        return _ids(await connection.fetch(_CHANGED_SINCE, seconds))


def _ids(rows: Sequence[asyncpg.Record]) -> list[int]:
    return [row[0] for row in rows]
