"""The search of products on sale: one statement per page, and few at a time (ADR 33)."""

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.db.database import Database
from chassis.errors import Unavailable
from productfc.model import Product
from productfc.repository.products import COLUMNS

# Searches at a time, of the 8 connections of the pool: the other reads, above all that of a checkout, have the rest.
AT_ONCE = 3
# Searches that wait, and for how long. Each holds one of the requests that a process serves at the same time.
WAITING, WAIT_S = 24, 1.0
# Conditions whose number of matches a process remembers. Those that were searched for last are kept.
REMEMBERED = 1_000

# The only texts that a search may put behind ORDER BY.
_ORDER_COLUMNS = {"id": "p.id", "name": "p.name", "price": "p.price", "stock": "p.stock"}
# Those with an index for each direction. One of `stock` would make every change of stock write all indexes.
_INDEXED = frozenset({"id", "name", "price"})
_OF_NAME = "p.name ILIKE {}"
# Forms that the index of names does not fit: without a trigram it would be read whole.
_OF_SHORT_NAME = "(p.name ILIKE {}) IS TRUE"
_ON_SALE = "(p.deleted_at IS NULL) IS TRUE"
_ON_SALE_BY_NAME = "p.deleted_at IS NULL"
# At most one category has exactly this name; the index is on lower(name).
_OF_CATEGORY = "p.category_id = (SELECT id FROM product_categories WHERE lower(name) = lower({0}) AND name = {0})"
_VERSION = "(SELECT version FROM catalogue)"
_DIRECTIONS = {"asc": "ASC", "desc": "DESC"}
MAX_OFFSET = 2**63 - 1
# Texts in which pg_trgm finds a trigram: three characters of a word, or fewer beside the border of the word.
_HAS_TRIGRAM = re.compile(r"[^\W_]{3}|[\W_][^\W_]|[^\W_]{2}[\W_]")


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

    @property
    def conditions(self) -> tuple[object, ...]:
        return self.name, self.category, self.min_price, self.max_price

    @property
    def offset(self) -> int:
        return min((self.page - 1) * self.page_size, MAX_OFFSET)


@dataclass(frozen=True, slots=True)
class Matches:
    """The number of all matches in one version of the catalogue, and at most how many products it has."""

    version: UUID | None
    total: int
    products: int

    def rows_to_walk(self, query: Search) -> int | None:
        """Return how many products to read along the index of the order, or None if reading all matches is less work.

        The page is expected in the first half of them. In all they are half of the matches, so what is read in vain
        when the matches lie at the other end is little beside what is read then.
        """
        most = self.total // 2
        if query.order_by not in _INDEXED or self.version is None or not most:
            return None
        expected = (query.offset + query.page_size) * self.products // self.total
        return most if 2 * expected <= most else None


class Searches:
    """Runs searches, AT_ONCE at a time. Others wait for WAIT_S seconds at most.

    The number of matches of common conditions is remembered with the version of the catalogue, which each change of
    what a condition can see replaces in its own transaction. It holds only for a page of the same version.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._known: OrderedDict[tuple[object, ...], Matches] = OrderedDict()

    async def __call__(self, query: Search) -> tuple[list[Product], int]:
        """Return one page and the number of all matches. Raises Unavailable when too many searches wait."""
        await self._wait()
        try:
            known = self._known.get(query.conditions)
            if known is not None and (page := await walk(self._db, query, known)) is not None:
                self._known.move_to_end(query.conditions)
                return page, known.total
            page, matches = await search(self._db, query)
            self._remember(query, matches)
            return page, matches.total
        finally:
            self._slots.release()

    def _remember(self, query: Search, matches: Matches) -> None:
        """Keep what a first page could use; the many rare names are no use and are not kept."""
        self._known.pop(query.conditions, None)
        if matches.rows_to_walk(Search()) is not None:
            self._known[query.conditions] = matches
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

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


async def search(db: Database, query: Search) -> tuple[list[Product], Matches]:
    """Read all matches; return one page of them and their number."""
    statement, values = statement_of_all(query)
    async with db.driver() as connection:
        rows = await connection.fetch(statement, *values)
    return [Product(*row[:-3]) for row in rows if row[0] is not None], Matches(*rows[0][-3:])


async def walk(db: Database, query: Search, known: Matches) -> list[Product] | None:
    """Read the page along the index of its order, where that is less than all matches.

    None where it is not, where matches lie too far away, and where the catalogue has changed since they were counted.
    """
    most = known.rows_to_walk(query)
    if most is None:
        return None
    statement, values = statement_of_walk(query, most)
    async with db.driver() as connection:
        rows = await connection.fetch(statement, *values)
    page = [Product(*row[:-1]) for row in rows if row[0] is not None]
    is_whole = len(page) == min(query.page_size, known.total - query.offset)
    return page if is_whole and rows[0][-1] == known.version else None


def statement_of_all(query: Search) -> tuple[str, list[Any]]:
    """Return the statement of `search` and its values. The first columns are a product's, null without a page."""
    where, values = _conditions(query)
    on_sale = _ON_SALE_BY_NAME if _has_trigram(query) else _ON_SALE
    direction = _DIRECTIONS[query.sort]
    # All matches with two narrow columns: `count(*) OVER ()` would sort and keep all columns of all matches, and a
    # count of its own would look for them twice.
    statement = f"""
    WITH found AS MATERIALIZED (
      SELECT p.id, {_ORDER_COLUMNS[query.order_by]} AS place FROM products p WHERE {on_sale}{where}),
    page AS (
      SELECT id, place FROM found ORDER BY place {direction}, id LIMIT ${len(values) + 1} OFFSET ${len(values) + 2})
    SELECT {COLUMNS}, matches.*
    FROM (SELECT {_VERSION}, (SELECT count(*) FROM found), (SELECT coalesce(max(id), 0) FROM products)) AS matches
    LEFT JOIN (page JOIN products p ON p.id = page.id JOIN product_categories c ON c.id = p.category_id) ON true
    ORDER BY page.place {direction}, page.id
    """
    return statement, [*values, query.page_size, query.offset]


def statement_of_walk(query: Search, most: int) -> tuple[str, list[Any]]:
    """Return the statement of `walk` and its values. The first columns are a product's, null without a page."""
    where, values = _conditions(query)
    order = f"{_ORDER_COLUMNS[query.order_by]} {_DIRECTIONS[query.sort]}, p.id"
    first = len(values) + 1
    # With no condition at the first LIMIT there is nothing to choose but the index of the order, also for a plan that
    # was made while the table was empty.
    statement = f"""
    SELECT {COLUMNS}, {_VERSION} AS version
    FROM (VALUES (1)) AS one LEFT JOIN (
      (SELECT p.* FROM (
        SELECT * FROM products p ORDER BY {order} LIMIT ${first}
      ) AS p WHERE {_ON_SALE}{where} ORDER BY {order} LIMIT ${first + 1} OFFSET ${first + 2}) AS p
      JOIN product_categories c ON c.id = p.category_id) ON true
    ORDER BY {order}
    """
    return statement, [*values, most, query.page_size, query.offset]


def _conditions(query: Search) -> tuple[str, list[Any]]:
    tests = (
        (_OF_NAME if _has_trigram(query) else _OF_SHORT_NAME, query.name and f"%{escape_like(query.name)}%"),
        (_OF_CATEGORY, query.category),
        ("p.price >= {}", query.min_price),
        ("p.price <= {}", query.max_price),
    )
    conditions = [(test, value) for test, value in tests if value is not None]
    where = "".join(f" AND {test.format(f'${place}')}" for place, (test, _) in enumerate(conditions, start=1))
    return where, [value for _, value in conditions]


def _has_trigram(query: Search) -> bool:
    return query.name is not None and _HAS_TRIGRAM.search(query.name) is not None


def escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
