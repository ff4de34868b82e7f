"""The migrations make what the tables declare, and can be undone."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, text

from chassis.db import migrations
from chassis.db.database import Database
from productfc.config import Settings
from productfc.repository.tables import metadata

from .conftest import Shop

MakeDatabase = Callable[[str], Awaitable[dict[str, Any]]]


async def test_the_migrated_database_has_the_declared_tables(shop: Shop) -> None:
    await migrations.check_current(shop.db, "productfc")

    def differences(connection: Connection) -> list[object]:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with shop.db.connection() as connection:
        assert await connection.run_sync(differences) == []


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
                order, product, state,
            )  # fmt: skip
    await migrations.run(own, "productfc")
    async with db.driver() as connection:
        rows = await connection.fetch("SELECT product_id, units, cause FROM stock_adjustments ORDER BY 1")
    await db.close()
    assert [tuple(row) for row in rows] == [(1, 9, "opening"), (2, 2, "opening")]


async def test_the_database_itself_refuses_negative_stock(shop: Shop) -> None:
    product = await shop.product()
    try:
        async with shop.db.connection() as connection:
            await connection.execute(text("UPDATE products SET stock = -1 WHERE id = :id"), {"id": product})
    except Exception as error:
        assert "ck_products_stock" in str(error)
    else:
        raise AssertionError("stock went below zero")
