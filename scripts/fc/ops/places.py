"""Where the platform's parts are, and connections to them whose failures are sentences for a person."""

import getpass
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import CONNECT_S, Address
from fc.platform.sources import Sources
from fc.stack import compose
from fc.stack.errors import StackError
from fc.stack.layout import Layout

STATEMENT_MS = 30_000


def here() -> Sources:
    """Find the parts of what this machine runs: docker compose where an engine answers, else the local stack."""
    return Sources.of_compose() if compose.engine() else Sources.of_stack(Layout.from_environment())


def operator() -> str:
    """Name who works: the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user may have a number and no name.
        return f"uid {os.getuid()}"


@contextmanager
def told() -> Iterator[None]:
    """Turn what the auditor's readers and PostgreSQL say into what `fc` shows. Raises StackError."""
    try:
        yield
    except (CouldNotCheck, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"{error}; `fc status` shows what runs") from error


@asynccontextmanager
async def database(service: str, address: Address) -> AsyncIterator[asyncpg.Connection]:
    """Open a session that may write. Raises StackError, also for what the block's statements can't do."""
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            host=address.host, port=address.port, user=address.user, password=address.password,
            database=address.database, timeout=CONNECT_S,
            server_settings={"application_name": "fc ops", "statement_timeout": str(STATEMENT_MS)},
        )  # fmt: skip
        try:
            yield connection
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise StackError(
            f"the database of {service} at {address.host}:{address.port}: {error or type(error).__name__}; "
            "`fc status` shows what runs"
        ) from error
