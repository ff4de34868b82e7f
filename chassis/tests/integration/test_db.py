"""The pool on a PostgreSQL that dies: a connection whose end is only half heard is nobody's fault, and used no more."""

import pytest
from sqlalchemy import text

from chassis.db.database import Database
from chassis.errors import is_transient

CRASHED = b"SFATAL\0VFATAL\0C57P02\0Mterminating connection because of crash of another server process\0\0"


async def half_dead(database: Database) -> int:
    """Have the pool's only connection hear of a crash before its socket closes; give its backend's process id."""
    async with database.driver() as connection:
        pid = int(connection.get_server_pid())
        # What the socket would hand over: there is no public way to be told of a crash.
        protocol = connection._protocol  # type: ignore[attr-defined]
        protocol.data_received(b"E" + (len(CRASHED) + 4).to_bytes(4, "big") + CRASHED)
    return pid


@pytest.mark.parametrize("way", ["driver", "transaction", "connection"])
async def test_a_connection_that_has_heard_of_a_crash_fails_once_as_an_outage_and_is_replaced(
    database: Database, way: str
) -> None:
    pid = await half_dead(database)
    with pytest.raises(Exception, match="cannot switch to state") as failed:
        if way == "driver":
            async with database.driver() as connection:
                await connection.fetchval("SELECT 1")
        elif way == "transaction":
            async with database.transaction() as tx:
                await tx.driver().execute("SELECT 1")
        else:
            async with database.connection() as conn:
                await conn.execute(text("SELECT 1"))
    assert is_transient(failed.value)
    async with database.driver() as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert connection.get_server_pid() != pid
