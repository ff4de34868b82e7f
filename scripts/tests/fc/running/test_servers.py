"""Who may open which database, and which topics there are."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from servers.postgres import app_role

from ..conftest import Ended
from .conftest import BACK_S, within

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Fc = Callable[[str], Ended]

TOPICS = (
    "order.cancelled",
    "order.created",
    "payment.failed",
    "payment.success",
    "stock.rejected",
    "stock.rollback",
    "stock.updated",
)


SCHEMA_CHANGES = (
    "CREATE TABLE made (id int)",
    "CREATE TEMPORARY TABLE made (id int)",
    "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA made",
    "CREATE ROLE made",
    "ALTER TABLE alembic_version ADD made int",
    "ALTER TABLE alembic_version DISABLE TRIGGER ALL",
    "CREATE INDEX made ON alembic_version (id)",
    "DROP TABLE alembic_version",
    "TRUNCATE alembic_version",
    "UPDATE alembic_version SET version_num = 'made'",
)


@asynccontextmanager
async def connected(stack: Stack, role: str, database: str, password: str = "admin") -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=stack.layout.port("postgres"), user=role, database=database, password=password, timeout=5
    )
    try:
        yield connection
    finally:
        await connection.close()


def test_each_database_is_open_to_its_own_role_only(stack: Stack) -> None:
    async def tried() -> None:
        for service in SERVICES:
            for role in (service, app_role(service)):
                async with connected(stack, role, service) as connection:
                    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") > 1
                    assert await connection.fetchval("SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user")
        for service, database in itertools.permutations(SERVICES, 2):
            role = app_role(service)
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="CONNECT privilege"):
                async with connected(stack, role, database):
                    """Refused before this."""

    asyncio.run(tried())


def test_a_service_has_no_right_to_change_the_schema(stack: Stack) -> None:
    async def tried() -> None:
        for service in SERVICES:
            async with connected(stack, app_role(service), service) as connection:
                for statement in SCHEMA_CHANGES:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(statement)
                assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1

    asyncio.run(tried())


def test_a_wrong_password_is_refused(stack: Stack) -> None:
    async def tried() -> None:
        with pytest.raises(asyncpg.InvalidPasswordError):
            async with connected(stack, "orderfc", "orderfc", "wrong"):
                """Refused before this."""

    asyncio.run(tried())


@asynccontextmanager
async def administered(stack: Stack) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"localhost:{stack.layout.port('kafka')}")
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def partitions(stack: Stack) -> dict[str, int]:
    async def described() -> dict[str, int]:
        async with administered(stack) as admin:
            names = [name for name in await admin.list_topics() if not name.startswith("__")]
            return {item["topic"]: len(item["partitions"]) for item in await admin.describe_topics(names)}

    return asyncio.run(described())


def test_every_topic_and_its_dead_letter_topic_have_the_configured_partitions(stack: Stack) -> None:
    assert partitions(stack) == {name: 3 for topic in TOPICS for name in (topic, f"{topic}.dlq")}


def test_topics_makes_what_is_missing_and_leaves_what_is_there(
    stack: Stack, fc: Fc, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = fc("topics")
    assert (said.code, said.out) == (0, "All topics exist already.\n")

    async def delete() -> None:
        async with administered(stack) as admin:
            await admin.delete_topics(["stock.rejected.dlq"])

    asyncio.run(delete())
    within(BACK_S, lambda: "stock.rejected.dlq" not in partitions(stack), "the topic is gone")
    monkeypatch.setenv("KAFKA_PARTITIONS", "5")
    assert fc("topics").out == "Created: stock.rejected.dlq\n"
    assert {name: count for name, count in partitions(stack).items() if count != 3} == {"stock.rejected.dlq": 5}
