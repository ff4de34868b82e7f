"""A stack whose clock a test moves: the command, the databases as their services see them, the audit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2
import typer
from typer.testing import CliRunner

from fc.audit.run import run_audit
from fc.demo.shop import Customer, Shop
from fc.ops import clock
from fc.platform.sources import Sources
from fc.stack.local import Stack
from servers.postgres import PASSWORD, app_role
from tests.kit.back_office import BackOffice


@dataclass
class Moving:
    """The stack, and clients that are made for one test: their tokens end with the clock."""

    stack: Stack
    shop: Shop
    back_office: BackOffice
    client: httpx2.AsyncClient

    async def fc(self, *words: str) -> str:
        """Run `fc clock` with these words."""
        app = typer.Typer()
        app.add_typer(clock.app, name="clock")
        result = await asyncio.to_thread(lambda: CliRunner().invoke(app, ["clock", *words]))
        assert result.exit_code == 0, f"fc clock failed: {result.output} {result.exception}"
        return result.stdout

    async def advance(self, time: str) -> None:
        await self.fc("advance", time)

    @asynccontextmanager
    async def database(self, service: str) -> AsyncIterator[asyncpg.Connection]:
        """Open a session as the service does."""
        port = self.stack.layout.port("postgres")
        connection = await asyncpg.connect(
            host="localhost", port=port, user=app_role(service), password=PASSWORD, database=service
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def value(self, service: str, sql: str, *values: object) -> Any:
        async with self.database(service) as connection:
            return await connection.fetchval(sql, *values)

    async def exact(self) -> None:
        """Wait until the stack rests, and audit it."""
        report = await run_audit(Sources.of_stack(self.stack.layout), quiesce_s=60)
        assert (report.violations, report.unread) == (0, {}), (
            f"the audit is not exact: {report.findings} {report.unread}"
        )

    async def status(self, customer: Customer, service: str, path: str) -> int:
        answer = await self.client.get(f"{self.stack.layout.url(service)}{path}", headers=customer.headers)
        return int(answer.status_code)
