"""HTTP requests of customers whose answers a test looks at: checkouts, reads, and many at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2

from fc.demo.shop import Customer, poll
from tests.chaos.kit.arena import Arena

REQUEST_TIMEOUT_S = 60

Line = tuple[dict[str, Any], int] | Any
"""(product, quantity), or a line of the body as it is sent."""


@asynccontextmanager
async def unlimited_client() -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client without a limit of connections."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(timeout=REQUEST_TIMEOUT_S, limits=limits) as client:
        yield client


def basket(*lines: Line, address: str = "Jalan Merdeka 1, Jakarta") -> dict[str, Any]:
    """Make the body of a checkout: for one (product, quantity) the same as `Customer.checkout` sends."""
    return {
        "items": [_item(*line) if isinstance(line, tuple) else line for line in lines],
        "payment_method": "BANK_TRANSFER",
        "shipping_address": address,
    }


def _item(product: dict[str, Any], quantity: int) -> dict[str, Any]:
    return {"product_id": product["id"], "quantity": quantity, "price": product["price"]}


async def checkout(
    arena: Arena,
    *lines: Line,
    who: Customer | None = None,
    key: str | None = None,
    url: str | None = None,
    client: httpx2.AsyncClient | None = None,
) -> httpx2.Response:
    """Send one checkout, of alice unless `who` is given; `url` is another address of orderfc."""
    return await (client or arena.client).post(
        f"{url or arena.stack.layout.url('orderfc')}/v1/orders/checkout",
        headers=(who or arena.alice).headers | {"Idempotency-Key": key or uuid4().hex},
        json=basket(*lines),
        timeout=REQUEST_TIMEOUT_S,
    )


async def place_order(arena: Arena, *lines: Line, who: Customer | None = None) -> int:
    """Check out, again after each 503, and return the order id. Raises HTTPStatusError for any other refusal."""

    async def placed() -> int | None:
        answer = await checkout(arena, *lines, who=who)
        if answer.status_code == 503:
            return None
        answer.raise_for_status()
        return int(answer.json()["order_id"])

    return int(await poll(placed, "the order is placed", 40, 0.1))


async def read_product(arena: Arena, product: dict[str, Any], url: str | None = None) -> dict[str, Any]:
    """Read a product by the route that is cached. Raises HTTPStatusError."""
    answer = await arena.client.get(f"{url or arena.stack.layout.url('productfc')}/v1/products/{product['id']}")
    answer.raise_for_status()
    return dict(answer.json())


def registration(password: str) -> dict[str, str]:
    """Make the body of a registration."""
    email = f"{uuid4().hex}@example.com"
    return {"name": "Carol", "email": email, "password": password, "confirm_password": password}


async def together(works: Iterable[Awaitable[httpx2.Response]]) -> list[httpx2.Response]:
    """Send requests at the same time and return the answers in order."""
    return list(await asyncio.gather(*works))


def refused_for_now(answer: httpx2.Response) -> bool:
    """Whether an answer is a 503 with Retry-After, in the shape of every refusal."""
    return (
        answer.status_code == 503
        and answer.json()["code"] == "unavailable"
        and int(answer.headers["Retry-After"]) > 0
        and set(answer.json()) == {"error", "code", "request_id"}
    )
