"""The role of a running service: made and given its rights by the migrations of another role."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from chassis.config.connections import audit_role
from chassis.config.settings import load
from chassis.db import migrations, revisions
from chassis.db.database import Database
from chassis.errors import Refused
from fc.stack.programs import settings_class
from orderfc.config import Settings

Make = Callable[[str], Awaitable[dict[str, Any]]]
RESERVE = """
INSERT INTO idempotency_keys (user_id, key, request_hash, lease_token, leased_until)
VALUES (1, 'k', sha256(''), gen_random_uuid(), now())
"""
PASSWORD = "it's a $1 \\ password"


@pytest.fixture
async def given(make_database: Make) -> dict[str, Any]:
    """Migrate with an owner, for a role that is not there yet, and return the arguments for its settings."""
    owner = await make_database("chassis")
    arguments = {
        **owner,
        "db_user": f'Order "{uuid4().hex[:8]}"',
        "db_password": PASSWORD,
        "db_migration_user": owner["db_user"],
        "db_migration_password": owner["db_password"],
    }
    await migrations.run(load(Settings, **arguments), "orderfc")
    return arguments


@pytest.fixture
async def database(given: dict[str, Any]) -> AsyncIterator[Database]:
    """Open the database as the service does."""
    opened = Database(load(Settings, **given))
    yield opened
    await opened.close()


async def owner(given: dict[str, Any]) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=given["db_host"],
        port=given["db_port"],
        user=given["db_migration_user"],
        password=given["db_migration_password"],
        database=given["db_name"],
    )


async def test_the_role_is_made_by_the_migration_and_reads_and_writes_rows(database: Database) -> None:
    await revisions.check_current(database, "orderfc")
    async with database.driver() as connection:
        assert await connection.execute(RESERVE) == "INSERT 0 1"
        assert await connection.execute("UPDATE idempotency_keys SET key = 'l'") == "UPDATE 1"
        assert await connection.execute("DELETE FROM idempotency_keys") == "DELETE 1"


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE made (id int)", "DROP TABLE orders", "ALTER TABLE orders ADD made int", "TRUNCATE orders"],
)
async def test_the_role_has_no_right_to_change_the_schema(database: Database, statement: str) -> None:
    async with database.driver() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_a_table_of_a_later_migration_is_open_to_the_role(database: Database, given: dict[str, Any]) -> None:
    later = await owner(given)
    try:
        await later.execute("CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY, serial bigserial)")
    finally:
        await later.close()
    async with database.driver() as connection:
        assert await connection.execute("INSERT INTO later DEFAULT VALUES") == "INSERT 0 1"


async def test_migrating_again_changes_nothing_and_keeps_the_password(
    database: Database, given: dict[str, Any]
) -> None:
    await migrations.run(load(Settings, **{**given, "db_password": "another one"}), "orderfc")
    await database.ping()


async def test_a_role_that_may_not_migrate_says_so_in_one_sentence(given: dict[str, Any]) -> None:
    empty = await owner(given)
    try:
        await empty.execute("DROP TABLE alembic_version")
    finally:
        await empty.close()
    as_itself = {name: value for name, value in given.items() if not name.startswith("db_migration")}
    with pytest.raises(Refused, match="permission denied"):
        await migrations.run(load(Settings, **as_itself), "orderfc")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"db_migration_password": "wrong"}, "password authentication failed for user"),
        ({"db_migration_user": "nobody"}, "password authentication failed for user"),
        ({"db_name": "nowhere"}, 'database "nowhere" does not exist'),
    ],
)
async def test_a_database_that_refuses_is_named_in_one_sentence(
    given: dict[str, Any], changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused) as refused:
        await migrations.run(load(Settings, **{**given, **changed}), "orderfc")
    assert str(refused.value).startswith(f"PostgreSQL at {given['db_host']}:{given['db_port']}: {says}")


@asynccontextmanager
async def auditing(given: dict[str, Any]) -> AsyncIterator[asyncpg.Connection]:
    """Open a session of the auditor's role."""
    opened = await asyncpg.connect(
        host=given["db_host"],
        port=given["db_port"],
        user=audit_role(given["db_name"]),
        password=PASSWORD,
        database=given["db_name"],
    )
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def reader(given: dict[str, Any]) -> AsyncIterator[asyncpg.Connection]:
    """A session of the auditor's role, which a second migration has made."""
    await migrations.run(load(Settings, **given, db_audit_password=PASSWORD), "orderfc")
    async with auditing(given) as opened:
        yield opened


async def test_the_auditor_reads_every_table_also_one_of_a_later_migration(
    reader: asyncpg.Connection, given: dict[str, Any]
) -> None:
    later = await owner(given)
    try:
        await later.execute("CREATE TABLE later (id bigint)")
        tables = await later.fetch("SELECT relname FROM pg_stat_user_tables")
    finally:
        await later.close()
    assert len(tables) > 5
    for name in {name for (name,) in tables} - {"orders"}:
        await reader.fetch(f"SELECT * FROM {name}")
    await reader.fetch("SELECT count(*) FROM orders")


@pytest.mark.parametrize(
    "statement",
    [
        RESERVE,
        "UPDATE orders SET status = 2",
        "DELETE FROM orders",
        "TRUNCATE orders",
        "DROP TABLE orders",
        "CREATE TABLE made (id int)",
        "CREATE TEMPORARY TABLE made (id int)",
        "SELECT 1 FROM orders FOR UPDATE",
        "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
        "SELECT nextval(pg_get_serial_sequence('orders', 'id'))",
    ],
)
async def test_the_auditor_changes_and_locks_no_row_and_no_table(reader: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute(statement)


async def test_without_a_password_for_it_there_is_no_auditor(given: dict[str, Any]) -> None:
    asked = await owner(given)
    try:
        name = audit_role(given["db_name"])
        assert await asked.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", name) == 0
    finally:
        await asked.close()


PERSONAL = {
    "userfc": ["email FROM users", "password_hash FROM users", "* FROM revoked_tokens"],
    "productfc": ["admin_email FROM admin_actions", "address FROM admin_actions"],
    "orderfc": ["shipping_address FROM orders"],
    "paymentfc": [
        "user_email FROM payments",
        "shipping_address FROM payments",
        "body FROM payment_callbacks",
        "body FROM refund_callbacks",
    ],
}
NEEDED = {
    "userfc": ["id FROM users"],
    "productfc": ["admin_id, subject_id FROM admin_actions", "* FROM products"],
    "orderfc": ["id, user_id, status FROM orders", "* FROM outbox"],
    "paymentfc": ["order_id, amount FROM payments", "invoice_id, outcome FROM payment_callbacks", "* FROM refunds"],
}


@pytest.mark.parametrize("service", PERSONAL)
async def test_the_auditor_reads_no_personal_data_that_it_does_not_need(make_database: Make, service: str) -> None:
    database = await make_database("chassis")
    migrated = load(settings_class(service), **database, db_audit_password=PASSWORD)
    await migrations.run(migrated, service)
    async with auditing(database) as opened:
        for columns in NEEDED[service]:
            await opened.fetch(f"SELECT {columns}")
        for columns in PERSONAL[service]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await opened.fetch(f"SELECT {columns}")


async def test_a_right_that_an_earlier_release_gave_is_taken_back(given: dict[str, Any]) -> None:
    settings = load(Settings, **given, db_audit_password=PASSWORD)
    await migrations.run(settings, "orderfc")
    earlier = await owner(given)
    try:
        await earlier.execute(f'GRANT SELECT ON orders TO "{audit_role(given["db_name"])}"')
    finally:
        await earlier.close()
    async with auditing(given) as opened:
        await opened.fetch("SELECT shipping_address FROM orders")
        await migrations.run(settings, "orderfc")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await opened.fetch("SELECT shipping_address FROM orders")
        await opened.fetch("SELECT id FROM orders")
