"""The experiments of the lab: orders that are placed and end in different ways, and a race for the last unit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from console.client.admin_api import NoAnswer
from console.client.shop import Declined

POLL_S = 0.1
INVOICE_S = 10.0
WHOLE_S = 25.0
RACE_S = 8.0
AT_ONCE = 5

Outcome = tuple[list[int], list[str]]
"""The orders, and what went wrong."""


class Shop(Protocol):
    """What the experiments use; see console.client.shop."""

    async def product(self, product_id: int) -> dict[str, Any]:
        """Return a product."""

    async def set_stock(self, product_id: int, stock: int) -> None:
        """Set how many are left."""

    async def checkout(self, product: Mapping[str, Any], quantity: int) -> int:
        """Order a product."""

    async def status(self, order_id: int) -> str:
        """Return the status of an order."""

    async def payment(self, order_id: int) -> dict[str, Any]:
        """Return the payment of an order."""

    async def provider(self, invoice_id: str, action: str, body: Mapping[str, Any]) -> None:
        """Do something with an invoice."""


async def place_orders(shop: Shop, product_id: int, quantity: int, count: int, end: str) -> Outcome:
    """Place orders, AT_ONCE at a time, and bring each to its end. What is not done after WHOLE_S is given up."""
    product = await shop.product(product_id)
    orders: list[int] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with gate:
            order = await shop.checkout(product, quantity)
            orders.append(order)
            await end_order(shop, order, end)

    problems = await _all(one for _ in range(count))
    return sorted(orders), problems


async def end_order(shop: Shop, order_id: int, end: str) -> None:
    """Bring an order to one of its ends. Raises Declined and NoAnswer."""
    if end == "nothing":
        return
    payment = await _invoice(shop, order_id)
    invoice = str(payment["invoice_id"])
    bodies: Mapping[str, Mapping[str, Any]] = {
        "wrong": {"amount": float(payment["amount"]) + 1},
        "twice": {"times": 2},
        "late": {"after_expiry": True},
    }
    if end in ("expire", "late"):
        await shop.provider(invoice, "expire", {})
    if end == "late":
        await _poll(lambda: _is_closed(shop, order_id), INVOICE_S, f"the payment of order {order_id} is still open")
    if end != "expire":
        await shop.provider(invoice, "pay", bodies.get(end, {}))


async def _invoice(shop: Shop, order_id: int) -> dict[str, Any]:
    async def made() -> dict[str, Any] | None:
        payment = await shop.payment(order_id)
        return payment if payment.get("invoice_id") else None

    return dict(await _poll(made, INVOICE_S, f"order {order_id} has no invoice"))


async def _is_closed(shop: Shop, order_id: int) -> bool:
    return bool((await shop.payment(order_id))["status"] != "PENDING")


async def race(shop: Shop, product_id: int, buyers: int) -> Outcome:
    """Let so many checkouts try to get the last unit at once, and wait until at most one of them still may."""
    await shop.set_stock(product_id, 1)
    product = await shop.product(product_id)
    orders: list[int] = []

    async def buy() -> None:
        orders.append(await shop.checkout(product, 1))

    problems = await _all(buy for _ in range(buyers))

    async def is_decided() -> bool:
        statuses = await asyncio.gather(*(shop.status(order) for order in orders))
        return sum(status != "cancelled" for status in statuses) <= 1

    try:
        await _poll(is_decided, RACE_S, "more than one order is still open")
    except (NoAnswer, Declined) as error:
        problems.append(str(error))
    return sorted(orders), problems


async def _all(works: Any) -> list[str]:
    """Do all at once, for at most WHOLE_S; return what went wrong, each sentence once with its number."""
    tasks = [asyncio.create_task(work()) for work in works]
    done, late = await asyncio.wait(tasks, timeout=WHOLE_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    counted: dict[str, int] = {}
    for task in done:
        error = task.exception()
        if error is not None and not isinstance(error, (Declined, NoAnswer)):
            raise error
        if error is not None:
            counted[str(error)] = counted.get(str(error), 0) + 1
    if late:
        counted[f"not done in {WHOLE_S:g} s"] = len(late)
    return [f"{number} x {sentence}" for sentence, number in counted.items()]


async def _poll(read: Callable[[], Awaitable[Any]], deadline_s: float, otherwise: str) -> Any:
    end = asyncio.get_running_loop().time() + deadline_s
    while not (answer := await read()):
        if asyncio.get_running_loop().time() > end:
            raise NoAnswer(f"{otherwise} after {deadline_s:g} s")
        await asyncio.sleep(POLL_S)
    return answer
