"""What must hold after every fault besides the audit: no leaks, no lost exceptions, no endless cache, new orders."""

import time
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import redis.asyncio

from fc.demo.shop import Customer, Shop, poll
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice

LIVE_S = 10
IDLE = """
SELECT pid, application_name, query FROM pg_stat_activity
WHERE state LIKE 'idle in transaction%' AND state_change < statement_timestamp() - interval '2 seconds'
"""
LOST_SIGNS = ("exception was never retrieved", "was never awaited", "Unclosed ")
"""What asyncio and its libraries log when an exception, a coroutine or a connection was dropped."""


@dataclass
class Invariants:
    """Checks a stack at rest; each check returns violations as text. Logs are read from where the last check ended."""

    stack: Stack
    _read: dict[str, int] = field(default_factory=dict)

    async def violations(self) -> list[str]:
        return [*await self._open_transactions(), *self._lost_exceptions(), *await self._endless_answers()]

    async def _open_transactions(self) -> list[str]:
        """Open transactions (invariant 17)."""
        server = self.stack.programs.postgres
        connection = await asyncpg.connect(
            host="localhost", port=server.port, user="admin", password=server.superuser_password, database="postgres"
        )
        try:
            return [f"a transaction was left open: {dict(row)}" for row in await connection.fetch(IDLE)]
        finally:
            await connection.close()

    def _lost_exceptions(self) -> list[str]:
        """Exceptions that no code has retrieved (invariant 18)."""
        lines = []
        for service in SERVICES:
            path = self.stack.layout.log(service)
            with path.open("rb") as log:
                log.seek(self._read.get(service, 0))
                text = log.read()
            self._read[service] = self._read.get(service, 0) + len(text)
            lines += [
                f"{service}: {line}"
                for line in text.decode(errors="replace").splitlines()
                if any(sign in line for sign in LOST_SIGNS)
            ]
        return lines

    async def _endless_answers(self) -> list[str]:
        """Cached products that never expire; what they say is a rule of the audit (invariant 15)."""
        environment = self.stack.programs.environment("productfc")
        client = redis.asyncio.Redis(
            port=self.stack.layout.port("redis"), password=environment["REDIS_PASSWORD"], socket_timeout=5
        )
        try:
            keys = [key async for key in client.scan_iter("product:*", count=1000)]
            return [f"{key.decode()} never expires" for key in keys if await client.ttl(key) == -1]
        finally:
            await client.aclose()


async def order_goes_through(shop: Shop, back_office: BackOffice, who: Customer) -> float:
    """Order, pay and complete; return the seconds. Raises TimeoutError after ten (invariant 19)."""
    began = time.monotonic()
    product = await back_office.product(stock=1)
    order = await who.checkout(product, 1)

    async def invoiced() -> Any:
        return (await who.payment(order)).get("invoice_url") and await who.payment(order)

    payment = await poll(invoiced, f"invoice of order {order}", LIVE_S)
    await shop.pay(payment["invoice_id"])
    await who.wait_status(order, "completed", LIVE_S)
    return time.monotonic() - began
