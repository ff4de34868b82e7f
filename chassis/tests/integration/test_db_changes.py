"""The pool while the database changes under it: columns change their type, the server becomes read-only, a pooler."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, Any

import asyncpg
import httpx2
import pytest
from fastapi import APIRouter, Depends, Request
from pydantic import SecretStr

from chassis.db import migrations, sessions
from chassis.db.database import POOL_SIZE, Database
from chassis.errors import Refused, is_transient
from chassis.http.app import create_app
from chassis.http.repeated import RepeatedRoute
from chassis.loops import Loop
from testkit import eventually

from .pooler import TransactionPooler

CONNECTIONS = 4


@pytest.fixture
async def database(database: Database) -> Database:
    """Return a database with two tables, and a pool whose connections hold prepared statements on both."""
    async with database.driver() as connection:
        await connection.execute("CREATE TABLE a (n int); CREATE TABLE b (n int)")
    await on_each_connection(database, "SELECT * FROM a", "INSERT INTO b VALUES (1) RETURNING n")
    return database


async def on_each_connection(database: Database, *statements: str) -> None:
    async with AsyncExitStack() as stack:
        for connection in [await stack.enter_async_context(database.driver()) for _ in range(CONNECTIONS)]:
            for statement in statements:
                await connection.fetch(statement)


async def migrate(database: Database, *tables: str) -> None:
    session = await database.dedicated()
    for table in tables:
        await session.execute(f"ALTER TABLE {table} ALTER n TYPE bigint")
    await session.close()


async def read_and_write(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.driver().fetch("SELECT * FROM a")
        await tx.driver().fetch("INSERT INTO b VALUES (1) RETURNING n")


async def test_after_a_change_of_type_one_transaction_fails_as_an_outage_and_not_one_per_connection(
    database: Database,
) -> None:
    await migrate(database, "a", "b")
    with pytest.raises(asyncpg.InvalidCachedStatementError) as failed:
        await read_and_write(database)
    assert is_transient(failed.value), "loops, consumers and the relay do the work again"
    for _ in range(3 * CONNECTIONS):
        await read_and_write(database)
    await asyncio.gather(*(read_and_write(database) for _ in range(3 * POOL_SIZE)))


async def test_a_request_is_answered_although_its_transaction_meets_the_change(database: Database) -> None:
    router = APIRouter(route_class=RepeatedRoute)
    entered: list[Any] = []

    async def parsed(request: Request) -> Any:
        return await request.json()

    @router.post("/write")
    async def write(body: Annotated[Any, Depends(parsed)]) -> int:
        entered.append(body)
        async with database.transaction() as tx:
            await tx.driver().fetch("INSERT INTO b VALUES (1) RETURNING n")
            await tx.driver().fetch("SELECT * FROM a")
        return len(entered)

    app = create_app(database.settings, routers=[router])
    await migrate(database, "a")
    before = await rows(database)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:
        answers = [await client.post("/write", json={"n": 1}) for _ in range(2 * CONNECTIONS)]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert entered == [{"n": 1}] * (len(answers) + 1)
    assert await rows(database) == before + len(answers)


async def rows(database: Database) -> int:
    async with database.driver() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM b"))


async def test_connections_to_a_server_that_has_become_read_only_are_replaced(database: Database) -> None:
    await on_each_connection(database, "SET default_transaction_read_only = on")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as failed:
        await read_and_write(database)
    assert is_transient(failed.value)
    await asyncio.gather(*(read_and_write(database) for _ in range(3 * POOL_SIZE)))


@pytest.mark.parametrize(
    "changed", [{"db_password": SecretStr("another one")}, {"db_name": "not_there"}, {"db_user": "nobody"}]
)
async def test_a_server_that_does_not_let_us_in_is_answered_503_and_waited_for(
    database: Database, changed: dict[str, Any]
) -> None:
    outside = Database(database.settings.model_copy(update=changed))
    router, runs = APIRouter(), []

    @router.get("/read")
    async def read() -> None:
        await outside.ping()

    async def work() -> None:
        runs.append(1)
        await outside.ping()

    app, stop = create_app(database.settings, routers=[router]), asyncio.Event()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:
        answer = await client.get("/read")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    loop = asyncio.create_task(Loop("test", 0.01, work).run(stop))
    await eventually(lambda: loop.done() or len(runs) > 2)
    assert not loop.done()
    stop.set()
    await loop
    await outside.close()


async def test_a_pooler_in_transaction_mode_is_named_at_the_start(database: Database) -> None:
    settings = database.settings
    assert await sessions.problem(settings) is None
    async with TransactionPooler(settings.db_host, settings.db_port) as pooler:
        pooled = settings.model_copy(update={"db_host": "127.0.0.1", "db_port": pooler.port})
        sentence = await sessions.problem(pooled)
        assert sentence is not None
        assert "behind a connection pooler in transaction mode; use session mode or connect directly" in sentence
        with pytest.raises(Refused, match="transaction mode"):
            await migrations.run(pooled, "orderfc")


async def test_a_database_that_can_not_be_reached_is_waited_for_and_not_called_a_pooler(database: Database) -> None:
    assert await sessions.problem(database.settings.model_copy(update={"db_port": 9})) is None
