"""A remembered number of matches is that of this moment, and the products of a common name are not all read."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from chassis.db.database import Database
from productfc.config import Settings
from productfc.repository import search as searching
from productfc.repository.search import Matches, Search, Searches, statement_of_all, statement_of_walk

from .conftest import Shop

PRODUCTS = 4_000
PAGE = 10
# Of the products, by a search with a page: its own, those around them, and some of them twice.
MOST_READ = 5 * PAGE
READ = """
SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'products'
"""
FILL = """
INSERT INTO products (name, price, stock, category_id)
SELECT $1 || ' ' || n, n, 1, $2 FROM generate_series(1, $3::int) n
"""
# What changes the number of matches. `{mine}` is a product that matches, `{other}` one that does not.
CHANGES = {
    "a new product": "INSERT INTO products (name, price, category_id) SELECT name, 1, category_id FROM {mine}",
    "a new name": "UPDATE products SET name = 'Else' WHERE id IN (SELECT id FROM {mine})",
    "a matching name": "UPDATE products SET name = (SELECT name FROM {mine}) WHERE id IN (SELECT id FROM {other})",
    "another price": "UPDATE products SET price = 9999 WHERE id IN (SELECT id FROM {mine})",
    "another category": "UPDATE products SET category_id = (SELECT id FROM product_categories WHERE id NOT IN"
    " (SELECT category_id FROM {mine}) LIMIT 1) WHERE id IN (SELECT id FROM {mine})",
    "a product off sale": "UPDATE products SET deleted_at = now() WHERE id IN (SELECT id FROM {mine})",
    "a product removed": "DELETE FROM products WHERE id IN (SELECT id FROM {mine})",
    "a category renamed": "UPDATE product_categories SET name = name || ' 2' WHERE id IN"
    " (SELECT category_id FROM {mine})",
}


class Common:
    """Products that share a word and a category, the common search for them, and what it read of the database."""

    def __init__(self, shop: Shop, word: str, category: str) -> None:
        self.shop = shop
        self.word = word
        self.search = Search(word, category, max_price=Decimal(PRODUCTS), order_by="price", sort="desc")
        self.searches = Searches(shop.db)

    @property
    def tables(self) -> dict[str, str]:
        of_word = f"FROM products WHERE name LIKE '{self.word} %' LIMIT 1"
        other = f"FROM products WHERE name = 'Else {self.word[4:]}'"
        return {"mine": f"(SELECT * {of_word}) AS mine", "other": f"(SELECT * {other}) AS other"}


@pytest.fixture
async def common(shop: Shop) -> AsyncIterator[Common]:
    newest = await shop.value("SELECT coalesce(max(id), 0) FROM products")
    word, category = f"Kopi{uuid4().hex[:6]}", f"Category {uuid4().hex[:8]}"
    mine = await shop.category(category)
    await shop.value(FILL, word, mine, PRODUCTS)
    await shop.product(name=f"Else {word[4:]}", price=1, category_id=mine)
    await shop.category()
    yield Common(shop, word, category)
    # The sweep of each later test would read them all. Those that the service has made have a history.
    await shop.value(
        "DELETE FROM products WHERE id > $1 AND id NOT IN (SELECT product_id FROM stock_adjustments)", newest
    )


@pytest.fixture
def read_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> list[Search]:
    """The searches that have read all their matches."""
    seen: list[Search] = []
    real = searching.search

    async def search(db: Database, query: Search) -> tuple[list[Any], Matches]:
        seen.append(query)
        return await real(db, query)

    monkeypatch.setattr(searching, "search", search)
    return seen


async def test_a_common_search_reads_all_its_matches_once_until_the_catalogue_changes(
    common: Common, read_as_a_whole: list[Search]
) -> None:
    first = await common.searches(common.search)
    assert [product.price for product in first[0]] == [PRODUCTS - place for place in range(10)]
    assert await common.searches(common.search) == first
    next_page = replace(common.search, page=2, sort="asc")
    assert [product.price for product in (await common.searches(next_page))[0]] == list(range(11, 21))
    await common.shop.product()
    assert await common.searches(common.search) == first
    assert read_as_a_whole == [common.search, common.search]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_the_catalogue_is_in_the_number_of_the_next_search(common: Common, change: str) -> None:
    before = await common.searches(common.search)
    statement = CHANGES[change].format(**common.tables)
    async with common.shop.db.transaction() as tx:
        await tx.driver().execute(statement)
        # Nobody else sees it yet.
        assert await common.searches(common.search) == before
    page, total = await common.searches(common.search)
    real, matches = await searching.search(common.shop.db, common.search)
    assert total != before[1]
    assert (page, total) == (real, matches.total)


async def test_a_change_of_stock_keeps_the_numbers_and_shows_at_once(
    common: Common, read_as_a_whole: list[Search]
) -> None:
    [before, *_], total = await common.searches(common.search)
    await common.shop.value("UPDATE products SET stock = stock + 6 WHERE id = $1", before.id)
    [after, *_], again = await common.searches(common.search)
    assert (after.stock, again) == (before.stock + 6, total)
    assert len(read_as_a_whole) == 1


async def test_matches_at_the_far_end_of_an_order_are_found(common: Common, read_as_a_whole: list[Search]) -> None:
    await common.shop.value(FILL, "Dear", await common.shop.category(), 3 * PRODUCTS)
    await common.shop.value("UPDATE products SET price = price + 1000000 WHERE name LIKE 'Dear %'")
    all_of_word = Search(common.word.upper(), order_by="price", sort="desc")
    first = await common.searches(all_of_word)
    assert first[1] == PRODUCTS
    assert await common.searches(all_of_word) == first
    assert len(read_as_a_whole) == 2


@pytest.mark.parametrize(
    ("total", "products", "query", "rows"),
    [
        (10_000, 10_000, Search(), 5_000),
        (10_000, 10_000, Search(page=250), 5_000),
        (10_000, 10_000, Search(page=251), None),
        (10_000, 10_000, Search(order_by="stock"), None),
        (200, 1_000, Search(), 100),
        (199, 1_000, Search(), None),
        (0, 1_000, Search(), None),
    ],
)
def test_a_walk_is_for_pages_that_it_reaches_within_half_of_the_matches(
    total: int, products: int, query: Search, rows: int | None
) -> None:
    assert Matches(uuid4(), total, products).rows_to_walk(query) == rows
    assert Matches(None, total, products).rows_to_walk(query) is None


async def test_the_conditions_that_are_remembered_are_few(common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "REMEMBERED", 2)
    for word in (common.word, common.word.upper(), common.word.lower(), common.word):
        assert (await common.searches(Search(word)))[1] == PRODUCTS
    assert len(common.searches._known) == 2


@pytest.fixture
async def unanalysed(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Database]:
    """Give a database whose tables are empty, and never analysed."""
    db = Database(Settings(**await make_database("productfc")))
    async with db.driver() as connection:
        for table in ("products", "product_categories"):
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    yield db
    await db.close()


async def rows_read(connection: asyncpg.Connection, statement: str, values: Sequence[object]) -> tuple[int, int]:
    """Run a statement; return the number of products in its answer, and how many it read."""
    async with connection.transaction():
        before = await connection.fetchval(READ)
        rows = await connection.fetch(statement, *values)
        return sum(row["id"] is not None for row in rows), int(await connection.fetchval(READ)) - before


async def test_searches_planned_for_empty_tables_read_only_what_they_need_of_full_ones(unanalysed: Database) -> None:
    walks = [
        statement_of_walk(Search("kopi", order_by=order, sort=sort), PRODUCTS // 2)
        for order in ("id", "name", "price")
        for sort in ("asc", "desc")
    ]
    few = [statement_of_all(Search("sutra")), statement_of_all(Search("a", "Few"))]
    async with unanalysed.driver() as connection:
        # PostgreSQL keeps a plan from the sixth time on.
        for _ in range(8):
            for statement, values in [*walks, *few]:
                assert await rows_read(connection, statement, values) == (0, 0)
        await connection.execute("INSERT INTO product_categories (name) VALUES ('Many'), ('Few')")
        await connection.execute(FILL, "Kopi", 1, PRODUCTS)
        await connection.execute(FILL, "Sutra", 2, PAGE)
        for statement, values in [*walks, *few]:
            found, read = await rows_read(connection, statement, values)
            assert found == PAGE, statement
            assert read <= MOST_READ, statement
