"""Single requests of tests that look at the answer itself, many of them at once, and what the superuser arranges."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from fc.stack.layout import SERVICES
from tests.chaos.kit.arena import Arena

MIB = 1024 * 1024
GROWTH = 64 * MIB
REFUSED = (400, "validation_failed")
PATIENCE_S = 60


@asynccontextmanager
async def crowd() -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client that makes as many connections as it is asked for."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(timeout=PATIENCE_S, limits=limits) as client:
        yield client


def basket(*lines: tuple[dict[str, Any], int], address: str = "Jalan Merdeka 1, Jakarta") -> dict[str, Any]:
    """Make the body of a checkout of (product, quantity) lines."""
    items = [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]
    return {"items": items, "payment_method": "BANK_TRANSFER", "shipping_address": address}


async def checkout(
    arena: Arena, product: dict[str, Any], key: str, *,
    quantity: int = 1, client: httpx2.AsyncClient | None = None, headers: dict[str, str] | None = None,
    url: str | None = None,
) -> httpx2.Response:  # fmt: skip
    """Ask once for an order of alice's, or of whoever the headers name."""
    return await (client or arena.client).post(
        f"{url or arena.stack.layout.url('orderfc')}/v1/orders/checkout",
        headers=(headers or arena.alice.headers) | {"Idempotency-Key": key},
        json=basket((product, quantity)),
        timeout=PATIENCE_S,
    )


async def read(arena: Arena, product: dict[str, Any], url: str | None = None) -> dict[str, Any]:
    """Read a product by the route that is cached. Raises HTTPStatusError."""
    answer = await arena.client.get(f"{url or arena.stack.layout.url('productfc')}/v1/products/{product['id']}")
    answer.raise_for_status()
    return dict(answer.json())


async def together(works: Iterable[Awaitable[httpx2.Response]]) -> list[httpx2.Response]:
    """Make requests at the same time, and give the answers in order."""
    return list(await asyncio.gather(*works))


def refused_for_now(answer: httpx2.Response) -> bool:
    """Tell whether an answer says, in the platform's one shape, that it can be had later: 503 with Retry-After."""
    return (
        answer.status_code == 503
        and answer.json()["code"] == "unavailable"
        and int(answer.headers["Retry-After"]) > 0
        and set(answer.json()) == {"error", "code", "request_id"}
    )


@asynccontextmanager
async def locked(arena: Arena, service: str, table: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Have every statement on a table wait for the block; gives a count of the sessions that wait in that database."""
    connection = await arena.stack.programs.postgres.connect(service)

    async def waiting() -> int:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'", service
            )
        )

    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield waiting
    finally:
        await connection.close()


async def administer(arena: Arena, *statements: str, database: str = "postgres") -> None:
    """Run statements as PostgreSQL's superuser."""
    connection = await arena.stack.programs.postgres.connect(database)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def reserved(arena: Arena, key: str) -> bool:
    """Tell whether a key is held by a request, or done."""
    return bool(await arena.sql("orderfc", "SELECT true FROM idempotency_keys WHERE key = $1", key))


async def orders_for(arena: Arena, product: dict[str, Any]) -> int:
    """Count the orders that hold a product."""
    rows = await arena.sql("orderfc", "SELECT count(*) FROM order_items WHERE product_id = $1", product["id"])
    return int(rows[0][0])


@contextmanager
def unshaken(arena: Arena) -> Iterator[None]:
    """See that in the block no service dies, fails at a request, or keeps what it is sent in memory."""
    services = {name: (arena.pid(name), arena.stack.layout.log(name).stat().st_size) for name in SERVICES}
    before = {name: peak(pid) for name, (pid, _) in services.items()}
    yield
    for name, (pid, size) in services.items():
        with arena.stack.layout.log(name).open("rb") as log:
            log.seek(size)
            assert [line for line in log if b'"request failed"' in line] == []
        assert arena.pid(name) == pid
        assert peak(pid) - before[name] < GROWTH


def peak(pid: int) -> int:
    """Give the most memory that a process has ever had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def outcome(answer: httpx2.Response) -> tuple[int, str]:
    """Give status and error code ("" where nothing is refused); every refusal has the one shape."""
    if answer.status_code < 400:
        return answer.status_code, ""
    assert set(answer.json()) == {"error", "code", "request_id"}
    return answer.status_code, answer.json()["code"]


def registration(password: str) -> dict[str, str]:
    """Make the body of a registration."""
    email = f"{uuid4().hex}@example.com"
    return {"name": "Carol", "email": email, "password": password, "confirm_password": password}


async def counts(arena: Arena) -> dict[str, int]:
    """Count what strangers could have made more, or fewer, of."""
    tables = {"userfc": ("users",), "orderfc": ("orders", "outbox"), "paymentfc": ("payments", "payment_callbacks")}
    return {
        f"{service}.{table}": (await arena.sql(service, f"SELECT count(*) FROM {table}"))[0][0]
        for service, names in tables.items() for table in names
    }  # fmt: skip
