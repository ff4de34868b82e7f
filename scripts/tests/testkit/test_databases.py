"""The comparison of a database with declared tables: equal tables are no drift, a missing column is."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import BigInteger, Column, Table, Text

from chassis.config.settings import ServiceSettings, load
from chassis.db.schema import metadata_factory
from testkit.databases import create_tables, schema_drift


async def test_a_column_that_the_database_lacks_is_reported_as_drift(
    make_database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    settings = load(ServiceSettings, **await make_database("chassis"))
    metadata = metadata_factory()
    table = Table("things", metadata, Column("id", BigInteger, primary_key=True))
    await create_tables(settings, metadata)
    assert await schema_drift(settings, metadata) == []
    table.append_column(Column("name", Text))
    [(operation, _schema, name, column)] = await schema_drift(settings, metadata)
    assert (operation, name, column.name) == ("add_column", "things", "name")
