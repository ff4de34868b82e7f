"""The migrations create the declared tables, and can be undone."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from chassis.db import migrations, revisions
from chassis.db.database import Database
from productfc.config import Settings
from productfc.repository.tables import metadata
from testkit.databases import schema_drift

from .conftest import Shop

MakeDatabase = Callable[[str], Awaitable[dict[str, Any]]]


async def test_the_migrated_database_has_the_declared_tables(shop: Shop) -> None:
    await revisions.check_current(shop.db, "productfc")
    assert await schema_drift(shop.settings, metadata) == []


async def test_the_migration_goes_down_and_up_again(make_database: MakeDatabase) -> None:
    own = Settings(**await make_database("productfc"))
    await migrations.run(own, "productfc", "base")
    await migrations.run(own, "productfc")


async def test_stock_from_before_the_adjustments_is_taken_over_with_what_orders_hold(
    make_database: MakeDatabase,
) -> None:
    own = Settings(**await make_database("productfc"))
    await migrations.run(own, "productfc", "0001")
    db = Database(own)
    async with db.driver() as connection:
        await connection.execute("INSERT INTO product_categories (name) VALUES ('All')")
        for stock in (7, 0, 0):
            await connection.execute(
                "INSERT INTO products (name, price, stock, category_id) VALUES ('Kopi', 1, $1, 1)", stock
            )
        for order, product, state in ((1, 1, "TAKEN"), (2, 1, "RELEASED"), (3, 2, "TAKEN")):
            await connection.execute(
                "INSERT INTO stock_ledger (order_id, product_id, quantity, state, event_id)"
                " VALUES ($1, $2, 2, $3, gen_random_uuid())",
                order,
                product,
                state,
            )
    await migrations.run(own, "productfc")
    async with db.driver() as connection:
        rows = await connection.fetch("SELECT product_id, units, cause FROM stock_adjustments ORDER BY 1")
    await db.close()
    assert [tuple(row) for row in rows] == [(1, 9, "opening"), (2, 2, "opening")]


async def test_the_database_itself_refuses_negative_stock(shop: Shop) -> None:
    product = await shop.product()
    with pytest.raises(asyncpg.CheckViolationError, match="ck_products_stock"):
        await shop.value("UPDATE products SET stock = -1 WHERE id = $1", product)
