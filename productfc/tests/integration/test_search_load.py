"""What many searches cost the other callers, and what one costs the database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from chassis.db.database import POOL_SIZE, Database
from productfc.model import Product
from productfc.repository import search
from productfc.repository.search import AT_ONCE, WAITING, Matches, Search

from .conftest import Shop

PRODUCTS = 20_000


@pytest.fixture
async def stocked(shop: Shop) -> AsyncIterator[Shop]:
    """A shop of many products with long descriptions."""
    category = await shop.category()
    await shop.value(
        "INSERT INTO products (name, description, price, stock, category_id)"
        " SELECT 'Mug ' || n, repeat(md5(n::text), 20), n, 1, $1 FROM generate_series(1, $2::int) n",
        category,
        PRODUCTS,
    )
    await shop.value("ANALYZE products")
    yield shop
    await shop.value("DELETE FROM products WHERE category_id = $1", category)


async def test_a_search_keeps_no_columns_of_the_matches_that_it_counts(stocked: Shop) -> None:
    for order_by in ("id", "name", "price"):
        page, matches = await search.search(stocked.db, Search(name="mug", order_by=order_by))
        assert (len(page), matches.total) == (10, PRODUCTS)
        statement, values = search.statement_of_all(Search(name="mug", order_by=order_by))
        async with stocked.db.driver() as connection:
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {statement}", *values)
        plan = "\n".join(row[0] for row in rows)
        assert "temp" not in plan, (order_by, plan)
        assert "WindowAgg" not in plan, (order_by, plan)


async def test_a_flood_of_searches_is_put_off_and_holds_up_no_batch_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WAIT_S", 0.5)
    go, running = asyncio.Event(), 0

    async def slow(db: Database, _query: Search) -> tuple[list[Product], Matches]:
        nonlocal running
        async with db.driver():
            running += 1
            await go.wait()
        return [], Matches(None, 0, 0)

    monkeypatch.setattr(search, "search", slow)
    product = await shop.product()
    flood = [asyncio.create_task(shop.http.get("/v1/products/search")) for _ in range(AT_ONCE + WAITING + 20)]
    done, _ = await asyncio.wait(flood, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert all(task.result().status_code == 503 for task in done)
    async with asyncio.timeout(1):
        batches = await asyncio.gather(*(shop.http.get(f"/v1/products?ids={product}") for _ in range(4 * POOL_SIZE)))
    assert {answer.status_code for answer in batches} == {200}
    assert running == AT_ONCE
    refused = [await task for task in flood[AT_ONCE:]]
    assert Counter(answer.status_code for answer in refused) == {503: WAITING + 20}
    assert {answer.json()["code"] for answer in refused} == {"unavailable"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    go.set()
    assert [(await task).status_code for task in flood[:AT_ONCE]] == [200] * AT_ONCE
    assert (await shop.http.get("/v1/products/search")).status_code == 200
