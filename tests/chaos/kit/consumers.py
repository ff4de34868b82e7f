"""What tests of consumers see and do: lines of a log, metrics, inboxes, and records put where a test wants them."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from fc.demo.shop import poll
from fc.platform.topics import CONSUMERS
from tests.chaos.kit.arena import Arena, Running
from tests.kit.bus import Seen

CONSUMING = ("productfc", "orderfc", "paymentfc")
STATE = {
    "productfc": (
        "SELECT id, stock FROM products ORDER BY id",
        "SELECT order_id, product_id, quantity, state FROM stock_ledger ORDER BY 1, 2",
        "SELECT count(*) FROM outbox",
    ),
    "orderfc": (
        "SELECT id, status, total_amount FROM orders ORDER BY id",
        "SELECT order_id, status, cause FROM order_history ORDER BY order_id, id",
        "SELECT count(*) FROM outbox",
    ),
    "paymentfc": (
        "SELECT order_id, status, amount, invoice_id, reason FROM payments ORDER BY order_id",
        "SELECT count(*) FROM payment_requests",
        "SELECT count(*) FROM payment_anomalies",
        "SELECT count(*) FROM outbox",
    ),
}
"""What no repeated event may change, by service. Order and history, ledger and stock, payments, and all that was said."""


class Tail:
    """The lines that programs add to a log from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = path.stat().st_size if path.exists() else 0

    @classmethod
    def of(cls, arena: Arena, service: str) -> "Tail":
        """Read on the log of a service's processes that tests start."""
        return cls(arena.stack.home / "logs" / f"{service}-by-test.log")

    def lines(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Give the lines with this text and these fields."""
        found = []
        with self._path.open("rb") as file:
            file.seek(self._start)
            for line in file.read().splitlines():
                with suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return [line for line in found if line.get("event") == event and fields.items() <= line.items()]

    async def wait(self, event: str, count: int = 1, deadline_s: float = 30, **fields: object) -> list[dict[str, Any]]:
        """Wait until so many lines are there, and give them."""

        async def there() -> list[dict[str, Any]] | None:
            found = self.lines(event, **fields)
            return found if len(found) >= count else None

        return list(await poll(there, f"{count} lines {event!r} {fields} in {self._path}", deadline_s, 0.02))


async def metric(arena: Arena, url: str, name: str, **labels: str) -> float:
    """Read a counter of a service's process; 0.0 when it has not counted yet."""
    answer = await arena.client.get(f"{url}/metrics")
    answer.raise_for_status()
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text) for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )  # fmt: skip


async def state(arena: Arena) -> dict[str, list[list[tuple[Any, ...]]]]:
    """Read what the services have decided, see STATE."""
    return {
        service: [[tuple(row) for row in await arena.sql(service, statement)] for statement in statements]
        for service, statements in STATE.items()
    }


async def event_of(arena: Arena, order: int, topic: str) -> Seen:
    """Wait until an order's event is on its topic, and give it."""

    async def there() -> Seen | None:
        key = f"order-{order}".encode()
        return next((event for event in await arena.bus.read(topic) if event.key == key), None)

    found = await poll(there, f"{topic} of order {order}", 30, 0.05)
    assert isinstance(found, Seen)
    return found


def event_id(event: Seen) -> UUID:
    """Give an event's own id."""
    return UUID(dict(event.headers)["ce_id"].decode())


async def applied(arena: Arena, event: Seen) -> dict[str, int]:
    """Count the inbox rows that an event has, by consumer."""
    sql = "SELECT count(*) FROM inbox WHERE consumer = $1 AND event_id = $2"
    return {
        service: int((await arena.sql(service, sql, service, event_id(event)))[0][0])
        for service in CONSUMERS[event.topic]
    }  # fmt: skip


async def ledger(arena: Arena, order: int) -> list[tuple[int, str]]:
    """Give the quantities and states in an order's stock ledger."""
    rows = await arena.sql("productfc", "SELECT quantity, state FROM stock_ledger WHERE order_id = $1", order)
    return [(row[0], row[1]) for row in rows]


@asynccontextmanager
async def instead(arena: Arena, environments: Mapping[str, Mapping[str, str]]) -> AsyncIterator[dict[str, Running]]:
    """Run services with further settings in the places of the supervised ones, which are back together afterwards."""
    for service in environments:
        await asyncio.to_thread(arena.stack.supervisor.stop, service)
    try:
        async with AsyncExitStack() as stack:
            yield {
                service: await stack.enter_async_context(
                    arena.replica(service, {"HTTP_PORT": str(arena.stack.layout.port(service)), **environment})
                )
                for service, environment in environments.items()
            }
    finally:
        await asyncio.to_thread(arena.stack.up)
    arena.healed()


@asynccontextmanager
async def stopped(arena: Arena, services: Sequence[str]) -> AsyncIterator[None]:
    """Stop services in order for the block; all are ready again afterwards."""
    async with instead(arena, {}):
        for service in services:
            await asyncio.to_thread(arena.stack.supervisor.stop, service)
        yield


async def dies(running: Running) -> None:
    """Wait until a process has killed itself."""
    assert await running.ended(30) == -signal.SIGKILL, f"see {running.log}"


async def locked_row(arena: Arena, product: dict[str, Any]) -> asyncpg.Connection:
    """Open a transaction in productfc's database that holds a product's row; the caller ends it by closing."""
    server = arena.stack.programs.postgres
    connection: asyncpg.Connection = await asyncpg.connect(
        host="localhost", port=server.port, user="admin", password=server.superuser_password, database="productfc"
    )
    await connection.execute("BEGIN")
    await connection.execute(f"SELECT 1 FROM products WHERE id = {int(product['id'])} FOR UPDATE")
    return connection
