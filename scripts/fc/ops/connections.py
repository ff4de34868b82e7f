"""Connections to the databases whose failures are reported as StackError."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import Address, connect
from fc.stack.errors import StackError

STATEMENT_MS = 30_000
SESSION = {"application_name": "fc ops", "statement_timeout": str(STATEMENT_MS)}


@contextmanager
def as_stack_errors() -> Iterator[None]:
    """Turn errors of the platform's readers and of PostgreSQL into StackError."""
    try:
        yield
    except (CouldNotCheck, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"{error}; `fc status` shows what runs") from error


@asynccontextmanager
async def database(service: str, address: Address) -> AsyncIterator[asyncpg.Connection]:
    """Open a session that may write. Raises StackError, also for failed statements of the block."""
    try:
        connection = await connect(address, SESSION)
        try:
            yield connection
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise StackError(
            f"the database of {service} at {address.host}:{address.port}: {str(error) or type(error).__name__}; "
            "`fc status` shows what runs"
        ) from error
