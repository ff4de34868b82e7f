"""The questions about products that PostgreSQL answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg

from chassis.db.database import Database, Tx
from productfc.model import Product

_COLUMNS = "p.id, p.name, p.description, p.price, p.stock, p.category_id, c.name AS category_name"
_LIVE = "products p JOIN product_categories c ON c.id = p.category_id WHERE p.deleted_at IS NULL"
_BY_ID = f"SELECT {_COLUMNS} FROM {_LIVE} AND p.id = $1"
_BY_IDS = f"""
SELECT {_COLUMNS} FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (id, place)
JOIN products p ON p.id = asked.id JOIN product_categories c ON c.id = p.category_id
WHERE p.deleted_at IS NULL ORDER BY asked.place
"""
_INSERT = """
WITH added AS (
  INSERT INTO products (name, description, price, stock, category_id) VALUES ($1, $2, $3, $4, $5) RETURNING id, stock),
noted AS (INSERT INTO stock_adjustments (product_id, units, cause) SELECT id, stock, 'created' FROM added WHERE stock <> 0)
SELECT id FROM added
"""
# The lock comes first: the difference must be to the stock that this statement replaces.
_CHANGE = """
WITH before AS (SELECT id, stock FROM products WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE),
changed AS (
  UPDATE products p SET {columns}updated_at = now() FROM before
  WHERE p.id = before.id RETURNING p.id, p.stock - before.stock AS units),
noted AS (INSERT INTO stock_adjustments (product_id, units, cause) SELECT id, units, 'set' FROM changed WHERE units <> 0)
SELECT id FROM changed
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
_ORDER = {"id": "p.id", "name": "p.name", "price": "p.price", "stock": "p.stock"}
_SORT = {"asc": "ASC", "desc": "DESC"}
ORDERS = tuple(_ORDER)
SORTS = tuple(_SORT)
MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; `page` counts from 1, prices are inclusive."""

    name: str | None = None
    category: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    order_by: str = "id"
    sort: str = "asc"
    page: int = 1
    page_size: int = 10


async def by_id(db: Database, product_id: int) -> Product | None:
    """Find a product that is on sale."""
    async with db.driver() as connection:
        row = await connection.fetchrow(_BY_ID, product_id)
    return None if row is None else Product(*row)


async def by_id_in(tx: Tx, product_id: int) -> Product | None:
    """Find a product as the transaction sees it."""
    row = await tx.driver().fetchrow(_BY_ID, product_id)
    return None if row is None else Product(*row)


async def by_ids(db: Database, product_ids: Sequence[int]) -> list[Product]:
    """Find products that are on sale, in the order asked; unknown ids are left out."""
    async with db.driver() as connection:
        return [Product(*row) for row in await connection.fetch(_BY_IDS, product_ids)]


async def search(db: Database, wanted: Search) -> tuple[list[Product], int]:
    """Give one page and the number of all matches."""
    where, values = _conditions(wanted)
    offset = min((wanted.page - 1) * wanted.page_size, MAX_OFFSET)
    ties = "" if wanted.order_by == "id" else ", p.id"
    statement = (
        f"SELECT {_COLUMNS}, count(*) OVER () FROM {_LIVE}{where}"
        f" ORDER BY {_ORDER[wanted.order_by]} {_SORT[wanted.sort]}{ties}"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}"
    )
    async with db.driver() as connection:
        rows = await connection.fetch(statement, *values, wanted.page_size, offset)
        if rows or not offset:
            return [Product(*row[:-1]) for row in rows], rows[0][-1] if rows else 0
        # Behind the last page no row is left to carry the count.
        return [], await connection.fetchval(f"SELECT count(*) FROM {_LIVE}{where}", *values)


def _conditions(wanted: Search) -> tuple[str, list[Any]]:
    tests = (
        ("p.name ILIKE", None if wanted.name is None else f"%{like_literal(wanted.name)}%"),
        ("c.name =", wanted.category),
        ("p.price >=", wanted.min_price),
        ("p.price <=", wanted.max_price),
    )
    given = [(test, value) for test, value in tests if value is not None]
    where = "".join(f" AND {test} ${place}" for place, (test, _) in enumerate(given, start=1))
    return where, [value for _, value in given]


def like_literal(text: str) -> str:
    """Escape what LIKE would read as a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def insert(tx: Tx, *, name: str, description: str, price: Decimal, stock: int, category_id: int) -> int:
    """Store a product, note its first stock and give its id. The caller holds the category."""
    product_id: int = await tx.driver().fetchval(_INSERT, name, description, price, stock, category_id)
    return product_id


async def change(tx: Tx, product_id: int, changes: Mapping[str, Any]) -> bool:
    """Change the named columns of a product that is on sale and note what came to its stock; False when there is none."""
    names = [name for name in _CHANGEABLE if name in changes]
    columns = "".join(f"{name} = ${place}, " for place, name in enumerate(names, start=2))
    values = [changes[name] for name in names]
    return await tx.driver().fetchval(_CHANGE.format(columns=columns), product_id, *values) is not None


async def archive(tx: Tx, product_id: int) -> bool:
    """Take a product off sale for ever; False when there is none."""
    return await tx.driver().fetchval(_ARCHIVE, product_id) is not None


async def in_category(tx: Tx, category_id: int) -> list[int]:
    """Give the ids of the products in a category, as the transaction sees it."""
    return _ids(await tx.driver().fetch(_IN_CATEGORY, category_id))


async def ids_in_category(db: Database, category_id: int) -> list[int]:
    """Give the ids of the products in a category, as everybody sees it now."""
    async with db.driver() as connection:
        return _ids(await connection.fetch(_IN_CATEGORY, category_id))


async def changed_since(db: Database, seconds: int) -> list[int]:
    """Give the ids of the products that look different from `seconds` ago: a full scan, for rare use."""
    async with db.driver() as connection:
        return _ids(await connection.fetch(_CHANGED_SINCE, seconds))


def _ids(rows: Sequence[asyncpg.Record]) -> list[int]:
    return [row[0] for row in rows]
