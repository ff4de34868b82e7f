"""The migrations make what the tables declare, and can be undone."""

from sqlalchemy import Connection, text

from chassis import migrations
from productfc.config import Settings
from productfc.repository.tables import metadata

from .conftest import Shop


async def test_the_migrated_database_has_the_declared_tables(shop: Shop) -> None:
    await migrations.check_current(shop.db, "productfc")

    def differences(connection: Connection) -> list[object]:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with shop.db.connection() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_migration_goes_down_and_up_again(make_database, settings: Settings) -> None:  # type: ignore[no-untyped-def]
    own = Settings(**await make_database("productfc"))
    await migrations.run(own, "productfc", "base")
    await migrations.run(own, "productfc")


async def test_the_database_itself_refuses_negative_stock(shop: Shop) -> None:
    product = await shop.product()
    try:
        async with shop.db.connection() as connection:
            await connection.execute(text("UPDATE products SET stock = -1 WHERE id = :id"), {"id": product})
    except Exception as error:
        assert "ck_products_stock" in str(error)
    else:
        raise AssertionError("stock went below zero")
