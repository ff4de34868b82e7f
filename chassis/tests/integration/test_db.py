"""The pool: connections in a broken state are replaced, and a probe tells a busy database from a silent one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from uuid import uuid4

import asyncpg
import pytest

from chassis.db.database import Database
from chassis.db.pool import ACQUIRE_TIMEOUT_S
from chassis.errors import is_transient
from chassis.http import probes
from chassis.http.probes import Readiness, Report
from testkit import eventually
from testkit.proxy import Proxy

CRASHED = b"SFATAL\0VFATAL\0C57P02\0Mterminating connection because of crash of another server process\0\0"


async def half_dead(database: Database) -> int:
    """Deliver the server's crash message to the pool's only connection; return its backend's process id."""
    async with database.driver() as connection:
        pid = int(connection.get_server_pid())
        # The bytes that the socket would deliver: there is no public way to inject them.
        protocol = connection._protocol  # type: ignore[attr-defined]  # private, so asyncpg's types leave it out
        protocol.data_received(b"E" + (len(CRASHED) + 4).to_bytes(4, "big") + CRASHED)
    return pid


async def read(database: Database) -> None:
    async with database.driver() as connection:
        await connection.fetchval("SELECT 1")


async def write(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.driver().execute("SELECT 1")


@pytest.mark.parametrize("use", [read, write])
async def test_a_connection_that_has_heard_of_a_crash_fails_once_as_an_outage_and_is_replaced(
    database: Database, use: Callable[[Database], Awaitable[None]]
) -> None:
    pid = await half_dead(database)
    with pytest.raises(Exception, match="cannot switch to state") as failed:
        await use(database)
    assert is_transient(failed.value)
    async with database.driver() as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert connection.get_server_pid() != pid


async def leave_open(database: Database, pids: list[int]) -> None:
    async with database.driver() as connection:
        pids.append(connection.get_server_pid())
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1 / 0")


@pytest.mark.parametrize("use", [read, write])
async def test_a_connection_whose_transaction_did_not_end_is_lent_to_nobody(
    database: Database, use: Callable[[Database], Awaitable[None]]
) -> None:
    pids = list[int]()
    with pytest.raises(asyncpg.DivisionByZeroError):
        await leave_open(database, pids)
    await use(database)
    async with database.driver() as connection:
        assert connection.get_server_pid() not in pids


@asynccontextmanager
async def busy(database: Database, answers: list[int]) -> AsyncIterator[None]:
    """Keep all connections in use, with more callers who wait for one than are served in two seconds."""

    async def use() -> None:
        with suppress(Exception):
            while True:
                async with database.driver() as connection:
                    answers.append(await connection.fetchval("SELECT count(*)::int FROM pg_sleep(0.3)"))

    callers = [asyncio.create_task(use()) for _ in range(100)]
    try:
        await eventually(lambda: len(answers) > 8)
        yield
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def test_a_database_that_answers_is_ready_although_all_connections_are_in_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Less than a caller waits for a connection: its refusal is another answer.
    monkeypatch.setattr(probes, "CHECK_TIMEOUT_S", ACQUIRE_TIMEOUT_S / 2)
    monkeypatch.setattr(probes, "REPORT_LIFETIME_S", 0)
    async with Proxy(database.settings.db_host, database.settings.db_port) as proxy:
        settings = database.settings.model_copy(update={"db_host": proxy.host, "db_port": proxy.port})
        behind, answers = Database(settings), list[int]()
        ready = Readiness()
        ready.add("database", behind.ping, critical=True)
        async with busy(behind, answers):
            for _ in range(3):
                assert (await ready.report()).checks == {"database": "ok"}
            await proxy.blackhole()

            async def failed() -> Report | None:
                report = await ready.report()
                return None if report.ready else report

            assert (await eventually(failed)).checks == {"database": "failed: no answer within 2 s"}
            await proxy.restore()
        await behind.close()


async def test_only_one_connection_asks_the_server_what_an_array_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    ask = vars(asyncpg.Connection)["_introspect_types"]

    async def counted(connection: asyncpg.Connection, typeoids: list[int], timeout: float | None) -> object:
        asked.append(list(typeoids))
        return await ask(connection, typeoids, timeout)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", counted)
    values = ([1, 2], [uuid4()], [Decimal("1.50")], ["a"])
    lent: set[int] = set()

    async def read_arrays(others: asyncio.Barrier) -> None:
        async with database.driver() as connection:
            lent.add(connection.get_server_pid())
            await others.wait()
            sql = "SELECT $1::bigint[], $2::uuid[], $3::numeric[], $4::text[]"
            assert [tuple(row) for row in await connection.fetch(sql, *values)] == [values]

    await read_arrays(asyncio.Barrier(1))
    assert len(asked) == 1
    await asyncio.gather(*(read_arrays(several) for several in [asyncio.Barrier(4)] * 4))
    assert len(lent) == 4
    assert len(asked) == 1
