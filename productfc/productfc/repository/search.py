"""The search of products on sale: one statement per page, and few at a time."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chassis.db.database import Database
from chassis.errors import Unavailable
from productfc.model import Product
from productfc.repository.products import COLUMNS

# Searches at a time, of the 8 connections of the pool: the other reads, above all that of a checkout, have the rest.
AT_ONCE = 3
# Searches that wait, and for how long. Each holds one of the requests that a process serves at the same time.
WAITING, WAIT_S = 24, 1.0

# The only texts that a search may put behind ORDER BY.
_ORDER_COLUMNS = {"id": "p.id", "name": "p.name", "price": "p.price", "stock": "p.stock"}
# At most one category has exactly this name.
_OF_CATEGORY = "p.category_id = (SELECT id FROM product_categories WHERE name = {})"
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


class Searches:
    """Runs searches, AT_ONCE at a time. Others wait for WAIT_S seconds at most."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def __call__(self, query: Search) -> tuple[list[Product], int]:
        """Return one page and the number of all matches. Raises Unavailable when too many searches wait."""
        await self._wait()
        try:
            return await search(self._db, query)
        finally:
            self._slots.release()

    async def _wait(self) -> None:
        if self._waiting >= WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1


def _busy() -> Unavailable:
    return Unavailable("Too many searches at once; try again in a moment", retry_after=1)


async def search(db: Database, query: Search) -> tuple[list[Product], int]:
    """Return one page and the number of all matches."""
    statement, count, values = statements(query)
    async with db.driver() as connection:
        rows = await connection.fetch(statement, *values)
        if rows or query.page == 1:
            return [Product(*row[:-1]) for row in rows], rows[0][-1] if rows else 0
        # Behind the last page no row carries the count.
        return [], await connection.fetchval(count, *values[:-2])


def statements(query: Search) -> tuple[str, str, list[Any]]:
    """Return the statement of a page, that of the count alone, and the values; the last two are for the page only."""
    where, values = _conditions(query)
    matches = f"FROM products p WHERE p.deleted_at IS NULL{where}"
    direction = _DIRECTIONS[query.sort]
    # All matches with two narrow columns: `count(*) OVER ()` would sort and keep all columns of all matches, and a
    # count of its own would look for them twice.
    statement = f"""
    WITH found AS MATERIALIZED (SELECT p.id, {_ORDER_COLUMNS[query.order_by]} AS place {matches}),
    page AS (
      SELECT id, place FROM found ORDER BY place {direction}, id LIMIT ${len(values) + 1} OFFSET ${len(values) + 2})
    SELECT {COLUMNS}, (SELECT count(*) FROM found) FROM page
    JOIN products p ON p.id = page.id JOIN product_categories c ON c.id = p.category_id
    ORDER BY page.place {direction}, page.id
    """
    offset = min((query.page - 1) * query.page_size, MAX_OFFSET)
    return statement, f"SELECT count(*) {matches}", [*values, query.page_size, offset]


def _conditions(query: Search) -> tuple[str, list[Any]]:
    tests = (
        ("p.name ILIKE {}", None if query.name is None else f"%{escape_like(query.name)}%"),
        (_OF_CATEGORY, query.category),
        ("p.price >= {}", query.min_price),
        ("p.price <= {}", query.max_price),
    )
    conditions = [(test, value) for test, value in tests if value is not None]
    where = "".join(f" AND {test.format(f'${place}')}" for place, (test, _) in enumerate(conditions, start=1))
    return where, [value for _, value in conditions]


def escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
