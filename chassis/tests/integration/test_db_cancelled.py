"""Callers that go away at any moment leave the pool whole: each place is lent again, and no error is lost."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from chassis.db import pool
from chassis.db.database import POOL_SIZE, Database
from chassis.errors import is_transient
from testkit import eventually
from testkit.proxy import Proxy

CALLERS = 300


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[Proxy]:
    async with Proxy(database.settings.db_host, database.settings.db_port) as opened:
        yield opened


@asynccontextmanager
async def watched(database: Database, proxy: Proxy, sslmode: str) -> AsyncIterator[Database]:
    """Open a database behind the proxy; no task may end with an error that none has asked for."""
    # A lost error is reported when it is collected: first those of earlier tests.
    gc.collect()
    lost: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: lost.append(context))
    changed = {"db_host": proxy.host, "db_port": proxy.port, "db_sslmode": sslmode}
    opened = Database(database.settings.model_copy(update=changed))
    yield opened
    await opened.close()
    await asyncio.sleep(0)
    gc.collect()
    loop.set_exception_handler(None)
    assert lost == []


@pytest.fixture
async def behind(database: Database, proxy: Proxy) -> AsyncIterator[Database]:
    # Without TLS: asyncpg loses an error when its own request to cancel a statement is cancelled while it asks for TLS.
    async with watched(database, proxy, "disable") as opened:
        yield opened


async def use(database: Database, number: int) -> None:
    if number % 3 == 0:
        async with database.driver() as connection:
            await connection.fetchval("SELECT pg_sleep(0.002)")
        return
    async with database.transaction() as tx:
        await tx.driver().execute("SELECT pg_sleep(0.002)")
        if number % 3 == 1:
            await tx.driver().execute("SELECT 1 / 0")


async def lend_all_at_once(database: Database) -> None:
    """Hold every connection of the pool at the same time, and see that none is inside a transaction."""
    held, enough = 0, asyncio.Event()

    async def hold() -> None:
        nonlocal held
        async with database.driver() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT 1") == 1
            held += 1
            if held == POOL_SIZE:
                enough.set()
            await enough.wait()

    holders = [asyncio.create_task(hold()) for _ in range(POOL_SIZE)]
    try:
        async with asyncio.timeout(10):
            await asyncio.gather(*holders)
    finally:
        for holder in holders:
            holder.cancel()
        await asyncio.gather(*holders, return_exceptions=True)


async def test_callers_that_are_cancelled_at_any_moment_leave_all_connections_to_others(behind: Database) -> None:
    draw = random.Random(7)
    callers = [asyncio.create_task(use(behind, number)) for number in range(CALLERS)]
    pending = set(callers)
    while pending:
        await asyncio.wait(pending, timeout=draw.uniform(0, 0.003))
        pending = {caller for caller in pending if not caller.done()}
        for caller in draw.sample(sorted(pending, key=id), min(2, len(pending))):
            caller.cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    expected = (asyncio.CancelledError, asyncpg.DivisionByZeroError, TimeoutError)
    assert [error for error in results if error is not None and not isinstance(error, expected)] == []
    assert any(isinstance(error, asyncio.CancelledError) for error in results)
    await lend_all_at_once(behind)


async def test_a_network_that_swallows_everything_keeps_no_place_of_the_pool(behind: Database, proxy: Proxy) -> None:
    await lend_all_at_once(behind)
    await proxy.blackhole()
    callers = [asyncio.create_task(use(behind, number)) for number in range(2 * POOL_SIZE)]
    await asyncio.wait(callers, timeout=0.2)
    for caller in callers:
        caller.cancel()
    async with asyncio.timeout(2 * pool.DISCARD_S):
        results = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    await proxy.restore()
    await lend_all_at_once(behind)


async def test_connections_that_the_server_has_ended_are_replaced_when_they_are_lent(
    behind: Database, database: Database
) -> None:
    await lend_all_at_once(behind)
    async with database.driver() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )

    async def answers() -> bool:
        try:
            await lend_all_at_once(behind)
        except Exception as error:
            if is_transient(error):
                return False
            raise
        return True

    assert await eventually(answers)


def measured(database: Database, metric: str, state: str = "") -> float:
    """Read a metric of the pool."""
    labels = {"db_client_connection_pool_name": database.settings.db_name} | ({"state": state} if state else {})
    return REGISTRY.get_sample_value(f"db_client_connection_{metric}", labels) or 0


async def test_a_caller_waits_for_a_connection_no_longer_than_the_limit(
    behind: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, held = asyncio.Event(), list[int]()

    async def hold(number: int) -> None:
        async with behind.driver():
            held.append(number)
            await release.wait()

    holders = [asyncio.create_task(hold(number)) for number in range(POOL_SIZE)]
    await eventually(lambda: len(held) == POOL_SIZE)
    monkeypatch.setattr(pool, "ACQUIRE_TIMEOUT_S", 0.05)
    before, waits = measured(behind, "timeouts_total"), measured(behind, "wait_time_seconds_count")
    with pytest.raises(TimeoutError, match=r"no database connection within 0\.05 s"):
        await use(behind, 0)
    assert measured(behind, "timeouts_total") == before + 1
    assert (measured(behind, "count", "used"), measured(behind, "count", "idle")) == (POOL_SIZE, 0)
    release.set()
    await asyncio.gather(*holders)
    await lend_all_at_once(behind)
    assert (measured(behind, "count", "used"), measured(behind, "count", "idle")) == (0, POOL_SIZE)
    assert measured(behind, "wait_time_seconds_count") >= waits + POOL_SIZE


async def test_callers_that_are_cancelled_while_they_connect_lose_no_error(database: Database, proxy: Proxy) -> None:
    draw = random.Random(7)
    for _ in range(8):
        async with watched(database, proxy, "prefer") as opened:

            async def borrow(opened: Database = opened) -> None:
                async with opened.driver():
                    pass

            callers = [asyncio.create_task(borrow()) for _ in range(POOL_SIZE)]
            for caller in callers:
                await asyncio.wait({caller}, timeout=draw.uniform(0, 0.002))
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            await lend_all_at_once(opened)
