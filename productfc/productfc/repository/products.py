"""All SQL on products except the stock ledger. Reads return products on sale; with a `Tx` they see its changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg

from chassis.db.database import Database, Tx
from productfc.model import Product

_COLUMNS = "p.id, p.name, p.description, p.price, p.stock, p.category_id, c.name AS category_name"
_ON_SALE = "products p JOIN product_categories c ON c.id = p.category_id WHERE p.deleted_at IS NULL"
_BY_ID = f"SELECT {_COLUMNS} FROM {_ON_SALE} AND p.id = $1"
_BY_IDS = f"""
SELECT {_COLUMNS} FROM unnest($1::bigint[]) WITH ORDINALITY AS request (id, place)
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
SELECT p.id FROM products p LEFT JOIN product_categories c ON c.id = p.category_id
WHERE p.updated_at > now() - $1 * interval '1 second' OR c.updated_at > now() - $1 * interval '1 second'
"""
_IN_CATEGORY = "SELECT id FROM products WHERE category_id = $1"
# The only texts that a search may put behind ORDER BY.
_ORDER_COLUMNS = {"id": "p.id", "name": "p.name", "price": "p.price", "stock": "p.stock"}
_DIRECTIONS = {"asc": "ASC", "desc": "DESC"}
MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Search:
    """The conditions, order and page of a search. `page` counts from 1, prices are inclusive."""

    name: str | None = None
    category: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    order_by: str = "id"
    sort: str = "asc"
    page: int = 1
    page_size: int = 10


async def by_id(db: Database, product_id: int) -> Product | None:
    async with db.driver() as connection:
        row = await connection.fetchrow(_BY_ID, product_id)
    return None if row is None else Product(*row)


async def by_id_in(tx: Tx, product_id: int) -> Product | None:
    row = await tx.driver().fetchrow(_BY_ID, product_id)
    return None if row is None else Product(*row)


async def by_ids(db: Database, product_ids: Sequence[int]) -> list[Product]:
    """Return the products that are on sale, in the order of the ids. Unknown ids are left out."""
    async with db.driver() as connection:
        return [Product(*row) for row in await connection.fetch(_BY_IDS, product_ids)]


async def search(db: Database, query: Search) -> tuple[list[Product], int]:
    """Return one page and the number of all matches."""
    where, values = _conditions(query)
    offset = min((query.page - 1) * query.page_size, MAX_OFFSET)
    ties = "" if query.order_by == "id" else ", p.id"
    statement = (
        f"SELECT {_COLUMNS}, count(*) OVER () FROM {_ON_SALE}{where}"
        f" ORDER BY {_ORDER_COLUMNS[query.order_by]} {_DIRECTIONS[query.sort]}{ties}"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}"
    )
    async with db.driver() as connection:
        rows = await connection.fetch(statement, *values, query.page_size, offset)
        if rows or not offset:
            return [Product(*row[:-1]) for row in rows], rows[0][-1] if rows else 0
        # Behind the last page no row carries the count.
        return [], await connection.fetchval(f"SELECT count(*) FROM {_ON_SALE}{where}", *values)


def _conditions(query: Search) -> tuple[str, list[Any]]:
    tests = (
        ("p.name ILIKE", None if query.name is None else f"%{escape_like(query.name)}%"),
        ("c.name =", query.category),
        ("p.price >=", query.min_price),
        ("p.price <=", query.max_price),
    )
    conditions = [(test, value) for test, value in tests if value is not None]
    where = "".join(f" AND {test} ${place}" for place, (test, _) in enumerate(conditions, start=1))
    return where, [value for _, value in conditions]


def escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


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
    """Take a product off sale for good. False when no such product is on sale."""
    return await tx.driver().fetchval(_ARCHIVE, product_id) is not None


async def ids_in_category(tx: Tx, category_id: int) -> list[int]:
    return _ids(await tx.driver().fetch(_IN_CATEGORY, category_id))


async def committed_ids_in_category(db: Database, category_id: int) -> list[int]:
    async with db.driver() as connection:
        return _ids(await connection.fetch(_IN_CATEGORY, category_id))


async def changed_since(db: Database, seconds: int) -> list[int]:
    """List the ids of the products whose answer changed in the last `seconds`. A full scan, for rare use."""
    async with db.driver() as connection:
        return _ids(await connection.fetch(_CHANGED_SINCE, seconds))


def _ids(rows: Sequence[asyncpg.Record]) -> list[int]:
    return [row[0] for row in rows]
