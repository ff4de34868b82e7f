"""The pool when PostgreSQL crashes: a connection in a broken state counts as an outage and is replaced."""

from collections.abc import Awaitable, Callable

import pytest

from chassis.db.database import Database
from chassis.errors import is_transient

CRASHED = b"SFATAL\0VFATAL\0C57P02\0Mterminating connection because of crash of another server process\0\0"


async def half_dead(database: Database) -> int:
    """Deliver the server's crash message to the pool's only connection; return its backend's process id."""
    async with database.driver() as connection:
        pid = int(connection.get_server_pid())
        # The bytes that the socket would deliver: there is no public way to inject them.
        protocol = connection._protocol  # type: ignore[attr-defined]
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
